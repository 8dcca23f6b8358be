//! Part of ⑦ mask: numbers that prove themselves: cards, IBANs, social security numbers.
//!
//! They are searched for within a run of digits (or of capitals and digits), which
//! `runs.rs` finds. What stands beside the run is not looked at here.

use std::ops::Range;

use super::runs::Kind;

/// A kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Number {
    /// A card: brand, length, and the check digit of ISO/IEC 7812.
    Card,
    /// ISO 13616: country, its length, and the remainder by 97.
    Iban,
    /// A social security number of the USA, with dashes, in a range that was ever given out.
    Ssn,
}

/// `078-05-1120`.
pub(super) const SHORTEST_DIGITS: usize = 11;
/// Of a social security number.
const FEWEST_DIGITS: usize = 9;
/// Norway's.
pub(super) const SHORTEST_IBAN: usize = 15;

impl Number {
    /// In which runs it is searched for.
    pub fn kind(self) -> Kind {
        match self {
            Self::Card | Self::Ssn => Kind::Digits,
            Self::Iban => Kind::Capitals,
        }
    }

    /// Where in the run it stands.
    pub fn find(self, text: &[u8], run: &Range<usize>) -> Vec<Range<usize>> {
        match self {
            Self::Card => cards(text, run),
            Self::Iban => ibans(text, run),
            Self::Ssn => ssns(text, run),
        }
    }
}

/// Whether a card or a social security number stands in the run of digits.
pub(super) fn may_be_in(bytes: &[u8], run: &Range<usize>) -> bool {
    let digits = bytes.get(run.clone()).unwrap_or_default().iter();
    if digits.filter(|byte| byte.is_ascii_digit()).count() < FEWEST_DIGITS {
        return false;
    }
    !cards(bytes, run).is_empty() || !ssns(bytes, run).is_empty()
}

/// How the digits of a card are set apart.
const GROUPS: [&[usize]; 5] = [
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4],
    &[4, 4, 4, 1],
    &[4, 6, 5],
    &[4, 6, 4],
];

fn cards(text: &[u8], run: &Range<usize>) -> Vec<Range<usize>> {
    let groups = groups(text, run);
    let mut found = Vec::new();
    let mut rest: &[Range<usize>] = &groups;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        // Longer ones are numbers of other things, unless they are set apart.
        if (13..=16).contains(&first.len()) {
            if is_card(text, first) {
                found.push(first.clone());
            }
            continue;
        }
        for lengths in GROUPS {
            let Some(range) = set_apart(text, first, behind, lengths) else {
                continue;
            };
            if is_card(text, &range) {
                found.push(range);
                rest = behind.get(lengths.len() - 1..).unwrap_or_default();
                break;
            }
        }
    }
    found
}

/// The groups of these lengths that begin with `first`, with the same separator between.
fn set_apart(
    text: &[u8],
    first: &Range<usize>,
    behind: &[Range<usize>],
    lengths: &[usize],
) -> Option<Range<usize>> {
    let separator = text.get(first.end)?;
    let others = behind.get(..lengths.len() - 1)?;
    let mut end = first.start;
    for (group, length) in std::iter::once(first).chain(others).zip(lengths) {
        let adjoins = group.start == first.start
            || (group.start == end + 1 && text.get(end) == Some(separator));
        if !adjoins || group.len() != *length {
            return None;
        }
        end = group.end;
    }
    let range = first.start..end;
    let dashed = *separator == b'-' && is_dashed(text, &range);
    (!dashed).then_some(range)
}

/// Whether a dash ties more digits to either end.
fn is_dashed(text: &[u8], range: &Range<usize>) -> bool {
    let digit = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let dash = |at: Option<usize>| at.and_then(|at| text.get(at)) == Some(&b'-');
    (dash(range.start.checked_sub(1)) && digit(range.start.checked_sub(2)))
        || (dash(Some(range.end)) && digit(Some(range.end + 1)))
}

/// The groups of digits of a run.
fn groups(text: &[u8], run: &Range<usize>) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut start = run.start;
    for at in run.start..=run.end {
        let digit = at < run.end && text.get(at).is_some_and(u8::is_ascii_digit);
        if !digit {
            if start < at {
                groups.push(start..at);
            }
            start = at + 1;
        }
    }
    groups
}

