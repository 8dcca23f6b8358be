//! HTTP/1.1 heads, read strictly on their way to hyper. Part of ① accept.
//!
//! hyper forgives what RFC 9112 lets a server forgive: a bare LF ends a line,
//! `Transfer-Encoding` silently wins over `Content-Length`, a `Content-Length` may stand
//! twice, what follows a `#` is dropped. A hop before us may read the same bytes otherwise,
//! and then one request hides in another. This reader changes no byte and answers nothing:
//! it notes the first fault of a connection, and no request that comes after gets its body
//! read: each is refused, and recorded, like any other.
//!
//! It knows where heads begin from `Content-Length` alone. A connection whose request is
//! chunked ends with the answer to it, so there is no head after the chunks that one could
//! look for in the wrong place; the chunks themselves are hyper's, which is strict there.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So much of a header line is looked at, in bytes: enough for every length and coding.
const LOOKED_AT: usize = 64;

const BARE_LF: &str = "a line of the request's head ends with LF alone: end lines with CR LF";
const BARE_CR: &str = "the request's head holds a CR without LF: end lines with CR LF";
const FRAGMENT: &str = "the request target holds `#`, which is never sent: leave it out";
const BOTH: &str = "Content-Length and Transfer-Encoding together: send one of them";
const TWICE: &str = "the length of the body is said twice: send one Content-Length or \
                     Transfer-Encoding";
const LENGTH: &str = "the Content-Length is not a number: send the body's length in bytes";
const CODING: &str = "the transfer coding is not chunked: use chunked, or send Content-Length";

/// What is known of a connection's framing; shared by the reader and the requests.
#[derive(Debug, Default)]
pub(super) struct Verdict(OnceLock<End>);

/// Why nothing is read from a connection after the requests under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// A chunked body, behind which nobody looks for another head.
    Chunked,
    /// A head that another hop could read differently, and how.
    Fault(&'static str),
}

impl Verdict {
    /// What another hop could read differently; for the client.
    pub(super) fn fault(&self) -> Option<&'static str> {
        match self.0.get() {
            Some(End::Fault(what)) => Some(what),
            _ => None,
        }
    }

    /// Ends the connection with the answer that has these headers, if it must end.
    pub(super) fn close_after(&self, headers: &mut HeaderMap) {
        if self.is_over() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    fn is_over(&self) -> bool {
        self.0.get().is_some()
    }
}

/// A stream whose HTTP/1.1 heads are judged as they are read.
pub(super) struct Strict<S> {
    stream: S,
    heads: Heads,
    verdict: Option<Arc<Verdict>>,
}

