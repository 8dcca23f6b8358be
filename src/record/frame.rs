//! How entries lie in a file: the entry bundles of C2SP tlog-tiles, one after another.
//!
//! Part of ⑧ record. A frame is a big-endian `u16` length and that many bytes. This part
//! reads and writes frames; it judges nothing but whether one is whole.

use std::io::{self, BufReader, Read};

/// The longest entry that fits in a frame, in bytes.
#[cfg(test)]
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// How many bytes of a frame come before its entry.
pub const HEADER: usize = 2;

/// Puts one entry's frame in `frame`, in place of what was there. False if the entry is
/// empty or too long: an empty entry could not be told from a hole in the file.
pub fn encode(entry: &[u8], frame: &mut Vec<u8>) -> bool {
    frame.clear();
    match u16::try_from(entry.len()) {
        Ok(len) if len > 0 => {
            frame.extend_from_slice(&len.to_be_bytes());
            frame.extend_from_slice(entry);
            true
        }
        _ => false,
    }
}

/// What lies at the reader's place.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A whole frame; its entry is in [`Frames::entry`].
    Entry,
    /// The end of the file, just after a whole frame.
    End,
    /// No whole frame: it ends too early, or its length is zero.
    Broken,
}

/// Reads frames one by one, at constant memory.
#[derive(Debug)]
pub struct Frames<R> {
    reader: BufReader<R>,
    entry: Vec<u8>,
    end: u64,
}

impl<R: Read> Frames<R> {
    /// Reads from `reader`, which stands at a frame's beginning.
    pub fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(1 << 18, reader),
            entry: Vec::new(),
            end: 0,
        }
    }

    /// Goes to the next frame.
    ///
    /// # Errors
    /// Only what the file system reports; a broken frame is [`Next::Broken`].
    pub fn advance(&mut self) -> io::Result<Next> {
        self.entry.clear();
        let mut header = Vec::with_capacity(HEADER);
        self.fill(&mut header, HEADER)?;
        let Ok(header) = <[u8; HEADER]>::try_from(header.as_slice()) else {
            return Ok(if header.is_empty() {
                Next::End
            } else {
                Next::Broken
            });
        };
        let len = usize::from(u16::from_be_bytes(header));
        let mut entry = std::mem::take(&mut self.entry);
        self.fill(&mut entry, len)?;
        self.entry = entry;
        if len == 0 || self.entry.len() < len {
            return Ok(Next::Broken);
        }
        self.end += (HEADER + len) as u64;
        Ok(Next::Entry)
    }

    /// The entry of the frame that [`Frames::advance`] found last; after a broken frame,
    /// what there is of it.
    pub fn entry(&self) -> &[u8] {
        &self.entry
    }

    /// Where the last whole frame ends, in bytes from where reading began.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Reads up to `len` bytes; fewer only at the end of the file.
    fn fill(&mut self, into: &mut Vec<u8>, len: usize) -> io::Result<()> {
        (&mut self.reader)
            .take(len as u64)
            .read_to_end(into)
            .map(|_| ())
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
    use super::*;

    #[test]
    fn what_is_written_is_read_and_ends_where_it_ends() {
        let mut file = vec![];
        let mut frame = vec![];
        let longest = vec![7; MAX_ENTRY];
        for entry in [b"a".as_slice(), &longest, b"last"] {
            assert!(encode(entry, &mut frame));
            file.extend_from_slice(&frame);
        }
        assert!(!encode(b"", &mut frame));
        assert!(!encode(&vec![0; MAX_ENTRY + 1], &mut frame));

        let mut frames = Frames::new(file.as_slice());
        for entry in [b"a".as_slice(), &longest, b"last"] {
            assert_eq!(frames.advance().unwrap(), Next::Entry);
            assert_eq!(frames.entry(), entry);
        }
        assert_eq!(frames.end(), file.len() as u64);
        assert_eq!(frames.advance().unwrap(), Next::End);
    }

    #[test]
    fn a_frame_that_is_not_whole_is_broken() {
        for torn in [
            b"\x00".as_slice(),
            b"\x00\x05abcd",
            b"\x00\x00",
            b"\x00\x01",
        ] {
            let mut frames = Frames::new(torn);
            assert_eq!(frames.advance().unwrap(), Next::Broken, "{torn:?}");
            assert_eq!(frames.end(), 0);
        }
    }
}
