//! Tests of ⑦ mask: what is quoted within a string, packed, or must stay base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

/// A value without a form; only its place or its name tells.
const WORD: &str = "x9Kf2mQ7wLp4";

fn seen(document: &Value) -> Value {
    let info = info("get", "", "configmaps", "");
    serde_json::from_str(&mask_ok(&info, &document.to_string())).unwrap()
}

#[test]
fn threat_18_a_manifest_in_a_string_is_masked_like_an_object() {
    for (manifest, masked) in [
        (
            json!({"kind": "Secret", "data": {"a": WORD}}),
            json!({"kind": "Secret", "data": {"a": MASK_BASE64}}),
        ),
        (
            json!({"items": [{"stringData": {"a": WORD}, "kind": "Secret"}]}),
            json!({"items": [{"stringData": {"a": MASK}, "kind": "Secret"}]}),
        ),
        (
            json!({"args": ["--password", WORD, "-v"]}),
            json!({"args": ["--password", MASK, "-v"]}),
        ),
        (
            json!({"text": json!({"kind": "Secret", "stringData": {"a": WORD}}).to_string()}),
            json!({"text": json!({"kind": "Secret", "stringData": {"a": MASK}}).to_string()}),
        ),
    ] {
        let object = |manifest: &Value| {
            json!({"kind": "Application", "metadata": {"annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": manifest.to_string()}}})
        };
        assert_eq!(seen(&object(&manifest)), object(&masked));
        // Wherever it stands, and however it is cut.
        let map = |text: String| json!({"kind": "ConfigMap", "data": {"a.json": text, "x": "y"}});
        for space in ["", " \n\t", "\r\n"] {
            let manifest = map(format!("{space}{manifest}"));
            assert_eq!(seen(&manifest), map(format!("{space}{masked}")));
        }
        let escaped = map(manifest.to_string()).to_string();
        let escaped = escaped
            .replace("Secret", "\\u0053ecret")
            .replace("{\\\"", "\\u007b\\\"");
        let seen: Value = serde_json::from_str(&mask_ok(&pods("get"), &escaped)).unwrap();
        assert_eq!(seen, map(masked.to_string()));
    }
    let untouched = json!({"metadata": {"annotations": {
        "kubectl.kubernetes.io/last-applied-configuration": "{ \"a\" : 1 }\n"}}});
    assert_eq!(seen(&untouched), untouched);
}

#[test]
fn threat_18_a_value_is_found_however_often_it_is_quoted() {
    let mut text =
        format!("users:\n- name: a\n  password: {WORD}\nx: <password>{WORD}</password>\n");
    for _ in 0..3 {
        text = serde_json::to_string(&text).unwrap();
        // As Go writes it.
        text = text.replace('<', "\\u003c").replace('>', "\\u003e");
        let message = format!("Invalid value: {text}: wrong");
        let seen = seen(&json!({"kind": "Status", "message": message}));
        let seen = seen["message"].as_str().unwrap();
        assert!(!seen.contains(WORD), "{seen}");
        assert!(
            seen.matches(MASK).count() == 2 && seen.ends_with(": wrong"),
            "{seen}"
        );
    }
}

#[test]
fn threat_18_gzip_is_looked_into() {
    // {"password":"x9Kf2mQ7wLp4"} as gzip, and as Helm keeps it.
    let packed = "H4sIAAAAAAAAA6tWKkgsLi7PL0pRslKqsPROM8oNNC/3KTBRqgUAfwqY6xsAAAA=";
    let document = json!({"kind": "ConfigMap", "data": {"release": packed, "other": "x"}});
    let masked = json!({"kind": "ConfigMap", "data": {"release": MASK, "other": "x"}});
    assert_eq!(seen(&document), masked);
}

#[test]
fn what_must_be_base64_stays_base64() {
    let inside = STANDARD.encode(format!("password={WORD}\n"));
    let document = json!({"kind": "ConfigMap", "binaryData": {"a": inside, "b": "AAAA"}});
    let masked = json!({"kind": "ConfigMap", "binaryData": {"a": MASK_BASE64, "b": "AAAA"}});
    assert_eq!(seen(&document), masked);
    assert_eq!(seen(&json!({"x": inside})), json!({"x": MASK_BASE64}));
}

#[test]
fn threat_20_what_a_json_patch_writes_under_a_telling_name_is_hidden() {
    let patch = json!([{"op": "add", "path": "/data/DB_PASSWORD", "value": WORD}, {"op": "add", "path": "/data/x", "value": WORD}]);
    let seen = seen(&json!({"body": patch}));
    assert_eq!(seen["body"][0]["value"], MASK);
    assert_eq!(seen["body"][1]["value"], WORD);
}

/// Escaped by their codes, quotes in quotes take few bytes; written as usual, twice as many at
/// each level.
#[test]
fn threat_18_what_is_quoted_too_deep_is_hidden_whole_and_does_not_grow() {
    for (depth, shown) in [(1, true), (4, true), (5, false), (200, false)] {
        let mut text = json!([format!("password: {WORD}")]).to_string();
        for _ in 0..depth {
            let quoted = text.replace('\\', "\\u005c").replace('"', "\\u0022");
            text = format!("[\"{quoted}\"]");
        }
        let document = format!("{{\"note\":{text}}}");
        let masked = run(masker(&pods("get"), 200), &[document.as_bytes()]).unwrap();
        let masked = String::from_utf8(masked).unwrap();
        assert!(!masked.contains(WORD) && masked.contains(MASK), "{masked}");
        assert_eq!(masked.contains("password"), shown, "{depth}: {masked}");
        assert!(masked.len() <= document.len(), "{depth}: {masked}");
        let expected = oracle::masked(
            &plan(&pods("get")),
            oracle::About::Objects,
            document.as_bytes(),
        );
        assert_eq!(expected, Some(masked.into_bytes()));
    }
}
