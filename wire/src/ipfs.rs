//! Where IPFS keeps a file: its CIDv0, the `Qm…` address that polyswarmd hands out for artifacts and metadata.
//!
//! The same address as `ipfs add` gives with its defaults up to Kubo 0.x (import profile `legacy-cid-v0`): chunks of
//! 262,144 bytes, dag-pb leaves holding UnixFS files, a balanced tree of at most 174 links per node, sha2-256.

use sha2::{Digest, Sha256};

/// Bytes of a chunk.
const CHUNK: usize = 262_144;
/// Links of a node, at most.
const LINKS: usize = 174;
/// Multihash code of sha2-256, and the length of its digests.
const SHA2_256: [u8; 2] = [0x12, 0x20];

/// The CIDv0 of a file with this content: 46 characters in base58.
pub fn cid(content: &[u8]) -> String {
    // No content is one empty chunk.
    let mut level: Vec<Node> = content.chunks(CHUNK).map(Node::leaf).collect();
    if level.is_empty() {
        level.push(Node::leaf(&[]));
    }
    while level.len() > 1 {
        level = level.chunks(LINKS).map(Node::parent).collect();
    }
    bs58::encode(level[0].multihash).into_string()
}

/// A node of the tree, as its parent sees it.
struct Node {
    multihash: [u8; 34],
    /// Bytes of the file below this node.
    file_size: u64,
    /// Bytes of all blocks of this node and below it.
    total_size: u64,
}

impl Node {
    fn leaf(chunk: &[u8]) -> Node {
        let mut unixfs = Vec::with_capacity(chunk.len() + 16);
        unixfs.extend_from_slice(&UNIXFS_FILE);
        if !chunk.is_empty() {
            length_delimited(&mut unixfs, 2, chunk);
        }
        number(&mut unixfs, 3, chunk.len() as u64);
        Node::of(&[], &unixfs, chunk.len() as u64, 0)
    }

    fn parent(children: &[Node]) -> Node {
        let mut links = Vec::new();
        let mut unixfs = UNIXFS_FILE.to_vec();
        number(&mut unixfs, 3, children.iter().map(|child| child.file_size).sum());
        for child in children {
            let mut link = Vec::with_capacity(48);
            length_delimited(&mut link, 1, &child.multihash);
            length_delimited(&mut link, 2, b"");
            number(&mut link, 3, child.total_size);
            length_delimited(&mut links, 2, &link);
            number(&mut unixfs, 4, child.file_size);
        }
        let file_size = children.iter().map(|child| child.file_size).sum();
        Node::of(&links, &unixfs, file_size, children.iter().map(|child| child.total_size).sum())
    }

    /// A dag-pb block: links before data, although data has the lower field number.
    fn of(links: &[u8], unixfs: &[u8], file_size: u64, size_below: u64) -> Node {
        let mut block = Vec::with_capacity(links.len() + unixfs.len() + 8);
        block.extend_from_slice(links);
        length_delimited(&mut block, 1, unixfs);
        let mut multihash = [0; 34];
        multihash[..2].copy_from_slice(&SHA2_256);
        multihash[2..].copy_from_slice(&Sha256::digest(&block));
        Node { multihash, file_size, total_size: size_below + block.len() as u64 }
    }
}

/// Field 1 of a UnixFS message: type 2, a file.
const UNIXFS_FILE: [u8; 2] = [0x08, 0x02];

/// A protobuf field of bytes.
fn length_delimited(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

/// A protobuf field of a number.
fn number(message: &mut Vec<u8>, field: u8, value: u64) {
    message.push(field << 3);
    varint(message, value);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_files_have_their_well_known_addresses() {
        assert_eq!(cid(b""), "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH");
        assert_eq!(cid(b"hello world\n"), "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o");
        assert_eq!(cid(b"hello world"), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
    }

    /// A file that any language can repeat: the high bytes of a linear congruential generator.
    fn file(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(length)
        .collect()
    }

    #[test]
    fn trees_of_one_two_and_three_levels_have_the_addresses_that_ipfs_gives_them() {
        // Computed with `ipfs-only-hash` 4.0.0 (js-ipfs-unixfs-importer).
        for (length, address) in [
            (1, "QmckNAcWX3uq4Mx8rSCsHvYyBuEwjPWkSBJ9NkJq1GEhma"),
            (CHUNK, "QmYH5u9QHv3vJAuYtVEVjdoKTqwxDse32uG6QZHjrUBTxH"),
            (CHUNK + 1, "QmXk293KuVQQYgGpKe91CzW2hykJGFjmhjV4ZUDrXiRTFc"),
            (2 * CHUNK, "QmbMdkE9KbJfYbYa8T8z5tP8KniLvRsPK9hGbViwKxtLzr"),
            (LINKS * CHUNK, "QmUfTtxTCStSw1Gw8ECVdTBBGao5hGnn23FAfubpZwCF2U"),
            (LINKS * CHUNK + 1, "QmWrwe6nrE5JShDNfK29Hfh8yzmsTbZcwMrjFXTpDD92h2"),
            ((LINKS + 1) * CHUNK + 5, "QmPMUT3xEdiG9HiUsVW3ZtQSyvkbDaVhHnXxbDZwrLSPei"),
        ] {
            assert_eq!(cid(&file(length)), address, "{length} bytes");
        }
    }
}
