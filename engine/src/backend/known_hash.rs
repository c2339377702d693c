//! Known files: the harmless test files everybody agrees on (EICAR, GTUBE), and lists of hashes.
//!
//! A list has one SHA-256 in hex per line, optionally followed by blanks or a comma and a name; `#` begins a comment.

use std::{collections::BTreeSet, fmt::Write as _, fs, io::Read as _, path::Path};

use super::Backend;
use crate::artifact::{Artifact, ScanResult};

/// The test strings in two halves each, so that no scanner takes this source for the real thing.
const EICAR: [&str; 2] = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];
const GTUBE: [&str; 2] = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"];

/// Longest list that is read, in bytes: some millions of hashes.
const LIST_LIMIT: u64 = 1 << 30;

/// Recognises the EICAR test file and mails with the GTUBE test string.
#[derive(Clone, Copy, Debug, Default)]
pub struct Eicar;

impl Eicar {
    /// EICAR: the 68 bytes, then nothing but white space up to 128 bytes in all. GTUBE: the string anywhere.
    fn matches(content: &[u8]) -> bool {
        let [first, second] = EICAR.map(str::as_bytes);
        let eicar = content
            .strip_prefix(first)
            .and_then(|rest| rest.strip_prefix(second))
            .is_some_and(|rest| content.len() <= 128 && rest.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0x1A));
        let gtube = GTUBE.concat();
        eicar || content.windows(gtube.len()).any(|window| window == gtube.as_bytes())
    }
}

impl Backend for Eicar {
    fn name(&self) -> &str {
        "eicar"
    }

    fn fingerprint(&self) -> String {
        "eicar:1".to_owned()
    }

    fn needs_content(&self) -> bool {
        true
    }

    fn scan(&self, artifact: &Artifact<'_>) -> ScanResult {
        artifact.content.map_or(ScanResult::NONE, |content| ScanResult::verdict(Eicar::matches(content)))
    }
}

/// Finds artifacts on a list of known-bad hashes.
#[derive(Clone, Debug)]
pub struct KnownHash {
    name: String,
    bad: BTreeSet<[u8; 32]>,
}

/// Why a list of hashes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HashListError {
    /// The file cannot be read.
    #[error("cannot read the hash list {path}: {cause}; name a text file with one SHA-256 per line")]
    Unreadable { path: String, cause: std::io::Error },
    /// A line holds no hash.
    #[error("{path}, line {line}: not a SHA-256 in hex; write one per line, optionally followed by a name")]
    MalformedLine { path: String, line: usize },
}

impl KnownHash {
    /// Reads a list of known-bad hashes.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or a line is malformed.
    pub fn read(name: &str, path: &Path) -> Result<KnownHash, HashListError> {
        let mut text = String::new();
        let read = fs::File::open(path).and_then(|file| file.take(LIST_LIMIT).read_to_string(&mut text));
        read.map_err(|cause| HashListError::Unreadable { path: path.display().to_string(), cause })?;
        let mut bad = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let digits = line.split([' ', '\t', ',', ';']).next().unwrap_or_default();
            let mut hash = [0; 32];
            hex::decode_to_slice(digits, &mut hash)
                .map_err(|_| HashListError::MalformedLine { path: path.display().to_string(), line: index + 1 })?;
            bad.insert(hash);
        }
        Ok(KnownHash { name: name.to_owned(), bad })
    }
}

impl Backend for KnownHash {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> String {
        let hashes = self.bad.iter().fold(String::new(), |mut all, hash| {
            let _ = write!(all, "{}", hex::encode(hash));
            all
        });
        format!("known-hash:{:016x}", crate::chance::fnv1a64(&hashes))
    }

    fn needs_content(&self) -> bool {
        false
    }

    /// Malicious if it is on the list; an unlisted artifact is benign as far as this list knows.
    fn scan(&self, artifact: &Artifact<'_>) -> ScanResult {
        ScanResult::verdict(self.bad.contains(&artifact.sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_files_are_found_and_lookalikes_are_not() {
        let eicar = EICAR.concat();
        for (content, found) in [
            (eicar.clone(), true),
            (format!("{eicar}\r\n"), true),
            (format!("{eicar}{}", " ".repeat(61)), false),
            (format!("{eicar}x"), false),
            (format!("Subject: test\n\n{}\n", GTUBE.concat()), true),
            ("a plain text".to_owned(), false),
        ] {
            assert_eq!(Eicar::matches(content.as_bytes()), found, "{} bytes", content.len());
        }
    }

    #[test]
    fn a_hash_list_names_its_bad_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.txt");
        fs::write(&path, format!("# bad ones\n{}, Some.Family\n", "ab".repeat(32))).unwrap();
        let list = KnownHash::read("list", &path).unwrap();
        let scan = |byte| list.scan(&Artifact { sha256: [byte; 32], ..Artifact::default() }).malicious;
        assert_eq!((scan(0xab), scan(0xac)), (Some(true), Some(false)));
        fs::write(&path, "\nxyz\n").unwrap();
        assert!(KnownHash::read("list", &path).unwrap_err().to_string().contains("line 2: not a SHA-256"));
    }
}
