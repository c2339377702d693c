//! ClamAV: contents are streamed to a clamd, which answers with the name of what it found.
//!
//! The commands are those of the crate `clamav-client`, over streams of our own: its own know no time-outs
//! and no end of an answer, and drop the answer that waits when clamd stops listening in the middle of a content.
//!
//! The fingerprint is what clamd says of itself when the backend is opened (its version, and number and date of the daily
//! database), its address, and the backend's `name` and `version`. Other databases and clamd's settings are not in it; after a
//! change of those, give the backend another `version`, or forget what was scanned before. What clamd does not look at
//! because of limits in its clamd.conf is therefore no answer that is kept: it is scanned again the next time.

use std::{
    fmt,
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    str::FromStr,
    time::{Duration, Instant},
};

use clamav_client::TransportProtocol;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use sha2::{Digest as _, Sha256};

use super::{Backend, BackendError};
use crate::{
    artifact::{Artifact, Failure, FailureKind, Finding, ScanResult},
    config::BackendConfig,
};

/// Where Debian's clamd listens.
pub const DEFAULT_ADDRESS: &str = "unix:/run/clamav/clamd.ctl";
/// Most time for the question which version it is.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 4096;
/// Bytes of content that are sent at a time.
const CHUNK: usize = 128 << 10;
/// Begins the names of what is no malware: clamd had enough of a file before its end, and was set up to say so.
const LIMITS: &str = "Heuristics.Limits.Exceeded";

/// Where a clamd listens.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Address {
    Unix(PathBuf),
    /// Host and port, resolved for each connection.
    Tcp(String),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let problem = || format!("`address` is `{text}`; write `unix:PATH` or `tcp:HOST:PORT`, such as `{DEFAULT_ADDRESS}`");
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Address::Unix(path.into())),
            Some(("tcp", host)) => match host.rsplit_once(':') {
                Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => Ok(Address::Tcp(host.to_owned())),
                _ => Err(problem()),
            },
            _ => Err(problem()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Tcp(host) => write!(f, "tcp:{host}"),
        }
    }
}

/// Asks a clamd.
#[derive(Clone, Debug)]
pub struct Clamav {
    name: String,
    fingerprint: String,
    address: Address,
}

impl Clamav {
    /// Asks the clamd that `config` names which version it is.
    ///
    /// # Errors
    ///
    /// If the address is none, or clamd does not answer.
    pub fn open(config: &BackendConfig) -> Result<Clamav, BackendError> {
        let unusable = |problem| BackendError::Unusable { name: config.name().to_owned(), problem };
        let address: Address = config.address.as_deref().unwrap_or(DEFAULT_ADDRESS).parse().map_err(unusable)?;
        let dial = Dial { address: &address, deadline: Instant::now() + VERSION_TIMEOUT };
        let silent = |why: &dyn fmt::Display| {
            unusable(format!("no clamd answers at {address}: {why}; start clamd, or give its LocalSocket or TCPSocket as `address`"))
        };
        let answer = clamav_client::get_version(dial).map_err(|error| silent(&error))?;
        let version = text_of(&answer);
        if !version.starts_with("ClamAV") {
            return Err(silent(&format_args!("it says `{}` instead of its version", version.escape_debug())));
        }
        let fingerprint = fingerprint(&version, &address, config);
        Ok(Clamav { name: config.name().to_owned(), fingerprint, address })
    }
}

impl Backend for Clamav {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn opens_archives(&self) -> bool {
        true
    }

    fn scan(&self, artifact: &Artifact<'_>, deadline: Instant) -> Result<Finding, Failure> {
        let content = artifact.content.ok_or_else(|| Failure::new(FailureKind::Missing, "no content to scan"))?;
        let dial = Dial { address: &self.address, deadline };
        let answer = clamav_client::scan_buffer(content, dial, Some(CHUNK)).map_err(|error| self.failure(&error))?;
        finding(&answer).map_err(|failure| Failure { detail: format!("clamd at {}: {}", self.address, failure.detail), ..failure })
    }
}

