//! Part of ⑦ mask: the mask rules of a policy, for all requests and for one.
//!
//! It says what stands in the place of a value, and keeps none. A pseudonym is a keyed hash:
//! who does not have the key learns nothing from it but that two values are equal.

use std::sync::Arc;

use aws_lc_rs::hmac;

use super::detect::Detectors;
use super::fields::{MASK, MASK_BASE64};
use super::paths::Paths;
use crate::decide::{MaskRule, PolicySet, With};
use crate::identify::Caller;
use crate::parse::Ask;
use crate::refusal::Refusal;

/// How many characters of a keyed hash a pseudonym has: equal by chance once in 2^30 pairs.
const PSEUDONYM: usize = 12;

/// A value must have so many characters for its last four to be shown.
const PARTIAL: usize = 12;

/// What a policy hides, and how.
pub struct Masks {
    rules: Box<[MaskRule]>,
    standard: &'static Detectors,
    /// All that any rule names and all that are on anyway; none if that is the standard.
    detectors: Option<Detectors>,
    key: hmac::Key,
}

impl Masks {
    /// The masks of a policy. `key`: what pseudonyms are made with; whoever has it can try
    /// values.
    ///
    /// # Errors
    /// The name of a detector that there is not.
    pub fn new(policy: &PolicySet, key: &[u8; 32]) -> Result<Self, String> {
        let rules: Box<[MaskRule]> = policy.masks().into();
        let mut named = rules.iter().flat_map(|rule| rule.detectors.iter());
        let all = named.clone().any(|name| name == "*");
        let is_known =
            |name: &str| name == "*" || Detectors::catalogue().any(|(known, ..)| known == name);
        if let Some(unknown) = named.clone().find(|name| !is_known(name)) {
            return Err(unknown.clone());
        }
        let mut more = Detectors::catalogue()
            .filter(|(name, _, on)| !on && (all || named.any(|it| it == name)));
        let detectors = match more.next() {
            None => None,
            Some(_) => {
                let wanted = Detectors::catalogue().filter(|(name, _, on)| {
                    let mut named = rules.iter().flat_map(|rule| rule.detectors.iter());
                    *on || all || named.any(|it| it == name)
                });
                Some(Detectors::select(wanted.map(|(name, ..)| name))?)
            }
        };
        Ok(Self {
            rules,
            standard: Detectors::standard(),
            detectors,
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        })
    }

    pub(super) fn detectors(&self) -> &Detectors {
        self.detectors.as_ref().unwrap_or(self.standard)
    }
}

/// What is hidden in the answer to one request.
pub(super) struct Masking {
    masks: Arc<Masks>,
    /// Those of the rules that are about it.
    rules: Box<[usize]>,
    /// The fields that they name; none if they name none.
    pub paths: Option<Paths>,
    /// What makes this agent's pseudonyms in this cluster; none if no rule asks for them.
    key: Option<hmac::Key>,
}

/// How a value is hidden, and on whose demand.
#[derive(Clone, Copy)]
pub(super) struct How<'m> {
    pub with: With,
    /// The rule, or the detector that is on anyway.
    pub rule: &'m str,
}

impl Masking {
    pub fn of(masks: &Arc<Masks>, caller: &Caller, ask: &Ask) -> Self {
        let about = masks.rules.iter().enumerate();
        let about = about.filter(|(_, rule)| rule.is_about(caller, ask));
        let mut masking = Self::by(masks, about.map(|(at, _)| at).collect());
        let mut own = masking.rules.iter().filter_map(|at| masks.rules.get(*at));
        let named = own.any(|rule| rule.with == With::Pseudonym);
        masking.key = named.then(|| own_key(&masks.key, caller, ask.cluster()));
        masking
    }

