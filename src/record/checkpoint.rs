//! Checkpoints: "the ledger has this many records, and this is their root", signed.
//!
//! Part of ⑧ record. The formats are C2SP's, to the byte: `tlog-checkpoint` in a
//! `signed-note` with Ed25519 (type 0x01), verifier keys as `name+hash+key`, so that any
//! transparency-log tool can read them. This part touches no file and knows no record.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::merkle::Hash;

const ED25519: u8 = 0x01;
const SECRET_PREFIX: &str = "PRIVATE+KEY+";
/// Far more than a checkpoint with sixteen cosignatures needs.
const MAX_NOTE: usize = 64 << 10;

/// The head of the tree at one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many records it covers.
    pub size: u64,
    /// The tree's root at that size.
    pub root: Hash,
}

/// Why a note, a key or an origin is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The origin cannot be a key's name.
    #[error(
        "the ledger's origin {0:?} must be 1 to 128 characters without spaces, \"+\" and control characters"
    )]
    Origin(String),
    /// Not a key in the C2SP form.
    #[error("not a {0} key in the form that it is written in: copy it again, whole")]
    Key(&'static str),
    /// Not a checkpoint.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// The checkpoint is of another log.
    #[error("the checkpoint is of {found:?}, not of {expected:?}")]
    OtherOrigin {
        /// The origin of the key.
        expected: String,
        /// The origin in the checkpoint.
        found: String,
    },
    /// No signature by this key.
    #[error("the checkpoint is not signed by {0}")]
    Unsigned(String),
    /// A signature in this key's name that is not this key's.
    #[error("the signature of {0} on the checkpoint is wrong: it was altered or forged")]
    Forged(String),
}

/// The ledger's private key, with its name.
pub struct Signer {
    key: SigningKey,
    verifier: Verifier,
}

impl Signer {
    /// The signer for `origin` with this 32-byte Ed25519 seed.
    ///
    /// # Errors
    /// [`NoteError::Origin`] if the origin cannot be a key's name.
    pub fn new(origin: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = Verifier::new(origin, key.verifying_key())?;
        Ok(Self { key, verifier })
    }

    /// Reads the form that [`Signer::secret`] writes.
    ///
    /// # Errors
    /// [`NoteError::Key`] if it is not a private key, or its parts do not fit together.
    pub fn parse(secret: &str) -> Result<Self, NoteError> {
        const BAD: NoteError = NoteError::Key("private");
        let (name, id, seed) = secret
            .trim_end()
            .strip_prefix(SECRET_PREFIX)
            .and_then(parse_key)
            .ok_or(BAD)?;
        let signer = Self::new(name, &seed)?;
        if signer.verifier.id != id {
            return Err(BAD);
        }
        Ok(signer)
    }

    /// The private key as text: `PRIVATE+KEY+name+hash+key`.
    pub fn secret(&self) -> String {
        format!(
            "{SECRET_PREFIX}{}",
            key_text(&self.verifier, &self.key.to_bytes())
        )
    }

