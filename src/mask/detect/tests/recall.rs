//! What is found of every format, drawn by lot and put where such things stand: YAML, JSON,
//! JSON in JSON, environments, logs, base64; and that each gives a hint.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;
use checks::crc32;

/// So many of each format are drawn, each is put in two places, and of 1,000 so many must be
/// found whole.
const DRAWN: usize = 240;
const LEAST: usize = 990;

/// Numbers by lot, the same in each run.
struct Lot(u64);

impl Lot {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of<'a>(&mut self, some: &[&'a str]) -> &'a str {
        some[self.below(some.len())]
    }

    fn text(&mut self, length: usize, alphabet: &str) -> String {
        let alphabet = alphabet.as_bytes();
        (0..length)
            .map(|_| char::from(alphabet[self.below(alphabet.len())]))
            .collect()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// `{x64}` is 64 of the alphabet `x`, `{=32}` is base64 of 32 bytes, and `{:12}` is base64
    /// of a user and a password of 12 characters.
    fn form(&mut self, form: &str) -> String {
        let mut parts = form.split('{');
        let mut text = parts.next().unwrap().to_owned();
        for part in parts {
            let (some, rest) = part.split_once('}').unwrap();
            text += &self.some(&some[..1], some[1..].parse().unwrap());
            text += rest;
        }
        text
    }

    fn some(&mut self, kind: &str, length: usize) -> String {
        match kind {
            "=" => STANDARD.encode(self.bytes(length)),
            ":" => STANDARD.encode(format!("ann:{}", self.text(length, PASSWORD))),
            _ => {
                let (_, alphabet) = ALPHABETS.iter().find(|(name, _)| *name == kind).unwrap();
                self.text(length, alphabet)
            }
        }
    }
}

const DIGITS: &str = "0123456789";
const SMALL: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PASSWORD: &str = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789!%+.,:;_-#";

