//! Archives, opened in memory: what is in them, and in the archives in them, within limits of size, number, depth and time.
//!
//! zip (and what is a zip by structure: jar, apk, docx, odt), tar, gzip, bzip2, xz and 7z, told by their first bytes; a zip also by its
//! end, as anything may stand in front of it.
//! Everything in an archive is hostile: names are never used, lengths that it states are never believed, and what it unpacks
//! to is counted while it is read. Nothing is written to disk. What the contents mean is for the backends.
//!
//! Memory: what is unpacked, which [`ArchiveConfig::bytes`] bounds, and the window of one decoder, at most
//! [`WINDOW`] for LZMA and xz and 128 MiB for zstd.

mod seven_zip;
mod tar;
mod zip;

use std::{
    io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use sha2::{Digest as _, Sha256};

use crate::{
    artifact::{Failure, FailureKind},
    config::ArchiveConfig,
};

/// Largest window of an LZMA or xz decoder, in bytes: the largest that 7-Zip takes by itself at its usual levels, and some.
/// The decoders' windows grow with what they unpack; inside a zip, where no such limit can be set, no more than this is read
/// of one member.
pub const WINDOW: u64 = 65 << 20;

/// Changes when the same bytes would open to something else because of this module.
pub const FORMAT: u32 = 2;
/// The libraries that decide what is in an archive, with their versions as the lock file has them: they belong to the
/// fingerprint of whoever judges an archive by its members.
pub const VERSIONS: [&str; 5] = ["zip 9.8.1", "sevenz-rust2 0.25.0", "lzma-rust2 0.25.0", "bzip2 0.6.1", "flate2 1.1.11"];

/// What is unpacked before the ratio counts, in bytes.
const FREE: u64 = 1 << 20;
/// Bytes that are unpacked between two looks at the clock.
const CHUNK: usize = 64 << 10;

/// What was found in an archive.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Opened {
    /// The regular files of all depths, the archives among them too; the nearer ones first.
    pub members: Vec<Member>,
    /// Why this is not all, if it is not: the first limit that was met, or the first damage.
    pub incomplete: Option<Failure>,
}

/// One file of an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// What it holds; of a damaged one, what could be read.
    pub content: Vec<u8>,
    /// SHA-256 of `content`.
    pub sha256: [u8; 32],
    /// How many archives it is in, at least 1. The tar in a compressed tar counts as one with the compression.
    pub depth: u32,
}

/// Opens `content`, if it is an archive, and the archives in it.
///
/// Total on any bytes: what is no archive has no members and no failure; what cannot be read, or is beyond a limit, is said in
/// [`Opened::incomplete`].
pub fn open(content: &[u8], config: &ArchiveConfig, deadline: Instant) -> Opened {
    let mut opening =
        Opening { config, deadline, packed: content.len() as u64, unpacked: 0, members: Vec::new(), levels: Vec::new(), incomplete: None };
    // Zero says that archives are none of this engine's business: nothing is missing then.
    if config.depth > 0 {
        // The stop has been noted where it came up.
        let _ = opening.open_all(content);
    }
    Opened { members: opening.members, incomplete: opening.incomplete }
}

/// The formats there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Zip,
    Tar,
    Gzip,
    Bzip2,
    Xz,
    SevenZip,
}

impl Format {
    /// By the first bytes; of what is none by these, by the last ones.
    fn of(content: &[u8]) -> Option<Format> {
        let zip: [&[u8]; 3] = [b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"];
        let bzip2 = |rest: &[u8]| {
            matches!(rest.first(), Some(b'1'..=b'9'))
                && rest.get(1..7).is_some_and(|magic| {
                    [b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"].contains(&magic.try_into().unwrap_or(&[0; 6]))
                })
        };
        if zip.iter().any(|magic| content.starts_with(magic)) {
            Some(Format::Zip)
        } else if content.starts_with(b"\x1F\x8B\x08") {
            Some(Format::Gzip)
        } else if content.strip_prefix(b"BZh").is_some_and(bzip2) {
            Some(Format::Bzip2)
        } else if content.starts_with(b"\xFD7zXZ\0") {
            Some(Format::Xz)
        } else if content.starts_with(b"7z\xBC\xAF\x27\x1C") {
            Some(Format::SevenZip)
        } else if content.first_chunk().is_some_and(|header| header.get(257..262) == Some(b"ustar") || tar::checksum_fits(header)) {
            Some(Format::Tar)
        } else {
            zip::ends_in_zip(content).then_some(Format::Zip)
        }
    }
}

/// A limit was met; nothing more is read.
#[derive(Debug)]
struct Stop;

/// How the reading of one member ended.
#[derive(Debug)]
enum End {
    /// With its last byte.
    Whole,
    /// With an error.
    Broken(io::Error),
    /// At a limit.
    Limit(String),
}

/// What one member unpacked to.
#[derive(Debug)]
struct Unpacked {
    content: Vec<u8>,
    sha256: [u8; 32],
    end: End,
}

/// The work on one artifact.
#[derive(Debug)]
struct Opening<'a> {
    config: &'a ArchiveConfig,
    deadline: Instant,
    /// Size of the artifact.
    packed: u64,
    /// Bytes that were unpacked, all depths together.
    unpacked: u64,
    members: Vec<Member>,
    /// For each member, how many archives around it count when it is opened, were it a tar.
    levels: Vec<u32>,
    incomplete: Option<Failure>,
}

impl Opening<'_> {
    /// The artifact, then its members in turn, as they come to be known: near ones before deep ones.
    fn open_all(&mut self, content: &[u8]) -> Result<(), Stop> {
        if let Some(format) = Format::of(content) {
            self.open_one(format, content, 1)?;
        }
        let mut next = 0;
        while let Some(member) = self.members.get_mut(next) {
            if let Some(format) = Format::of(&member.content) {
                let around = if format == Format::Tar { self.levels[next] } else { member.depth };
                if around >= self.config.depth {
                    self.note(format!("archives deeper than {} are not opened (`archives.depth`)", self.config.depth));
                } else {
                    // Taken out for the time being, as members are added meanwhile.
                    let content = std::mem::take(&mut member.content);
                    let result = self.open_one(format, &content, around + 1);
                    self.members[next].content = content;
                    result?;
                }
            }
            next += 1;
        }
        Ok(())
    }

