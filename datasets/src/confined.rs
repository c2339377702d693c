//! Files that stay inside the corpus folder: opened, read up to a limit, or hashed.
//!
//! A corpus comes from somewhere else, so a `path` is hostile until its symlinks are followed.

use std::fs::{File, FileType};
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Why a file inside a folder cannot be had.
#[derive(Debug)]
pub(crate) enum Confined {
    Missing,
    Outside,
    NotAFile(&'static str),
    TooLarge,
    Unreadable(io::Error),
}

impl From<io::Error> for Confined {
    fn from(error: io::Error) -> Confined {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Confined::Missing,
            _ => Confined::Unreadable(error),
        }
    }
}

/// What a thing on disk is called.
pub(crate) fn describe(file_type: FileType) -> &'static str {
    if file_type.is_dir() { "a folder" } else { "a device, a pipe or a socket" }
}

/// Opens the regular file `path` below `root`, which must be canonical.
pub(crate) fn open(root: &Path, path: &Path) -> Result<(File, u64), Confined> {
    let real = root.join(path).canonicalize()?;
    if !real.starts_with(root) {
        return Err(Confined::Outside);
    }
    // Looked at before it is opened, for opening a pipe waits for a writer; and once more after, for
    // the name may by then belong to something else.
    let before = real.metadata()?;
    if !before.is_file() {
        return Err(Confined::NotAFile(describe(before.file_type())));
    }
    let file = File::open(&real)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Confined::NotAFile(describe(metadata.file_type())));
    }
    Ok((file, metadata.len()))
}

/// The bytes of `path`, if there are at most `limit` of them.
pub(crate) fn read(root: &Path, path: &Path, limit: u64) -> Result<Vec<u8>, Confined> {
    let (file, length) = open(root, path)?;
    if length > limit {
        return Err(Confined::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // One more than allowed: the file may have grown since.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(Confined::TooLarge) } else { Ok(bytes) }
}

/// The SHA-256 and the number of all bytes of `path`.
pub(crate) fn hash(root: &Path, path: &Path) -> Result<([u8; 32], u64), Confined> {
    let (file, _) = open(root, path)?;
    let mut sha256 = Sha256::new();
    let length = update(&mut sha256, file)?;
    Ok((sha256.finalize().into(), length))
}

/// Feeds all of `bytes` to `sha256`; how many there were.
pub(crate) fn update(sha256: &mut Sha256, mut bytes: impl Read) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut length = 0;
    loop {
        match bytes.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(read) => {
                sha256.update(&buffer[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
