//! Requests as the tests of this room write them: `GET /api/v1/namespaces/a/pods?watch=1`,
//! read by the parse room. Tests may then change what they mean.

use super::super::rule::View;
use super::*;

#[derive(Debug)]
pub(super) struct Asked {
    pub caller: Caller,
    pub ask: Ask,
    pub cluster: String,
    pub info: RequestInfo,
    pub facts: Facts,
    pub applies: bool,
}

impl Asked {
    /// With an empty object as the body where one is needed.
    pub(super) fn new(line: &str) -> Self {
        let writes = ["POST ", "PUT ", "PATCH "]
            .iter()
            .any(|method| line.starts_with(method));
        let path = line.split('?').next().unwrap();
        let streams = ["/exec", "/attach", "/portforward"]
            .iter()
            .any(|end| path.ends_with(end));
        Self::with_body(line, if writes && !streams { "{}" } else { "" })
    }

    pub(super) fn with_body(line: &str, body: &str) -> Self {
        let (method, target) = line.split_once(' ').unwrap();
        let ask = Ask::for_test("dev", method, target, body);
        Self {
            caller: Caller::for_test("coder", Some("alice@example.com"), &["agents"]),
            cluster: "dev".to_owned(),
            info: ask.info().clone(),
            facts: ask.facts().clone(),
            applies: false,
            ask,
        }
    }

    pub(super) fn judge<'p>(&self, set: &'p PolicySet) -> Judgement<'p> {
        judged(
            &View::new(
                &self.caller,
                &self.cluster,
                &self.info,
                &self.facts,
                self.applies,
            ),
            set,
        )
        .into()
    }
}
