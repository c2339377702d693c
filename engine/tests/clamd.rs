//! The `clamav` backend against a real clamd, with a tiny signature database of our own: no freshclam, no network.
//!
//! Where clamd is not installed, the test says so and ends.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use engine::{
    artifact::{Artifact, FailureKind, Finding, ScanResult},
    backend::{Backend, clamav::Clamav},
    config::{BackendConfig, BackendKind},
};
use sha2::{Digest as _, Sha256};

/// Largest content that this clamd takes, in bytes.
const STREAM_MAX_LENGTH: usize = 1 << 20;

fn eicar() -> Vec<u8> {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat().into_bytes()
}

/// A clamd in the foreground, until it is dropped.
struct Clamd(Child);

impl Drop for Clamd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Clamd {
    /// Starts it in `folder`, and waits for the line that says it listens.
    fn start(program: &str, folder: &Path) -> Clamd {
        let shown = folder.display();
        let database = folder.join("database");
        fs::create_dir(&database).unwrap();
        let sha256 = hex::encode(Sha256::digest(eicar()));
        fs::write(database.join("own.hsb"), format!("{sha256}:{}:Test.Eicar\n", eicar().len())).unwrap();
        fs::write(database.join("own.ndb"), format!("Test.Marker-1:0:*:{}\n", hex::encode("microengine test marker"))).unwrap();
        let settings = format!(
            "Foreground yes\nDatabaseDirectory {shown}/database\nTemporaryDirectory {shown}\nLocalSocket {shown}/socket\n\
             StreamMaxLength {STREAM_MAX_LENGTH}\nOfficialDatabaseOnly no\nMaxThreads 4\n"
        );
        fs::write(folder.join("clamd.conf"), settings).unwrap();
        let config_file = format!("--config-file={shown}/clamd.conf");
        let mut child = Command::new(program).arg(config_file).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let clamd = Clamd(child);
        let mut said = Vec::new();
        // Its last line before it waits for connections; if it ends instead, its output does.
        let ready = lines.by_ref().any(|line| {
            said.push(line);
            said.last().is_some_and(|line| line.contains("Self checking"))
        });
        assert!(ready, "clamd does not start: {said:#?}");
        // It must not find its log closed.
        std::thread::spawn(move || lines.for_each(drop));
        clamd
    }
}

/// A zip archive with one stored member.
fn zipped(content: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file("member", options).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_real_clamd_finds_its_signatures_and_says_what_is_too_large() {
    let Some(program) = ["/usr/sbin/clamd", "/usr/local/sbin/clamd"].into_iter().find(|program| Path::new(program).exists()) else {
        let mut stderr = std::io::stderr();
        writeln!(stderr, "skipped: clamd is not installed (Debian: apt-get install clamav-daemon)").unwrap();
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // It may run as another user than the one who starts it.
    let clamd = Clamd::start(program, folder.path());
    let address = format!("unix:{}/socket", folder.path().display());
    let config = BackendConfig { address: Some(address), ..BackendConfig::of(BackendKind::Clamav) };
    let clamav = Clamav::open(&config).unwrap();
    assert!(clamav.fingerprint().starts_with("clamav:2:ClamAV "), "{}", clamav.fingerprint());

    let scan =
        |content: &[u8]| clamav.scan(&Artifact { content: Some(content), ..Artifact::default() }, Instant::now() + Duration::from_secs(60));
    let marker = b"some microengine test marker within".to_vec();
    let found = |family| Ok(Finding::new(ScanResult::verdict(true), Some(family)));
    assert_eq!(scan(&eicar()), found("Test.Eicar"));
    assert_eq!(scan(&marker), found("Test.Marker-1"));
    assert_eq!(scan(&zipped(&marker)), found("Test.Marker-1"));
    assert_eq!(scan(b"nothing of the kind"), Ok(ScanResult::verdict(false).into()));
    assert_eq!(scan(b""), Ok(ScanResult::verdict(false).into()));
    assert_eq!(scan(&vec![b'a'; 16 * STREAM_MAX_LENGTH]).unwrap_err().kind, FailureKind::Unavailable);
    // All at once: each has its own connection.
    std::thread::scope(|scope| {
        let scans: Vec<_> = (0..8).map(|_| scope.spawn(|| scan(&marker))).collect();
        scans.into_iter().for_each(|one| assert_eq!(one.join().unwrap(), found("Test.Marker-1")));
    });

    drop(clamd);
    assert_eq!(scan(&marker).unwrap_err().kind, FailureKind::Unavailable);
    let error = Clamav::open(&config).unwrap_err().to_string();
    assert!(error.contains("start clamd"), "{error}");
}
