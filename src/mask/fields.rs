//! Part of ⑦ mask: which fields are hidden, and behind which mask. Data, nothing else.
//!
//! A document is walked by [`Shape`]s: a shape says what the members of an object mean,
//! and each [`Treat`] leads to the next shape, to a mask, or past a part in which nothing
//! can be hidden. This file never sees a byte of an answer.

/// What stands in the place of every hidden value that is plain text.
///
/// All hidden values get the same mask, so that neither length nor equality of the values
/// shows. It is meant to be recognised, by people and by programs.
pub const MASK: &str = "gateward:masked";

/// [`MASK`] in base64, for a Secret's `data`, whose values must stay valid base64.
pub const MASK_BASE64: &str = "Z2F0ZXdhcmQ6bWFza2Vk";

/// The annotation in which `kubectl apply` keeps the manifest it applied last.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// One reason to hide, as it is counted on the record.
#[derive(Debug)]
pub(super) struct Rule {
    pub name: &'static str,
    /// Where, seen from the object that the rule is about.
    pub path: &'static str,
    /// What is written instead: JSON text, quotes included.
    pub mask: &'static str,
}

/// What becomes of one value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Treat {
    /// Nothing inside can be hidden.
    Keep,
    /// Its members decide.
    Enter(&'static Shape),
    /// Replaced, whatever it is; only `null` stays.
    Hide(&'static Rule),
    /// Kept; this string tells what the object around it is.
    Tell,
    /// `hide` if the object tells so, else `keep`.
    Told {
        hide: &'static Treat,
        keep: &'static Treat,
    },
}

/// What an object has told about itself so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    Keep,
    Hide,
}

/// What holds for an object that ends without having told anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untold {
    Keep,
    Hide,
    /// The list in which it stands tells.
    AsList,
}

/// What the members of an object, or the elements of an array, mean.
#[derive(Debug)]
pub(super) struct Shape {
    /// Members with a meaning of their own. Names are compared without regard to case:
    /// Kubernetes itself is strict, but a reader of its answers need not be.
    pub members: &'static [(&'static str, Treat)],
    /// Every other member.
    pub rest: Treat,
    /// Each element, where an array stands; also a scalar that stands instead of both.
    pub elements: Treat,
    /// How to read the member that tells. Without one, the object further out tells.
    pub tells: Option<fn(&[u8]) -> Told>,
    pub untold: Untold,
    /// Members whose strings no detector looks at: names and versions that clients need as
    /// they are, and in which the API server allows nothing else.
    pub plain: &'static [&'static [u8]],
}

impl Shape {
    /// What becomes of the member `name` (unescaped).
    pub fn member(&self, name: &[u8]) -> Treat {
        self.members
            .iter()
            .find(|(key, _)| key.len() == name.len() && key.as_bytes().eq_ignore_ascii_case(name))
            .map_or(self.rest, |(_, treat)| *treat)
    }
}

static DATA: Rule = Rule {
    name: "secret-data",
    path: "data.*",
    mask: "\"Z2F0ZXdhcmQ6bWFza2Vk\"",
};
static STRING_DATA: Rule = Rule {
    name: "secret-data",
    path: "stringData.*",
    mask: "\"gateward:masked\"",
};
/// `kubectl apply` reads this as the manifest applied last, and takes from it only which
/// fields to delete: those that it names and the new manifest does not. This one names
/// nothing but an annotation that no object has.
static LAST_APPLIED_MASK: Rule = Rule {
    name: "last-applied",
    path: "metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]",
    mask: r#""{\"metadata\":{\"annotations\":{\"gateward/masked\":\"gateward:masked\"}}}\n""#,
};
static MESSAGE: Rule = Rule {
    name: "status-message",
    path: "message",
    mask: "\"gateward:masked: the API server's message may hold secret values, so the gate does not pass it on; see reason and code\"",
};
static CAUSE: Rule = Rule {
    name: "status-message",
    path: "details.causes[*].message",
    mask: "\"gateward:masked\"",
};
static TOKEN_FIELD: Rule = Rule {
    name: "token",
    path: "**.token",
    mask: "\"gateward:masked\"",
};
static UNKNOWN: Rule = Rule {
    name: "secret-unknown",
    path: "*",
    mask: "\"gateward:masked\"",
};
static PATCH_VALUE: Rule = Rule {
    name: "secret-patch",
    path: "[*].value",
    mask: "\"gateward:masked\"",
};

