//! No expression costs more than its budget, or brings the gate down.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn table() -> Table {
    let list: Vec<Json> = (0..300)
        .map(|n| json!({"n": n, "s": "x".repeat(50)}))
        .collect();
    Table {
        object: json!({"list": list, "text": "a".repeat(20_000), "n": 1}),
        claims: json!({"sub": "me"}),
    }
}

fn run(text: &str, table: &Table) -> Result<Json, Trouble> {
    let expression = Expression::compile(text, &environment()).unwrap();
    expression
        .evaluate(table, &mut Meter::for_request())
        .map(|value| plain(&value))
}

#[test]
fn threat_24_what_costs_too_much_fails_and_quickly() {
    let table = table();
    for text in [
        // Nested walks.
        "object.list.all(a, object.list.all(b, object.list.all(c, a.n <= 300)))",
        "lists.range(1000).all(a, lists.range(1000).all(b, lists.range(1000).all(c, true)))",
        "lists.range(1000000000)",
        // Text that doubles.
        "['aaaaaaaaaa'].map(a, a+a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a+a).size() > 0",
        "object.list.map(a, object.text + object.text).join() == ''",
        "object.list.map(a, object.text.replace('a', object.text)).size() == 0",
        "'%s'.format([object.list.map(a, object.list)]) == ''",
        // Lists that double.
        "[object.list].map(a, a+a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a+a).size() > 0",
        "lists.range(2000).distinct().size() == 0",
        "lists.range(2000).map(a, -a).transformMap(i, v, v).size() == 0",
        "object.list.map(a, object.list.map(b, [a, b])) == object.list.map(a, object.list.map(b, [a, b]))",
        // Regular expressions over much text.
        "object.list.all(a, !object.text.matches('(a|b|ab)*c|(a?){30}b'))",
        "object.list.exists(a, object.text.matches('b' + object.list[0].s))",
        // Errors that are absorbed, optional values, default values.
        "object.list.all(a, object.list.all(b, object.list.all(c, 1 / 0 == 1))) || true",
        "object.list.exists(a, object.list.exists(b, !object.list.all(c, true))) && false",
        "lists.range(1000).exists(a, lists.range(1000).all(b, lists.range(1000).all(c, true)) || true) || true",
        "true ? lists.range(1000000).all(a, object.?missing.orValue(true)) || true : true",
    ] {
        let begun = Instant::now();
        let outcome = run(text, &table);
        assert_eq!(outcome, Err(Trouble::Spent), "{text}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{text}: {took:?}");
    }
}

#[test]
fn a_spent_request_stays_spent() {
    let table = table();
    let costly = Expression::compile("lists.range(999000).all(a, true)", &environment()).unwrap();
    let cheap = Expression::compile("true || object.n == 1", &environment()).unwrap();
    let mut meter = Meter::for_request();
    assert_eq!(costly.holds(&table, &mut meter), Err(Trouble::Spent));
    assert!(meter.is_spent());
    assert_eq!(cheap.holds(&table, &mut meter), Err(Trouble::Spent));
}

#[test]
fn many_cheap_evaluations_share_the_budget_of_their_request() {
    let table = table();
    let expression = Expression::compile("lists.range(100000).size() > 0", &environment()).unwrap();
    let mut meter = Meter::for_request();
    let passed = (0..1000)
        .take_while(|_| expression.holds(&table, &mut meter) == Ok(true))
        .count() as u64;
    assert!((40..=PER_REQUEST / 100_000).contains(&passed), "{passed}");
}

#[test]
fn long_rows_and_deep_nests_are_refused_when_they_are_read() {
    let refused = |text: String| {
        let shown: String = text.chars().take(40).collect();
        assert!(
            Expression::compile(&text, &environment()).is_err(),
            "{shown} was read"
        );
    };
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("!", ""),
        ("-", ""),
        ("{1:", "}"),
        ("size(", ")"),
    ] {
        refused(format!("{}1{}", open.repeat(900), close.repeat(900)));
        refused(format!("{}1{}", open.repeat(900), ""));
    }
    refused(format!("object{}", ".a".repeat(4000)));
    refused(format!("object{}", "[0]".repeat(2600)));
    refused(format!("object{}", ".a()".repeat(2000)));
    refused(format!("1{}", "+1".repeat(4000)));
    refused(format!("1{}", "<1".repeat(4000)));
    refused(format!("1{}", " in [1]".repeat(1000)));
    refused(format!("true{}", "?true:true".repeat(800)));
    refused(format!("true{}", "?true".repeat(1500)));
    refused("a".repeat(9000));
    refused("'".repeat(8000));
    refused("\"\"\"".repeat(2000));
    refused("?".repeat(8000));
    refused("`a".repeat(3000));
}

