//! What was promised, on disk: without the nonce of its commitment, an assertion can never be revealed.
//!
//! A journal is one file for an account and a chain, one record a line, each with its checksum. A promise is on disk,
//! synced, before its assertion is sent. The last line may be torn (the power failed, the process was killed): it was
//! never acknowledged, so nothing depended on it. Anything else that is damaged stops the engine rather than losing a
//! stake. At each start, and when it has grown, the journal is rewritten with what is still open, by way of a new file.
//!
//! The file holds secrets until they are revealed: only its owner may read it. A lock keeps a second engine away.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, U256};
use market::{
    block::BlockNumber,
    commitment::Opening,
    id::{Guid, GuidMap},
    nct::Nct,
    verdict::ArtifactSet,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::{polyswarmd::Chain, verify::Contracts};
use crate::chance::fnv1a64;

/// Bytes written after which the journal is rewritten with what is still open.
const COMPACT_AFTER: usize = 16 << 20;
/// Records written and synced at once, at most.
const BATCH: usize = 256;

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// The first line: whose journal this is.
    Journal {
        /// Of the format: 1.
        version: u32,
        /// The account.
        #[serde(with = "wire::address")]
        account: Address,
        /// The chain.
        chain: String,
        /// Where the chain is reached. On another one, nothing of this is to be found.
        server: String,
    },
    /// The chain that was signed for.
    ChainId {
        /// Its number.
        id: u64,
    },
    /// NectarToken, as it was called.
    Token {
        /// Its address.
        #[serde(with = "wire::address")]
        address: Address,
    },
    /// BountyRegistry, as it was called.
    Registry {
        /// Its address.
        #[serde(with = "wire::address")]
        address: Address,
    },
    /// An assertion is about to be made.
    Promised(Promised),
    /// It is on chain.
    Asserted {
        /// The bounty.
        #[serde(with = "wire::guid")]
        guid: Guid,
        /// Position among the bounty's assertions.
        index: u64,
    },
    /// It is revealed.
    Revealed {
        /// The bounty.
        #[serde(with = "wire::guid")]
        guid: Guid,
    },
    /// The bounty is settled: nothing is left to do.
    Settled {
        /// The bounty.
        #[serde(with = "wire::guid")]
        guid: Guid,
    },
    /// The assertion never got on chain: nothing is left to do.
    Dropped {
        /// The bounty.
        #[serde(with = "wire::guid")]
        guid: Guid,
    },
}

/// An assertion as it was decided, with all that it takes to reveal and settle it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promised {
    /// The bounty.
    #[serde(with = "wire::guid")]
    pub guid: Guid,
    /// The secret of the commitment.
    #[serde(with = "wire::decimal::string")]
    pub nonce: U256,
    /// Malicious artifacts, bit n for artifact n.
    #[serde(with = "wire::decimal::string")]
    pub verdicts: U256,
    /// Artifacts with a stake.
    #[serde(with = "wire::decimal::string")]
    pub mask: U256,
    /// Number of artifacts.
    pub artifacts: usize,
    /// In wei.
    #[serde(with = "wire::decimal::strings")]
    pub bids: Vec<Nct>,
    /// Bids and fee in wei.
    #[serde(with = "wire::decimal::string")]
    pub price: Nct,
    /// First block in which it can be revealed.
    pub expiration: u64,
    /// First block in which it can be settled without quorum, as windows were when it was decided.
    pub settles: Option<u64>,
}

impl Promised {
    /// What opens the commitment.
    pub fn opening(&self) -> Opening {
        Opening { nonce: self.nonce, verdicts: ArtifactSet::from_uint(self.verdicts) }
    }

    /// See [`Promised::expiration`].
    pub fn expiration(&self) -> BlockNumber {
        BlockNumber(self.expiration)
    }
}

/// A promise that is not settled, and how far it got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenPromise {
    /// The promise.
    pub promised: Promised,
    /// Its position, if it is known to be on chain.
    pub index: Option<u64>,
    /// True if it is known to be revealed.
    pub revealed: bool,
}

