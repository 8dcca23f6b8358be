//! Tests of ⑦ mask: the attacks 18 and 20 of the threat list, as far as this room meets them.

use super::*;

#[test]
fn threat_18_no_spelling_of_a_key_gets_past_the_mask() {
    let documents = [
        format!(r#"{{"d\u0061ta":{{"k":"{CANARY}"}}}}"#),
        format!(r#"{{"\u0064\u0061\u0074\u0061":{{"k":"{CANARY}"}}}}"#),
        format!(r#"{{"Data":{{"k":"{CANARY}"}},"STRINGDATA":{{"k":"{CANARY}"}}}}"#),
        format!(r#"{{"data":{{}},"data":{{"k":"{CANARY}"}},"data":{{"k":"{CANARY}"}}}}"#),
        format!(r#"{{"data":{{"k":"x\"{CANARY}\\"}}}}"#),
        format!(
            r#"{{"metadata":{{"annotations":{{"kubectl.kubernetes.io\/last-\u0061pplied-configuration":"{CANARY}"}}}}}}"#
        ),
        format!(r#"{{"data":{{"k":["{CANARY}",{{"x":"{CANARY}"}}]}}}}"#),
    ];
    for document in documents {
        let seen = mask_ok(&secrets("get"), &document);
        assert!(!seen.contains(CANARY), "{seen}");
        let embedded = format!("{{\"kind\":\"X\",\"spec\":{{\"o\":[{document}]}}}}");
        let embedded = embedded.replacen("[{", r#"[{"k\u0069nd":"Secr\u0065t","#, 1);
        let seen = mask_ok(&pods("get"), &embedded);
        assert!(!seen.contains(CANARY), "{seen}");
    }
}

#[test]
fn threat_18_an_object_that_says_twice_what_it_is_is_refused() {
    for document in [
        format!(r#"{{"kind":"Pod","data":{{"k":"{CANARY}"}},"kind":"Secret"}}"#),
        format!(r#"{{"data":{{"k":"{CANARY}"}},"Kind":"Pod","kind":"Secret"}}"#),
        format!(r#"{{"kind":"Secret","data":{{"k":"{CANARY}"}},"kind":"Pod"}}"#),
    ] {
        let refused = run(masker(&pods("get"), 200), &[document.as_bytes()]);
        assert!(matches!(refused, Err(Refusal::Unmaskable { .. })));
    }
    let twice = format!(r#"{{"reason":"NotFound","message":"{CANARY}","reason":"Invalid"}}"#);
    let refused = run(masker(&secrets("get"), 422), &[twice.as_bytes()]);
    assert!(matches!(refused, Err(Refusal::Unmaskable { .. })));
}

#[test]
fn threat_18_a_secret_where_a_kind_should_stand_is_masked() {
    for (info, key) in [(pods("get"), "kind"), (secrets("get"), "reason")] {
        let document = format!(
            r#"{{"{key}":{{"kind":"Secret","data":{{"k":"{CANARY}"}}}},"{key}":[{{"kind":"Secret","data":"{CANARY}"}}]}}"#
        );
        let seen = mask_ok(&info, &document);
        assert!(!seen.contains(CANARY), "{seen}");
    }
}

#[test]
fn threat_18_error_events_and_error_bodies_hold_no_value() {
    let event = format!(
        "{{\"type\":\"ERROR\",\"object\":{{\"kind\":\"Status\",\"message\":\"{CANARY}\",\"reason\":\"InternalError\",\"code\":500}}}}\n"
    );
    let seen = mask_ok(&secrets("watch"), &event);
    assert!(
        !seen.contains(CANARY) && seen.contains("\"code\":500"),
        "{seen}"
    );
    let expired = event.replace("InternalError", "Expired");
    assert_eq!(mask_ok(&secrets("watch"), &expired), expired);
}

#[test]
fn threat_18_what_is_not_plain_json_is_not_passed() {
    let types = [
        Some("application/vnd.kubernetes.protobuf"),
        Some("application/yaml"),
        Some("application/cbor"),
        Some("application/json-seq"),
        Some("text/plain"),
        None,
    ];
    for content_type in types {
        for info in [secrets("get"), pods("list"), pods("watch")] {
            let made = Masker::new(&plan(&info), 200, content_type, None);
            assert!(
                matches!(made, Err(Refusal::Unmaskable { .. })),
                "{content_type:?}"
            );
        }
    }
    for encoding in ["gzip", "deflate", "identity, gzip", ""] {
        let made = Masker::new(
            &plan(&secrets("get")),
            200,
            Some("application/json"),
            Some(encoding),
        );
        assert!(
            matches!(made, Err(Refusal::Unmaskable { .. })),
            "{encoding}"
        );
    }
    for content_type in [
        "application/json;stream=watch",
        "Application/JSON; charset=utf-8",
    ] {
        let made = Masker::new(
            &plan(&pods("watch")),
            200,
            Some(content_type),
            Some("identity"),
        );
        assert_eq!(made.unwrap().content_type(), Some(content_type));
    }
}

/// One per line.
const INVALID: &str = r#"{
{"a"
{"a":
{"a":1
{"a":1,
{"a":1,}
{"a":[1,]}
{"a":[,1]}
{,"a":1}
{"a" 1}
{"a":1 "b":2}
{"a":1}}
{"a":1}x
{"a":1}{"a":1}
{"a":[1}}
{"a":{1]}
{"a":{"b":1]}
{a:1}
{'a':1}
{1:1}
{"a":01}
{"a":-01}
{"a":1.}
{"a":.5}
{"a":+1}
{"a":-}
{"a":1e}
{"a":1e+}
{"a":1.e1}
{"a":tru}
{"a":True}
{"a":nulll}
{"a":NaN}
{"a":"\x"}
{"a":"\u12g4"}
{"a":"\u12"}
{"a":"\ud800"}
{"a":"\udc00"}
{"a":"\ud800x"}
{"a":"\ud800\n"}
{"a":"\ud800\ud800"}
{"a":"\ud800\u0041"}
[]
[{}]
"x"
1
null"#;

#[test]
fn threat_18_invalid_documents_are_refused_at_the_fault() {
    let deep = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let mut invalid: Vec<Vec<u8>> = INVALID.lines().map(|l| l.as_bytes().to_vec()).collect();
    for text in [
        "",
        " ",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\u{1}\"}",
        "\u{feff}{}",
        "{\"a\":// x\n1}",
    ] {
        invalid.push(text.as_bytes().to_vec());
    }
    invalid.push(b"{}\0".to_vec());
    for bytes in [
        &b"\xff"[..],
        b"\xc3",
        b"\xc3(",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xc0\xaf",
    ] {
        invalid.push([b"{\"a\":\"", bytes, b"\"}"].concat());
        invalid.push([b"{\"", bytes, b"\":1}"].concat());
    }
    invalid.push(deep(128).into_bytes());
    for document in &invalid {
        for info in [pods("get"), secrets("get")] {
            let mut pieces: Vec<Vec<&[u8]>> = vec![document.chunks(1).collect()];
            pieces.extend((0..=document.len()).map(|cut| {
                let (head, tail) = document.split_at(cut);
                vec![head, tail]
            }));
            for pieces in pieces {
                let refused = run(masker(&info, 200), &pieces);
                let text = String::from_utf8_lossy(document);
                assert!(matches!(refused, Err(Refusal::Unmaskable { .. })), "{text}");
            }
        }
    }
    run(masker(&pods("get"), 200), &[deep(127).as_bytes()]).unwrap();
}

#[test]
fn threat_18_a_masker_that_failed_passes_nothing_more() {
    let mut masker = masker(&pods("get"), 200);
    masker.feed(Bytes::from_static(b"{]")).unwrap_err();
    masker.feed(Bytes::from_static(b"{}")).unwrap_err();
    masker.finish().unwrap_err();
}

#[test]
fn threat_18_a_cut_stream_is_an_error_and_an_empty_one_is_not() {
    run(masker(&secrets("watch"), 200), &[]).unwrap();
    run(masker(&secrets("watch"), 200), &[b"\n{}\n{}"]).unwrap();
    run(masker(&secrets("watch"), 200), &[b"{}\n{"]).unwrap_err();
    run(masker(&secrets("watch"), 200), &[b"{}\n1"]).unwrap_err();
    run(masker(&secrets("watch"), 403), &[b"{}{}"]).unwrap_err();
}

#[test]
fn threat_20_refusals_summaries_and_debug_output_hold_no_value() {
    let document = format!(r#"{{"data":{{"k":"{CANARY}","l":"{CANARY}"}},"{CANARY}":{CANARY}}}"#);
    let mut masker = masker(&secrets("get"), 200);
    let refusal = masker.feed(Bytes::from(document)).unwrap_err();
    assert!(!format!("{refusal:?}").contains(CANARY));
    let summary = masker.summary();
    assert_eq!(
        summary.counts(),
        [Count {
            rule: "secret-data".into(),
            path: "data.*".into(),
            values: 2
        }]
    );
    let mut waiting = super::masker(&pods("get"), 200);
    let undecided = format!(r#"{{"data":{{"k":"{CANARY}"}},"#);
    let passed = waiting.feed(Bytes::from(undecided)).unwrap();
    assert_eq!(passed.as_bytes(), br#"{"data":"#);
    let bytes = format!("{:?}", Bytes::from_static(CANARY.as_bytes()));
    assert!(!format!("{waiting:?}").contains(bytes.trim_matches(['b', '"'])));
}

#[test]
fn threat_20_bodies_are_masked_before_they_are_recorded() {
    let masked = |info: &RequestInfo, content_type: &str, body: &str| {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let shape = plan::body_shape(info, content_type.contains("json-patch"), &masking());
        let masked = mask_document(shape, &masking(), &body).unwrap();
        String::from_utf8(masked.to_vec()).unwrap()
    };
    let json = "application/json";
    let patch = "application/json-patch+json";
    let strategic = "application/strategic-merge-patch+json";
    let token = info("create", "authentication.k8s.io", "tokenreviews", "");
    let cases = [
        row(
            secrets("create"),
            r#"{"data":{"k":@},"stringData":{"k":@}}"#,
            r#"{"data":{"k":#},"stringData":{"k":%}}"#,
        ),
        row(
            pods("create"),
            r#"{"stringData":{"k":@},"kind":"Secret"}"#,
            r#"{"stringData":{"k":%},"kind":"Secret"}"#,
        ),
        row(
            secrets("create"),
            r#"{"kind":"Secret","type":"Opaque","strData":{"k":@},"binaryData":@,"spec":[@],"immutable":true}"#,
            r#"{"kind":"Secret","type":"Opaque","strData":%,"binaryData":%,"spec":%,"immutable":true}"#,
        ),
        row(
            secrets("delete"),
            r#"{"kind":"DeleteOptions","dryRun":["All"],"preconditions":{"uid":"u"},"x":@}"#,
            r#"{"kind":"DeleteOptions","dryRun":["All"],"preconditions":{"uid":"u"},"x":%}"#,
        ),
        row(
            token,
            r#"{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":@}},"spec":{"token":@}}"#,
            r#"{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":&}},"spec":{"token":%}}"#,
        ),
    ];
    for (info, said, seen) in &cases {
        assert_eq!(&masked(info, json, said), seen);
    }
    let (info, said, seen) = row(
        secrets("patch"),
        r#"[{"op":"add","path":"/data/k","value":@},{"op":"test","path":"/data","value":{"k":@}},{"op":"remove","path":"/data/x"},{"op":"add","path":"/x","vaIue":[@]}]"#,
        r#"[{"op":"add","path":"/data/k","value":%},{"op":"test","path":"/data","value":%},{"op":"remove","path":"/data/x"},{"op":"add","path":"/x","vaIue":%}]"#,
    );
    assert_eq!(masked(&info, patch, &said), seen);
    let (info, said, seen) = row(
        secrets("patch"),
        r#"{"data":{"k":null,"l":@}}"#,
        r#"{"data":{"k":null,"l":#}}"#,
    );
    assert_eq!(masked(&info, strategic, &said), seen);
    assert_eq!(masked(&info, json, ""), "");
    let bad = mask_document(&fields::ANY, &masking(), &Bytes::from_static(b"{\"a\":"));
    assert!(matches!(bad, Err(Refusal::Unmaskable { .. })));
}
