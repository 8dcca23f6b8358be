//! Tests of ⑦ mask: documents as Kubernetes writes them, and what the agent sees of them.

use base64::Engine as _;
use serde_json::Value;

use super::*;

#[test]
fn the_masks_are_the_same_text() {
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(MASK_BASE64)
        .unwrap();
    assert_eq!(decoded, MASK.as_bytes());
    let last: Value = serde_json::from_str(LAST_MASK).unwrap();
    assert_eq!(last["metadata"]["annotations"]["gateward/masked"], MASK);
}

#[test]
fn secrets_are_masked_in_every_shape_of_answer() {
    let (get, list, watch) = (secrets("get"), secrets("list"), secrets("watch"));
    table(&[
        row(
            get.clone(),
            r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"db","annotations":{"a":"b","kubectl.kubernetes.io/last-applied-configuration":@},"managedFields":[{"fieldsV1":{"f:data":{".":{},"f:password":{}}}}]},"data":{"password":@,"user":@},"type":"Opaque"}"#,
            r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"db","annotations":{"a":"b","kubectl.kubernetes.io/last-applied-configuration":&},"managedFields":[{"fieldsV1":{"f:data":{".":{},"f:password":{}}}}]},"data":{"password":#,"user":#},"type":"Opaque"}"#,
        ),
        row(
            list.clone(),
            r#"{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"},"data":{"k":@}},{"metadata":{"name":"b"},"data":null},{"stringData":{"k":@}}]}"#,
            r#"{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"},"data":{"k":#}},{"metadata":{"name":"b"},"data":null},{"stringData":{"k":%}}]}"#,
        ),
        row(
            list.clone(),
            r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","columnDefinitions":[{"name":"Data","type":"string"}],"rows":[{"cells":["db","Opaque",2,"3d"],"object":{"kind":"Secret","data":{"k":@}}},{"cells":[],"object":{"kind":"PartialObjectMetadata","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":@}}}}]}"#,
            r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","columnDefinitions":[{"name":"Data","type":"string"}],"rows":[{"cells":["db","Opaque",2,"3d"],"object":{"kind":"Secret","data":{"k":#}}},{"cells":[],"object":{"kind":"PartialObjectMetadata","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":&}}}}]}"#,
        ),
        row(
            list,
            r#"{"kind":"PartialObjectMetadataList","items":[{"metadata":{"labels":{"data":"x"},"annotations":{"kubectl.kubernetes.io/last-applied-configuration":@}}}]}"#,
            r#"{"kind":"PartialObjectMetadataList","items":[{"metadata":{"labels":{"data":"x"},"annotations":{"kubectl.kubernetes.io/last-applied-configuration":&}}}]}"#,
        ),
        row(
            watch,
            "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Secret\",\"data\":{\"k\":@}}}\n{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Secret\",\"metadata\":{\"resourceVersion\":\"9\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n{\"type\":\"ADDED\",\"object\":{\"kind\":\"Table\",\"rows\":[{\"object\":{\"data\":{\"k\":@}}}]}}\n",
            "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Secret\",\"data\":{\"k\":#}}}\n{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Secret\",\"metadata\":{\"resourceVersion\":\"9\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n{\"type\":\"ADDED\",\"object\":{\"kind\":\"Table\",\"rows\":[{\"object\":{\"data\":{\"k\":#}}}]}}\n",
        ),
        row(
            get,
            r#"{"data" : {"a":1,"b":[@],"c":{"d":@},"e":true,"f":null} ,"data":[@,null],"data":@}"#,
            r#"{"data" : {"a":#,"b":#,"c":#,"e":#,"f":null} ,"data":[#,null],"data":#}"#,
        ),
    ]);
}