/// Why there is no journal to go on with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The operating system refuses.
    #[error("{path}: {cause}")]
    Io {
        /// The file or folder.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// Another engine uses it.
    #[error("{path} is in use by another engine; two engines must not share an account")]
    InUse {
        /// The lock.
        path: String,
    },
    /// A line in the middle is damaged.
    #[error(
        "{path}, line {line}: damaged; promises could be lost. Restore the file, or move it away to start anew \
         (assertions in it will then never be revealed)"
    )]
    Damaged {
        /// The file.
        path: String,
        /// From 1 on.
        line: usize,
    },
    /// Its promises were made elsewhere: here they would be given up for lost.
    #[error("{path} has {open} open assertions made through {server}; go on there, or use another folder for this server")]
    MadeElsewhere {
        /// The file.
        path: String,
        /// How many promises are open.
        open: usize,
        /// Where they were made.
        server: String,
    },
    /// The journal of another account, another chain, or a later format.
    #[error("{path} is not a journal of {account} on the {chain} chain in a format that this engine knows")]
    Foreign {
        /// The file.
        path: String,
        /// The account whose journal is wanted.
        account: Address,
        /// The chain whose journal is wanted.
        chain: Chain,
    },
}

/// A record as its line: checksum, JSON, end of line.
fn line(record: &Record) -> String {
    let json = serde_json::to_string(record).expect("records have JSON");
    format!("{:016x} {json}\n", fnv1a64(&json))
}

/// The record of a line without its end; `None` if it is damaged.
fn parse(line: &str) -> Option<Record> {
    let (sum, json) = line.split_once(' ')?;
    (sum.len() == 16 && u64::from_str_radix(sum, 16) == Ok(fnv1a64(json))).then(|| serde_json::from_str(json).ok())?
}

/// All records of a journal, in order. A last line without its end was never acknowledged and is left out.
///
/// # Errors
///
/// The number of a damaged line.
fn read(bytes: &[u8]) -> Result<Vec<Record>, usize> {
    let mut records = Vec::new();
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else { break };
        records.push(std::str::from_utf8(line).ok().and_then(parse).ok_or(index + 1)?);
    }
    Ok(records)
}

/// What is still to be done, in order of promising.
fn open_promises(records: impl IntoIterator<Item = Record>) -> Vec<OpenPromise> {
    let mut promises: Vec<Option<OpenPromise>> = Vec::new();
    let mut places = GuidMap::<usize>::default();
    for record in records {
        match record {
            Record::Journal { .. } | Record::ChainId { .. } | Record::Token { .. } | Record::Registry { .. } => {}
            Record::Promised(promised) => {
                places.insert(promised.guid, promises.len());
                promises.push(Some(OpenPromise { promised, index: None, revealed: false }));
            }
            Record::Asserted { guid, index } => {
                if let Some(promise) = places.get(&guid).and_then(|&place| promises[place].as_mut()) {
                    promise.index = Some(index);
                }
            }
            Record::Revealed { guid } => {
                if let Some(promise) = places.get(&guid).and_then(|&place| promises[place].as_mut()) {
                    promise.revealed = true;
                }
            }
            Record::Settled { guid } | Record::Dropped { guid } => {
                if let Some(place) = places.remove(&guid) {
                    promises[place] = None;
                }
            }
        }
    }
    promises.into_iter().flatten().collect()
}

/// The contracts and the chain that were signed for: what was noted last.
fn contracts_of(records: &[Record]) -> Contracts {
    let mut contracts = Contracts::default();
    for record in records {
        match record {
            Record::ChainId { id } => contracts.chain = Some(*id),
            Record::Token { address } => contracts.token = Some(*address),
            Record::Registry { address } => contracts.registry = Some(*address),
            _ => {}
        }
    }
    contracts
}

