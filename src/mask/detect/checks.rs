//! Part of ⑦ mask: what a regular expression cannot tell of a find: check sums, headers,
//! and whether a value looks as if it were drawn by lot.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::plain;

/// What must hold for a find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Check {
    /// The last six characters are the CRC-32 of the 30 before, as GitHub and npm write it.
    Crc,
    /// The first part decodes to a JSON object with `alg`.
    Jwt,
    /// From the `BEGIN` line of a private key on; the block is hidden to its `END` line.
    Pem,
    /// It looks as if it were drawn by lot.
    Random,
    /// It is drawn by lot, or at least not written in small letters alone.
    NoWord,
    /// Base64 of `user:password`.
    UserPass,
    /// A value that stands for no other (see `plain.rs`).
    Value,
    /// Letters and digits are mixed.
    Mixed,
}

impl Check {
    /// What is hidden, if the find is one.
    pub fn accepts(self, text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
        let value = text.get(range.clone())?;
        let is = match self {
            Self::Crc => has_crc(value),
            Self::Jwt => is_jwt(value),
            Self::Pem => return Some(range.start..block_end(text, range.end)),
            Self::Random => is_random(value),
            Self::NoWord => value.iter().any(|byte| !byte.is_ascii_lowercase()),
            Self::UserPass => is_user_and_password(value),
            Self::Value => !plain::is_placeholder(value, false),
            Self::Mixed => {
                value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic)
            }
        };
        is.then_some(range)
    }
}

/// A longer token is of a kind that has no check sum.
fn has_crc(token: &[u8]) -> bool {
    let random = token
        .rsplit(|byte| *byte == b'_')
        .next()
        .unwrap_or_default();
    let Some((random, sum)) = random
        .split_at_checked(30)
        .filter(|(_, sum)| sum.len() == 6)
    else {
        return token.len() > 40;
    };
    let mut crc = crc32(random);
    sum.iter().rev().all(|character| {
        let digit = crc % 62;
        crc /= 62;
        base62(*character) == Some(digit)
    })
}

fn base62(character: u8) -> Option<u32> {
    Some(match character {
        b'0'..=b'9' => u32::from(character - b'0'),
        b'A'..=b'Z' => u32::from(character - b'A') + 10,
        b'a'..=b'z' => u32::from(character - b'a') + 36,
        _ => return None,
    })
}

/// CRC-32 as in zlib, a bit at a time: the texts are short.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    })
}

fn is_jwt(token: &[u8]) -> bool {
    let header = token.split(|byte| *byte == b'.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let header = serde_json::from_slice::<serde_json::Value>(&header);
    header.is_ok_and(|header| header.get("alg").is_some_and(serde_json::Value::is_string))
}

/// The end of the `END` line, or of the text.
fn block_end(text: &[u8], from: usize) -> usize {
    let behind = text.get(from..).unwrap_or_default();
    let Some(end) = memchr::memmem::find(behind, b"-END ") else {
        return text.len();
    };
    let line = behind.get(end + 5..).unwrap_or_default();
    let words = line
        .iter()
        .take_while(|byte| !b"-\n\\\"".contains(byte))
        .count();
    let dashes = line
        .iter()
        .skip(words)
        .take_while(|byte| **byte == b'-')
        .count();
    from + end + 5 + words + dashes
}

fn is_user_and_password(value: &[u8]) -> bool {
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(value)
        .unwrap_or_default();
    let colon = decoded.iter().position(|byte| *byte == b':');
    colon.is_some_and(|at| at + 1 < decoded.len())
        && std::str::from_utf8(&decoded).is_ok_and(|text| !text.contains(char::is_control))
}

/// What tokens are written in.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=_.~:!@#%^&*$-".contains(&byte)
}

/// Whether a value looks as if it were drawn by lot and not given by a person as a name.
pub(super) fn is_random(value: &[u8]) -> bool {
    if !(8..=4096).contains(&value.len()) || !value.iter().all(|byte| is_token_byte(*byte)) {
        return false;
    }
    if is_uuid(value) {
        return true;
    }
    // Names made of words carry short numbers and suffixes that the cluster drew for them, in
    // small letters.
    let parts = || value.split(|byte| b"-_.:/@".contains(byte));
    if parts().any(is_word) {
        let shortest = |part: &[u8]| if is_of_both_cases(part) { 12 } else { 16 };
        return parts().any(|part| part.len() >= shortest(part) && is_drawn(part));
    }
    is_drawn(&parts().collect::<Vec<_>>().concat())
}

/// Letters of one case, but for the first, and as one can speak them if they are many.
fn is_word(part: &[u8]) -> bool {
    let rest = part.get(1..).unwrap_or_default();
    let vowel = |byte: &u8| b"aeiouyAEIOUY".contains(byte);
    part.len() >= 3
        && (part.len() == 3 || part.iter().any(vowel))
        && part.iter().all(u8::is_ascii_alphabetic)
        && (rest.iter().all(u8::is_ascii_lowercase) || part.iter().all(u8::is_ascii_uppercase))
}

fn is_of_both_cases(part: &[u8]) -> bool {
    part.iter().any(u8::is_ascii_lowercase) && part.iter().any(u8::is_ascii_uppercase)
}

/// Whether a part without separators is drawn by lot: letters and digits in disorder.
fn is_drawn(part: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| part.iter().filter(|byte| is(byte)).count();
    let digits = count(u8::is_ascii_digit);
    let capital = count(u8::is_ascii_uppercase);
    let letters = capital + count(u8::is_ascii_lowercase);
    if letters == 0 {
        return false;
    }
    // Capitals are more, or stand side by side more often, than in a camel's words.
    let groups = part.split(|byte| !byte.is_ascii_uppercase());
    let together = groups.filter(|capitals| capitals.len() >= 2).count();
    let mixed = together >= 2 || (3 * letters..=7 * letters).contains(&(10 * capital));
    if part.len() >= 16 && mixed && distinct(part) >= 10 {
        return true;
    }
    // Nobody writes so long a word in hexadecimal digits, or in capitals and digits.
    let capitals = letters == capital && digits + letters == part.len();
    let hex = part.iter().all(u8::is_ascii_hexdigit);
    if part.len() >= 16 && digits > 0 && (hex || capitals) && distinct(part) >= 6 {
        return true;
    }
    // A word with a number behind it.
    let word = part.iter().take_while(|byte| byte.is_ascii_alphabetic());
    let number = part.iter().skip(word.count()).all(u8::is_ascii_digit);
    digits > 0
        && !(number && digits <= 6)
        && changes(part) >= 3
        && distinct(part) * 2 >= part.len().min(14)
}

/// How often the kind of character changes: small, capital, digit, other.
fn changes(part: &[u8]) -> usize {
    let kind = |byte: &u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let pairs = part.iter().zip(part.iter().skip(1));
    pairs.filter(|(one, next)| kind(one) != kind(next)).count()
}

fn distinct(part: &[u8]) -> usize {
    let mut seen = [0_u64; 4];
    for byte in part {
        if let Some(word) = seen.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }
    seen.iter().map(|word| word.count_ones() as usize).sum()
}

fn is_uuid(value: &[u8]) -> bool {
    let lengths = value.split(|byte| *byte == b'-').map(<[u8]>::len);
    lengths.eq([8, 4, 4, 4, 12])
        && value
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}
