//! File types, by their first bytes; scripts, by what text says, are told apart in `words`.

use infer::MatcherType;

use super::bytes::{Counts, is_printable};

/// The types that are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Pe,
    Elf,
    MachO,
    Archive,
    Ole,
    Pdf,
    Rtf,
    Shortcut,
    Media,
    Html,
    JavaScript,
    VbScript,
    PowerShell,
    Batch,
    Shell,
    Php,
    Python,
    Text,
    Unknown,
}

impl Kind {
    /// True for text of any kind.
    pub(super) fn is_text(self) -> bool {
        use Kind::*;
        matches!(self, Html | JavaScript | VbScript | PowerShell | Batch | Shell | Php | Python | Text)
    }

    /// The type of a content.
    pub(super) fn of(content: &[u8], counts: &Counts) -> Kind {
        let starts = |magics: &[&[u8]]| magics.iter().any(|magic| content.starts_with(magic));
        if starts(&[b"MZ"]) && windows_header(content) {
            Kind::Pe
        } else if starts(&[b"\x7FELF"]) {
            Kind::Elf
        } else if starts(&[b"\xFE\xED\xFA\xCE", b"\xFE\xED\xFA\xCF", b"\xCE\xFA\xED\xFE", b"\xCF\xFA\xED\xFE"]) || fat_mach_o(content) {
            Kind::MachO
        } else if starts(&[b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"]) {
            Kind::Ole
        } else if content.get(..1024).unwrap_or(content).windows(5).any(|window| window == b"%PDF-") {
            Kind::Pdf
        } else if starts(&[b"{\\rt"]) {
            Kind::Rtf
        } else if starts(&[b"L\0\0\0\x01\x14\x02\0"]) {
            Kind::Shortcut
        } else if starts(&[b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"]) {
            Kind::Archive
        } else {
            match infer::get(content).map(|found| found.matcher_type()) {
                Some(MatcherType::Archive) => Kind::Archive,
                Some(MatcherType::Audio | MatcherType::Font | MatcherType::Image | MatcherType::Video) => Kind::Media,
                // Text in UTF-16 has a zero in every other byte.
                _ if !content.is_empty() && counts.share(|byte| is_printable(byte) || byte >= 0x80) > 0.97 => Kind::Text,
                _ if starts(&[b"\xFF\xFE", b"\xFE\xFF"]) && counts.share(|byte| is_printable(byte) || byte == 0) > 0.9 => Kind::Text,
                _ => Kind::Unknown,
            }
        }
    }
}

/// True if the DOS header leads to a Windows header.
fn windows_header(content: &[u8]) -> bool {
    let at = content.get(60..64).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes);
    let at = at.and_then(|at| usize::try_from(at).ok());
    at.and_then(|at| content.get(at..)).is_some_and(|header| header.starts_with(b"PE\0\0"))
}

/// Java classes begin with the same four bytes; what follows is their version, which is larger than any number of processors.
fn fat_mach_o(content: &[u8]) -> bool {
    content.strip_prefix(b"\xCA\xFE\xBA\xBE").and_then(<[u8]>::first_chunk).is_some_and(|count| u32::from_be_bytes(*count) < 20)
}
