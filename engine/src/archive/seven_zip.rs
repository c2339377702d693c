//! 7z. Its library is given a limit for the memory of its headers and windows, and no thread of its own.

use std::time::Instant;

use sevenz_rust2::{ArchiveEntry, ArchiveReader, EntryDecision, Password};

use super::{End, LOCKED, OUT_OF_TIME, Opening, Stop, Unpacked, WINDOW};

impl Opening<'_> {
    /// All blocks, with no password or with the first of the list that fits.
    pub(super) fn seven_zip(&mut self, content: &[u8], depth: u32) -> Result<(), Stop> {
        let before = (self.members.len(), self.unpacked);
        let config = self.config;
        let mut passwords = config.passwords.iter().map(|password| Password::new(password));
        let mut password = Password::empty();
        loop {
            let tried = self.seven_zip_with(content, password, depth);
            if Instant::now() >= self.deadline {
                self.note(OUT_OF_TIME);
                return Err(Stop);
            }
            match tried? {
                Tried::Done => return self.behind("7z", content.get(end_of(content)..).unwrap_or_default(), depth),
                Tried::Damaged(problem) => {
                    self.note(format!("damaged: 7z: {problem}"));
                    return Ok(());
                }
                Tried::Locked => {}
            }
            let Some(next) = passwords.next() else {
                self.note(LOCKED);
                return Ok(());
            };
            // The next one reads all members again.
            self.members.truncate(before.0);
            self.levels.truncate(before.0);
            self.unpacked = before.1;
            password = next;
        }
    }

    /// A 7z with one password, or with none if it is empty.
    fn seven_zip_with(&mut self, content: &[u8], password: Password, depth: u32) -> Result<Tried, Stop> {
        let with_password = !password.is_empty();
        let kibibytes = usize::try_from(WINDOW >> 10).unwrap_or(usize::MAX);
        let mut archive = match ArchiveReader::new_with_memory_limit(self.clocked(content), password, kibibytes) {
            Ok(archive) => archive,
            Err(sevenz_rust2::Error::PasswordRequired) => return Ok(Tried::Locked),
            // A wrong password makes of a locked header just what damage would.
            Err(_) if with_password => return Ok(Tried::Locked),
            Err(error) => return Ok(Tried::Damaged(error.to_string())),
        };
        // One thread: more would each have a window.
        archive.set_thread_count(1);
        let locked = (0..archive.archive().files.len()).any(|index| archive.archive().is_file_encrypted(index));
        if locked && !with_password {
            return Ok(Tried::Locked);
        }
        let (mut stop, mut broken) = (None, None);
        let result = archive.for_each_entries_with_decision(|entry, reader| {
            let unpacked =
                if is_file(entry) { self.admit().map(|()| self.unpack(reader, u64::MAX)) } else { Ok(self.unpack(reader, u64::MAX)) };
            let kept = match unpacked {
                Ok(Unpacked { end: End::Broken(error), .. }) if locked => {
                    broken = Some(error.to_string());
                    return Ok(EntryDecision::Stop);
                }
                // What is behind a damaged member in the same block needs that member.
                Ok(unpacked @ Unpacked { end: End::Broken(_), .. }) => {
                    self.keep("7z", unpacked, depth, depth).map(|()| EntryDecision::SkipBlock)
                }
                Ok(unpacked) if is_file(entry) || matches!(unpacked.end, End::Limit(_)) => {
                    self.keep("7z", unpacked, depth, depth).map(|()| EntryDecision::Continue)
                }
                Ok(_) => Ok(EntryDecision::Continue),
                Err(stop) => Err(stop),
            };
            Ok(kept.unwrap_or_else(|reason| {
                stop = Some(reason);
                EntryDecision::Stop
            }))
        });
        match (stop, broken, result) {
            (Some(stop), ..) => Err(stop),
            (_, Some(_), _) => Ok(Tried::Locked),
            (_, _, Err(_)) if locked => Ok(Tried::Locked),
            (_, _, Err(error)) => Ok(Tried::Damaged(error.to_string())),
            _ => Ok(Tried::Done),
        }
    }
}

/// Where a 7z ends: behind its header, whose place and size stand at its beginning.
fn end_of(content: &[u8]) -> usize {
    let number = |at: usize| content.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    usize::try_from(number(12).saturating_add(number(20)).saturating_add(32)).unwrap_or(usize::MAX)
}

/// What came of one password.
#[derive(Debug)]
enum Tried {
    Done,
    Locked,
    Damaged(String),
}

/// True for what is neither a folder nor a note that a file is gone. A link is a file with a path in it, or so it says.
fn is_file(entry: &ArchiveEntry) -> bool {
    !((entry.is_directory || entry.is_anti_item) && entry.size == 0)
}
