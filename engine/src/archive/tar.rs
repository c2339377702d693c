//! Tar: headers and contents in blocks of 512 bytes.
//!
//! Read by hand, as libraries keep long names and lists of holes in memory, whatever their length.

use super::{Opening, Stop};

impl Opening<'_> {
    /// Whatever has data, be it called a link or a device; of sparse files, the parts that are stored.
    pub(super) fn tar(&mut self, content: &[u8], depth: u32) -> Result<(), Stop> {
        let (mut rest, mut size_to_come) = (content, None);
        while let Some((header, behind)) = rest.split_first_chunk::<512>() {
            // Two empty blocks are the end of a tar, yet what stands behind them can be read as well.
            if header.iter().all(|byte| *byte == 0) {
                rest = behind;
                continue;
            }
            let Some(stated) = checksum_fits(header).then(|| stated_size(header)).flatten() else {
                self.note("damaged: tar: a header is malformed");
                break;
            };
            let kind = header[156];
            let mut data = behind;
            // A sparse file lists its parts in blocks of their own; what is stored are the parts.
            let mut more = kind == b'S' && header[482] != 0;
            while more && let Some((list, behind)) = data.split_first_chunk::<512>() {
                (more, data) = (list[504] != 0, behind);
            }
            let size = match kind {
                b'x' | b'g' | b'L' | b'K' => stated,
                _ => size_to_come.take().unwrap_or(stated),
            };
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let stored = data.get(..size).unwrap_or(data);
            match kind {
                b'x' => size_to_come = pax_size(stored),
                b'g' | b'L' | b'K' => {}
                _ if stored.is_empty() && !matches!(kind, b'0' | b'\0' | b'7' | b'S') => {}
                _ => {
                    self.admit()?;
                    let unpacked = self.unpack(&mut &*stored, u64::MAX);
                    self.keep("tar", unpacked, depth, depth)?;
                }
            }
            if stored.len() < size {
                self.note("damaged: tar: it ends within a member");
                return Ok(());
            }
            let padded = size.checked_next_multiple_of(512).unwrap_or(usize::MAX);
            rest = data.get(padded..).unwrap_or_default();
        }
        self.behind("tar", rest, depth)
    }
}

/// True if the header's bytes sum up to what it says; its own sum counts as blanks. No text and no program does by chance.
pub(super) fn checksum_fits(header: &[u8; 512]) -> bool {
    let sum: u64 = header.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) }).sum();
    let signed: i64 =
        header.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { i64::from(i8::from_ne_bytes([*byte])) }).sum();
    octal(&header[148..156]).is_some_and(|stated| stated == sum || i64::try_from(stated) == Ok(signed))
}

/// The size that a header states.
fn stated_size(header: &[u8; 512]) -> Option<u64> {
    let field = &header[124..136];
    match field {
        // In base 256, for the large ones.
        [first, rest @ ..] if first & 0x80 != 0 => {
            rest.iter().try_fold(u64::from(first & 0x3F), |sum, byte| Some(sum.checked_mul(256)? + u64::from(*byte)))
        }
        _ => octal(field),
    }
}

/// A number in octal digits, with blanks and NULs around it.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// The size in the records of a pax header, each `length key=value` and a line's end.
fn pax_size(records: &[u8]) -> Option<u64> {
    let mut found = None;
    for line in records.split(|byte| *byte == b'\n') {
        let value = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' ')).and_then(|(_, pair)| pair.strip_prefix("size="));
        found = value.and_then(|value| value.parse().ok()).or(found);
    }
    found
}