/// Any document: hides what stands in objects of kind Secret, at whatever depth.
///
/// `apiVersion` is not asked. An object of kind Secret in another group is treated the
/// same: hiding too much there is better than waiting for one more field.
pub(super) static ANY: Shape = Shape {
    members: ANY_MEMBERS,
    rest: Treat::Enter(&ANY),
    elements: Treat::Enter(&ANY),
    tells: Some(told_by_kind),
    untold: Untold::Keep,
    plain: PLAIN,
};

/// The elements of `items`: where they have no kind (typed lists leave it out), the kind of
/// the list counts.
static ITEM: Shape = Shape {
    members: ANY_MEMBERS,
    rest: Treat::Enter(&ANY),
    elements: Treat::Enter(&ITEM),
    tells: Some(told_by_kind),
    untold: Untold::AsList,
    plain: PLAIN,
};

/// Values that must stay base64, whatever is found in them.
pub(super) static BINARY: Shape = Shape {
    members: &[],
    rest: Treat::Enter(&ANY),
    elements: Treat::Enter(&ANY),
    tells: None,
    untold: Untold::Keep,
    plain: &[],
};

static PLAIN: &[&[u8]] = &[b"kind", b"apiVersion"];

static PLAIN_METADATA: &[&[u8]] = &[
    b"name",
    b"namespace",
    b"uid",
    b"resourceVersion",
    b"generateName",
    b"creationTimestamp",
    b"continue",
];

static ANY_MEMBERS: &[(&str, Treat)] = &[
    ("kind", Treat::Tell),
    ("metadata", Treat::Enter(&METADATA)),
    ("items", Treat::Enter(&ITEM)),
    ("binaryData", Treat::Enter(&BINARY)),
    (
        "data",
        Treat::Told {
            hide: &Treat::Enter(&SECRET_DATA),
            keep: &Treat::Enter(&ANY),
        },
    ),
    (
        "stringData",
        Treat::Told {
            hide: &Treat::Enter(&SECRET_STRING_DATA),
            keep: &Treat::Enter(&ANY),
        },
    ),
];

static METADATA: Shape = Shape {
    members: &[
        ("annotations", Treat::Enter(&ANNOTATIONS)),
        ("managedFields", Treat::Keep),
    ],
    rest: Treat::Enter(&ANY),
    elements: Treat::Enter(&ANY),
    tells: None,
    untold: Untold::Keep,
    plain: PLAIN_METADATA,
};

static ANNOTATIONS: Shape = Shape {
    members: &[(
        LAST_APPLIED,
        Treat::Told {
            hide: &Treat::Hide(&LAST_APPLIED_MASK),
            keep: &Treat::Enter(&ANY),
        },
    )],
    rest: Treat::Enter(&ANY),
    elements: Treat::Enter(&ANY),
    tells: None,
    untold: Untold::Keep,
    plain: &[],
};

/// Any document that answers an ask on secrets: Secret, list, table, event, partial
/// metadata, Status. Here kind need not be seen; whatever has `data` is a Secret.
pub(super) static SECRET: Shape = Shape {
    members: &[
        ("data", Treat::Enter(&SECRET_DATA)),
        ("stringData", Treat::Enter(&SECRET_STRING_DATA)),
        ("metadata", Treat::Enter(&SECRET_METADATA)),
        (
            "message",
            Treat::Told {
                hide: &Treat::Hide(&MESSAGE),
                keep: &Treat::Keep,
            },
        ),
        ("reason", Treat::Tell),
        ("details", Treat::Enter(&DETAILS)),
    ],
    rest: Treat::Enter(&SECRET),
    elements: Treat::Enter(&SECRET),
    tells: Some(told_by_reason),
    untold: Untold::Hide,
    plain: PLAIN,
};

static SECRET_METADATA: Shape = Shape {
    members: &[
        ("annotations", Treat::Enter(&SECRET_ANNOTATIONS)),
        ("managedFields", Treat::Keep),
    ],
    rest: Treat::Enter(&LABELS),
    elements: Treat::Enter(&SECRET_METADATA),
    tells: None,
    untold: Untold::Keep,
    plain: PLAIN_METADATA,
};

/// Nothing is hidden here but what detectors find.
static LABELS: Shape = Shape {
    members: &[],
    rest: Treat::Enter(&LABELS),
    elements: Treat::Enter(&LABELS),
    tells: None,
    untold: Untold::Keep,
    plain: &[],
};