    /// One archive, whose members are at `depth`.
    fn open_one(&mut self, format: Format, content: &[u8], depth: u32) -> Result<(), Stop> {
        // The readers are other people's code on hostile input; one that panics has found damage.
        let opened = catch_unwind(AssertUnwindSafe(|| match format {
            Format::Zip => self.zip(content, depth),
            Format::Tar => self.tar(content, depth),
            Format::Gzip => self.gzip(content, depth),
            Format::Bzip2 => self.stream("bzip2", &mut MultiBzDecoder::new(io::BufReader::new(self.clocked(content))), depth),
            Format::Xz => {
                let kibibytes = u32::try_from(WINDOW >> 10).unwrap_or(u32::MAX);
                self.stream("xz", &mut XzReader::new_mem_limit(self.clocked(content), true, kibibytes), depth)
            }
            Format::SevenZip => self.seven_zip(content, depth),
        }));
        opened.unwrap_or_else(|_| {
            self.note("damaged: its reader panicked");
            Ok(())
        })
    }

    /// Notes why something is missing; the first reason stays.
    fn note(&mut self, detail: impl Into<String>) {
        let detail = detail.into();
        // Another time it may be opened in full.
        let kind = if detail == OUT_OF_TIME { FailureKind::TimedOut } else { FailureKind::Incomplete };
        self.incomplete.get_or_insert_with(|| Failure::new(kind, detail));
    }