impl Clamav {
    fn failure(&self, error: &io::Error) -> Failure {
        let kind = match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => FailureKind::TimedOut,
            ErrorKind::InvalidData => FailureKind::BadAnswer,
            _ => FailureKind::Unavailable,
        };
        Failure::new(kind, format!("clamd at {}: {error}", self.address))
    }
}

/// Two clamds of one version may have different databases: the address tells them apart, and what the user says.
fn fingerprint(version: &str, address: &Address, config: &BackendConfig) -> String {
    let mut digest = Sha256::new();
    for part in [version, &address.to_string(), config.name(), config.version.as_deref().unwrap_or_default()] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    format!("clamav:2:{version}:{}", hex::encode(&digest.finalize()[..8]))
}

/// An answer without the byte that ends it.
fn text_of(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).trim_end_matches(['\0', '\n']).to_owned()
}

/// What clamd's answer to a content says.
fn finding(answer: &[u8]) -> Result<Finding, Failure> {
    let bad = |problem: &str| Err(Failure::new(FailureKind::BadAnswer, format!("{problem}: `{}`", text_of(answer).escape_debug())));
    if answer.is_empty() {
        // By way of TCP, what clamd said before it hung up may be lost, such as that the content is too large for it.
        let detail = "the connection was lost before an answer; if it happens with large files only, raise clamd's StreamMaxLength";
        return Err(Failure::new(FailureKind::Unavailable, detail));
    }
    if !answer.ends_with(b"\0") {
        return bad("half an answer");
    }
    let text = text_of(answer);
    if let Some(problem) = text.strip_suffix(" ERROR") {
        let problem = problem.escape_debug();
        return Err(if text.contains("size limit exceeded") {
            Failure::new(FailureKind::Unavailable, format!("{problem} Raise StreamMaxLength in its clamd.conf"))
        } else {
            Failure::new(FailureKind::BadAnswer, problem.to_string())
        });
    }
    match text.strip_prefix("stream: ") {
        Some("OK") => Ok(ScanResult::verdict(false).into()),
        Some(found) => match found.strip_suffix(" FOUND") {
            Some(name) if name.starts_with(LIMITS) => {
                let limit = match name.strip_prefix(LIMITS).and_then(|rest| rest.strip_prefix('.')) {
                    Some(limit) => limit.strip_suffix(".UNOFFICIAL").unwrap_or(limit).escape_debug().to_string(),
                    None => "MaxScanSize, MaxFileSize, MaxRecursion, MaxFiles or MaxScanTime".to_owned(),
                };
                let detail = format!("not seen in full ({}); raise {limit} in its clamd.conf", name.escape_debug());
                Err(Failure::new(FailureKind::Unavailable, detail))
            }
            Some(name) if !name.is_empty() => {
                let family = name.strip_suffix(".UNOFFICIAL").unwrap_or(name);
                Ok(Finding::new(ScanResult::verdict(true), Some(family)))
            }
            _ => bad("no verdict"),
        },
        None => bad("no verdict"),
    }
}

/// A way to a clamd, until a deadline.
#[derive(Clone, Copy)]
struct Dial<'a> {
    address: &'a Address,
    deadline: Instant,
}

impl TransportProtocol for Dial<'_> {
    type Stream = Connection;

    fn connect(&self) -> io::Result<Connection> {
        let socket = match self.address {
            Address::Unix(path) => Socket::Unix(connect_unix(path, left(self.deadline)?)?),
            Address::Tcp(host) => Socket::Tcp(connect_tcp(host, self.deadline)?),
        };
        Ok(Connection { socket, deadline: self.deadline, received: 0, hung_up: false })
    }
}

/// The time until a deadline, or that it is over.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    // Zero would mean no limit to some calls, and less than a microsecond is rounded to that.
    if left < Duration::from_micros(1) { Err(io::Error::new(ErrorKind::TimedOut, "time is up")) } else { Ok(left) }
}

