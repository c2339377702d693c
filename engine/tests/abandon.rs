//! Who exits in the middle of a scan leaves no program and no private folder behind.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use engine::{
    artifact::{Artifact, Failure, FailureKind, Finding},
    backend::{
        Backend as _,
        command::{Command, abandon},
    },
    config::{BackendConfig, BackendKind},
};

/// The script's number, its child's in a session of its own, and its private folder, once they are all written.
fn told(folder: &Path) -> [String; 3] {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok().filter(|text| text.ends_with('\n'));
        if let (Some(own), Some(child), Some(home)) = (read("own"), read("child"), read("home")) {
            return [own, child, home].map(|text| text.trim().to_owned());
        }
        assert!(Instant::now() < until, "the program was never started");
        thread::yield_now();
    }
}

/// True if the process is there, and no zombie.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z')))
}

#[test]
fn nothing_outlives_who_abandons_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo $HOME > home\nsetsid sh -c 'echo $$ > child; exec sleep 1000' &\necho $$ > own\nexec sleep 1000\n";
    fs::write(folder.path().join("script"), script).unwrap();
    let command = Some(vec!["sh".to_owned(), "script".to_owned()]);
    let config = BackendConfig { command, ..BackendConfig::of(BackendKind::Command) };
    let backend = Command::open(&config, folder.path()).unwrap();
    let scan = || -> Result<Finding, Failure> {
        let artifact = Artifact { content: Some(b"content"), ..Artifact::default() };
        backend.scan(&artifact, Instant::now() + Duration::from_secs(300))
    };
    thread::scope(|scope| {
        let scanning = scope.spawn(scan);
        let [own, child, home] = told(folder.path());
        let home = PathBuf::from(home);
        assert!(runs(&own) && runs(&child) && home.join("artifact").exists());
        abandon();
        // Killed is killed, but the kernel takes its time.
        let until = Instant::now() + Duration::from_secs(60);
        while runs(&own) || runs(&child) {
            assert!(Instant::now() < until, "{own} or {child} still runs");
            thread::yield_now();
        }
        assert!(!home.exists(), "{} was to be removed", home.display());
        assert!(scanning.join().unwrap().is_err());
    });
    assert_eq!(scan().unwrap_err().kind, FailureKind::Unavailable, "nothing is started any more");
}
