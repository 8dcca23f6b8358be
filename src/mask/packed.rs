//! Part of ⑦ mask: packs masked bytes with gzip (RFC 1952) for a client that takes it.
//!
//! Only what may go out anyway comes here, so that not even the length of what is packed tells
//! of what is hidden. An answer that is cut before [`Packer::finish`] has no trailer, and no
//! reader takes it for a whole one.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Masked;
use crate::refusal::Refusal;

/// Packs one answer while it passes, at constant memory.
pub struct Packer(GzEncoder<Vec<u8>>);

impl Packer {
    /// At the API server's own level, the fastest. It takes some 300 KiB.
    #[expect(clippy::new_without_default, reason = "no packer is a default")]
    pub fn new() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }

    /// Takes the next bytes and returns what is packed so far, which is nothing as long as
    /// more of them pack better.
    ///
    /// # Errors
    /// [`Refusal::Internal`] should the packer fail.
    pub fn feed(&mut self, masked: &Masked) -> Result<Masked, Refusal> {
        self.0.write_all(masked.as_bytes()).map_err(failed)?;
        Ok(Masked(Bytes::from(std::mem::take(self.0.get_mut()))))
    }

    /// The answer is complete: returns the rest of it, trailer included.
    ///
    /// # Errors
    /// As [`Self::feed`].
    pub fn finish(self) -> Result<Masked, Refusal> {
        let rest = self.0.finish().map_err(failed)?;
        Ok(Masked(Bytes::from(rest)))
    }
}

fn failed(error: std::io::Error) -> Refusal {
    Refusal::Internal {
        inside: format!("an answer could not be packed: {error}"),
    }
}
