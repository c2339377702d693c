//! Sums over bytes: shares, entropies, runs.

use super::{Feature, Features};

/// How often each byte occurs.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    of: [u64; 256],
    total: u64,
}

impl Counts {
    /// Counts the bytes of `content`.
    pub(super) fn of(content: &[u8]) -> Counts {
        let mut of = [0; 256];
        for byte in content {
            of[usize::from(*byte)] += 1;
        }
        Counts { of, total: content.len() as u64 }
    }

    /// Share of the bytes that `class` takes.
    pub(super) fn share(&self, class: impl Fn(u8) -> bool) -> f64 {
        let of_class: u64 = (0..=255_u8).filter(|byte| class(*byte)).map(|byte| self.of[usize::from(byte)]).sum();
        of_class as f64 / self.total.max(1) as f64
    }

    /// Bits per byte.
    fn entropy(&self) -> f64 {
        let total = self.total as f64;
        let bits = |count: &u64| {
            let share = *count as f64 / total;
            -share * libm::log2(share)
        };
        self.of.iter().filter(|count| **count > 0).map(bits).sum()
    }
}

/// Entropy of `content` in bits per byte, 0 to 8.
pub(super) fn entropy(content: &[u8]) -> f64 {
    Counts::of(content).entropy()
}

/// True for what text consists of.
pub(super) fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')
}

/// The features of the bytes as they are.
pub(super) fn fill(features: &mut Features, content: &[u8], counts: &Counts) {
    use Feature as F;
    const END: usize = 4096;
    let total = counts.total.max(1) as f64;
    features.count(F::Size, content.len());
    features.set(F::Entropy, counts.entropy());
    features.set(F::EntropyHead, entropy(content.get(..END).unwrap_or(content)));
    features.set(F::EntropyTail, entropy(content.get(content.len().saturating_sub(END)..).unwrap_or(content)));
    features.set(F::Printable, counts.share(is_printable));
    features.set(F::Zeros, counts.share(|byte| byte == 0));
    features.set(F::High, counts.share(|byte| byte >= 0x80));
    features.set(F::Blanks, counts.share(|byte| byte.is_ascii_whitespace()));
    features.set(F::Symbols, counts.share(|byte| byte.is_ascii_punctuation()));
    features.set(F::Digits, counts.share(|byte| byte.is_ascii_digit()));
    features.set(F::Distinct, counts.of.iter().filter(|count| **count > 0).count() as f64 / 256.0);
    features.set(F::TopByte, counts.of.iter().max().map_or(0.0, |count| *count as f64 / total));
    let variance = counts.of.iter().map(|count| (*count as f64 / total - 1.0 / 256.0).powi(2)).sum::<f64>() / 256.0;
    features.set(F::Unevenness, if content.is_empty() { 0.0 } else { variance.sqrt() * 256.0 });
    runs(features, content);
}

/// A run of bytes of one class, while the bytes go by.
#[derive(Clone, Copy, Default)]
struct Run {
    length: usize,
    longest: usize,
    /// Runs that were long enough.
    count: usize,
}

impl Run {
    fn step(&mut self, within: bool, enough: usize) {
        self.length = if within { self.length + 1 } else { 0 };
        self.longest = self.longest.max(self.length);
        self.count += usize::from(self.length == enough);
    }
}

fn runs(features: &mut Features, content: &[u8]) {
    use Feature as F;
    let [mut same, mut line, mut string, mut base64, mut hexadecimal] = [Run::default(); 5];
    let mut last = None;
    for byte in content {
        if last != Some(*byte) {
            same.length = 0;
        }
        last = Some(*byte);
        same.step(true, usize::MAX);
        line.step(!matches!(byte, b'\n' | b'\r'), usize::MAX);
        string.step(matches!(byte, b' '..=b'~'), 6);
        base64.step(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'), 120);
        hexadecimal.step(byte.is_ascii_hexdigit(), 120);
    }
    features.count(F::LongestRun, same.longest);
    features.count(F::LongestLine, line.longest);
    features.set(F::Strings, libm::log1p(string.count as f64 * 1024.0 / content.len().max(1) as f64));
    features.count(F::LongestString, string.longest);
    features.count(F::Base64Runs, base64.count);
    features.count(F::HexRuns, hexadecimal.count);
}