#[test]
fn secrets_are_masked_inside_answers_about_other_things() {
    let (list, watch) = (pods("list"), pods("watch"));
    table(&[
        row(
            list.clone(),
            r#"{"kind":"List","apiVersion":"v1","items":[{"kind":"ConfigMap","data":{"k":"v"}},{"kind":"Secret","data":{"k":@}}]}"#,
            r#"{"kind":"List","apiVersion":"v1","items":[{"kind":"ConfigMap","data":{"k":"v"}},{"kind":"Secret","data":{"k":#}}]}"#,
        ),
        row(
            list.clone(),
            r#"{"apiVersion":"x/v1","kind":"Bundle","spec":{"objects":[{"apiVersion":"v1","data":{"k":@},"kind":"Secret","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":@}},"stringData":{"s":@}}],"data":{"k":"v"}}}"#,
            r#"{"apiVersion":"x/v1","kind":"Bundle","spec":{"objects":[{"apiVersion":"v1","data":{"k":#},"kind":"Secret","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":&}},"stringData":{"s":%}}],"data":{"k":"v"}}}"#,
        ),
        // Even the annotation may come before the kind.
        row(
            list.clone(),
            r#"{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":@}},"data":{"a":1,"b":null},"x":[1,2],"kind":"Secret"}"#,
            r#"{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":&}},"data":{"a":#,"b":null},"x":[1,2],"kind":"Secret"}"#,
        ),
        // A typed list leaves out the kind of its items; the list's comes first or last.
        row(
            list.clone(),
            r#"{"spec":{"apiVersion":"v1","items":[{"data":{"k":@}},{"data":{"k":"v"},"kind":"ConfigMap"}],"kind":"SecretList"}}"#,
            r#"{"spec":{"apiVersion":"v1","items":[{"data":{"k":#}},{"data":{"k":"v"},"kind":"ConfigMap"}],"kind":"SecretList"}}"#,
        ),
        row(
            list.clone(),
            r#"{"spec":{"kind":"SecretList","items":[{"data":{"k":@}},{"kind":"ConfigMap","data":{"k":"v"}}]}}"#,
            r#"{"spec":{"kind":"SecretList","items":[{"data":{"k":#}},{"kind":"ConfigMap","data":{"k":"v"}}]}}"#,
        ),
        // A Secret within something that waits itself.
        row(
            list,
            r#"{"data":{"inner":{"data":{"k":@},"kind":"Secret"},"other":{"data":{"k":"v"}}},"kind":"ConfigMap"}"#,
            r#"{"data":{"inner":{"data":{"k":#},"kind":"Secret"},"other":{"data":{"k":"v"}}},"kind":"ConfigMap"}"#,
        ),
        row(
            pods("get"),
            r#"{"data":{"inner":{"data":{"k":@},"kind":"Secret"},"other":"v"},"kind":"Secret"}"#,
            r#"{"data":{"inner":#,"other":#},"kind":"Secret"}"#,
        ),
        row(
            watch,
            "{\"type\":\"MODIFIED\",\"object\":{\"data\":{\"k\":@},\"kind\":\"Secret\"}}\n",
            "{\"type\":\"MODIFIED\",\"object\":{\"data\":{\"k\":#},\"kind\":\"Secret\"}}\n",
        ),
    ]);
}

#[test]
fn what_holds_no_secret_is_the_same_to_the_byte() {
    let documents = [
        r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"a","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}},"spec":{"containers":[{"env":[{"name":"X","value":"ü\u00fc\ud83d\ude00"}]}]}}]}"#,
        r#"{ "kind" : "ConfigMapList",	"items":[{"data":{"a":"b"},"metadata":{}},{"data":{"kind":"Secret","x":"x"}}]} "#,
        r#"{"apiVersion":"x/v1","items":[{"apiVersion":"x/v1","data":{"n":-1.50e+10},"kind":"Thing"},{"data":{}}],"kind":"ThingList"}"#,
        r#"{"kind":"Pod","metadata":{"ownerReferences":[{"kind":"Secret","name":"s"}]},"status":{"message":"m"}}"#,
    ];
    for document in documents {
        assert_eq!(mask_ok(&pods("list"), document), document);
    }
}