/// A connection that is given up after a time: the standard library has none for these sockets, and while clamd does not
/// take new ones, an attempt would wait for ever.
fn connect_unix(path: &PathBuf, within: Duration) -> io::Result<UnixStream> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(within))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(socket))
}

/// A connection to the first of a host's addresses that takes it.
fn connect_tcp(host: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[derive(Debug)]
enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection that ends at a deadline, reads no more than an answer can have, and still reads it when clamd has hung up.
#[derive(Debug)]
struct Connection {
    socket: Socket,
    deadline: Instant,
    received: usize,
    /// Clamd listens no more: what is still to be sent goes nowhere, but its answer may be waiting.
    hung_up: bool,
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = left(self.deadline)?;
        let read = match &mut self.socket {
            Socket::Unix(stream) => stream.set_read_timeout(Some(left)).and_then(|()| stream.read(buffer)),
            Socket::Tcp(stream) => stream.set_read_timeout(Some(left)).and_then(|()| stream.read(buffer)),
        };
        let read = match read {
            // Closed with content of ours unread: no more will come.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            other => other?,
        };
        self.received += read;
        if self.received > ANSWER_LIMIT {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("an answer of more than {ANSWER_LIMIT} bytes")));
        }
        Ok(read)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.hung_up {
            return Ok(bytes.len());
        }
        let left = left(self.deadline)?;
        let written = match &mut self.socket {
            Socket::Unix(stream) => stream.set_write_timeout(Some(left)).and_then(|()| stream.write(bytes)),
            Socket::Tcp(stream) => stream.set_write_timeout(Some(left)).and_then(|()| stream.write(bytes)),
        };
        match written {
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                self.hung_up = true;
                Ok(bytes.len())
            }
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::unix::net::UnixListener, thread};

    use super::*;
    use crate::config::{BackendKind, EngineConfig};

    /// What a false clamd does with a content.
    #[derive(Clone, Copy)]
    enum Does {
        /// Reads it to its end and gives this answer.
        Answers(&'static [u8]),
        /// Gives this answer before it has read all, and hangs up.
        Interrupts(&'static [u8]),
        /// Reads a little and hangs up.
        Dies,
        /// Reads it and says nothing until the other side is gone.
        Hangs,
        /// Talks until the other side is gone.
        Babbles,
    }

    /// Serves one VERSION, then one INSTREAM, then ends.
    fn serve<S: Read + Write>(mut accept: impl FnMut() -> S, does: Does) {
        let mut stream = accept();
        let mut command = [0; 9];
        stream.read_exact(&mut command).unwrap();
        assert_eq!(&command, b"zVERSION\0");
        stream.write_all(b"ClamAV 1.4.6/27000/Sat Nov 21 2026\0").unwrap();
        drop(stream);

        let mut stream = accept();
        let mut command = [0; 10];
        stream.read_exact(&mut command).unwrap();
        assert_eq!(&command, b"zINSTREAM\0");
        let read_chunk = |stream: &mut S| {
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut chunk = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut chunk).unwrap();
            chunk.len()
        };
        match does {
            Does::Answers(answer) => {
                while read_chunk(&mut stream) > 0 {}
                stream.write_all(answer).unwrap();
            }
            Does::Interrupts(answer) => {
                read_chunk(&mut stream);
                stream.write_all(answer).unwrap();
            }
            Does::Dies => {
                read_chunk(&mut stream);
            }
            Does::Hangs => {
                while read_chunk(&mut stream) > 0 {}
                assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "the other side hangs up");
            }
            Does::Babbles => {
                while read_chunk(&mut stream) > 0 {}
                while stream.write_all(&[b'x'; 1000]).is_ok() {}
            }
        }
    }

    /// A content that no socket buffer holds.
    fn large() -> Vec<u8> {
        vec![b'a'; 16 << 20]
    }

    fn scan(address: String, content: &[u8], within: Duration) -> Result<Finding, Failure> {
        let clamav = Clamav::open(&BackendConfig { address: Some(address), ..BackendConfig::of(BackendKind::Clamav) }).unwrap();
        assert!(clamav.fingerprint().starts_with("clamav:2:ClamAV 1.4.6/27000/Sat Nov 21 2026:"), "{}", clamav.fingerprint());
        clamav.scan(&Artifact { content: Some(content), ..Artifact::default() }, Instant::now() + within)
    }

    fn over_tcp(does: Does, content: &[u8], within: Duration) -> Result<Finding, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp:{}", listener.local_addr().unwrap());
        thread::scope(|scope| {
            scope.spawn(|| serve(|| listener.accept().unwrap().0, does));
            scan(address, content, within)
        })
    }

    fn over_unix(does: Does, content: &[u8], within: Duration) -> Result<Finding, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clamd");
        let listener = UnixListener::bind(&path).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| serve(|| listener.accept().unwrap().0, does));
            scan(format!("unix:{}", path.display()), content, within)
        })
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn answers_are_understood() {
        let found = |name: &str| Ok(Finding::new(ScanResult::verdict(true), Some(name)));
        let failed = |kind| Err(kind);
        for (answer, expected) in [
            (&b"stream: OK\0"[..], Ok(ScanResult::verdict(false).into())),
            (b"stream: Win.Test.EICAR_HDB-1 FOUND\0", found("Win.Test.EICAR_HDB-1")),
            (b"stream: Own.Sig.UNOFFICIAL FOUND\0", found("Own.Sig")),
            (b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0", failed(FailureKind::Unavailable)),
            (b"INSTREAM size limit exceeded. ERROR\0", failed(FailureKind::Unavailable)),
            (b"stream: Can't allocate memory ERROR\0", failed(FailureKind::BadAnswer)),
            (b"UNKNOWN COMMAND\0", failed(FailureKind::BadAnswer)),
            (b"stream:  FOUND\0", failed(FailureKind::BadAnswer)),
            (b"stream: OK", failed(FailureKind::BadAnswer)),
            (b"\xFF\xFE\0", failed(FailureKind::BadAnswer)),
            (b"\0", failed(FailureKind::BadAnswer)),
            (b"", failed(FailureKind::Unavailable)),
        ] {
            assert_eq!(finding(answer).map_err(|failure| failure.kind), expected, "{}", answer.escape_ascii());
        }
    }

    #[test]
    fn what_clamds_own_limits_hide_is_not_kept_and_says_which_one_to_raise() {
        for (answer, limit) in [
            (&b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0"[..], "raise MaxFileSize in its clamd.conf"),
            (b"stream: Heuristics.Limits.Exceeded FOUND\0", "raise MaxScanSize, MaxFileSize, "),
            (b"INSTREAM size limit exceeded. ERROR\0", "Raise StreamMaxLength in its clamd.conf"),
        ] {
            let failure = finding(answer).unwrap_err();
            assert!(failure.kind == FailureKind::Unavailable && failure.detail.contains(limit), "{failure}");
        }
    }

    #[test]
    fn clamds_of_one_version_have_fingerprints_of_their_own() {
        let of = |address: &str, name: Option<&str>, version: Option<&str>| {
            let [name, version] = [name, version].map(|text| text.map(str::to_owned));
            let config = BackendConfig { name, version, ..BackendConfig::of(BackendKind::Clamav) };
            EngineConfig { backends: vec![config.clone()], ..EngineConfig::default() }.check().unwrap();
            fingerprint("ClamAV 1.4.6", &address.parse().unwrap(), &config)
        };
        let mut all = vec![
            of(DEFAULT_ADDRESS, None, None),
            of("unix:/run/other.ctl", None, None),
            of("tcp:localhost:3310", None, None),
            of(DEFAULT_ADDRESS, Some("other"), None),
            of(DEFAULT_ADDRESS, None, Some("2")),
        ];
        assert_eq!(all[0], of(DEFAULT_ADDRESS, Some("clamav"), Some("")));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 5, "{all:?}");
    }

    #[test]
    fn both_kinds_of_addresses_reach_it() {
        for content in [&b""[..], b"abc", &large()] {
            let does = Does::Answers(b"stream: Some.Name FOUND\0");
            let expected = Ok(Finding::new(ScanResult::verdict(true), Some("Some.Name")));
            assert_eq!(over_tcp(does, content, LONG), expected);
            assert_eq!(over_unix(does, content, LONG), expected);
        }
    }

    #[test]
    fn an_answer_that_comes_before_the_end_of_the_content_is_read() {
        let does = Does::Interrupts(b"INSTREAM size limit exceeded. ERROR\0");
        // By TCP the answer may be lost on its way, and then nobody knows why clamd hung up.
        for over in [over_unix, over_tcp] {
            let failure = over(does, &large(), LONG).unwrap_err();
            assert!(failure.kind == FailureKind::Unavailable && failure.detail.contains("StreamMaxLength"), "{failure}");
        }
    }

    #[test]
    fn a_clamd_that_dies_hangs_or_babbles_is_no_verdict() {
        for over in [over_tcp, over_unix] {
            assert_eq!(over(Does::Dies, &large(), LONG).unwrap_err().kind, FailureKind::Unavailable);
            assert_eq!(over(Does::Hangs, b"abc", Duration::from_millis(100)).unwrap_err().kind, FailureKind::TimedOut);
            assert_eq!(over(Does::Babbles, b"abc", LONG).unwrap_err().kind, FailureKind::BadAnswer);
        }
    }

    #[test]
    fn a_clamd_that_takes_no_content_or_no_connection_is_given_up_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clamd");
        let listener = UnixListener::bind(&path).unwrap();
        let clamav = Clamav { name: "clamav".into(), fingerprint: String::new(), address: Address::Unix(path.clone()) };
        let content = large();
        let scan = || {
            let artifact = Artifact { content: Some(&content), ..Artifact::default() };
            clamav.scan(&artifact, Instant::now() + Duration::from_millis(100)).unwrap_err().kind
        };
        assert_eq!(scan(), FailureKind::TimedOut, "connected, but nobody reads");
        // Nobody accepts: connections queue up until there is no room for another.
        let mut waiting = Vec::new();
        let address = SocketAddrUnix::new(&path).unwrap();
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
            if rustix::net::connect(&socket, &address).is_err() {
                break;
            }
            waiting.push(socket);
        }
        assert_eq!(scan(), FailureKind::TimedOut, "no room to connect");
        drop((listener, waiting));
        assert_eq!(scan(), FailureKind::Unavailable, "gone");
    }

    #[test]
    fn without_a_clamd_there_is_no_backend_and_the_error_says_what_to_do() {
        let open = |address: &str| {
            let config = BackendConfig { address: Some(address.to_owned()), ..BackendConfig::of(BackendKind::Clamav) };
            Clamav::open(&config).unwrap_err().to_string()
        };
        for address in ["", "/run/clamd", "unix:", "tcp:localhost", "tcp:localhost:x", "tcp::3310", "udp:localhost:3310"] {
            assert!(open(address).contains("write `unix:PATH` or `tcp:HOST:PORT`"), "{address}: {}", open(address));
        }
        let error = open("unix:/nowhere/clamd.ctl");
        assert!(error.contains("no clamd answers at unix:/nowhere/clamd.ctl") && error.contains("start clamd"), "{error}");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp:{}", listener.local_addr().unwrap());
        let error = thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = listener.accept().unwrap().0;
                stream.read_exact(&mut [0; 9]).unwrap();
                stream.write_all(b"220 mail\x1b[0m ready\0").unwrap();
            });
            open(&address)
        });
        assert!(error.contains("it says `220 mail\\u{1b}[0m ready` instead of its version"), "{error}");
    }
}
