//! Who exits in the middle of a scan or a decision leaves no program and no private folder behind.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use engine::{
    artifact::{Artifact, Failure, FailureKind, Finding},
    backend::{
        Backend as _,
        command::{Command, abandon},
    },
    chance::Key,
    config::{BackendConfig, BackendKind},
    market_view::{MarketView, OpenBounty, PublicAssertions, Wallet},
    stake,
};
use market::{
    block::{BlockNumber, Windows},
    id::Guid,
    nct::Nct,
    ruleset::BOUNTY_REGISTRY_1_6_1 as RULES,
    settlement::Fees,
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

/// Says what it is, starts a child in a session of its own, and goes on for ever.
const SCRIPT: &str = "echo $TMPDIR > home\nsetsid sh -c 'echo $$ > child; exec sleep 1000' &\necho $$ > own\nexec sleep 1000\n";

/// Asks a program that is a strategy about a bounty: true if it stakes.
fn decides(specification: &str) -> bool {
    let bounty = OpenBounty {
        guid: Guid(7),
        artifact_type: 0,
        amount: Nct::whole(2),
        artifacts: 1,
        posted: BlockNumber(10),
        expiration: BlockNumber(20),
    };
    let view = MarketView {
        now: BlockNumber(12),
        bounty: &bounty,
        rules: &RULES,
        fees: Fees { bounty: RULES.bounty_fee, assertion: RULES.assertion_fee },
        windows: Windows::blocks(10, 100),
        wallet: Wallet { free: Nct::whole(1), locked: Nct::ZERO, open: 0 },
        assertions: PublicAssertions::of(&[]),
        factors: &[],
    };
    let mut stakes = Vec::new();
    stake::build(specification).unwrap().stake(&view, &[None], &mut Key::root(1).stream(), &mut stakes);
    stakes != [None]
}

#[test]
fn nothing_outlives_who_abandons_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("script"), SCRIPT).unwrap();
    let office = tempfile::tempdir().unwrap();
    let word: String = format!("cd {}\n{SCRIPT}", office.path().display()).bytes().map(|byte| format!("%{byte:02x}")).collect();
    let strategy = format!("command?run=sh&args=-c {word}&start_milliseconds=600000");
    let command = Some(vec!["sh".to_owned(), "script".to_owned()]);
    let config = BackendConfig { command, ..BackendConfig::of(BackendKind::Command) };
    let backend = Command::open(&config, folder.path()).unwrap();
    let scan = || -> Result<Finding, Failure> {
        let artifact = Artifact { content: Some(b"content"), ..Artifact::default() };
        backend.scan(&artifact, Instant::now() + Duration::from_secs(300))
    };
    thread::scope(|scope| {
        let (scanning, deciding) = (scope.spawn(scan), scope.spawn(|| decides(&strategy)));
        let all = [told(folder.path()), told(office.path())];
        assert!(all.iter().all(|[own, child, home]| runs(own) && runs(child) && Path::new(home).exists()));
        assert!(Path::new(&all[0][2]).join("artifact").exists());
        abandon();
        for [own, child, home] in &all {
            // Killed is killed, but the kernel takes its time.
            let until = Instant::now() + Duration::from_secs(60);
            while runs(own) || runs(child) {
                assert!(Instant::now() < until, "{own} or {child} still runs");
                thread::yield_now();
            }
            assert!(!Path::new(home).exists(), "{home} was to be removed");
        }
        assert!(scanning.join().unwrap().is_err() && !deciding.join().unwrap());
    });
    assert_eq!(scan().unwrap_err().kind, FailureKind::Unavailable, "nothing is started any more");
    assert!(!decides(&strategy));
}