impl<S> Strict<S> {
    /// Without a verdict to fill, bytes merely pass: HTTP/2 says lengths in one way only.
    pub(super) fn new(stream: S, verdict: Option<Arc<Verdict>>) -> Self {
        let heads = Heads::default();
        Self {
            stream,
            heads,
            verdict,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        if let Some(verdict) = this.verdict.as_ref().filter(|verdict| !verdict.is_over()) {
            let new = buffer.filled().get(before..).unwrap_or_default();
            if let Err(end) = this.heads.read(new) {
                let _ = verdict.0.set(end);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Where the reader stands in what the client sends.
#[derive(Default)]
struct Heads {
    /// Bytes of body before the next head.
    body: u64,
    /// The request line has been read.
    begun: bool,
    /// The last byte was a CR.
    cr: bool,
    /// The beginning of the line, and how long it is so far.
    line: Vec<u8>,
    length: usize,
    /// What the head says of the body.
    content_length: Option<u64>,
    chunked: bool,
}

impl Heads {
    fn read(&mut self, mut bytes: &[u8]) -> Result<(), End> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.body > 0 {
                let here = usize::try_from(self.body).unwrap_or(usize::MAX);
                let skipped = bytes.len().min(here);
                self.body -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            bytes = rest;
            self.byte(byte)?;
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8) -> Result<(), End> {
        match (byte, self.cr) {
            (b'\n', true) => {
                self.cr = false;
                return self.end_of_line();
            }
            (b'\n', false) => return Err(End::Fault(BARE_LF)),
            (_, true) => return Err(End::Fault(BARE_CR)),
            (b'\r', false) => self.cr = true,
            (b'#', false) if !self.begun => return Err(End::Fault(FRAGMENT)),
            (_, false) => {
                self.length += 1;
                if self.line.len() < LOOKED_AT {
                    self.line.push(byte);
                }
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self) -> Result<(), End> {
        let length = std::mem::take(&mut self.length);
        if length > 0 {
            let judged = if self.begun {
                self.field(length > LOOKED_AT)
            } else {
                Ok(())
            };
            self.begun = true;
            self.line.clear();
            return judged;
        }
        if !std::mem::take(&mut self.begun) {
            return Ok(()); // an empty line before a request: RFC 9112 §2.2
        }
        self.body = self.content_length.take().unwrap_or_default();
        if self.chunked {
            return Err(End::Chunked);
        }
        Ok(())
    }

    /// The two fields that say where the body ends. A line without a colon, or with a space
    /// before it, is hyper's to refuse.
    fn field(&mut self, cut: bool) -> Result<(), End> {
        let mut parts = self.line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            return Ok(());
        };
        let value = std::str::from_utf8(value).unwrap_or_default();
        let value = value.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = !cut && value.bytes().all(|byte| byte.is_ascii_digit());
            let Some(number) = value.parse().ok().filter(|_| digits) else {
                return Err(End::Fault(LENGTH));
            };
            if self.content_length.replace(number).is_some() {
                return Err(End::Fault(TWICE));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if cut || !value.eq_ignore_ascii_case("chunked") {
                return Err(End::Fault(CODING));
            }
            if std::mem::replace(&mut self.chunked, true) {
                return Err(End::Fault(TWICE));
            }
        }
        if self.chunked && self.content_length.is_some() {
            return Err(End::Fault(BOTH));
        }
        Ok(())
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// The verdict must not depend on how the bytes are cut.
    fn judged(bytes: &[u8]) -> Result<(), End> {
        let whole = Heads::default().read(bytes);
        let mut heads = Heads::default();
        let mut by_byte = Ok(());
        for byte in bytes {
            by_byte = by_byte.and_then(|()| heads.read(&[*byte]));
        }
        assert_eq!(whole, by_byte, "{:?}", String::from_utf8_lossy(bytes));
        whole
    }

    #[test]
    fn plain_requests_follow_each_other() {
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\ncontent-length:\t9 \r\n\r\na\nb\rc\r\n#:GET / HTTP/1.1\r\nX: #\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\nContent-Length : 5\r\n\r\n",
            b"GET / HTTP/1.1\r\nX-Content-Length: x\r\nTransfer-Encodings: x\r\n\r\n",
        ] {
            assert_eq!(judged(bytes), Ok(()), "{:?}", String::from_utf8_lossy(bytes));
        }
        let long = format!(
            "GET / HTTP/1.1\r\nAuthorization: Bearer {}\r\n\r\n",
            "a".repeat(9999)
        );
        assert_eq!(judged(long.as_bytes()), Ok(()));
    }

    #[test]
    fn threat_25_what_another_hop_could_read_differently_is_a_fault() {
        let zeros = format!("Content-Length: {}5\r\n", "0".repeat(80));
        for (fields, what) in [
            ("A: b\nC: d\r\n", BARE_LF),
            ("A: b\rC: d\r\n", BARE_CR),
            ("A: b\r\r\n", BARE_CR),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", BOTH),
            (
                "Transfer-Encoding: chunked\r\nA: b\r\nCONTENT-LENGTH: 5\r\n",
                BOTH,
            ),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", TWICE),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                TWICE,
            ),
            ("Content-Length: 5, 5\r\n", LENGTH),
            ("Content-Length: +5\r\n", LENGTH),
            ("Content-Length: -5\r\n", LENGTH),
            ("Content-Length: 0x5\r\n", LENGTH),
            ("Content-Length:\r\n", LENGTH),
            ("Content-Length: 5 5\r\n", LENGTH),
            ("Content-Length: 18446744073709551616\r\n", LENGTH),
            (&zeros, LENGTH),
            ("Transfer-Encoding: gzip, chunked\r\n", CODING),
            ("Transfer-Encoding: identity\r\n", CODING),
            ("Transfer-Encoding: chunked;q=1\r\n", CODING),
            ("Transfer-Encoding: \x0bchunked\r\n", CODING),
        ] {
            let request = format!("POST / HTTP/1.1\r\n{fields}\r\n");
            assert_eq!(
                judged(request.as_bytes()),
                Err(End::Fault(what)),
                "{fields:?}"
            );
            let later = format!("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc{request}");
            assert_eq!(
                judged(later.as_bytes()),
                Err(End::Fault(what)),
                "{fields:?}"
            );
        }
        for request in ["\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\n"] {
            assert_eq!(judged(request.as_bytes()), Err(End::Fault(BARE_LF)));
        }
        assert_eq!(
            judged(b"GET /a#b HTTP/1.1\r\n\r\n"),
            Err(End::Fault(FRAGMENT))
        );
    }

    #[tokio::test]
    async fn a_fault_is_kept_and_no_byte_is_changed() {
        for (bytes, over, fault) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], false, None),
            (
                b"PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n0\n\r\n",
                true,
                None,
            ),
            (b"GET / HTTP/1.1\nA: b\r\n\r\n", true, Some(BARE_LF)),
        ] {
            let verdict = Arc::new(Verdict::default());
            let mut read = Vec::new();
            Strict::new(bytes, Some(verdict.clone()))
                .read_to_end(&mut read)
                .await
                .unwrap();
            assert_eq!(
                (&*read, verdict.is_over(), verdict.fault()),
                (bytes, over, fault)
            );
        }
    }
}