#[test]
fn what_is_long_but_flat_is_read() {
    let long = vec!["object.n == 1"; 400].join(" || ");
    let expression = Expression::compile(&long, &environment()).unwrap();
    assert_eq!(
        expression.holds(&table(), &mut Meter::for_request()),
        Ok(true)
    );
    let list = format!("'x' in [{}]", vec!["'a-b.c'"; 700].join(", "));
    let expression = Expression::compile(&list, &environment()).unwrap();
    assert_eq!(
        expression.holds(&table(), &mut Meter::for_request()),
        Ok(false)
    );
}

/// Pieces that expressions are made of.
fn piece() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "object",
        "claims",
        "object.list",
        "object.text",
        "object.n",
        "claims.sub",
        "1",
        "-1",
        "0",
        "1u",
        "1.5",
        "'a'",
        "''",
        "b'a'",
        "true",
        "false",
        "null",
        "[]",
        "[1, 2]",
        "{}",
        "{'a': 1}",
        "9223372036854775807",
        "duration('1h')",
        "timestamp(0)",
        "ip('::1')",
        "quantity('1Gi')",
        "semver('1.2.3')",
        "optional.none()",
        "x",
        "'é😀'",
        "lists.range(50)",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 60, 3, |inner| {
        let pair = (inner.clone(), inner.clone());
        let triple = (inner.clone(), inner.clone(), inner.clone());
        let operators = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", ">=", "in", "&&", "||",
        ]);
        let unary = prop::sample::select(vec![
            "size",
            "int",
            "uint",
            "double",
            "string",
            "bytes",
            "bool",
            "type",
            "dyn",
            "!",
            "-",
            "sign",
            "isURL",
            "isIP",
            "isQuantity",
            "strings.quote",
            "optional.of",
            "ip",
            "cidr",
            "duration",
            "timestamp",
            "quantity",
            "semver",
            "url",
            "base64.encode",
        ]);
        let member = prop::sample::select(vec![
            "sum",
            "max",
            "min",
            "sort",
            "reverse",
            "distinct",
            "flatten",
            "isSorted",
            "join",
            "trim",
            "value",
            "hasValue",
            "getHours",
            "getQuery",
            "asInteger",
            "family",
            "masked",
        ]);
        let with = prop::sample::select(vec![
            "indexOf",
            "lastIndexOf",
            "split",
            "matches",
            "find",
            "findAll",
            "charAt",
            "substring",
            "contains",
            "format",
            "includes",
            "add",
            "compareTo",
            "orValue",
            "containsIP",
            "getMonth",
        ]);
        let walk = prop::sample::select(vec![
            "all",
            "exists",
            "exists_one",
            "filter",
            "map",
            "sortBy",
            "optMap",
        ]);
        prop_oneof![
            (pair.clone(), operators).prop_map(|((a, b), o)| format!("({a} {o} {b})")),
            triple
                .clone()
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), unary).prop_map(|(a, f)| format!("{f}({a})")),
            (inner.clone(), member).prop_map(|(a, f)| format!("dyn({a}).{f}()")),
            (pair.clone(), with).prop_map(|((a, b), f)| format!("dyn({a}).{f}(dyn({b}))")),
            (pair.clone(), walk).prop_map(|((a, b), f)| format!("dyn({a}).{f}(x, dyn({b}))")),
            pair.clone().prop_map(|(a, b)| format!("dyn({a})[{b}]")),
            pair.clone().prop_map(|(a, b)| format!("dyn({a})[?{b}]")),
            inner.clone().prop_map(|a| format!("has(dyn({a}).n)")),
            inner.clone().prop_map(|a| format!("dyn({a}).?n")),
            pair.prop_map(|(a, b)| format!("[dyn({a}), dyn({b})]")),
            triple.prop_map(|(a, b, c)| {
                format!("dyn({a}).transformMap(x, y, dyn({b}) == y, dyn({c}))")
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_expression_panics_or_outlasts_its_budget(text in piece()) {
        // A variable of no macro is refused when it is read: most of these are not.
        let text = format!("[object.n].exists_one(x, dyn({text}) == x)");
        if let Ok(expression) = Expression::compile(&text, &environment()) {
            let begun = Instant::now();
            let mut meter = Meter::of(100_000);
            let _ = expression.evaluate(&table(), &mut meter);
            prop_assert!(begun.elapsed() < Duration::from_secs(2), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z(){}\\[\\]'\"\\\\?:.,+*/<>=!&|%0-9 \n\u{e9}\u{1F600}-]{0,60}") {
        let _ = Expression::compile(&text, &environment());
    }

    #[test]
    fn every_pattern_is_read_or_refused(pattern in "[a-z\\\\\\[\\]\\^(){}|?*+.:<>=!&~,0-9dDwWsSbBpPQE\u{e9}-]{0,20}", text in "[a-z0-9\u{e9} \n]{0,20}") {
        if let Ok(pattern) = library::pattern::Pattern::compile(&pattern) {
            let _ = pattern.is_match(&text);
        }
    }
}