    /// The public half.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The checkpoint as a signed note.
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let origin = &self.verifier.origin;
        let (size, root) = (checkpoint.size, BASE64.encode(checkpoint.root));
        self.sign_text(&format!("{origin}\n{size}\n{root}\n"))
    }

    fn sign_text(&self, text: &str) -> String {
        let mut signature = self.verifier.id.to_vec();
        signature.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        let (origin, signature) = (&self.verifier.origin, BASE64.encode(signature));
        format!("{text}\n\u{2014} {origin} {signature}\n")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

/// The ledger's public key, with its name: all that an auditor needs.
///
/// Written and read as a C2SP verifier key: `name+hash+key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    origin: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl Verifier {
    fn new(origin: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if origin.is_empty() || origin.chars().count() > 128 || origin.contains(bad) {
            return Err(NoteError::Origin(origin.to_owned()));
        }
        let digest = Sha256::new()
            .chain_update(origin)
            .chain_update([b'\n', ED25519])
            .chain_update(key.as_bytes())
            .finalize();
        let mut id = [0; 4];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        let origin = origin.to_owned();
        Ok(Self { origin, id, key })
    }

    /// Reads a verifier key.
    ///
    /// # Errors
    /// [`NoteError::Key`] if it is none, or its hash does not fit.
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        const BAD: NoteError = NoteError::Key("verifier");
        let (name, id, key) = parse_key(vkey.trim_end()).ok_or(BAD)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| BAD)?;
        let verifier = Self::new(name, key)?;
        if verifier.id != id {
            return Err(BAD);
        }
        Ok(verifier)
    }

    /// The log's name, first line of every checkpoint.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The checkpoint in a signed note. Signatures by other keys (witnesses) are ignored.
    ///
    /// # Errors
    /// Anything but [`NoteError::Origin`] and [`NoteError::Key`].
    pub fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let (origin, checkpoint) = parse_checkpoint(self.verified_text(note)?)?;
        if origin != self.origin {
            return Err(NoteError::OtherOrigin {
                expected: self.origin.clone(),
                found: origin.to_owned(),
            });
        }
        Ok(checkpoint)
    }

    fn verified_text<'n>(&self, note: &'n str) -> Result<&'n str, NoteError> {
        if note.len() > MAX_NOTE || note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(NoteError::Malformed("too long, or not plain text"));
        }
        let (head, signatures) = note
            .rsplit_once("\n\n")
            .ok_or(NoteError::Malformed("no blank line before the signatures"))?;
        let text = note.get(..=head.len()).unwrap_or_default();
        let signatures = signatures
            .strip_suffix('\n')
            .ok_or(NoteError::Malformed("it ends too early"))?;
        let mut signed = false;
        for line in signatures.split('\n') {
            let (name, blob) = line
                .strip_prefix("\u{2014} ")
                .and_then(|rest| rest.split_once(' '))
                .ok_or(NoteError::Malformed("a signature line is not one"))?;
            let blob = BASE64
                .decode(blob)
                .map_err(|_| NoteError::Malformed("a signature is not base64"))?;
            let Some((id, signature)) = blob.split_first_chunk::<4>() else {
                return Err(NoteError::Malformed("a signature is too short"));
            };
            if name != self.origin || *id != self.id {
                continue;
            }
            Signature::from_slice(signature)
                .and_then(|signature| self.key.verify_strict(text.as_bytes(), &signature))
                .map_err(|_| NoteError::Forged(self.to_string()))?;
            signed = true;
        }
        if signed {
            Ok(text)
        } else {
            Err(NoteError::Unsigned(self.to_string()))
        }
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(self, self.key.as_bytes()))
    }
}

/// Splits a file of notes, each followed by a blank line. The second value is how many
/// bytes at the beginning hold whole notes; what follows was cut off while being written.
pub fn split_history(history: &str) -> (Vec<&str>, usize) {
    let mut notes = Vec::new();
    let (mut start, mut at, mut blanks) = (0, 0, 0);
    for line in history.split_inclusive('\n') {
        at += line.len();
        if line != "\n" {
            continue;
        }
        blanks += 1;
        if blanks == 2 {
            notes.extend(history.get(start..at - 1));
            (start, blanks) = (at, 0);
        }
    }
    (notes, start)
}

fn key_text(verifier: &Verifier, key: &[u8; 32]) -> String {
    let mut material = vec![ED25519];
    material.extend_from_slice(key);
    let id = u32::from_be_bytes(verifier.id);
    format!("{}+{id:08x}+{}", verifier.origin, BASE64.encode(material))
}

fn parse_key(text: &str) -> Option<(&str, [u8; 4], [u8; 32])> {
    let mut parts = text.splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
    if id.len() != 8 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let id = u32::from_str_radix(id, 16).ok()?.to_be_bytes();
    let material = BASE64.decode(key).ok()?;
    let (&ED25519, key) = material.split_first()? else {
        return None;
    };
    Some((name, id, key.try_into().ok()?))
}