#[test]
fn untouched_chunks_are_not_copied_and_lists_stream() {
    let mut masker = masker(&info("list", "", "configmaps", ""), 200);
    let head = Bytes::from_static(br#"{"kind":"ConfigMapList","items":["#);
    let passed = masker.feed(head.clone()).unwrap().into_bytes();
    assert_eq!(passed.as_ptr(), head.as_ptr());
    let mut out = passed.len();
    let item = Bytes::from(format!(
        r#"{{"metadata":{{"name":"a"}},"data":{{"k":"{}"}}}}"#,
        "v".repeat(100_000)
    ));
    let mut fed = out;
    for number in 0..100 {
        for chunk in [if number == 0 { &b""[..] } else { b"," }, &item] {
            fed += chunk.len();
            out += masker
                .feed(Bytes::copy_from_slice(chunk))
                .unwrap()
                .as_bytes()
                .len();
        }
        assert_eq!(fed, out, "nothing is held after item {number}");
    }
}

#[test]
fn what_waits_too_long_is_refused() {
    let big = "v".repeat(3 << 20);
    let held = |values: usize| {
        let mut masker = masker(&pods("get"), 200);
        let mut chunk = r#"{"data":{"#.to_owned();
        for value in 0..values {
            chunk += &format!("\"{value}\":\"{big}\",");
            masker.feed(Bytes::from(std::mem::take(&mut chunk)))?;
        }
        masker.feed(Bytes::from_static(br#""z":1},"kind":"Pod"}"#))?;
        masker.finish()
    };
    held(1).unwrap();
    assert!(matches!(held(2), Err(Refusal::Unmaskable { .. })));
    let many = format!("{{\"items\":[{}0]}}", r#"{"data":{}},"#.repeat(20_000));
    let refused = run(masker(&pods("get"), 200), &[many.as_bytes()]);
    assert!(matches!(refused, Err(Refusal::Unmaskable { .. })));
    let within_secret = format!("{{\"data\":\"{big}{big}\"}}");
    let masked = run(masker(&secrets("get"), 200), &[within_secret.as_bytes()]).unwrap();
    assert!(masked.len() < 100, "a hidden value is not held at all");
}

#[test]
fn messages_of_errors_are_kept_only_where_the_reason_carries_no_value() {
    let status = |reason: &str, code: u16| {
        format!(
            r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"{CANARY}","reason":"{reason}","details":{{"name":"db","kind":"secrets","causes":[{{"reason":"FieldValueInvalid","message":"{CANARY}","field":"data"}}]}},"code":{code}}}"#
        )
    };
    for (reason, code, kept) in [
        ("NotFound", 404, true),
        ("AlreadyExists", 409, true),
        ("Forbidden", 403, true),
        ("Expired", 410, true),
        ("Invalid", 422, false),
        ("BadRequest", 400, false),
        ("InternalError", 500, false),
        ("", 500, false),
        ("notfound", 404, false),
    ] {
        let seen = mask_at(&secrets("patch"), code, &status(reason, code)).unwrap();
        let seen: Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(seen["message"] == CANARY, kept, "{reason}");
        assert_eq!(seen["details"]["causes"][0]["message"], MASK);
        assert_eq!(seen["details"]["causes"][0]["field"], "data");
        assert_eq!(seen["code"], code);
    }
    for no_reason in [
        format!(r#"{{"message":"{CANARY}"}}"#),
        format!(r#"{{"message":"{CANARY}","reason":null}}"#),
        format!(r#"{{"message":"{CANARY}","reason":["NotFound"]}}"#),
        format!(r#"{{"reason":"Invalid","message":["{CANARY}"]}}"#),
    ] {
        let seen = mask_at(&secrets("get"), 500, &no_reason).unwrap();
        assert!(!seen.contains(CANARY), "{seen}");
    }
    // Another resource's errors stay as they are.
    let other = status("Invalid", 422);
    assert_eq!(mask_at(&pods("create"), 422, &other).unwrap(), other);
}

#[test]
fn tokens_are_masked() {
    let info = info("create", "", "serviceaccounts", "token");
    table(&[row(
        info,
        r#"{"kind":"TokenRequest","metadata":{"name":"a"},"spec":{"audiences":["x"]},"status":{"token":@,"expirationTimestamp":"t"}}"#,
        r#"{"kind":"TokenRequest","metadata":{"name":"a"},"spec":{"audiences":["x"]},"status":{"token":%,"expirationTimestamp":"t"}}"#,
    )]);
}
