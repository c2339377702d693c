//! Zip, and what is a zip by structure. Entries are read one by one, so that neither their number nor a name that two have
//! matters.
//!
//! Programs differ in where they look for the members of a zip: in its directory, in another directory of the same file, or
//! in the headers before the members. So all headers of the file are compared with what the directory accounts for.

use std::{io::Read, ops::Range, time::Instant};

use ::zip::{
    CompressionMethod, ZipReadOptions,
    read::{Config, OwnedZipFileEntry, ZipFile, read_zipfile_from_stream_with_options},
    result::ZipError,
    unstable::read::ZipIterable,
};

use super::{CHUNK, End, LOCKED, OUT_OF_TIME, Opening, Stop, Unpacked, WINDOW};

/// Size of the part of a member's header that all have.
const HEADER: usize = 30;
/// Size of the record at a zip's end, without its comment.
const LAST: usize = 22;
/// The longest comment behind it.
const COMMENT: usize = u16::MAX as usize;
/// The methods that anybody packs with; with any other number, it is no header, or nobody unpacks it.
const METHODS: [usize; 21] = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 14, 18, 19, 20, 93, 94, 95, 97, 98, 99];

impl Opening<'_> {
    /// What the directory lists, then what it does not; without one, what the headers before the members say.
    pub(super) fn zip(&mut self, content: &[u8], depth: u32) -> Result<(), Stop> {
        let mut entries = match ZipIterable::try_new(self.clocked(content), Config::default()) {
            // A directory that names nothing hides what stands before it.
            Ok(archive) if archive.is_empty() && content.starts_with(b"PK\x03\x04") => return self.zip_without_directory(content, depth),
            Ok(archive) => archive,
            Err(error) => {
                self.zip_problem(&error);
                return self.zip_without_directory(content, depth);
            }
        };
        let files = match entries.files() {
            Ok(files) => files,
            Err(error) => {
                self.zip_problem(&error);
                return Ok(());
            }
        };
        let mut listed = Vec::new();
        for entry in files {
            let entry = match entry {
                Ok(entry) => OwnedZipFileEntry::from(entry),
                Err(error) => {
                    self.zip_problem(&error);
                    return Ok(());
                }
            };
            let nothing = entry.size() == 0 && entry.compressed_size() == 0;
            if entry.is_dir() && nothing {
                // As many as there are, so the clock is looked at.
                if Instant::now() >= self.deadline {
                    self.note(OUT_OF_TIME);
                    return Err(Stop);
                }
                listed.extend(self.accounted(content, &entry));
                continue;
            }
            let mut reader = self.clocked(content);
            self.zip_member(entry.encrypted(), depth, &mut |opening, options| {
                let file = entry.as_ref().with_reader(&mut reader, options)?;
                Ok(opening.zip_unpack(file))
            })?;
            listed.extend(self.accounted(content, &entry));
        }
        self.zip_unlisted(content, listed, depth)
    }

    /// What of `content` an entry of the directory accounts for: the fixed part of its header, and its data, as far as they
    /// are unpacked.
    fn accounted(&self, content: &[u8], entry: &OwnedZipFileEntry) -> [Range<usize>; 2] {
        let start = usize::try_from(entry.header_start()).unwrap_or(usize::MAX);
        let size = usize::try_from(entry.compressed_size()).unwrap_or(usize::MAX);
        let Some(header) = content.get(start..).and_then(Header::read) else { return [0..0, 0..0] };
        let data = start + header.data;
        // One that states more than the directory does is read once more, by what it states.
        if header.size.is_some_and(|own| own > size && own <= content.len().saturating_sub(data)) {
            return [0..0, 0..0];
        }
        let packed = content.get(data..).unwrap_or_default();
        let packed = packed.get(..size).unwrap_or(packed);
        let read = match entry.compression() {
            _ if entry.encrypted() => packed.len(),
            CompressionMethod::Stored => packed.len(),
            // A zip that cannot be packed any more stands in the data as it is; so does what is hidden behind their end.
            _ if find_header(packed, 0, packed.len()).is_none() => packed.len(),
            CompressionMethod::Deflated => self.deflated(packed),
            _ => 0,
        };
        [start..start + HEADER, data..data + read]
    }

    /// The length of deflated data that something may follow.
    fn deflated(&self, packed: &[u8]) -> usize {
        let mut decoder = flate2::bufread::DeflateDecoder::new(packed);
        let mut chunk = vec![0; CHUNK];
        while Instant::now() < self.deadline && decoder.read(&mut chunk).is_ok_and(|read| read > 0) {}
        usize::try_from(decoder.total_in()).unwrap_or_default().min(packed.len())
    }

    /// Members that stand where the directory accounts for nothing, as those of another zip in front of this one do.
    fn zip_unlisted(&mut self, content: &[u8], mut listed: Vec<Range<usize>>, depth: u32) -> Result<(), Stop> {
        listed.sort_by_key(|range| range.start);
        listed.push(content.len()..content.len());
        let mut from = 0;
        for range in listed {
            while let Some(start) = find_header(content, from, range.start) {
                self.note("entries that the directory does not list");
                from = self.zip_carve(content, start, depth)?;
            }
            from = from.max(range.end);
        }
        Ok(())
    }

    /// A zip whose directory is missing or empty, such as the first half of one: what the headers before the members say.
    fn zip_without_directory(&mut self, content: &[u8], depth: u32) -> Result<(), Stop> {
        self.note("damaged: zip: its directory is missing");
        let mut from = 0;
        while let Some(start) = find(content, from, &[b"PK\x03\x04"]) {
            from = self.zip_carve(content, start, depth)?;
        }
        Ok(())
    }

    /// The member whose header is at `start`, by what that header says; returns where to go on.
    fn zip_carve(&mut self, content: &[u8], start: usize, depth: u32) -> Result<usize, Stop> {
        let flags = content.get(start + 6).copied().unwrap_or_default();
        let data = start + HEADER;
        // Where the size comes behind the data, it is where the next header begins.
        let size = (flags & 8 != 0).then(|| {
            let end = find(content, data, &[b"PK\x07\x08", b"PK\x01\x02", b"PK\x03\x04"]).unwrap_or(content.len());
            let [name, extra] = [26, 28].map(|at| number(content, start + at, 2));
            end.saturating_sub(data + name + extra) as u64
        });
        let mut end = data;
        self.zip_member(flags & 1 != 0, depth, &mut |opening, options| {
            let options = size.map_or(options.clone(), |size| options.override_compressed_size(size).ignore_crc32(true));
            let mut reader = opening.clocked(content.get(start..).unwrap_or_default());
            let file = read_zipfile_from_stream_with_options(&mut reader, options)?.ok_or(ZipError::FileNotFound)?;
            let unpacked = opening.zip_unpack(file);
            end = end.max(start + usize::try_from(reader.content.position()).unwrap_or_default());
            Ok(unpacked)
        })?;
        Ok(end)
    }

    /// One member of a zip, as it is or with the first password that fits.
    fn zip_member(
        &mut self,
        locked: bool,
        depth: u32,
        read: &mut dyn FnMut(&mut Self, ZipReadOptions<'_>) -> Result<Unpacked, ZipError>,
    ) -> Result<(), Stop> {
        self.admit()?;
        if !locked {
            return match read(self, ZipReadOptions::new()) {
                Ok(unpacked) => self.keep("zip", unpacked, depth, depth),
                Err(error) => {
                    self.zip_problem(&error);
                    Ok(())
                }
            };
        }
        let mut problem = None;
        let config = self.config;
        for password in &config.passwords {
            self.admit()?;
            let before = self.unpacked;
            match read(self, ZipReadOptions::new().password(Some(password.as_bytes()))) {
                Err(ZipError::InvalidPassword) => {}
                // One wrong password in 256 seems to fit at first, and unpacks to nonsense.
                Ok(Unpacked { end: End::Broken(error), .. }) => {
                    self.unpacked = before;
                    problem = Some(ZipError::Io(error));
                }
                Ok(unpacked) => return self.keep("zip", unpacked, depth, depth),
                Err(error) => problem = Some(error),
            }
        }
        match problem {
            Some(error) => self.zip_problem(&error),
            None => self.note(LOCKED),
        }
        Ok(())
    }

    fn zip_unpack<R: Read>(&mut self, mut file: ZipFile<'_, R>) -> Unpacked {
        let windowed = matches!(file.compression(), CompressionMethod::LZMA | CompressionMethod::XZ);
        self.unpack(&mut file, if windowed { WINDOW } else { u64::MAX })
    }

    fn zip_problem(&mut self, error: &ZipError) {
        self.note(if Instant::now() >= self.deadline { OUT_OF_TIME.to_owned() } else { format!("damaged: {error}") });
    }
}

