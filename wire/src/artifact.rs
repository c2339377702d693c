//! Artifacts: their type, their listing and their URIs.

use serde::{Deserialize, Serialize};

/// What the artifacts of a bounty are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactType {
    /// Files.
    File,
    /// Texts that hold a URL each.
    Url,
}

impl ArtifactType {
    /// The contract's number for it.
    pub fn code(self) -> u64 {
        match self {
            ArtifactType::File => 0,
            ArtifactType::Url => 1,
        }
    }

    /// The type with that number.
    pub fn from_code(code: u64) -> Option<ArtifactType> {
        [ArtifactType::File, ArtifactType::Url].into_iter().find(|kind| kind.code() == code)
    }
}

/// An entry of `GET /artifacts/{uri}/`: the artifact at that position of a bounty.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Artifact {
    /// The file's name as it was uploaded.
    pub name: String,
    /// Its own address, which is what a bounty's filter is computed over.
    pub hash: String,
}

/// The kinds of artifact URI that polyswarm-client accepts. With any other, a bounty is silently not asserted on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UriKind {
    /// 64 hex digits.
    Sha256,
    /// Base58 of fewer than 100 characters; IPFS addresses are.
    Base58,
}

impl UriKind {
    /// The kind of this URI; `None` for what the client refuses.
    pub fn of(uri: &str) -> Option<UriKind> {
        if uri.len() == 64 && uri.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Some(UriKind::Sha256)
        } else if !uri.is_empty() && uri.len() < 100 && bs58::decode(uri).into_vec().is_ok() {
            Some(UriKind::Base58)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_base58_or_a_sha256() {
        assert_eq!(UriKind::of("QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"), Some(UriKind::Base58));
        assert_eq!(UriKind::of(&"0123456789abcdef".repeat(4)), Some(UriKind::Sha256));
        assert_eq!(UriKind::of(&"1".repeat(99)), Some(UriKind::Base58));
        for uri in ["", "0aa55ccc-0e1c-4296-bc3d-5f88e8688e56", "Qm0", "https://example.org", &"1".repeat(100), "é"] {
            assert_eq!(UriKind::of(uri), None, "{uri}");
        }
    }

    #[test]
    fn types_have_the_contracts_numbers() {
        assert_eq!([0, 1, 2].map(ArtifactType::from_code), [Some(ArtifactType::File), Some(ArtifactType::Url), None]);
    }
}
