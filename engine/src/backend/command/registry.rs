//! What of this program's would outlive it if it ended now: the programs that it runs, and their private folders.
//!
//! A program has a process group of its own, so a Ctrl-C in a terminal does not reach it, and a parent that exits cleans up
//! nothing. Whoever exits while scans or strategies may be running calls [`abandon`] first.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::Pid;
use tempfile::TempDir;

use super::run::Family;

/// How long a folder is tried to be removed in which something still writes.
const GRACE: Duration = Duration::from_secs(1);

static LEFT: Mutex<Left> = Mutex::new(Left { abandoned: false, folders: BTreeSet::new(), families: BTreeMap::new() });

struct Left {
    /// Nothing is started any more.
    abandoned: bool,
    folders: BTreeSet<PathBuf>,
    /// Programs that are not reaped: their numbers are theirs.
    families: BTreeMap<i32, Family>,
}

fn left() -> MutexGuard<'static, Left> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Left {
    fn check(&self) -> io::Result<()> {
        if self.abandoned { Err(io::Error::other("this program is about to end")) } else { Ok(()) }
    }
}

/// Kills all programs that run for `command` backends and strategies, with all that came of them, and removes their private folders. For a
/// program that exits at once: from then on, none is started any more, and scans fail as unavailable.
pub fn abandon() {
    let mut left = left();
    left.abandoned = true;
    for family in left.families.values() {
        family.kill_all();
    }
    let until = Instant::now() + GRACE;
    for folder in &left.folders {
        // A scan may be about to write the artifact.
        while fs::remove_dir_all(folder).is_err() && folder.exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A folder that only this user can enter, until it is dropped.
#[derive(Debug)]
pub(crate) struct Private {
    folder: Option<TempDir>,
    path: PathBuf,
}

impl Private {
    /// Makes one.
    pub(crate) fn new() -> io::Result<Private> {
        let mut left = left();
        left.check()?;
        let folder = tempfile::Builder::new().prefix("microengine-").permissions(fs::Permissions::from_mode(0o700)).tempdir()?;
        let path = folder.path().to_owned();
        left.folders.insert(path.clone());
        Ok(Private { folder: Some(folder), path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        drop(self.folder.take());
        left().folders.remove(&self.path);
    }
}

/// Starts a program; whoever does says [`reap`] before it is waited for.
pub(super) fn start(command: &mut Command, private: &Path) -> io::Result<(Child, Family)> {
    // Held until the program is known: it must not start behind the back of who abandons it.
    let mut left = left();
    left.check()?;
    let child = command.spawn()?;
    let family = Family { pid: Pid::from_child(&child), private: private.to_owned() };
    left.families.insert(family.pid.as_raw_nonzero().get(), family.clone());
    Ok((child, family))
}

/// The program is about to be reaped; its number may be another's from then on.
pub(super) fn reap(family: &Family) {
    left().families.remove(&family.pid.as_raw_nonzero().get());
}