/// What stands before a member.
struct Header {
    /// Where its data begin.
    data: usize,
    /// Their size, if it is stated here.
    size: Option<usize>,
}

impl Header {
    /// The header that `content` begins with, if there is one.
    fn read(content: &[u8]) -> Option<Header> {
        if !content.starts_with(b"PK\x03\x04") || content.len() < HEADER {
            return None;
        }
        let [flags, size, name, extra] = [(6, 2), (18, 4), (26, 2), (28, 2)].map(|(at, bytes)| number(content, at, bytes));
        let stated = flags & 8 == 0 && size != u32::MAX as usize;
        Some(Header { data: HEADER + name + extra, size: stated.then_some(size) })
    }
}

/// Where the first header of a member begins, from `from` on and before `to`. The four bytes alone are none: programs that
/// open zips hold them, too; and what has neither name nor data is none, but fills a gap, as builders of apks do.
fn find_header(content: &[u8], mut from: usize, to: usize) -> Option<usize> {
    let within = content.get(..to.saturating_add(3)).unwrap_or(content);
    while let Some(start) = find(within, from, &[b"PK\x03\x04"]) {
        let rest = content.get(start..).unwrap_or_default();
        let header = Header::read(rest).filter(|header| header.data <= rest.len() && METHODS.contains(&number(rest, 8, 2)));
        if header.is_some_and(|header| number(rest, 26, 2) > 0 || header.size != Some(0)) {
            return Some(start);
        }
        from = start + 4;
    }
    None
}

