//! What bounties and assertions say about their artifacts: one entry for each artifact, in their order.
//!
//! Source: the schemas of polyswarm-artifact 1.4. Every reader must expect other shapes: metadata is whatever its author
//! stored. It travels as [`crate::json::Json`]; these types write the shapes that polyswarm-client validates, and read
//! what they know of others.

use serde::{Deserialize, Serialize};

/// An ambassador's word on one file. The client drops metadata without `mimetype`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FileMetadata {
    /// Such as `text/plain`.
    pub mimetype: String,
    /// Name of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// In bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesize: Option<u64>,
    /// 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// 40 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
    /// 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
}

/// An ambassador's word on one URL.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct UrlMetadata {
    /// Such as `https`.
    pub protocol: String,
    /// The URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// An expert's word on one artifact.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VerdictMetadata {
    /// Name of the malware family; may be empty.
    pub malware_family: String,
    /// Who scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanner: Option<Scanner>,
}

/// The scanner behind a verdict.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Scanner {
    /// Version of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of the vendor's product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_version: Option<String>,
    /// Version of the signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures_version: Option<String>,
    /// Where it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}

/// Where a scanner ran.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Environment {
    /// Such as `x86_64`.
    pub architecture: String,
    /// Such as `Linux`.
    pub operating_system: String,
}
