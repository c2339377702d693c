//! What this process and those it started take of the machine, as far as the system tells.

use std::{fs, sync::OnceLock};

use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

/// Processor seconds, of this process and of those it started that have ended.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize)]
pub struct Processor {
    /// In programs.
    pub user: f64,
    /// In the kernel, on their account.
    pub system: f64,
}

impl Processor {
    /// Since the process was started; zeros if the system does not tell.
    pub fn now() -> Processor {
        let of = |who| getrusage(who).map(|usage| [usage.user_time(), usage.system_time()]).ok();
        let seconds = |which: usize| {
            let both = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN].into_iter().filter_map(of);
            both.map(|times| times[which].tv_sec() as f64 + times[which].tv_usec() as f64 / 1e6).sum()
        };
        Processor { user: seconds(0), system: seconds(1) }
    }

    /// What was taken since `before`.
    pub fn since(self, before: Processor) -> Processor {
        Processor { user: (self.user - before.user).max(0.0), system: (self.system - before.system).max(0.0) }
    }

    /// User and system together.
    pub fn total(self) -> f64 {
        self.user + self.system
    }
}

/// The most memory that this process has had since it was started, or since [`forget_peak`], in bytes, as Linux tells it.
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Lets the peak begin anew (proc(5): 5 to `clear_refs`); where that is not possible, it stays that since the start.
pub fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// What the largest child had when [`note_inherited_children`] was called.
static INHERITED: OnceLock<Option<u64>> = OnceLock::new();

/// Notes whose children this process took over: a shell that became this program had some of its own, and the system does not
/// tell them apart. Call it before any child is started.
pub fn note_inherited_children() {
    INHERITED.get_or_init(largest_child_ever);
}

/// The most memory that any one process had that this one started and that has ended, in bytes; none if there was none, or none
/// larger than what this process [took over](note_inherited_children).
pub fn largest_child() -> Option<u64> {
    largest_child_ever().filter(|&bytes| INHERITED.get().copied().flatten().is_none_or(|inherited| bytes > inherited))
}

fn largest_child_ever() -> Option<u64> {
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let size = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?.max_rss();
    u64::try_from(size).ok().filter(|&size| size > 0).map(|size| size * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_processor_time_and_memory() {
        let before = Processor::now();
        let numbers: Vec<u64> = (0..2_000_000).map(|number: u64| number.wrapping_mul(number)).collect();
        assert!(numbers.iter().fold(0, |sum: u64, number| sum.wrapping_add(*number)) > 0);
        assert!(Processor::now().total() >= before.total());
        assert!(peak_memory().is_none_or(|bytes| bytes > 16_000_000));
    }
}
