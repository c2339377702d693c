//! Zip, and what is a zip by structure. Entries are read one by one, so that neither their number nor a name that two have
//! matters.

use std::{io::Read, time::Instant};

use ::zip::{
    CompressionMethod, ZipReadOptions,
    read::{Config, OwnedZipFileEntry, ZipFile, read_zipfile_from_stream_with_options},
    result::ZipError,
    unstable::read::ZipIterable,
};

use super::{End, LINK_LIMIT, LOCKED, OUT_OF_TIME, Opening, Stop, Unpacked, WINDOW};

impl Opening<'_> {
    /// What the directory lists; without one, what the headers before the members say.
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
        for entry in files {
            let entry = match entry {
                Ok(entry) => OwnedZipFileEntry::from(entry),
                Err(error) => {
                    self.zip_problem(&error);
                    return Ok(());
                }
            };
            let nothing = entry.size() == 0 && entry.compressed_size() == 0;
            if entry.is_dir() && nothing || entry.is_symlink() && entry.size() <= LINK_LIMIT {
                // As many as there are, so the clock is looked at.
                if Instant::now() >= self.deadline {
                    self.note(OUT_OF_TIME);
                    return Err(Stop);
                }
                continue;
            }
            let mut reader = self.clocked(content);
            self.zip_member(entry.encrypted(), depth, &mut |opening, options| {
                let file = entry.as_ref().with_reader(&mut reader, options)?;
                Ok(opening.zip_unpack(file))
            })?;
        }
        Ok(())
    }

    /// A zip whose directory is missing or empty, such as the first half of one: what the headers before the members say.
    fn zip_without_directory(&mut self, content: &[u8], depth: u32) -> Result<(), Stop> {
        self.note("damaged: zip: its directory is missing");
        let mut from = 0;
        while let Some(start) = find(content, from, &[b"PK\x03\x04"]) {
            let flags = content.get(start + 6).copied().unwrap_or_default();
            let data = start + 30;
            // Where the size comes behind the data, it is where the next header begins.
            let size = (flags & 8 != 0).then(|| {
                let end = find(content, data, &[b"PK\x07\x08", b"PK\x01\x02", b"PK\x03\x04"]).unwrap_or(content.len());
                let [name, extra] = [26, 28].map(|at| {
                    content
                        .get(start + at..start + at + 2)
                        .map_or(0, |two| two.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
                });
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
            from = end;
        }
        Ok(())
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

/// Where the first of `patterns` begins, from `from` on.
pub(super) fn find(content: &[u8], from: usize, patterns: &[&[u8; 4]]) -> Option<usize> {
    let found = content.get(from..)?.windows(4).position(|window| patterns.iter().any(|pattern| window == *pattern))?;
    Some(from + found)
}