fn is_card(text: &[u8], range: &Range<usize>) -> bool {
    let digits: Vec<u8> = text
        .get(range.clone())
        .unwrap_or_default()
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .map(|byte| byte - b'0')
        .collect();
    let head = |count: usize| {
        let head = digits.iter().take(count);
        head.fold(0_u32, |number, digit| number * 10 + u32::from(*digit))
    };
    let brand = match (head(1), head(2), head(3), head(4)) {
        (4, ..) => matches!(digits.len(), 13 | 16 | 19),
        (_, 34 | 37, ..) => digits.len() == 15,
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305 | 309, _) => digits.len() == 14,
        (_, 51..=55, ..) | (.., 2221..=2720) => digits.len() == 16,
        (_, 62 | 65, ..) | (_, _, 644..=649, _) | (.., 6011 | 3528..=3589) => {
            (16..=19).contains(&digits.len())
        }
        (.., 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763) => {
            (13..=19).contains(&digits.len())
        }
        _ => false,
    };
    brand && luhn(&digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn ssns(text: &[u8], run: &Range<usize>) -> Vec<Range<usize>> {
    let groups = groups(text, run);
    let mut found = Vec::new();
    for three in groups.windows(3) {
        let [area, group, serial] = three else {
            continue;
        };
        let range = area.start..serial.end;
        let lengths = [area.len(), group.len(), serial.len()] == [3, 2, 4];
        let dashes = [area.end, group.end]
            .iter()
            .all(|at| text.get(*at) == Some(&b'-'));
        if lengths
            && range.len() == SHORTEST_DIGITS
            && dashes
            && !is_dashed(text, &range)
            && is_given_out(text.get(range.clone()).unwrap_or_default())
        {
            found.push(range);
        }
    }
    found
}

/// No area 000, 666 or from 900 up, no group 00, no number 0000; none of those that stand
/// on specimen cards and in manuals is anybody's, but they are shown as if they were.
fn is_given_out(number: &[u8]) -> bool {
    !(number.starts_with(b"000")
        || number.starts_with(b"666")
        || number.starts_with(b"9")
        || number.get(4..6) == Some(b"00")
        || number.ends_with(b"0000"))
}

/// The length of an IBAN by country (the SWIFT registry).
const COUNTRIES: &[u8] = b"AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22\
    DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26\
    IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23\
    PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22\
    VG24XK20YE30";

fn iban_length(country: &[u8]) -> Option<usize> {
    let entry = COUNTRIES
        .chunks_exact(4)
        .find(|entry| entry.starts_with(country))?;
    std::str::from_utf8(entry.get(2..)?).ok()?.parse().ok()
}

fn ibans(text: &[u8], run: &Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = run.start;
    while at + SHORTEST_IBAN <= run.end {
        let begins = at == run.start || text.get(at - 1) == Some(&b' ');
        let end = begins.then(|| iban_end(text.get(at..run.end)?)).flatten();
        if let Some(length) = end {
            found.push(at..at + length);
        }
        at += end.unwrap_or(1);
    }
    found
}

/// How far the IBAN goes that begins here.
fn iban_end(text: &[u8]) -> Option<usize> {
    let (head, _) = text.split_at_checked(4)?;
    let country = head
        .get(..2)
        .filter(|c| c.iter().all(u8::is_ascii_uppercase))?;
    head.get(2..)
        .filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let length = iban_length(country)?;
    let apart = text.get(4) == Some(&b' ');
    let spaces = if apart { (length - 1) / 4 } else { 0 };
    let (iban, behind) = text.split_at_checked(length + spaces)?;
    if behind.first().is_some_and(|byte| *byte != b' ') {
        return None;
    }
    let mut compact = Vec::with_capacity(length);
    for (place, byte) in iban.iter().enumerate() {
        match (apart && place % 5 == 4, byte) {
            (true, b' ') => {}
            (true, _) | (false, b' ') => return None,
            (false, byte) => compact.push(*byte),
        }
    }
    compact.rotate_left(4);
    (remainder(&compact) == 1).then_some(iban.len())
}

/// ISO 7064 mod 97-10, letters counting from 10.
fn remainder(characters: &[u8]) -> u32 {
    characters.iter().fold(0, |remainder, byte| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte - b'A') + 10) % 97,
    })
}