    fn clocked<'c>(&self, content: &'c [u8]) -> Clocked<'c> {
        Clocked { content: Cursor::new(content), deadline: self.deadline }
    }

    /// Checks the clock, and that one more member fits.
    fn admit(&mut self) -> Result<(), Stop> {
        if Instant::now() >= self.deadline {
            self.note(OUT_OF_TIME);
            return Err(Stop);
        }
        if self.members.len() as u64 >= u64::from(self.config.members) {
            self.note(format!("more than {} members (`archives.members`)", self.config.members));
            return Err(Stop);
        }
        Ok(())
    }

    /// Reads one member, at most `most` bytes of it.
    fn unpack(&mut self, reader: &mut dyn Read, most: u64) -> Unpacked {
        let (mut content, mut digest) = (Vec::new(), Sha256::new());
        let mut chunk = vec![0; CHUNK];
        let end = loop {
            if Instant::now() >= self.deadline {
                break End::Limit(OUT_OF_TIME.to_owned());
            }
            let by_ratio = self.packed.saturating_mul(self.config.ratio).saturating_add(FREE);
            let limits = [
                (
                    self.config.bytes.saturating_sub(self.unpacked),
                    format!("more than {} bytes unpacked (`archives.bytes`)", self.config.bytes),
                ),
                (
                    by_ratio.saturating_sub(self.unpacked),
                    format!("more than {} times its size unpacked (`archives.ratio`)", self.config.ratio),
                ),
                (most.saturating_sub(content.len() as u64), format!("a member that takes a window of more than {WINDOW} bytes to unpack")),
            ];
            let [bytes, ratio, window] = limits;
            let (allowed, limit) = [ratio, window].into_iter().fold(bytes, |least, other| if other.0 < least.0 { other } else { least });
            // One more than allowed, to tell a member that ends at the limit from one that goes on.
            let wanted = usize::try_from(allowed.saturating_add(1)).unwrap_or(CHUNK).min(CHUNK);
            let read = match reader.read(chunk.get_mut(..wanted).unwrap_or_default()) {
                Ok(0) => break End::Whole,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) if Instant::now() >= self.deadline => break End::Limit(OUT_OF_TIME.to_owned()),
                Err(error) => break End::Broken(error),
            };
            let kept = usize::try_from(allowed).unwrap_or(usize::MAX).min(read);
            let fresh = chunk.get(..kept).unwrap_or_default();
            grow(&mut content, kept, allowed);
            content.extend_from_slice(fresh);
            digest.update(fresh);
            self.unpacked += kept as u64;
            if kept < read {
                break End::Limit(limit);
            }
        };
        content.shrink_to_fit();
        Unpacked { content, sha256: digest.finalize().into(), end }
    }

    /// Keeps a member, with what is wrong with it.
    fn keep(&mut self, what: &str, unpacked: Unpacked, depth: u32, level: u32) -> Result<(), Stop> {
        let Unpacked { content, sha256, end } = unpacked;
        // Of a broken member, nothing is no member.
        if !content.is_empty() || matches!(end, End::Whole) {
            self.members.push(Member { content, sha256, depth });
            self.levels.push(level);
        }
        match end {
            End::Whole => Ok(()),
            End::Broken(error) => {
                self.note(format!("damaged: {what}: {error}"));
                Ok(())
            }
            End::Limit(detail) => {
                self.note(detail);
                Err(Stop)
            }
        }
    }

    /// A single compressed file.
    fn stream(&mut self, what: &str, reader: &mut dyn Read, depth: u32) -> Result<(), Stop> {
        self.admit()?;
        let unpacked = self.unpack(reader, u64::MAX);
        self.keep(what, unpacked, depth, depth - 1)
    }

    /// The files of a gzip, one behind the other. What stands behind them is not compressed, so it has been seen, unless it
    /// is an archive again.
    fn gzip(&mut self, content: &[u8], depth: u32) -> Result<(), Stop> {
        let mut gzips = Gzips { current: None, rest: self.clocked(content) };
        self.stream("gzip", &mut gzips, depth)?;
        let end = usize::try_from(gzips.rest.content.position()).unwrap_or(usize::MAX);
        // Of a damaged one, the end is not known.
        if gzips.current.is_none() { self.behind("gzip", content.get(end..).unwrap_or_default(), depth) } else { Ok(()) }
    }

    /// What stands behind the end of an archive, in the same file.
    fn behind(&mut self, what: &str, rest: &[u8], depth: u32) -> Result<(), Stop> {
        match Format::of(rest) {
            None => Ok(()),
            Some(Format::Zip) => self.zip(rest, depth),
            Some(_) => {
                self.note(format!("another archive behind the end of a {what}"));
                Ok(())
            }
        }
    }
}

const OUT_OF_TIME: &str = "not opened in time";
const LOCKED: &str = "locked, and no password fits (`archives.passwords`)";

/// Makes room for `more` bytes, by doubling, yet never beyond what may come.
fn grow(content: &mut Vec<u8>, more: usize, allowed: u64) {
    if content.capacity() - content.len() < more {
        let room = content.len().max(more).max(CHUNK);
        content.reserve_exact(usize::try_from(allowed).unwrap_or(room).min(room).max(more));
    }
}

/// Bytes that cannot be read any more when the time is over.
#[derive(Clone, Debug)]
struct Clocked<'a> {
    content: Cursor<&'a [u8]>,
    deadline: Instant,
}

impl Read for Clocked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(ErrorKind::TimedOut.into());
        }
        self.content.read(buffer)
    }
}

impl Seek for Clocked<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.content.seek(to)
    }
}

/// Gzip files one behind the other, as one.
#[derive(Debug)]
struct Gzips<'a> {
    current: Option<GzDecoder<io::BufReader<Clocked<'a>>>>,
    /// Stands where the next one would begin, while there is no current one.
    rest: Clocked<'a>,
}

impl Read for Gzips<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            if let Some(current) = &mut self.current {
                let read = current.read(buffer)?;
                if read > 0 {
                    return Ok(read);
                }
            }
            if let Some(done) = self.current.take() {
                let reader = done.into_inner();
                let ahead = reader.buffer().len() as u64;
                self.rest = reader.into_inner();
                let position = self.rest.content.position().saturating_sub(ahead);
                self.rest.content.set_position(position);
            }
            let position = usize::try_from(self.rest.content.position()).unwrap_or(usize::MAX);
            if !self.rest.content.get_ref().get(position..).is_some_and(|rest| rest.starts_with(b"\x1F\x8B\x08")) {
                break;
            }
            self.current = Some(GzDecoder::new(io::BufReader::new(self.rest.clone())));
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests;