static SECRET_ANNOTATIONS: Shape = Shape {
    members: &[(LAST_APPLIED, Treat::Hide(&LAST_APPLIED_MASK))],
    rest: Treat::Keep,
    elements: Treat::Enter(&SECRET_ANNOTATIONS),
    tells: None,
    untold: Untold::Keep,
    plain: &[],
};

static SECRET_DATA: Shape = Shape {
    members: &[],
    rest: Treat::Hide(&DATA),
    elements: Treat::Hide(&DATA),
    tells: None,
    untold: Untold::Keep,
    plain: &[],
};

static SECRET_STRING_DATA: Shape = Shape {
    members: &[],
    rest: Treat::Hide(&STRING_DATA),
    elements: Treat::Hide(&STRING_DATA),
    tells: None,
    untold: Untold::Keep,
    plain: &[],
};

/// `details` of a Status: causes are hidden whatever the reason.
static DETAILS: Shape = Shape {
    members: &[("message", Treat::Hide(&CAUSE))],
    rest: Treat::Enter(&DETAILS),
    elements: Treat::Enter(&DETAILS),
    tells: None,
    untold: Untold::Keep,
    plain: &[],
};

/// TokenRequest and TokenReview, asked and answered.
pub(super) static TOKEN: Shape = Shape {
    members: &[
        ("token", Treat::Hide(&TOKEN_FIELD)),
        ("metadata", Treat::Enter(&SECRET_METADATA)),
    ],
    rest: Treat::Enter(&TOKEN),
    elements: Treat::Enter(&TOKEN),
    tells: None,
    untold: Untold::Keep,
    plain: PLAIN,
};

/// A Secret or a patch of one, or options of its deletion, as a request's body. Shown is what
/// these are known to hold; a value under a name that is misspelled, or new, may be secret too.
pub(super) static SECRET_BODY: Shape = Shape {
    members: &[
        ("data", Treat::Enter(&SECRET_DATA)),
        ("stringData", Treat::Enter(&SECRET_STRING_DATA)),
        ("metadata", Treat::Enter(&SECRET_METADATA)),
        ("apiVersion", Treat::Keep),
        ("kind", Treat::Keep),
        ("type", Treat::Keep),
        ("immutable", Treat::Keep),
        ("$patch", Treat::Keep),
        ("$retainKeys", Treat::Keep),
        ("dryRun", Treat::Keep),
        ("gracePeriodSeconds", Treat::Keep),
        ("orphanDependents", Treat::Keep),
        ("preconditions", Treat::Keep),
        ("propagationPolicy", Treat::Keep),
    ],
    rest: Treat::Hide(&UNKNOWN),
    elements: Treat::Hide(&UNKNOWN),
    tells: None,
    untold: Untold::Hide,
    plain: PLAIN,
};

/// A JSON Patch (RFC 6902) of a Secret, as a request's body.
pub(super) static SECRET_PATCH: Shape = Shape {
    members: &[],
    rest: Treat::Hide(&PATCH_VALUE),
    elements: Treat::Enter(&SECRET_PATCH_OPERATION),
    tells: None,
    untold: Untold::Keep,
    plain: &[],
};

static SECRET_PATCH_OPERATION: Shape = Shape {
    members: &[
        ("op", Treat::Keep),
        ("path", Treat::Keep),
        ("from", Treat::Keep),
    ],
    rest: Treat::Hide(&PATCH_VALUE),
    elements: Treat::Hide(&PATCH_VALUE),
    tells: None,
    untold: Untold::Keep,
    plain: &[],
};

fn told_by_kind(kind: &[u8]) -> Told {
    match kind {
        b"Secret" | b"SecretList" => Told::Hide,
        _ => Told::Keep,
    }
}

/// Reasons (`metav1.StatusReason`) whose messages name objects and no values.
fn told_by_reason(reason: &[u8]) -> Told {
    match reason {
        b"NotFound"
        | b"AlreadyExists"
        | b"Conflict"
        | b"Forbidden"
        | b"Unauthorized"
        | b"Expired"
        | b"Gone"
        | b"TooManyRequests"
        | b"Timeout"
        | b"ServerTimeout"
        | b"MethodNotAllowed"
        | b"NotAcceptable"
        | b"UnsupportedMediaType" => Told::Keep,
        _ => Told::Hide,
    }
}
