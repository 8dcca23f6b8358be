//! What is wrong with an expression is said when it is read, with its place and what may
//! have been meant.

use super::*;

fn environment() -> Environment {
    Environment::new(vec![
        ("object", Kind::Dyn),
        (
            "caller",
            Kind::record(
                "caller",
                &[
                    ("agent", Kind::String),
                    ("groups", Kind::list(Kind::String)),
                ],
                Has::Filled,
            ),
        ),
    ])
}

#[test]
fn faults_have_places_and_suggestions() {
    for (text, at, message, suggestion) in [
        ("", (1, 1), "empty", ""),
        ("object.a ==", (1, 12), "", ""),
        (
            "obejct.a == 1",
            (1, 1),
            "no variable \"obejct\"",
            "\"object\"",
        ),
        (
            "true &&\n  obejct.a == 1",
            (2, 3),
            "no variable",
            "\"object\"",
        ),
        ("'é😀' == obejct", (1, 9), "no variable", "\"object\""),
        ("'é😀' == == 1", (1, 9), "", ""),
        (
            "'é😀' ==\n'ü' + obejct",
            (2, 7),
            "no variable",
            "\"object\"",
        ),
        (
            "caller.agnet == 'a'",
            (1, 7),
            "caller has no field \"agnet\"",
            "\"agent\"",
        ),
        ("caller.zzz == 'a'", (1, 7), "no field", "agent, groups"),
        ("has(caller.group)", (1, 11), "no field", "\"groups\""),
        ("caller.agent.foo", (1, 13), "type string has no field", ""),
        ("caller['agent']", (1, 7), "no index", "write .name"),
        (
            "caller.agent.startWith('a')",
            (1, 23),
            "no function",
            "\"startsWith\"",
        ),
        (
            "object.spec.isURL()",
            (1, 18),
            "no function",
            "write isURL(…)",
        ),
        (
            "startsWith(caller.agent, 'a')",
            (1, 11),
            "no function",
            "….startsWith()",
        ),
        (
            "caller.agent.startsWith('a', 'b')",
            (1, 24),
            "does not take",
            "(string, string)",
        ),
        (
            "caller.agent + 1 == 'a'",
            (1, 14),
            "does not take (string, int)",
            "it takes",
        ),
        (
            "caller.groups.exists(g, g == 1)",
            (1, 27),
            "does not take (string, int)",
            "",
        ),
        (
            "caller.groups.exists(g, h)",
            (1, 25),
            "no variable \"h\"",
            "",
        ),
        (
            "caller.groups.all('g', true)",
            (1, 19),
            "must be a name",
            "",
        ),
        (
            "caller.agent.matches('[')",
            (1, 22),
            "regular expression",
            "",
        ),
        (
            "caller.agent.matches('\\\\B')",
            (1, 22),
            "not supported",
            "",
        ),
        (
            "duration('1 day') > duration('1h')",
            (1, 10),
            "no duration",
            "",
        ),
        (
            "'%e'.format([1.0]) == ''",
            (1, 1),
            "%e is not supported",
            "",
        ),
        (
            "authorizer.group('').check('get')",
            (1, 0),
            "does not ask the cluster",
            "",
        ),
        ("math.abs(1) == 1", (1, 0), "not supported", ""),
        (
            "google.protobuf.Int32Value{value: 1} == 1",
            (1, 0),
            "cannot be made",
            "",
        ),
    ] {
        let fault = Expression::compile(text, &environment()).unwrap_err();
        let place = (fault.line, fault.column);
        assert!(
            place == at || at.1 == 0,
            "{text}: {place:?}, not {at:?}: {fault}"
        );
        assert!(fault.message.contains(message), "{text}: {fault}");
        let said = fault.suggestion.clone().unwrap_or_default();
        assert!(said.contains(suggestion), "{text}: {fault}");
    }
}

#[test]
fn the_type_of_the_whole_is_checked_as_far_as_it_is_known() {
    let compile = |text: &str| Expression::compile_as(text, &environment(), &[Kind::Bool]);
    assert!(compile("caller.agent == 'a'").is_ok());
    assert!(compile("object.spec.hostNetwork").is_ok());
    let fault = compile("caller.agent").unwrap_err();
    assert!(fault.message.contains("must be of type bool"), "{fault}");
}

#[test]
fn what_fails_later_says_where() {
    let expression = Expression::compile("true &&\n object.a.b == 1", &environment()).unwrap();
    #[derive(Debug)]
    struct Empty(Json);
    impl Record for Empty {
        fn field<'a>(&'a self, _: &str) -> Option<Value<'a>> {
            Some(Value::of_json(&self.0))
        }
    }
    let empty = Empty(json!({"a": {}}));
    let trouble = expression
        .holds(&empty, &mut Meter::for_request())
        .unwrap_err();
    let said = expression.describe(&trouble);
    assert_eq!(said, "line 2, column 10: no such key: b");
    assert!(expression.uses("object") && !expression.uses("caller"));
}

#[test]
fn names_may_be_escaped_where_that_is_upstreams_way() {
    #[derive(Debug)]
    struct Claims(Json);
    impl Record for Claims {
        fn field<'a>(&'a self, _: &str) -> Option<Value<'a>> {
            Some(Value::of_json(&self.0))
        }
    }
    let claims = Claims(json!({"a.b": {"c-d": 1}, "x__y": 2, "in": 3, "_a_": 4, "e/f": 5}));
    let claims_of = || Environment::new(vec![("claims", Kind::Dyn)]);
    let holds = |text: &str| {
        let expression = Expression::compile(text, &claims_of().with_escapes()).unwrap();
        expression.holds(&claims, &mut Meter::for_request())
    };
    for text in [
        "claims.a__dot__b.c__dash__d == 1",
        "has(claims.a__dot__b.c__dash__d)",
        "claims.?a__dot__b.?c__dash__d.orValue(0) == 1",
        "claims.x__underscores__y == 2",
        "claims.__in__ == 3",
        "claims._a_ == 4",
        "claims.e__slash__f == 5",
        "claims['a.b'].size() == 1",
    ] {
        assert_eq!(holds(text), Ok(true), "{text}");
    }
    for text in ["claims.a__dog__b == 1", "claims.a__in__ == 1"] {
        assert!(
            Expression::compile(text, &claims_of().with_escapes()).is_err(),
            "{text}"
        );
        assert!(Expression::compile(text, &claims_of()).is_ok(), "{text}");
    }
}

#[test]
fn an_expression_says_what_it_looks_at() {
    let environment = Environment::new(vec![("claims", Kind::Dyn), ("other", Kind::Dyn)]);
    let looks = |text: &str| {
        let expression = Expression::compile(text, &environment).unwrap();
        expression.looks_at("claims", "email")
    };
    for text in [
        "claims.email",
        "claims.email.size() > 0 ? 'a' : 'b'",
        "claims.?email.orValue('')",
        "claims['email']",
        "has(claims.email) || true",
        "[1].exists(x, x == 1 && claims.email == 'a')",
        "{'a': [claims.email]}",
        "other.?x.optMap(x, claims.email)",
    ] {
        assert!(looks(text), "{text}");
    }
    for text in [
        "claims.sub",
        "other.email",
        "claims.x.email",
        "'email' in claims",
    ] {
        assert!(!looks(text), "{text}");
    }
}
