//! Secrets where they do not belong, in answers that are packed.

use std::io::Read as _;

use flate2::read::GzDecoder;
use gateward::mask::MASK;
use serde_json::json;

use super::everywhere::TABLE;
use super::stand::Stand;
use crate::harness::RUNTIME;

/// Every list is so long that it is packed.
#[test]
fn threat_18_what_is_packed_shows_no_canary() {
    let stand = Stand::new("packed");
    let filler = "nothing to see here; ".repeat(10_000);
    let long = json!({"name": "long", "annotations": {"filler": filler}});
    for mut object in [
        json!({"kind": "Secret", "apiVersion": "v1"}),
        json!({"kind": "ConfigMap", "apiVersion": "v1"}),
        json!({"kind": "Application", "apiVersion": "canaries.example.com/v1"}),
    ] {
        object["metadata"] = long.clone();
        stand.world.admin_creates(&stand.namespace, &object);
    }
    RUNTIME.block_on(async {
        for (group, plural) in [
            ("/api/v1", "secrets"),
            ("/api/v1", "configmaps"),
            ("/apis/canaries.example.com/v1", "applications"),
        ] {
            for (accept, query) in [
                ("application/json", ""),
                (TABLE, "?includeObject=Object"),
                (TABLE, "?includeObject=Metadata"),
            ] {
                let path = format!("{group}/namespaces/{}/{plural}{query}", stand.namespace);
                let packed = stand.packed(&path, accept).await;
                let mut text = String::new();
                let mut unpacked = GzDecoder::new(&*packed);
                unpacked.read_to_string(&mut text).unwrap();
                assert!(text.contains(&filler) && text.contains(MASK), "{path}");
                stand.take(&format!("{path}, unpacked"), text.as_bytes());
            }
        }
    });
    stand.end();
}
