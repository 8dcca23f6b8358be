//! Negotiation of the coding: whether the client takes an answer in gzip.
//!
//! It is the client's word to the gate and goes no further: the cluster is asked for answers
//! as they are, since only those can be masked.

use http::{HeaderMap, header};

/// Whether `Accept-Encoding` allows gzip, and does not prefer an answer as it is (RFC 9110,
/// 12.5.3). What is not well-formed asks for nothing.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    for (coding, quality) in lines.flat_map(|line| line.split(',')).filter_map(read) {
        let said: &mut Option<u16> = match &*coding {
            "gzip" | "x-gzip" => &mut gzip,
            "identity" => &mut identity,
            "*" => &mut any,
            _ => continue,
        };
        // Whoever says two things gets the lesser.
        *said = Some(said.map_or(quality, |other| other.min(quality)));
    }
    let gzip = gzip.or(any).unwrap_or_default();
    gzip > 0 && identity.is_none_or(|identity| identity <= gzip)
}

/// A coding in lower case, and its weight in thousandths.
fn read(member: &str) -> Option<(String, u16)> {
    let (coding, weight) = match member.split_once(';') {
        Some((coding, weight)) => (coding, Some(weight.trim())),
        None => (member, None),
    };
    let quality = match weight {
        None => 1000,
        Some(weight) => match weight.split_once('=')? {
            ("q" | "Q", quality) => thousandths(quality)?,
            _ => return None,
        },
    };
    Some((coding.trim().to_ascii_lowercase(), quality))
}

/// A q-value in thousandths (RFC 9110, 12.4.2).
pub(super) fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = format!("{fraction:0<3}").parse().ok()?;
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn gzip_is_taken_where_the_client_allows_it_and_prefers_nothing_else() {
        for (lines, taken) in [
            (&[][..], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZip"], true),
            (&["x-gzip"], true),
            (&["gzip, deflate, br"], true),
            (&["deflate,\tgzip;q=0.001"], true),
            (&["deflate", "gzip"], true),
            (&["br, zstd"], false),
            (&["identity"], false),
            (&["gzip;q=0"], false),
            (&["gzip;q=0.000"], false),
            (&["gzip ; q=0.5"], true),
            (&["gzip;Q=1.000"], true),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["*;q=0, gzip"], true),
            (&["*, gzip;q=0"], false),
            (&["gzip;q=0, *;q=0"], false),
            (&["gzip, gzip;q=0"], false),
            (&["identity, gzip;q=0.5"], false),
            (&["identity;q=0.5, gzip"], true),
            (&["identity, gzip"], true),
            (&["identity;q=0, *;q=0.1"], true),
            (&["gzip;q=2"], false),
            (&["gzip;q=1.001"], false),
            (&["gzip;q=0.1234"], false),
            (&["gzip;q="], false),
            (&["gzip;q=-1"], false),
            (&["gzip;q=0.+1"], false),
            (&["gzip;level=1"], false),
            (&["gzip;q=1;q=0"], false),
            (&["gzip evil"], false),
            (&["\"gzip\""], false),
            (&["gzipped"], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                let line = HeaderValue::from_static(line);
                headers.append(header::ACCEPT_ENCODING, line);
            }
            assert_eq!(takes_gzip(&headers), taken, "{lines:?}");
        }
        let mut headers = HeaderMap::new();
        let line = HeaderValue::from_bytes(b"gzip\xff").unwrap();
        headers.append(header::ACCEPT_ENCODING, line);
        assert!(!takes_gzip(&headers));
    }
}
