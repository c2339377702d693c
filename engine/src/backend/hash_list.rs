//! Known files: lists of hashes of malicious and of benign files.
//!
//! A list has one SHA-256 in hex per line, optionally followed by a blank, a comma, a semicolon or a tab and a name; `#`
//! begins a comment. The hashes are kept sorted, 32 bytes each, so that a list of millions fits in memory.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    time::Instant,
};

use sha2::{Digest as _, Sha256};

use super::{Backend, BackendError};
use crate::{
    artifact::{Artifact, Failure, Finding, ScanResult},
    config::BackendConfig,
};

/// Longest line, in bytes: a hash and a name.
const LINE_LIMIT: u64 = 4096;

/// Finds artifacts on lists.
#[derive(Clone, Debug)]
pub struct HashList {
    name: String,
    fingerprint: String,
    bad: Option<Vec<[u8; 32]>>,
    good: Option<Vec<[u8; 32]>>,
}

impl HashList {
    /// Reads the lists that `config` names, relative to `folder`.
    ///
    /// # Errors
    ///
    /// If a list cannot be read, or a line of it is malformed.
    pub fn open(config: &BackendConfig, folder: &Path) -> Result<HashList, BackendError> {
        let read = |file: &Option<String>| file.as_deref().map(|file| read(config.name(), &folder.join(file))).transpose();
        let (bad, good) = (read(&config.bad)?, read(&config.good)?);
        let mut digest = Sha256::new();
        for list in [&bad, &good] {
            digest.update(list.as_ref().map_or(u64::MAX, |list| list.len() as u64).to_le_bytes());
            list.iter().flatten().for_each(|hash| digest.update(hash));
        }
        let fingerprint = format!("hash-list:{}", hex::encode(&digest.finalize()[..16]));
        Ok(HashList { name: config.name().to_owned(), fingerprint, bad, good })
    }
}

/// The hashes of a list, sorted, each once.
fn read(name: &str, path: &Path) -> Result<Vec<[u8; 32]>, BackendError> {
    let shown = || path.display().to_string();
    let unreadable =
        |cause| BackendError::Unreadable { name: name.to_owned(), path: shown(), cause, expected: "a text file with one SHA-256 per line" };
    let malformed = |line: usize, problem: &str| BackendError::Malformed {
        name: name.to_owned(),
        path: shown(),
        line,
        problem: format!("{problem}; write one SHA-256 in hex per line, optionally followed by a name"),
    };
    let mut reader = BufReader::new(fs::File::open(path).map_err(unreadable)?);
    let (mut hashes, mut line) = (Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        let read = reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        if read as u64 == LINE_LIMIT {
            return Err(malformed(number, "the line is too long"));
        }
        let text = line.trim_ascii();
        if text.is_empty() || text[0] == b'#' {
            continue;
        }
        let digits = text.split(|byte| b" \t,;".contains(byte)).next().unwrap_or_default();
        let mut hash = [0; 32];
        hex::decode_to_slice(digits, &mut hash).map_err(|_| malformed(number, "not a SHA-256"))?;
        hashes.push(hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    Ok(hashes)
}

impl Backend for HashList {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn needs_content(&self) -> bool {
        false
    }

    /// Malicious if it is on the bad list, benign if it is on the good one, and certainly so. On neither: benign as far as a bad list alone
    /// knows; beside or without a good list, not known at all.
    fn scan(&self, artifact: &Artifact<'_>, _: Instant) -> Result<Finding, Failure> {
        let on = |list: &Option<Vec<[u8; 32]>>| list.as_ref().is_some_and(|list| list.binary_search(&artifact.sha256).is_ok());
        let certain = |malicious| ScanResult { malicious: Some(malicious), confidence: Some(1.0) };
        let result = if on(&self.bad) {
            certain(true)
        } else if on(&self.good) {
            certain(false)
        } else if self.good.is_none() {
            ScanResult::verdict(false)
        } else {
            ScanResult::NONE
        };
        Ok(result.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BackendKind;

    fn list(folder: &Path, bad: Option<&str>, good: Option<&str>) -> Result<HashList, BackendError> {
        let write = |name: &str, text: Option<&str>| {
            text.map(|text| {
                fs::write(folder.join(name), text).unwrap();
                name.to_owned()
            })
        };
        let config = BackendConfig { bad: write("bad", bad), good: write("good", good), ..BackendConfig::of(BackendKind::HashList) };
        HashList::open(&config, folder)
    }

    fn answers(list: &HashList) -> [Option<bool>; 3] {
        [0xab, 0xcd, 0xef].map(|byte| {
            let artifact = Artifact { sha256: [byte; 32], ..Artifact::default() };
            list.scan(&artifact, Instant::now()).unwrap().result.malicious
        })
    }

    #[test]
    fn what_is_on_no_list_depends_on_what_the_lists_are() {
        let folder = tempfile::tempdir().unwrap();
        let (bad, good) = (format!("# bad ones\n{}, Some.Family\n\n", "ab".repeat(32)), "cd".repeat(32));
        let of = |bad, good| answers(&list(folder.path(), bad, good).unwrap());
        assert_eq!(of(Some(&bad), None), [Some(true), Some(false), Some(false)]);
        assert_eq!(of(None, Some(&good)), [None, Some(false), None]);
        assert_eq!(of(Some(&bad), Some(&good)), [Some(true), Some(false), None]);
    }

    #[test]
    fn a_fingerprint_is_of_the_hashes_whatever_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["ab", "cd"].map(|byte| byte.repeat(32));
        let of = |bad: &str| list(folder.path(), Some(bad), None).unwrap().fingerprint;
        assert_eq!(of(&format!("{a}\n{b}\n")), of(&format!("{b} x\n{a}\n{b}\n")));
        assert_ne!(of(&a), of(&b));
        assert_ne!(of(&a), list(folder.path(), None, Some(&a)).unwrap().fingerprint);
    }

    #[test]
    fn a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for (text, problem) in [("\nxyz\n".to_owned(), "line 2: not a SHA-256"), ("a".repeat(5000), "line 1: the line is too long")] {
            let error = list(folder.path(), Some(&text), None).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
