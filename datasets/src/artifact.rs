//! What an artifact is called and what it is: its id, its kind, and the corpus truth about it.
//!
//! The bytes of an artifact are read by `Corpus::read_artifact`; they are never kept here.

use std::fmt;
use std::str::FromStr;

/// The SHA-256 of an artifact: of the file's bytes, or of the URL's text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactId(pub [u8; 32]);

impl ArtifactId {
    /// The id written as 64 hex digits of any case.
    pub fn from_hex(hex: &[u8]) -> Option<ArtifactId> {
        let mut id = [0; 32];
        hex::decode_to_slice(hex, &mut id).ok()?;
        Some(ArtifactId(id))
    }
}

impl fmt::Display for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).expect("64 digits for 32 bytes");
        f.pad(std::str::from_utf8(&text).expect("hex digits are ASCII"))
    }
}

impl fmt::Debug for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArtifactId({self})")
    }
}

impl FromStr for ArtifactId {
    type Err = ParseArtifactIdError;

    fn from_str(text: &str) -> Result<ArtifactId, ParseArtifactIdError> {
        ArtifactId::from_hex(text.as_bytes()).ok_or_else(|| ParseArtifactIdError(crate::message::quote(text)))
    }
}

/// A text that is no [`ArtifactId`]; holds the text, quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a sha256; give 64 hex digits")]
pub struct ParseArtifactIdError(String);

/// What the artifacts of a corpus are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArtifactKind {
    /// Files.
    File,
    /// URLs: an artifact's bytes are the text of its URL.
    Url,
}

/// What the corpus says an artifact is: the corpus truth, which is never handed to an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Truth {
    /// Labelled `malicious`.
    Malicious,
    /// Labelled `benign`.
    Benign,
}

impl Truth {
    /// The label as the table spells it.
    pub fn label(self) -> &'static str {
        match self {
            Truth::Malicious => "malicious",
            Truth::Benign => "benign",
        }
    }
}

/// The MIME type of a file type in a corpus' words.
pub fn mimetype(file_type: &str) -> String {
    let file_type = file_type.to_ascii_lowercase();
    let executable = match file_type.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default() {
        "pe" | "pe32" | "pe64" | "win32" | "exe" | "dll" => Some("application/x-dosexec"),
        "elf" => Some("application/x-executable"),
        "macho" | "mach" => Some("application/x-mach-binary"),
        _ => None,
    };
    executable.map_or_else(|| mime_guess::from_ext(&file_type).first_or_octet_stream().essence_str().to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_any_case_and_writes_lower_case() {
        let upper = "AB".repeat(32);
        let id: ArtifactId = upper.parse().unwrap();
        assert_eq!(id.to_string(), upper.to_lowercase());
        assert_eq!(id.0, [0xab; 32]);
    }

    #[test]
    fn an_id_of_another_length_is_refused() {
        assert_eq!("abc".parse::<ArtifactId>().unwrap_err().to_string(), "`abc` is not a sha256; give 64 hex digits");
        assert!("g".repeat(64).parse::<ArtifactId>().is_err());
    }
}