    /// All rules, whoever asks what.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn of_all(masks: &Arc<Masks>) -> Self {
        let mut masking = Self::by(masks, (0..masks.rules.len()).collect());
        masking.key = Some(masks.key.clone());
        masking
    }

    fn by(masks: &Arc<Masks>, rules: Box<[usize]>) -> Self {
        let own = rules
            .iter()
            .filter_map(|at| Some((*at, masks.rules.get(*at)?)));
        Self {
            masks: masks.clone(),
            paths: Paths::of(own),
            rules,
            key: None,
        }
    }

    pub fn detectors(&self) -> &Detectors {
        self.masks.detectors()
    }

    /// How what a detector found is hidden; none if it stays.
    pub fn found(&self, detector: &'static str) -> Option<How<'_>> {
        let names = |rule: &&MaskRule| {
            rule.detectors
                .iter()
                .any(|name| name == "*" || name == detector)
        };
        let rules = self.rules.iter().filter_map(|at| self.masks.rules.get(*at));
        let first = rules.filter(names).min_by_key(|rule| rule.with);
        let how = first.map(|rule| How {
            with: rule.with,
            rule: &rule.name,
        });
        let on = || Detectors::catalogue().any(|(name, _, on)| on && name == detector);
        how.or_else(|| {
            on().then_some(How {
                with: With::Redact,
                rule: detector,
            })
        })
        .filter(|how| how.with != With::Keep)
    }

    /// How a field is hidden that this rule names.
    pub fn field(&self, rule: usize) -> How<'_> {
        match self.masks.rules.get(rule) {
            Some(rule) => How {
                with: rule.with,
                rule: &rule.name,
            },
            None => How {
                with: With::Redact,
                rule: "",
            },
        }
    }

    /// The refusal of who selects by a field that this rule hides.
    pub fn denies_selection(&self, rule: usize) -> Refusal {
        let name = self.field(rule).rule;
        let (policy, rule) = name.split_once('/').unwrap_or((name, ""));
        Refusal::Denied {
            policy: policy.to_owned(),
            rule: rule.to_owned(),
            reason: "objects cannot be selected by what this mask hides; select by something else"
                .to_owned(),
        }
    }

    /// What stands in the place of a part of a text.
    pub fn part(&self, with: With, text: &str) -> String {
        match with {
            With::Keep | With::Redact => MASK.to_owned(),
            With::Drop => String::new(),
            With::Pseudonym => self.pseudonym(text),
            With::Partial => partial(text),
        }
    }

    /// What stands in the place of a whole scalar: JSON text. `scalar` is its JSON text.
    pub fn whole(&self, with: With, scalar: &[u8]) -> String {
        if with == With::Drop {
            return "null".to_owned();
        }
        match scalar.first() {
            Some(b'"') => {}
            Some(b't' | b'f') => return "false".to_owned(),
            _ => return "0".to_owned(),
        }
        // The reader has proven it.
        let text: String = serde_json::from_slice(scalar).unwrap_or_default();
        let masked = match (is_base64(&text), is_quantity(&text), with) {
            (_, true, _) => "0".to_owned(),
            (true, _, With::Pseudonym) => {
                use base64::Engine;
                base64::engine::general_purpose::STANDARD.encode(self.pseudonym(&text))
            }
            (true, ..) => MASK_BASE64.to_owned(),
            (false, ..) => self.part(with, &text),
        };
        format!("\"{masked}\"")
    }

    fn pseudonym(&self, text: &str) -> String {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
        let Some(key) = &self.key else {
            return MASK.to_owned();
        };
        let tag = hmac::sign(key, text.as_bytes());
        let letters = tag.as_ref().iter().take(PSEUDONYM);
        let letters = letters.filter_map(|byte| DIGITS.get(usize::from(byte % 32)));
        let letters = letters.map(|digit| char::from(*digit));
        format!("{MASK}:{}", letters.collect::<String>())
    }
}

/// The key to the pseudonyms of one agent in one cluster.
fn own_key(key: &hmac::Key, caller: &Caller, cluster: &str) -> hmac::Key {
    let mut context = hmac::Context::with_key(key);
    let principal = caller.principal().unwrap_or_default();
    for part in [cluster, caller.issuer(), caller.agent(), principal] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref())
}

fn partial(text: &str) -> String {
    let count = text.chars().count();
    if count < PARTIAL {
        return MASK.to_owned();
    }
    // Only what needs no escape in JSON.
    let last: String = text.chars().skip(count - 4).collect();
    match last
        .chars()
        .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'))
    {
        true => format!("{MASK}:…{last}"),
        false => MASK.to_owned(),
    }
}

/// Whether a field that takes base64 would take no other text in its place.
fn is_base64(text: &str) -> bool {
    use base64::Engine;
    let long = text.len() >= 24 || text.ends_with('=');
    long && base64::engine::general_purpose::STANDARD
        .decode(text)
        .is_ok()
}

/// Kubernetes' quantities: `100m`, `1.5Gi`.
fn is_quantity(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let units = [
        "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    units.contains(&unit) && !digits.is_empty() && digits.parse::<f64>().is_ok()
}