/// True if `content` ends in a zip, whatever it begins with: programs that unpack themselves do.
pub(super) fn ends_in_zip(content: &[u8]) -> bool {
    let from = content.len().saturating_sub(LAST + COMMENT);
    let mut records = content.windows(4).enumerate().skip(from).filter(|(_, window)| *window == b"PK\x05\x06");
    records.any(|(at, _)| {
        let entry = |at: usize| content.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x01\x02"));
        let [size, offset] = [12, 16].map(|field| number(content, at + field, 4));
        // The directory stands right before its end, or where it says, or there is a larger record for large zips.
        let large = at.checked_sub(20).and_then(|at| content.get(at..)).is_some_and(|rest| rest.starts_with(b"PK\x06\x07"));
        large || at.checked_sub(size).is_some_and(entry) || entry(offset)
    })
}

/// A number of up to four bytes; what is not there is zero.
fn number(content: &[u8], at: usize, bytes: usize) -> usize {
    let field = content.get(at..at + bytes).unwrap_or_default();
    field.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// Where the first of `patterns` begins, from `from` on.
pub(super) fn find(content: &[u8], from: usize, patterns: &[&[u8; 4]]) -> Option<usize> {
    let found = content.get(from..)?.windows(4).position(|window| patterns.iter().any(|pattern| window == *pattern))?;
    Some(from + found)
}