/// The records that say the same as `contracts`.
pub(super) fn records_of_contracts(contracts: Contracts) -> impl Iterator<Item = Record> {
    let chain = contracts.chain.map(|id| Record::ChainId { id });
    let token = contracts.token.map(|address| Record::Token { address });
    let registry = contracts.registry.map(|address| Record::Registry { address });
    [chain, token, registry].into_iter().flatten()
}

/// The records that say the same as `promise`.
fn records_of(promise: &OpenPromise) -> impl Iterator<Item = Record> {
    let guid = promise.promised.guid;
    let asserted = promise.index.map(|index| Record::Asserted { guid, index });
    let revealed = promise.revealed.then_some(Record::Revealed { guid });
    [Some(Record::Promised(promise.promised.clone())), asserted, revealed].into_iter().flatten()
}

#[derive(Debug)]
struct Entry {
    record: Record,
    synced: Option<oneshot::Sender<Result<(), String>>>,
}

/// The way into a journal. Records are written in order, many at once where many come at once.
#[derive(Clone, Debug)]
pub struct Journal {
    entries: mpsc::UnboundedSender<Entry>,
    contracts: Contracts,
}

/// A journal's writing end; awaiting it after the last [`Journal`] is dropped makes sure that all is on disk.
#[derive(Debug)]
pub struct Writer(tokio::task::JoinHandle<()>);

impl Writer {
    /// Waits until all is on disk.
    pub async fn finish(self) {
        // Nothing to do about a writer that panicked: its records were not acknowledged.
        let _ = self.0.await;
    }
}

impl Journal {
    /// Opens the journal of an account on a chain reached through `server`, in a folder that is made if it is not there. Reads what is open and
    /// rewrites the file with it.
    ///
    /// Blocks for as long as the disk takes; must be called within a runtime.
    ///
    /// # Errors
    ///
    /// If another engine uses it, it is damaged, or the operating system refuses.
    pub fn open(folder: &Path, account: Address, chain: Chain, server: &str) -> Result<(Journal, Writer, Vec<OpenPromise>), JournalError> {
        let io = |path: &Path| {
            let path = path.display().to_string();
            move |cause| JournalError::Io { path, cause }
        };
        private_folder(folder).map_err(io(folder))?;
        let path = folder.join(format!("{}-{chain}.journal", wire::address::to_text(account)));
        let lock_path = path.with_extension("lock");
        let lock = private(OpenOptions::new().create(true).truncate(false).write(true)).open(&lock_path).map_err(io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse { path: lock_path.display().to_string() }),
            Err(TryLockError::Error(cause)) => return Err(io(&lock_path)(cause)),
        }
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(cause) => return Err(io(&path)(cause)),
        };
        let records = read(&bytes).map_err(|line| JournalError::Damaged { path: path.display().to_string(), line })?;
        let made_at = match records.first() {
            None => None,
            Some(Record::Journal { version: 1, account: of, chain: on, server }) if *of == account && *on == chain.to_string() => {
                Some(server.clone())
            }
            Some(_) => return Err(JournalError::Foreign { path: path.display().to_string(), account, chain }),
        };
        // Another server may be of another market; its contracts are learnt anew.
        let contracts = if made_at.as_deref() == Some(server) { contracts_of(&records) } else { Contracts::default() };
        let promises = open_promises(records);
        if let Some(made_at) = made_at.filter(|made_at| made_at != server && !promises.is_empty()) {
            return Err(JournalError::MadeElsewhere { path: path.display().to_string(), open: promises.len(), server: made_at });
        }
        let header = Record::Journal { version: 1, account, chain: chain.to_string(), server: server.to_owned() };
        let file = rewrite(&path, &header, contracts, &promises).map_err(io(&path))?;
        let (entries, inbox) = mpsc::unbounded_channel();
        let writer = Writer(tokio::spawn(write(file, lock, path, COMPACT_AFTER, inbox)));
        Ok((Journal { entries, contracts }, writer, promises))
    }

    /// The contracts and the chain that earlier runs signed for, by the same server.
    pub fn contracts(&self) -> Contracts {
        self.contracts
    }

    /// Writes a record and returns when it is on disk.
    ///
    /// # Errors
    ///
    /// If it may not be.
    pub async fn sync(&self, record: Record) -> Result<(), String> {
        let (synced, on_disk) = oneshot::channel();
        let closed = || "the journal is closed".to_owned();
        self.entries.send(Entry { record, synced: Some(synced) }).map_err(|_| closed())?;
        on_disk.await.map_err(|_| closed())?
    }

    /// Writes a record some time soon. Losing it costs a look at the chain at the next start, nothing else.
    pub fn write(&self, record: Record) {
        // If the writer is gone, so is the journal's use.
        let _ = self.entries.send(Entry { record, synced: None });
    }
}

