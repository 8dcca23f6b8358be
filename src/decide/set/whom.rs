//! What can be wrong with whom a rule is about. Part of `set`.

use super::Check;
use crate::decide::policy::Subjects;
use crate::decide::whom::Whom;

impl Check<'_> {
    pub(super) fn whom(&mut self, at: &str, subjects: Option<&Subjects>) -> Whom {
        let mut globs = |field: &str, list: fn(&Subjects) -> &Option<Vec<String>>| {
            let patterns = subjects.and_then(|subjects| list(subjects).as_deref());
            self.globs(at, &format!("subjects.{field}"), patterns)
        };
        Whom {
            agents: globs("agents", |subjects| &subjects.agents),
            principals: globs("principals", |subjects| &subjects.principals),
            groups: globs("groups", |subjects| &subjects.groups),
            except_groups: globs("exceptGroups", |subjects| &subjects.except_groups),
        }
    }
}
