//! The Merkle tree of RFC 6962 §2.1, kept as its right edge.
//!
//! Part of ⑧ record. Pure: no file, no key. It knows hashes, never what a record says.

use sha2::{Digest, Sha256};

/// A SHA-256 hash: of a leaf, an inner node or a whole tree.
pub type Hash = [u8; 32];

/// The hash of one entry (RFC 6962: `SHA-256(0x00 || entry)`).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(entry);
    hasher.finalize().into()
}

/// The right edge of a growing tree: all that is needed to add a leaf or tell the root.
///
/// It holds one hash per set bit of the size: the complete subtrees, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        let mut trailing = self.size;
        while trailing & 1 == 1 {
            if let Some(left) = self.subtrees.pop() {
                node = node_hash(&left, &node);
            }
            trailing >>= 1;
        }
        self.subtrees.push(node);
        self.size += 1;
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash of the whole tree; of no leaves, the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut from_right = self.subtrees.iter().rev();
        match from_right.next() {
            None => Sha256::digest([]).into(),
            Some(last) => from_right.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x01]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
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
    use ct_merkle::mem_backed_tree::MemoryBackedTree;

    use super::*;

    fn entries(count: usize) -> Vec<Vec<u8>> {
        (0..count)
            .map(|i| format!("record {i}").into_bytes())
            .collect()
    }

    #[test]
    fn every_root_is_the_one_that_an_independent_tree_has() {
        let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let mut ours = Frontier::default();
        assert_eq!(ours.root()[..], oracle.root().as_bytes()[..]);
        for entry in entries(130) {
            ours.push(leaf_hash(&entry));
            oracle.push(entry);
            assert_eq!(ours.root()[..], oracle.root().as_bytes()[..]);
            assert_eq!(ours.size(), oracle.len());
        }
    }

    #[test]
    fn our_roots_pass_an_independent_consistency_proof() {
        use ct_merkle::RootHash;
        let all = entries(100);
        let mut roots = vec![];
        let mut ours = Frontier::default();
        let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        for entry in all {
            ours.push(leaf_hash(&entry));
            oracle.push(entry);
            roots.push(RootHash::<Sha256>::new(ours.root().into(), ours.size()));
        }
        for old in [1_usize, 2, 7, 8, 33, 64, 99] {
            let proof = oracle.prove_consistency(100 - old);
            roots[99]
                .verify_consistency(&roots[old - 1], &proof)
                .unwrap();
        }
    }
}