/// Writes what comes, in batches, until nobody can send any more. Keeps the lock.
async fn write(file: File, lock: File, path: PathBuf, compact_after: usize, mut inbox: mpsc::UnboundedReceiver<Entry>) {
    let mut file = Some(file);
    let mut grown = 0;
    let mut batch = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut batch, BATCH).await > 0 {
        let text: String = batch.iter().map(|entry| line(&entry.record)).collect();
        grown += text.len();
        let (open, place, full) = (file.take(), path.clone(), grown >= compact_after);
        let written = tokio::task::spawn_blocking(move || {
            // After a failure half a line may stand at the end: another one behind it would be damage in the middle.
            let mut to = open.map_or_else(|| compact(&place), Ok)?;
            to.write_all(text.as_bytes())?;
            to.sync_data()?;
            if full { compact(&place) } else { Ok(to) }
        });
        let result = match written.await {
            Ok(Ok(to)) => {
                file = Some(to);
                grown = if full { 0 } else { grown };
                Ok(())
            }
            Ok(Err(cause)) => Err(cause.to_string()),
            Err(cause) => Err(cause.to_string()),
        };
        if let Err(cause) = &result {
            tracing::error!(%cause, path = %path.display(), "cannot write the journal; nothing is asserted meanwhile");
        }
        for synced in batch.drain(..).filter_map(|entry| entry.synced) {
            // Whoever asked may be gone; what is written stays written.
            let _ = synced.send(result.clone());
        }
    }
    drop(lock);
}

/// Rewrites a journal with what is still open.
fn compact(path: &Path) -> io::Result<File> {
    let damaged = |line| io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is damaged"));
    let records = read(&fs::read(path)?).map_err(damaged)?;
    let header = records.first().cloned().ok_or_else(|| damaged(1))?;
    let contracts = contracts_of(&records);
    rewrite(path, &header, contracts, &open_promises(records))
}