const ALPHABETS: &[(&str, &str)] = &[
    ("d", DIGITS),
    ("x", "0123456789abcdef"),
    ("s", SMALL),
    ("z", "abcdefghijklmnopqrstuvwxyz"),
    ("C", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
    ("l", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    ("w", BASE62),
    (
        "u",
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-",
    ),
    (
        "/",
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/",
    ),
    ("b", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    ("q", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
    ("p", PASSWORD),
    ("a", "abcdefghijkXYZ0123456789!%.,;_-+"),
];

/// A secret where it always stands: what is around it belongs to the format.
struct Drawn {
    before: String,
    secret: String,
    after: String,
}

/// Names beside a secret that tell nothing.
const NAMES: &[&str] = &["note", "value", "DATA_1", "spec.field", "x-header"];

fn bare(secret: String) -> Drawn {
    Drawn {
        before: String::new(),
        secret,
        after: String::new(),
    }
}

/// By a form; `«…»` is the secret, if it is not all.
fn by_form(form: &str, lot: &mut Lot) -> Drawn {
    let text = lot.form(form);
    let Some((before, text)) = text.split_once('«') else {
        return bare(text);
    };
    let (secret, after) = text.split_once('»').unwrap();
    Drawn {
        before: before.to_owned(),
        secret: secret.to_owned(),
        after: after.to_owned(),
    }
}

fn with_crc(lot: &mut Lot, prefixes: &[&str]) -> Drawn {
    let random = lot.text(30, BASE62);
    let mut sum = crc32(random.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62.as_bytes()[(sum % 62) as usize];
        sum /= 62;
    }
    let sum = String::from_utf8_lossy(&digits);
    bare(format!("{}{random}{sum}", lot.of(prefixes)))
}

fn private_key(lot: &mut Lot) -> Drawn {
    let kind = lot.of(&["", "RSA ", "EC ", "DSA ", "ENCRYPTED ", "OPENSSH "]);
    let body = STANDARD.encode(lot.bytes(300));
    let lines: Vec<&str> = (0..body.len())
        .step_by(64)
        .map(|at| &body[at..(at + 64).min(body.len())])
        .collect();
    bare(format!(
        "-----BEGIN {kind}PRIVATE KEY-----\n{}\n-----END {kind}PRIVATE KEY-----",
        lines.join("\n")
    ))
}

fn jwt(lot: &mut Lot) -> Drawn {
    let header = lot.of(&[
        r#"{"alg":"RS256","kid":"a1"}"#,
        r#"{"typ":"JWT","alg":"HS256"}"#,
        r#"{ "alg": "ES256" }"#,
    ]);
    let payload = format!(
        r#"{{"iss":"https://kubernetes.default.svc","sub":"{}"}}"#,
        lot.text(20, SMALL)
    );
    let signature = URL_SAFE_NO_PAD.encode(lot.bytes(64));
    bare(format!(
        "{}.{}.{signature}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    ))
}

fn card(lot: &mut Lot) -> Drawn {
    let (prefix, length, groups): (_, usize, &[usize]) = match lot.below(5) {
        0 => ("4", 16, &[4, 4, 4, 4]),
        1 => ("5", 16, &[4, 4, 4, 4]),
        2 => ("37", 15, &[4, 6, 5]),
        3 => ("6011", 16, &[4, 4, 4, 4]),
        _ => ("36", 14, &[4, 6, 4]),
    };
    let mut number = prefix.to_owned();
    if prefix == "5" {
        number.push_str(&lot.text(1, "12345"));
    }
    let rest = length - 1 - number.len();
    number.push_str(&lot.text(rest, DIGITS));
    let sum: u32 = number
        .chars()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = digit.to_digit(10).unwrap();
            if place % 2 == 0 {
                digit * 2 / 10 + digit * 2 % 10
            } else {
                digit
            }
        })
        .sum();
    number.push_str(&((10 - sum % 10) % 10).to_string());
    let separator = lot.of(&["", " ", "-"]);
    let mut at = 0;
    let parts: Vec<&str> = groups
        .iter()
        .map(|length| {
            at += length;
            &number[at - length..at]
        })
        .collect();
    bare(parts.join(separator))
}

fn iban(lot: &mut Lot) -> Drawn {
    let (country, length, letters) = *[
        ("DE", 22, 0),
        ("GB", 22, 4),
        ("FR", 27, 0),
        ("NL", 18, 4),
        ("NO", 15, 0),
        ("MT", 31, 4),
        ("CH", 21, 0),
        ("PL", 28, 0),
    ]
    .get(lot.below(8))
    .unwrap();
    let bank = lot.text(letters, CAPITALS);
    let account = lot.text(length - 4 - letters, DIGITS);
    let remainder =
        format!("{bank}{account}{country}00")
            .bytes()
            .fold(0_u32, |all, byte| match byte {
                b'0'..=b'9' => (all * 10 + u32::from(byte - b'0')) % 97,
                _ => (all * 100 + u32::from(byte - b'A') + 10) % 97,
            });
    let number = format!("{country}{:02}{bank}{account}", 98 - remainder);
    let fours: Vec<&str> = (0..length)
        .step_by(4)
        .map(|at| &number[at..(at + 4).min(length)])
        .collect();
    bare(if lot.below(2) == 0 {
        number
    } else {
        fours.join(" ")
    })
}

fn ssn(lot: &mut Lot) -> Drawn {
    let area = 1 + lot.below(665);
    bare(format!(
        "{area:03}-{:02}-{:04}",
        1 + lot.below(99),
        1 + lot.below(9999)
    ))
}

/// The forms of each rule's secrets, and the name beside them where they need one.
const FORMS: &[(&str, Option<&str>, &[&str])] = &[
    ("aws-access-key", None, &["AKIA{b16}", "ASIA{b16}"]),
    ("google-api-key", None, &["AIza{u35}"]),
    (
        "github-fine-grained-token",
        None,
        &["github_pat_{w22}_{w59}"],
    ),
    (
        "gitlab-token",
        None,
        &[
            "glpat-{u20}",
            "glpat-{u27}.01.{s9}",
            "gldt-{u20}",
            "glrt-{u20}",
            "glcbt-{x2}_{u20}",
            "glptt-{x40}",
            "glagent-{u50}",
        ],
    ),
    (
        "slack-token",
        None,
        &[
            "xoxb-{d12}-{d13}-{w24}",
            "xoxp-{d12}-{d12}-{d12}-{x32}",
            "xoxa-2-{d12}-{d12}-{x32}",
            "xoxe.xoxp-1-{w160}",
            "xapp-1-A{C10}-{d13}-{x64}",
        ],
    ),
    (
        "webhook-url",
        None,
        &[
            "https://hooks.slack.com/services/«T{C10}/B{C10}/{w24}»",
            "https://discord.com/api/webhooks/«{d18}/{u68}»",
            "https://example.webhook.office.com/webhookb2/«{x8}-{x4}-{x4}-{x4}-{x12}@{x8}-{x4}-{x4}-{x4}-{x12}/IncomingWebhook/{x32}/{x8}-{x4}-{x4}-{x4}-{x12}»",
        ],
    ),
    (
        "stripe-key",
        None,
        &[
            "sk_live_{w24}",
            "rk_live_{w99}",
            "sk_test_{w24}",
            "rk_test_{w99}",
            "whsec_{w32}",
        ],
    ),
    ("pypi-token", None, &["pypi-AgEIcHlwaS5vcmc{u150}"]),
    ("docker-token", None, &["dckr_pat_{u27}", "dckr_oat_{u32}"]),
    (
        "ai-key",
        None,
        &[
            "sk-ant-api03-{u93}AA",
            "sk-proj-{u74}T3BlbkFJ{w73}",
            "sk-svcacct-{u74}T3BlbkFJ{w73}",
            "sk-{w20}T3BlbkFJ{w20}",
            "sk-{w48}",
            "sk-{x32}",
            "sk-or-v1-{x64}",
            "gsk_{w52}",
            "hf_{l34}",
        ],
    ),
    ("sendgrid-key", None, &["SG.{u22}.{u43}"]),
    ("twilio-key", None, &["SK{x32}"]),
    (
        "vault-token",
        None,
        &["hvs.{u24}", "hvs.{u95}", "hvb.{u138}", "hvr.{u90}"],
    ),
    ("age-key", None, &["AGE-SECRET-KEY-1{q58}"]),
    (
        "azure-secret",
        None,
        &["{w3}{d1}Q~{w34}", "{/76}+ASt{/6}=="],
    ),
    (
        "google-secret",
        None,
        &["GOCSPX-{u28}", "ya29.{u140}", "1//0{u90}"],
    ),
    (
        "service-token",
        None,
        &[
            "dop_v1_{x64}",
            "doo_v1_{x64}",
            "glsa_{w32}_{x8}",
            "{w14}.atlasv1.{w67}",
            "ATATT3{u180}={C8}",
            "tskey-auth-{w16}-{w32}",
            "shpat_{x32}",
            "shpss_{x32}",
            "NRAK-{C27}",
            "sntrys_{w150}_{w43}",
            "sntryu_{x64}",
            "lin_api_{w40}",
            "dt0c01.{C24}.{C64}",
            "AKCp{w69}",
            "rubygems_{x48}",
            "pscale_tkn_{u43}",
            "LTAI{w20}",
        ],
    ),
    (
        "connection-string",
        None,
        &[
            "postgres://{s6}:«{a14}»@db.example.com:5432/app",
            "mysql://{s6}:«{a14}»@db/app?ssl=true",
            "amqps://{s6}:«{a14}»@mq.example.com",
            "mongodb+srv://{s6}:«{a14}»@cluster0.example.net/?w=majority",
            "redis://:«{a14}»@cache:6379/0",
            "https://{s6}:«{a14}»@git.example.com/a/b.git",
        ],
    ),
    (
        "mysql-dsn",
        None,
        &[
            "app:«{w14}»@tcp(db:3306)/app?parseTime=true",
            "app:«{w14}»@unix(/run/mysqld.sock)/app",
        ],
    ),
    (
        "signed-url",
        None,
        &[
            "https://a.blob.core.windows.net/c/f?sv=2024-11-04&sr=b&sig=«{w43}%3D»&sp=r",
            "https://b.s3.amazonaws.com/f?X-Amz-Expires=60&X-Amz-Signature=«{x64}»",
            "https://storage.googleapis.com/b/f?X-Goog-Expires=60&X-Goog-Signature=«{x512}»",
        ],
    ),
    ("bearer-token", None, &["Authorization: Bearer «{w32}»"]),
    ("basic-auth", None, &["Authorization: Basic «{:12}»"]),
    (
        "curl-user",
        None,
        &[
            "curl -sS -u ann:«{w12}» https://api.example.com",
            "curl --user ann:«{w12}» https://api.example.com",
        ],
    ),
    (
        "password-hash",
        None,
        &[
            "ann:«$2y$10${w53}»",
            "ann:«$apr1${w8}${w22}»",
            "root:«$6${w16}${w86}»:19000",
            "«$argon2id$v=19$m=65536,t=3,p=4${w22}${w43}»",
            "root:«$y$j9T${w22}${w43}»:19000",
        ],
    ),
    (
        "email",
        None,
        &["{z8}@{z5}.example.com", "{z3}.{z6}+{s4}@{z5}.org"],
    ),
    (
        "phone",
        None,
        &["+44{d10}", "+1 415 555 {d4}", "+49 (30) {d8}"],
    ),
    ("kubeconfig-key", Some("client-key-data"), &["{=120}"]),
    ("docker-auth", Some("auth"), &["{:12}"]),
    ("kubernetes-bootstrap-token", Some("token"), &["{s6}.{s16}"]),
    ("aws-secret-key", Some("aws_secret_access_key"), &["{/40}"]),
    ("azure-key", Some("AccountKey"), &["{=64}"]),
    ("azure-key", Some("SharedAccessKey"), &["{=32}"]),
    ("twilio-secret", Some("TWILIO_AUTH_TOKEN"), &["{x32}"]),
    ("password", Some("DB_PASSWORD"), &["{p12}"]),
    ("password", Some("spring.datasource.password"), &["{l10}"]),
    ("password", Some("redisPass"), &["{s9}"]),
    ("secret", Some("api_token"), &["{w20}", "{x20}"]),
    ("secret", Some("clientSecret"), &["{x32}", "{u40}"]),
    ("secret", Some("x-api-key"), &["{u24}", "{s32}"]),
    ("secret", Some("WEBHOOK_SECRET"), &["{=32}", "{b32}"]),
    (
        "secret",
        Some("accessToken"),
        &["{x8}-{x4}-4{x3}-8{x3}-{x12}", "{x64}"],
    ),
];

type Draw = fn(&mut Lot) -> Drawn;

/// Those that a form does not say all of.
const PROVEN: &[(&str, Draw)] = &[
    ("private-key", private_key),
    ("jwt", jwt),
    ("github-token", |lot| {
        with_crc(lot, &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"])
    }),
    ("npm-token", |lot| with_crc(lot, &["npm_"])),
    ("card-number", card),
    ("iban", iban),
    ("us-ssn", ssn),
];

/// All that is drawn: the rule, the name beside it, and the secret.
fn drawn(lot: &mut Lot) -> Vec<(&'static str, Option<&'static str>, Drawn)> {
    let mut all = Vec::new();
    for number in 0..DRAWN {
        for (rule, name, forms) in FORMS {
            all.push((*rule, *name, by_form(forms[number % forms.len()], lot)));
        }
        for (rule, draw) in PROVEN {
            all.push((*rule, None, draw(lot)));
        }
    }
    all
}

/// A place: the text, where the secret is in it (as it stands there), and the name beside it.
type Place = (String, Range<usize>, Option<String>);

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn put(name: &str, drawn: &Drawn, how: usize, number: usize) -> Place {
    let Drawn {
        before,
        secret,
        after,
    } = drawn;
    let many_lines = secret.contains('\n');
    let within = |front: String, write: fn(&str) -> String, back: &str| {
        let front = format!("{front}{}", write(before));
        let secret = write(secret);
        let range = front.len()..front.len() + secret.len();
        (
            format!("{front}{secret}{}{back}", write(after)),
            range,
            None,
        )
    };
    let same: fn(&str) -> String = str::to_owned;
    match how {
        0 => {
            let (text, range, _) = within(String::new(), same, "");
            (text, range, Some(name.to_owned()))
        }
        1 if many_lines => within(format!("a: b\n{name}: |\n"), same, "\nc: d\n"),
        1 => within(format!("a: b\n  {name}: "), same, "\nc: d\n"),
        2 => within(
            format!("{{\"a\":{number},\"{name}\":\""),
            json,
            "\",\"b\":\"c\"}",
        ),
        3 => within(
            format!("{{\\\"kind\\\":\\\"X\\\",\\\"{name}\\\":\\\""),
            |text| json(&json(text)),
            "\\\",\\\"b\\\":1}",
        ),
        4 if many_lines => within(format!("{name}='"), same, "'\n"),
        4 => within(format!("export A=1\n{name}="), same, "\nB=2\n"),
        5 => within(
            format!(
                "2026-11-25T10:00:{:02}Z INFO connecting {name}=\"",
                number % 60
            ),
            json,
            "\" attempt=1",
        ),
        6 => within(
            format!("[{{\"name\":\"A\",\"value\":\"b\"}},{{\"name\":\"{name}\",\"value\":\""),
            json,
            "\"}]",
        ),
        7 => within(
            format!("env:\n- name: {name}\n  value: \""),
            json,
            "\"\n- name: X\n  value: y\n",
        ),
        _ => {
            let (text, ..) = within(format!("a: b\n{name}: \""), json, "\"\n");
            let text = STANDARD.encode(text);
            (text.clone(), 0..text.len(), None)
        }
    }
}

const PLACES: usize = 9;

#[test]
fn what_is_drawn_of_every_format_is_found() {
    let all = Detectors::select(Detectors::catalogue().map(|(name, ..)| name)).unwrap();
    let mut lot = Lot(0x9e37_79b9_7f4a_7c15);
    let mut found: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut missed = Vec::new();
    for (rule, name, drawn) in drawn(&mut lot) {
        let first = lot.below(PLACES);
        for how in [first, (first + 1 + lot.below(PLACES - 1)) % PLACES] {
            let number = lot.below(60);
            let name = name.unwrap_or(NAMES[number % NAMES.len()]);
            let (text, secret, beside) = put(name, &drawn, how, number);
            let finds = all.scan(text.as_bytes(), beside.as_deref().map(str::as_bytes));
            let mut finds = finds.iter();
            let whole = finds.any(|found| found.start <= secret.start && secret.end <= found.end);
            super::hints::promise(&all, &text, beside.as_deref(), lot.next());
            let count = found.entry(rule).or_default();
            count.0 += usize::from(whole);
            count.1 += 1;
            if !whole {
                missed.push(format!("{rule} {how}: {text}"));
            }
        }
    }
    let rows = Detectors::catalogue().map(|(name, says, on)| {
        let default = if on { "on" } else { "off" };
        let recall = match found.get(name) {
            Some((found, all)) => format!("{found} of {all}"),
            None => "-".to_owned(),
        };
        format!("| `{name}` | {says} | {default} | {recall} |")
    });
    let rows: Vec<String> = rows.collect();
    missed.truncate(20);
    eprintln!("missed, some of it:\n{}", missed.join("\n"));
    super::stated(&rows.join("\n"));
    for (name, ..) in Detectors::catalogue().filter(|(name, ..)| *name != "too-much") {
        assert!(found.contains_key(name), "nothing is drawn for {name}");
    }
    for (name, (found, all)) in &found {
        assert!(found * 1000 >= all * LEAST, "{name}: {found} of {all}");
    }
}
