//! Blobs: bodies too long for an entry, each in a file that is named by its SHA-256.
//!
//! Part of ⑧ record. A blob is on stable storage before the entry that refers to it is
//! written. It never holds anything that was not masked, and never overwrites.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::cut::hex;
use super::disk::{create_dir, sync_dir};

/// The directory of blobs: `sha256/ab/abcd…`.
#[derive(Debug, Clone)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// Opens or creates the directory.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let dir = dir.join("sha256");
        create_dir(&dir)?;
        Ok(Self { dir })
    }

    /// The directory as it is, to read from; nothing is created.
    pub fn there(dir: &Path) -> Self {
        let dir = dir.join("sha256");
        Self { dir }
    }

    /// Keeps a blob and returns its digest, hexadecimal; it is durable then. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn keep(&self, bytes: &[u8]) -> io::Result<String> {
        let digest = hex(&Sha256::digest(bytes));
        let path = self.path(&digest)?;
        let shelf = path.parent().unwrap_or(&self.dir);
        create_dir(shelf)?;
        if !path.exists() {
            let mut file = tempfile::NamedTempFile::new_in(shelf)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
        }
        // Also when it was there: another request may have put it there just now.
        sync_dir(shelf)?;
        sync_dir(&self.dir)?;
        Ok(digest)
    }

    /// Reads a blob by its digest. Blocks on the disk.
    ///
    /// # Errors
    /// What the file system reports, `InvalidInput` for what is no digest, `InvalidData`
    /// if the bytes are not the ones that were kept.
    pub fn read(&self, digest: &str) -> io::Result<Vec<u8>> {
        let path = self.path(digest)?;
        let bytes = fs::read(&path)?;
        if hex(&Sha256::digest(&bytes)) != digest {
            let what = format!("{} was changed: its digest is another", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(bytes)
    }

    fn path(&self, digest: &str) -> io::Result<PathBuf> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        match digest.get(..2) {
            Some(shelf) if digest.len() == 64 && digest.bytes().all(hex) => {
                Ok(self.dir.join(shelf).join(digest))
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a SHA-256 digest in hexadecimal",
            )),
        }
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
    fn a_blob_is_kept_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let digest = blobs.keep(b"abc").unwrap();
        assert!(digest.starts_with("ba7816bf"));
        assert_eq!(blobs.keep(b"abc").unwrap(), digest);
        assert_eq!(blobs.read(&digest).unwrap(), b"abc");
    }

    #[test]
    fn threat_29_a_changed_blob_is_not_handed_out() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let digest = blobs.keep(b"abc").unwrap();
        fs::write(blobs.path(&digest).unwrap(), b"abd").unwrap();
        let error = blobs.read(&digest).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn only_a_digest_names_a_blob() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let upper = "A".repeat(64);
        let up = format!("../../{}", "a".repeat(58));
        for name in ["", "../../etc/passwd", "é", &upper, &up] {
            let error = blobs.read(name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }
}
