//! Numbers that describe a content: what models decide by.
//!
//! A fixed list of named features, the same for every content and in every build of one [`VERSION`]. They are computed from
//! the bytes alone, without running anything, on any bytes, and in bounded time: of a large content, its first
//! [`PARSED`] bytes are parsed and its first [`SEARCHED`] bytes are searched for words. What the numbers mean for malice is
//! for the backends that weigh them.
//!
//! Counts are given as ln(1 + count), and yes and no as 1 and 0. What does not apply is 0: a text has no sections.

mod bytes; // entropy and other sums over bytes
mod executable; // PE, ELF, Mach-O
mod kind; // file types by magic
mod list; // the features by name
mod words; // words that tell something

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use list::{Feature, NAMES, VERSION};
use sha2::{Digest as _, Sha256};

use bytes::Counts;
use kind::Kind;

/// The libraries whose parsers decide what the features of a file are, with their versions as the lock file has them.
pub const VERSIONS: [&str; 2] = ["goblin 0.10.7", "infer 0.22.0"];

/// Largest part of a content that is parsed as an executable, in bytes from its beginning.
pub const PARSED: usize = 64 << 20;
/// Largest part of a content that is searched for words, in bytes from its beginning.
pub const SEARCHED: usize = 8 << 20;

/// The features of one content, in the order of [`NAMES`].
#[derive(Clone, PartialEq, Debug)]
pub struct Features([f64; NAMES.len()]);

/// What stands for [`VERSION`] and [`VERSIONS`] in the fingerprint of whoever decides by features.
pub(crate) fn fingerprint() -> String {
    let libraries = hex::encode(Sha256::digest(VERSIONS.join("\n")));
    format!("{VERSION}:{}", libraries.get(..8).unwrap_or_default())
}

impl Features {
    /// Looks at `content`. Total: whatever the bytes, every feature is finite.
    pub fn of(content: &[u8]) -> Features {
        let mut features = Features([0.0; NAMES.len()]);
        let counts = Counts::of(content);
        bytes::fill(&mut features, content, &counts);
        // Other people's parsers on hostile input: one that panics has found a malformed file.
        let parsed = |features: &mut Features, parse: &mut dyn FnMut(&mut Features)| {
            let mut copy = features.clone();
            match catch_unwind(AssertUnwindSafe(|| parse(&mut copy))) {
                Ok(()) => *features = copy,
                Err(_) => features.set(Feature::Malformed, 1.0),
            }
        };
        let mut kind = Kind::Unknown;
        parsed(&mut features, &mut |_| kind = Kind::of(content, &counts));
        let searched = content.get(..SEARCHED).unwrap_or(content);
        kind = words::fill(&mut features, searched, kind);
        features.set_kind(kind);
        let file = content.get(..PARSED).unwrap_or(content);
        parsed(&mut features, &mut |features| match kind {
            Kind::Pe => executable::pe(features, file, content.len()),
            Kind::Elf => executable::elf(features, file),
            Kind::MachO => executable::mach_o(features, file),
            _ => {}
        });
        features
    }

    /// One of them.
    pub fn get(&self, feature: Feature) -> f64 {
        self.0[feature as usize]
    }

    /// All of them, in the order of [`NAMES`].
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Sets a feature; what is no number is nothing.
    fn set(&mut self, feature: Feature, value: f64) {
        self.0[feature as usize] = if value.is_finite() { value } else { 0.0 };
    }

    /// Sets a feature to 1 or 0.
    fn flag(&mut self, feature: Feature, value: bool) {
        self.set(feature, f64::from(u8::from(value)));
    }

    /// Sets a feature to ln(1 + count).
    fn count(&mut self, feature: Feature, count: usize) {
        self.set(feature, libm::log1p(count as f64));
    }

    fn set_kind(&mut self, kind: Kind) {
        use Feature as F;
        let feature = match kind {
            Kind::Pe => F::IsPe,
            Kind::Elf => F::IsElf,
            Kind::MachO => F::IsMachO,
            Kind::Archive => F::IsArchive,
            Kind::Ole => F::IsOle,
            Kind::Pdf => F::IsPdf,
            Kind::Rtf => F::IsRtf,
            Kind::Shortcut => F::IsShortcut,
            Kind::Media => F::IsMedia,
            Kind::Html => F::IsHtml,
            Kind::JavaScript => F::IsJavaScript,
            Kind::VbScript => F::IsVbScript,
            Kind::PowerShell => F::IsPowerShell,
            Kind::Batch => F::IsBatch,
            Kind::Shell => F::IsShell,
            Kind::Php => F::IsPhp,
            Kind::Python => F::IsPython,
            Kind::Text => F::IsText,
            Kind::Unknown => F::IsUnknown,
        };
        self.set(feature, 1.0);
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::packed_pe;
