//! Is our `yara` backend as fast as `yr`, the command that users know? The same rules, the same files, as many threads, in the
//! same run, in turns; files and bytes a second, from the start of the process to its end for `yr`, and from rules in
//! source to the last verdict for ours: reading, hashing, archives off, verdicts. Then the backend alone, which does what `yr`
//! does and no more: what it lacks to our scanner is the SHA-256 of every file, a worker that can be given up, and a watch.
//! Both libraries, if the second one was built (`--features yara-x`).
//!
//! `FILES=/usr/bin RULES=my-rules YR=/path/to/yr cargo bench -p benches --bench scan`; without `FILES`, the shared libraries
//! of this machine; without `RULES`, those of `datasets/mixed`; without `yr`, it is left out and said how to get it
//! (`cargo install yara-x-cli`).

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use engine::{
    artifact::Artifact,
    backend::{self, Backend},
    config::{ArchiveConfig, BackendConfig, BackendKind, SIZE_LIMIT, YaraLibrary},
    scanner::{Scanner, Subject},
};
use sha2::{Digest as _, Sha256};

const THREADS: usize = 2;
const ROUNDS: usize = 7;
/// Files that are scanned at most, and bytes.
const FILES: usize = 3_000;
const BYTES: u64 = 1 << 30;

/// What is scanned: in a folder of its own, for `yr` takes folders.
struct Files {
    folder: tempfile::TempDir,
    paths: Vec<PathBuf>,
    bytes: u64,
}

impl Files {
    /// Copies of regular files below `from`, in order of names.
    fn copied(from: &Path) -> Files {
        let mut files = Files { folder: tempfile::tempdir().expect("a folder"), paths: Vec::new(), bytes: 0 };
        let mut folders = vec![from.to_owned()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            let mut entries: Vec<_> = entries.flatten().collect();
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if metadata.is_file() && metadata.len() > 0 && metadata.len() <= SIZE_LIMIT && files.paths.len() < FILES {
                    let path = files.folder.path().join(format!("{:06}", files.paths.len()));
                    if files.bytes + metadata.len() <= BYTES && fs::copy(entry.path(), &path).is_ok() {
                        files.bytes += metadata.len();
                        files.paths.push(path);
                    }
                }
            }
        }
        assert!(!files.paths.is_empty(), "there is no file in {}", from.display());
        files
    }

    /// Seconds of `work` on all of them, in threads.
    fn each(&self, work: impl Fn(Vec<u8>) -> bool + Sync) -> f64 {
        let (next, found, start) = (AtomicUsize::new(0), AtomicUsize::new(0), Instant::now());
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while let Some(path) = self.paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let content = fs::read(path).expect("a copy made a moment ago");
                        found.fetch_add(usize::from(work(content)), Ordering::Relaxed);
                    }
                });
            }
        });
        std::hint::black_box(found);
        start.elapsed().as_secs_f64()
    }
}

fn config(rules: &Path, library: YaraLibrary) -> BackendConfig {
    let rules = Some(vec![rules.to_str().expect("a path in UTF-8").to_owned()]);
    BackendConfig { rules, library: Some(library), ..BackendConfig::of(BackendKind::Yara) }
}

fn built(rules: &Path, library: YaraLibrary) -> Option<Arc<dyn Backend>> {
    let backends = backend::build_all(&[config(rules, library)], Path::new("/"));
    backends.inspect_err(|error| println!("{error}")).ok()?.pop()
}

/// The whole way of a scan: hash, worker, limits, verdict.
fn scanner(files: &Files, rules: &Path, library: YaraLibrary) -> Option<f64> {
    let start = Instant::now();
    let config = config(rules, library);
    let scanner = Scanner::of([(&config, built(rules, library)?)], &ArchiveConfig { depth: 0, ..ArchiveConfig::default() });
    scanner.prepare().expect("sound rules");
    let ready = start.elapsed().as_secs_f64();
    let scanned = files.each(|content| {
        let sha256 = Sha256::digest(&content).into();
        let subject = Subject { sha256, content: Some(content), ..Subject::default() };
        scanner.scan(&Arc::new(subject)).answers[0].outcome.is_ok()
    });
    Some(ready + scanned)
}

/// The backend alone: files are read, and neither hashed nor handed to a worker.
fn alone(files: &Files, rules: &Path, library: YaraLibrary) -> Option<f64> {
    let start = Instant::now();
    let backend = built(rules, library)?;
    backend.prepare().expect("sound rules");
    let ready = start.elapsed().as_secs_f64();
    let scanned = files.each(|content| {
        let artifact = Artifact { content: Some(&content), ..Artifact::default() };
        backend.scan(&artifact, Instant::now() + Duration::from_secs(10)).is_ok()
    });
    Some(ready + scanned)
}

fn yr(files: &Files, rules: &Path) -> Option<f64> {
    let command = env::var_os("YR").unwrap_or_else(|| "yr".into());
    let start = Instant::now();
    let mut yr = Command::new(&command);
    yr.args(["scan", "--recursive", "--disable-warnings", "--threads", &THREADS.to_string()]).arg(rules).arg(files.folder.path());
    let status = yr.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    assert!(status.success(), "{} failed: {status}", command.display());
    Some(start.elapsed().as_secs_f64())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn main() {
    let place = |name, default: &str| env::var_os(name).map_or_else(|| PathBuf::from(default), PathBuf::from);
    let files = Files::copied(&place("FILES", "/usr/lib"));
    let rules = place("RULES", concat!(env!("CARGO_MANIFEST_DIR"), "/../datasets/mixed/engine/rules"));
    let rules = rules.canonicalize().expect("the rules are there");
    println!("{} files, {:.1} MB, {THREADS} threads, medians of {ROUNDS} rounds in turns", files.paths.len(), files.bytes as f64 / 1e6);

    type Way<'a> = (&'a str, Box<dyn Fn() -> Option<f64> + 'a>);
    let ways: [Way<'_>; 5] = [
        ("yr", Box::new(|| yr(&files, &rules))),
        ("boreal, our scanner", Box::new(|| scanner(&files, &rules, YaraLibrary::Boreal))),
        ("yara-x, our scanner", Box::new(|| scanner(&files, &rules, YaraLibrary::YaraX))),
        ("boreal, alone", Box::new(|| alone(&files, &rules, YaraLibrary::Boreal))),
        ("yara-x, alone", Box::new(|| alone(&files, &rules, YaraLibrary::YaraX))),
    ];
    // The first round warms the caches; whoever cannot take part is out from then on.
    let there: Vec<&Way<'_>> = ways
        .iter()
        .filter(|(name, way)| {
            way().is_some() || {
                println!("{name} is not here");
                false
            }
        })
        .collect();
    let mut seconds = vec![Vec::new(); there.len()];
    for _ in 0..ROUNDS {
        for (seconds, (_, way)) in seconds.iter_mut().zip(&there) {
            seconds.extend(way());
        }
    }
    let medians: Vec<f64> = seconds.into_iter().map(median).collect();
    let yr = there.iter().position(|(name, _)| *name == "yr").map(|index| medians[index]);
    for ((name, _), seconds) in there.iter().zip(&medians) {
        let ratio = yr.map_or_else(String::new, |yr| format!(", {:.2} of yr", yr / seconds));
        println!("{name:20} {:8.0} files/s {:8.1} MB/s{ratio}", files.paths.len() as f64 / seconds, files.bytes as f64 / 1e6 / seconds);
    }
}