/// Replaces the file by a header, `contracts` and `promises`, at once or not at all, and opens it for more.
fn rewrite(path: &Path, header: &Record, contracts: Contracts, promises: &[OpenPromise]) -> io::Result<File> {
    let fresh = path.with_extension("journal.new");
    let mut file = private(OpenOptions::new().create(true).truncate(true).write(true)).open(&fresh)?;
    let mut text = line(header);
    records_of_contracts(contracts).for_each(|record| text.push_str(&line(&record)));
    promises.iter().flat_map(records_of).for_each(|record| text.push_str(&line(&record)));
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    if let Some(folder) = path.parent() {
        // The name is on disk, too, where folders can be synced.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(file)
}

/// Nobody else may read it.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Address = Address::repeat_byte(0x11);
    const SERVER: &str = "http://127.0.0.1:31337";

    fn promised(guid: u128) -> Promised {
        Promised {
            guid: Guid(guid),
            nonce: U256::MAX - U256::from(guid),
            verdicts: U256::from(5),
            mask: U256::from(7),
            artifacts: 3,
            bids: vec![Nct::whole(1), Nct::whole(2), Nct::whole(3)],
            price: Nct::whole(7),
            expiration: 120,
            settles: Some(230),
        }
    }

    fn file(folder: &Path) -> PathBuf {
        folder.join(format!("{}-side.journal", wire::address::to_text(ACCOUNT)))
    }

    #[test]
    fn a_record_reads_as_this() {
        expect_test::expect![[r#"
            e9602304eae93785 {"asserted":{"guid":"00000000-0000-0000-0000-000000000007","index":3}}
        "#]]
        .assert_eq(&line(&Record::Asserted { guid: Guid(7), index: 3 }));
        let record = Record::Promised(promised(7));
        assert_eq!(parse(line(&record).trim_end()), Some(record));
    }

    #[test]
    fn a_journal_cut_off_anywhere_yields_every_whole_record_and_never_an_error() {
        let records: Vec<Record> = (0..3)
            .flat_map(|guid| [Record::Promised(promised(guid)), Record::Asserted { guid: Guid(guid), index: guid as u64 }])
            .chain([Record::Revealed { guid: Guid(1) }, Record::Settled { guid: Guid(0) }])
            .collect();
        let text: String = records.iter().map(line).collect();
        let ends: Vec<usize> = text.match_indices('\n').map(|(end, _)| end + 1).collect();
        for cut in 0..=text.len() {
            let whole = ends.iter().filter(|&&end| end <= cut).count();
            assert_eq!(read(&text.as_bytes()[..cut]).as_deref(), Ok(&records[..whole]), "cut at {cut}");
        }
    }

    #[test]
    fn damage_in_the_middle_is_found_wherever_it_is() {
        let text = [Record::Promised(promised(1)), Record::Asserted { guid: Guid(1), index: 0 }].iter().map(line).collect::<String>();
        let first = text.find('\n').unwrap();
        for at in 0..first {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(matches!(read(&bytes), Err(1 | 2)), "byte {at}");
        }
    }

    #[tokio::test]
    async fn what_is_synced_is_there_after_a_kill_and_what_is_over_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, writer, open) = Journal::open(folder.path(), ACCOUNT, Chain::Side, SERVER).unwrap();
        assert_eq!(open, []);
        for guid in 1..=4 {
            journal.sync(Record::Promised(promised(guid))).await.unwrap();
        }
        journal.write(Record::Asserted { guid: Guid(2), index: 8 });
        journal.write(Record::Revealed { guid: Guid(2) });
        journal.write(Record::Settled { guid: Guid(3) });
        journal.sync(Record::Dropped { guid: Guid(4) }).await.unwrap();
        // As after a kill: the file as it is, with a torn line, in another folder.
        let other = tempfile::tempdir().unwrap();
        let bytes = [fs::read(file(folder.path())).unwrap(), b"0123456789abcdef {\"promi".to_vec()].concat();
        fs::write(file(other.path()), &bytes).unwrap();
        drop(journal);
        writer.finish().await;

        let expected = [
            OpenPromise { promised: promised(1), index: None, revealed: false },
            OpenPromise { promised: promised(2), index: Some(8), revealed: true },
        ];
        for _ in 0..2 {
            let (journal, writer, open) = Journal::open(other.path(), ACCOUNT, Chain::Side, SERVER).unwrap();
            assert_eq!(open, expected);
            drop(journal);
            writer.finish().await;
        }
        assert!(fs::read(file(other.path())).unwrap().len() < bytes.len(), "it is compacted");
    }

    #[tokio::test]
    async fn one_engine_at_a_time_and_nobody_else_reads() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, writer, _) = Journal::open(folder.path(), ACCOUNT, Chain::Side, SERVER).unwrap();
        let refused = Journal::open(folder.path(), ACCOUNT, Chain::Side, SERVER).unwrap_err().to_string();
        assert!(refused.ends_with("is in use by another engine; two engines must not share an account"), "{refused}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(file(folder.path())).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        drop(journal);
        writer.finish().await;
        Journal::open(folder.path(), ACCOUNT, Chain::Side, SERVER).unwrap();
    }

    #[tokio::test]
    async fn promises_are_not_given_up_for_lost_on_another_server() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, writer, _) = Journal::open(folder.path(), ACCOUNT, Chain::Side, SERVER).unwrap();
        journal.sync(Record::Promised(promised(1))).await.unwrap();
        drop(journal);
        writer.finish().await;
        let refused = Journal::open(folder.path(), ACCOUNT, Chain::Side, "http://mock").unwrap_err().to_string();
        assert!(refused.contains("has 1 open assertions made through http://127.0.0.1:31337; go on there"), "{refused}");

        let (journal, writer, open) = Journal::open(folder.path(), ACCOUNT, Chain::Side, SERVER).unwrap();
        assert_eq!(open.len(), 1);
        journal.sync(Record::Settled { guid: Guid(1) }).await.unwrap();
        drop(journal);
        writer.finish().await;
        Journal::open(folder.path(), ACCOUNT, Chain::Side, "http://mock").unwrap();
    }

    #[tokio::test]
    async fn contracts_are_known_to_the_next_run_by_the_same_server() {
        let folder = tempfile::tempdir().unwrap();
        let known = Contracts { chain: Some(1338), token: Some(Address::repeat_byte(0x2a)), registry: Some(Address::repeat_byte(0x21)) };
        let open = |server: &str| Journal::open(folder.path(), ACCOUNT, Chain::Side, server).unwrap();
        let (journal, writer, _) = open(SERVER);
        assert_eq!(journal.contracts(), Contracts::default());
        records_of_contracts(known).for_each(|record| journal.write(record));
        drop(journal);
        writer.finish().await;
        for (server, expected) in [(SERVER, known), (SERVER, known), ("http://mock", Contracts::default())] {
            let (journal, writer, _) = open(server);
            assert_eq!(journal.contracts(), expected, "{server}");
            drop(journal);
            writer.finish().await;
        }
    }

    #[tokio::test]
    async fn a_journal_that_has_grown_is_rewritten_with_what_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, writer, _) = Journal::open(folder.path(), ACCOUNT, Chain::Side, SERVER).unwrap();
        drop(journal);
        writer.finish().await;
        let path = file(folder.path());
        let (entries, inbox) = mpsc::unbounded_channel();
        let [to, lock] = ["journal", "lock"].map(|kind| OpenOptions::new().append(true).open(path.with_extension(kind)).unwrap());
        let writer = tokio::spawn(write(to, lock, path.clone(), 2000, inbox));
        let contracts = Contracts { chain: Some(7), ..Contracts::default() };
        let journal = Journal { entries, contracts };
        records_of_contracts(contracts).for_each(|record| journal.write(record));
        for guid in 1..=100 {
            journal.sync(Record::Promised(promised(guid))).await.unwrap();
            if guid % 10 != 0 {
                journal.sync(Record::Settled { guid: Guid(guid) }).await.unwrap();
            }
            let open = open_promises(read(&fs::read(&path).unwrap()).unwrap());
            assert_eq!(open.len() as u128, guid / 10);
        }
        drop(journal);
        writer.await.unwrap();
        assert_eq!(contracts_of(&read(&fs::read(&path).unwrap()).unwrap()), contracts);
        let (lines, longest) = (fs::read_to_string(&path).unwrap().lines().count(), 12 + 16);
        assert!(lines <= longest, "{lines} lines for ten open promises");
    }

    #[tokio::test]
    async fn a_foreign_or_damaged_journal_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let header =
            Record::Journal { version: 1, account: Address::repeat_byte(0x22), chain: "side".to_owned(), server: SERVER.to_owned() };
        let check = |text: &str, words: &str| {
            fs::write(file(folder.path()), text).unwrap();
            let refused = Journal::open(folder.path(), ACCOUNT, Chain::Side, SERVER).unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
            assert_eq!(fs::read_to_string(file(folder.path())).unwrap(), text);
        };
        check(&line(&header), "is not a journal of 0x1111111111111111111111111111111111111111 on the side chain");
        check(&format!("junk\n{}", line(&header)), "line 1: damaged");
    }
}
