//! What can be wrong with a mask rule. Part of `set`.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Check, PolicyError};
use crate::decide::masks::{MaskRule, MaskSpec, Scope, With, path};
use crate::decide::policy::Policy;

/// The most steps of all field paths together: an answer is matched against all at once.
pub(in crate::decide) const MOST_STEPS: usize = 128;

pub(super) fn too_many_steps(masks: &[MaskRule]) -> Option<PolicyError> {
    let paths = masks.iter().flat_map(|mask| mask.fields.iter());
    let steps: usize = paths.map(|path| path.steps.len()).sum();
    (steps > MOST_STEPS).then(|| PolicyError {
        document: 0,
        field: "spec.masks".to_owned(),
        message: format!(
            "the fields of all masks have {steps} steps together, {MOST_STEPS} may be"
        ),
        suggestion: Some("use \"**\" for long paths, or fewer of them".to_owned()),
    })
}

impl Check<'_> {
    pub(super) fn masks(&mut self, policy: &Policy, masks: &mut Vec<MaskRule>) {
        let mut names = HashSet::new();
        for (index, spec) in policy.spec.masks.iter().enumerate() {
            let at = format!("spec.masks[{index}]");
            self.name(&format!("{at}.name"), &spec.name);
            if !names.insert(spec.name.as_str()) {
                self.error(
                    &format!("{at}.name"),
                    format!(
                        "another mask of this policy is called \"{}\" too",
                        spec.name
                    ),
                    Some("give every mask its own name".to_owned()),
                );
            }
            masks.push(self.mask(&at, &policy.metadata.name, spec));
        }
    }

    fn mask(&mut self, at: &str, policy: &str, spec: &MaskSpec) -> MaskRule {
        let mut fields = Vec::new();
        for (index, field) in spec.fields.iter().flatten().enumerate() {
            match path(field) {
                Ok(path) => fields.push(path),
                Err(what) => self.error(
                    &format!("{at}.fields[{index}]"),
                    format!("\"{field}\" is not the path of a field: {what}"),
                    Some("write it like spec.users[*].password or **.token".to_owned()),
                ),
            }
        }
        let detectors = spec.detectors.clone().unwrap_or_default();
        if fields.is_empty() && detectors.is_empty() {
            self.error(
                at,
                "a mask needs fields or detectors".to_owned(),
                Some("`gateward detectors` lists the detectors".to_owned()),
            );
        }
        if spec.with == With::Keep && !fields.is_empty() {
            self.error(
                &format!("{at}.with"),
                "keep takes back what detectors find, and is not for fields".to_owned(),
                Some("name detectors, or leave the mask out".to_owned()),
            );
        }
        let scope = Scope {
            whom: self.whom(at, spec.subjects.as_ref()),
            clusters: self.globs(at, "clusters", spec.clusters.as_deref()),
            api_groups: self.globs(at, "apiGroups", spec.api_groups.as_deref()),
            resources: self.globs(at, "resources", spec.resources.as_deref()),
            namespaces: self.globs(at, "namespaces", spec.namespaces.as_deref()),
            names: self.globs(at, "resourceNames", spec.resource_names.as_deref()),
        };
        for (index, resource) in spec.resources.iter().flatten().enumerate() {
            self.resource(&format!("{at}.resources[{index}]"), resource);
        }
        let name: Arc<str> = format!("{policy}/{}", spec.name).into();
        MaskRule::new(name, spec.with, fields, detectors, scope)
    }
}
