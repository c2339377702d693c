//! The harmless test files that everybody calls malicious: EICAR and GTUBE.

use std::time::Instant;

use super::Backend;
use crate::{
    artifact::{Artifact, Failure, Finding, ScanResult},
    config::BackendKind,
};

/// The test strings in two halves each, so that no scanner takes this source for the real thing.
const EICAR: [&str; 2] = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];
const GTUBE: [&str; 2] = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"];

/// Recognises the EICAR test file and mails with the GTUBE test string.
#[derive(Clone, Debug)]
pub struct Eicar {
    name: String,
}

impl Default for Eicar {
    fn default() -> Eicar {
        Eicar::new(BackendKind::Eicar.name())
    }
}

impl Eicar {
    /// One that is called `name` in reports.
    pub fn new(name: &str) -> Eicar {
        Eicar { name: name.to_owned() }
    }

    /// True for a test file. EICAR: the 68 bytes, then nothing but white space up to 128 bytes in all. GTUBE: the string
    /// anywhere.
    pub fn matches(content: &[u8]) -> bool {
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
        &self.name
    }

    fn fingerprint(&self) -> &str {
        "eicar:1"
    }

    fn scan(&self, artifact: &Artifact<'_>, _: Instant) -> Result<Finding, Failure> {
        Ok(artifact.content.map_or(ScanResult::NONE, |content| ScanResult::verdict(Eicar::matches(content))).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_name_that_it_is_given() {
        let configs = [None, Some("second")].map(|name| crate::config::BackendConfig {
            name: name.map(str::to_owned),
            ..crate::config::BackendConfig::of(BackendKind::Eicar)
        });
        let built = crate::backend::build_all(&configs, std::path::Path::new("")).unwrap();
        assert_eq!([built[0].name(), built[1].name()], ["eicar", "second"]);
    }

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
}