fn parse_checkpoint(text: &str) -> Result<(&str, Checkpoint), NoteError> {
    let mut lines = text.split('\n');
    let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
        return Err(NoteError::Malformed("fewer than three lines"));
    };
    let canonical = !size.is_empty()
        && size.bytes().all(|b| b.is_ascii_digit())
        && (size == "0" || !size.starts_with('0'));
    let size = size.parse().ok().filter(|_| canonical);
    let size = size.ok_or(NoteError::Malformed("the size is not a number"))?;
    let root = BASE64.decode(root).ok().and_then(|r| r.try_into().ok());
    let root = root.ok_or(NoteError::Malformed("the root is not a SHA-256 hash"))?;
    Ok((origin, Checkpoint { size, root }))
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

    // The published example of golang.org/x/mod/sumdb/note.
    const GO_SECRET: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const GO_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const GO_SIGNATURE: &str = "\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn signer() -> Signer {
        Signer::new("gate.example/ledger", &[7; 32]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        let (size, root) = (42, [9; 32]);
        Checkpoint { size, root }
    }

    #[test]
    fn keys_and_notes_are_the_ones_that_other_tools_write() {
        let signer = Signer::parse(GO_SECRET).unwrap();
        assert_eq!(signer.verifier().to_string(), GO_VKEY);
        assert_eq!(signer.secret(), GO_SECRET);
        let note = format!("{GO_TEXT}{GO_SIGNATURE}");
        assert_eq!(signer.sign_text(GO_TEXT), note);
        let verifier = Verifier::parse(GO_VKEY).unwrap();
        assert_eq!(verifier.verified_text(&note).unwrap(), GO_TEXT);
    }

    #[test]
    fn a_signed_checkpoint_opens_and_a_cosignature_does_no_harm() {
        let note = signer().sign(&checkpoint());
        assert!(note.starts_with("gate.example/ledger\n42\nCQkJ"));
        let verifier = Verifier::parse(&signer().verifier().to_string()).unwrap();
        assert_eq!(verifier.open(&note).unwrap(), checkpoint());
        let cosigned = format!("{note}\u{2014} witness.example AAAAAAAA\n");
        assert_eq!(verifier.open(&cosigned).unwrap(), checkpoint());
    }

    #[test]
    fn threat_29_no_changed_byte_of_a_checkpoint_is_accepted() {
        let verifier = signer().verifier().clone();
        let note = signer().sign(&checkpoint());
        for i in 0..note.len() {
            for bit in [0x01, 0x20] {
                let mut forged = note.clone().into_bytes();
                forged[i] ^= bit;
                let Ok(forged) = String::from_utf8(forged) else {
                    continue;
                };
                assert!(verifier.open(&forged).is_err(), "{forged:?}");
            }
        }
    }

    #[test]
    fn threat_29_another_key_under_the_same_name_is_not_accepted() {
        let other = Signer::new("gate.example/ledger", &[8; 32]).unwrap();
        let verifier = signer().verifier().clone();
        let unsigned = verifier.open(&other.sign(&checkpoint()));
        assert_eq!(unsigned, Err(NoteError::Unsigned(verifier.to_string())));
    }

    #[test]
    fn malformed_notes_keys_and_origins_are_refused() {
        let signer = signer();
        for text in ["o\n1\n", "gate.example/ledger\n01\nCQk=\n", "\n\n\n"] {
            assert!(signer.verifier().open(&signer.sign_text(text)).is_err());
        }
        let root = BASE64.encode([9; 32]);
        let other = signer.sign_text(&format!("other\n1\n{root}\n"));
        let other = signer.verifier().open(&other);
        assert!(matches!(other, Err(NoteError::OtherOrigin { .. })));
        for size in ["", "01", "+1", "1 ", "18446744073709551616"] {
            let text = format!("gate.example/ledger\n{size}\n{root}\n");
            assert!(signer.verifier().open(&signer.sign_text(&text)).is_err());
        }
        for origin in ["", "a b", "a+b", "a\nb", &"x".repeat(129)] {
            assert!(Signer::new(origin, &[7; 32]).is_err(), "{origin:?}");
        }
        let wrong_hash = GO_VKEY.replace("c74f20a3", "c74f20a4");
        for key in ["", "a+b", "a+00000000+AA==", &wrong_hash] {
            assert!(Verifier::parse(key).is_err(), "{key:?}");
            assert!(Signer::parse(&format!("PRIVATE+KEY+{key}")).is_err());
        }
    }

    #[test]
    fn a_history_splits_into_whole_notes_and_a_torn_rest() {
        let one = signer().sign(&checkpoint());
        let history = format!("{one}\n{one}\n");
        assert_eq!(split_history(&history), (vec![&*one, &*one], history.len()));
        for cut in 0..history.len() {
            let Some(torn) = history.get(..cut) else {
                continue;
            };
            let (notes, whole) = split_history(torn);
            let expected = usize::from(cut > one.len());
            assert_eq!((notes.len(), whole), (expected, expected * (one.len() + 1)));
        }
        assert_eq!(split_history(""), (vec![], 0));
    }
}
