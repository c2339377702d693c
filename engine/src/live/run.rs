//! Jobs carried out: concurrently on a market that does not wait, or block by block on one that does.

use std::{
    collections::{BTreeMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy_primitives::U256;
use futures_util::{FutureExt as _, future::join_all};
use market::{block::BlockNumber, commitment::Commitment, id::Guid, verdict::ArtifactSet};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
};
use wire::{
    artifact::UriKind,
    assertion::{PostAssertion, RevealAssertion},
    calldata::{self, Call},
    flags::Flags,
    message::Event as Heard,
    metadata::{Environment, Scanner, VerdictMetadata},
    transaction::Unsigned,
};

use super::{
    driver::Driver,
    events::Incoming,
    http::Transport,
    job::{Action, ActionError, ActionKind, Job, Outcome, ScanError, Standing, Subject},
    journal::{Journal, Record, records_of_contracts},
    polyswarmd::{Polyswarmd, RequestError},
    summary::Summary,
    transactions::{self, Attempts, Queue, SendError},
    verify::{Contracts, Expected, Refusal},
    wallet::Wallet,
};
use crate::{artifact::ScanResult, filter::Filter, scanner};

/// Bounties whose artifacts are listed or downloaded at the same time; each holds one artifact in memory.
const DOWNLOADS: usize = 8;
/// Actions of one urgency whose transactions are built at the same time.
const BUILDS: usize = 8;
/// Receipts waited for at the same time.
const RECEIPTS: usize = 256;
/// Looks at the chain at the same time.
const LOOKUPS: usize = 8;
/// How long what is under way may take once the engine stops.
const GRACE: Duration = Duration::from_secs(15);

/// Where jobs are carried out.
#[derive(Debug)]
pub struct Office<T> {
    client: Arc<Polyswarmd<T>>,
    queue: Queue,
    journal: Journal,
    scanner: Arc<scanner::Scanner>,
    filter: Filter,
    contracts: Mutex<Contracts>,
    /// Where the metadata for so many artifacts is.
    metadata: Mutex<BTreeMap<usize, String>>,
    blocks: watch::Sender<BlockNumber>,
    attempts: Attempts,
    slots: Arc<Semaphore>,
    downloads: Semaphore,
    builds: [Semaphore; 3],
    receipts: Semaphore,
    lookups: Semaphore,
}

impl<T: Transport> Office<T> {
    /// An office for the account of `wallet`, which scans up to `slots` artifacts at once. In lockstep, receipts
    /// are asked for once, in the block after: they are there.
    pub fn new(
        client: Polyswarmd<T>,
        wallet: Wallet,
        journal: Journal,
        scanner: Arc<scanner::Scanner>,
        filter: Filter,
        slots: usize,
        pace: Pace,
    ) -> Office<T> {
        let client = Arc::new(client);
        let (blocks, seen) = watch::channel(BlockNumber(0));
        let queue = Queue::start(Arc::clone(&client), wallet, seen);
        let contracts = Mutex::new(journal.contracts());
        let attempts = if pace == Pace::Lockstep { Attempts::One } else { Attempts::Several };
        Office {
            client,
            queue,
            journal,
            scanner,
            filter,
            contracts,
            metadata: Mutex::default(),
            blocks,
            attempts,
            slots: Arc::new(Semaphore::new(slots.clamp(1, Semaphore::MAX_PERMITS))),
            downloads: Semaphore::new(DOWNLOADS),
            builds: [(); 3].map(|()| Semaphore::new(BUILDS)),
            receipts: Semaphore::new(RECEIPTS),
            lookups: Semaphore::new(LOOKUPS),
        }
    }

    /// Signs for no other chain than this one.
    ///
    /// # Errors
    ///
    /// The chain that the journal says was signed for, if it is another one.
    pub fn pin_chain(&self, id: u64) -> Result<(), u64> {
        let mut contracts = self.contracts.lock().expect("nobody panics while verifying");
        match contracts.chain.replace(id) {
            Some(before) if before != id => Err(before),
            _ => Ok(()),
        }
    }

    /// Verifies transactions, and notes the contracts that are new in the journal.
    fn verify(&self, expected: &Expected, transactions: &[Unsigned]) -> Result<(), Refusal> {
        let mut contracts = self.contracts.lock().expect("nobody panics while verifying");
        let before = *contracts;
        contracts.verify(expected, transactions)?;
        if *contracts != before {
            records_of_contracts(*contracts).for_each(|record| self.journal.write(record));
        }
        Ok(())
    }

    /// As [`Office::carry_out`], also if that panics.
    async fn attempt(&self, job: Job) -> Option<Outcome> {
        let again = job.clone();
        AssertUnwindSafe(self.carry_out(job)).catch_unwind().await.unwrap_or_else(|_| Some(Outcome::Panicked(Box::new(again))))
    }

    /// Carries out one job; `None` for those that nothing comes back from.
    async fn carry_out(&self, job: Job) -> Option<Outcome> {
        Some(match job {
            Job::ReadParameters => Outcome::Parameters(self.client.bounty_parameters().await),
            Job::List { guid, subject } => {
                let _turn = permit(&self.downloads).await;
                let result = match self.in_time(&subject) {
                    Ok(()) => self.client.artifacts(&subject.uri).await.map(|artifacts| artifacts.len()).map_err(ScanError::from),
                    Err(late) => Err(late),
                };
                Outcome::Listed { guid, result }
            }
            Job::Scan { guid, subject, artifacts } => Outcome::Scanned { guid, result: self.scan(&subject, artifacts).await },
            Job::AskBalance { question } => Outcome::Balance { question, result: self.client.balance().await },
            Job::Send(action) => {
                let result = self.send(&action).await;
                Outcome::Sent { action, result }
            }
            Job::Confirm { action, hashes } => {
                let _turn = permit(&self.receipts).await;
                let result = transactions::receipt(&self.client, &self.queue, &hashes, self.attempts).await;
                Outcome::Confirmed { action, result }
            }
            Job::LookUp { guid, commitment } => {
                let _turn = permit(&self.lookups).await;
                Outcome::LookedUp { guid, result: self.look_up(guid, commitment.into()).await }
            }
            Job::ReadVotes { guid, stakes } => {
                let _turn = permit(&self.lookups).await;
                let result = self.client.votes(guid).await;
                let wanted = stakes && result.is_ok();
                // Without them, the votes alone are learned from.
                let assertions = if wanted { self.client.assertions(guid).await.ok() } else { None };
                Outcome::Votes { guid, result, assertions }
            }
            Job::Write(record) => {
                self.journal.write(record);
                return None;
            }
        })
    }

    /// An assertion can still be mined: in the next block at the earliest.
    fn in_time(&self, subject: &Subject) -> Result<(), ScanError> {
        if self.blocks.borrow().0.saturating_add(1) < subject.expiration.0 { Ok(()) } else { Err(ScanError::Late) }
    }

    /// Downloads one artifact after the other and has all backends look at each.
    async fn scan(&self, subject: &Subject, artifacts: usize) -> Result<Vec<ScanResult>, ScanError> {
        let _turn = permit(&self.downloads).await;
        let mut results = Vec::with_capacity(artifacts * self.scanner.len());
        for index in 0..artifacts {
            self.in_time(subject)?;
            let announced = subject.announced.get(index).cloned().unwrap_or_default();
            if !self.filter.accepts(&announced) {
                results.extend(self.scanner.names().map(|_| ScanResult::NONE));
                continue;
            }
            let content = self.client.artifact(&subject.uri, index).await?;
            let file_type = announced.mimetype;
            let scanner = Arc::clone(&self.scanner);
            let slot = Arc::clone(&self.slots).acquire_owned().await.expect("slots are never closed");
            let scanned = tokio::task::spawn_blocking(move || {
                let sha256 = Sha256::digest(&content).into();
                let scan = scanner.scan(&Arc::new(scanner::Subject { sha256, file_type, size: None, content: Some(content.to_vec()) }));
                drop(slot);
                scan
            });
            let scan = scanned.await.map_err(|cause| ScanError::Failed(cause.to_string()))?;
            for (backend, answer) in self.scanner.names().zip(&scan.answers) {
                if let Err(failure) = &answer.outcome {
                    tracing::warn!(backend, uri = subject.uri, index, reason = %failure.to_string().escape_debug(), "no answer");
                }
            }
            let answers = scan.answers.iter().map(|answer| answer.outcome.as_ref().map(|finding| self.filter.finding(finding)));
            results.extend(answers.map(Result::unwrap_or_default));
        }
        Ok(results)
    }

    /// Has the transactions of an action built, verifies them, signs them and sends them. Journals an assertion before.
    async fn send(&self, action: &Action) -> Result<Vec<alloy_primitives::B256>, ActionError> {
        let guid = action.guid;
        let turn = permit(&self.builds[action.urgency() as usize]).await;
        if action.latest.is_some_and(|latest| *self.blocks.borrow() >= latest) {
            return Err(SendError::Late.into());
        }
        let (to_sign, expected) = match &action.kind {
            ActionKind::Assert(promised) => {
                let commitment = Commitment::compute(self.client.account(), promised.opening());
                let mask = ArtifactSet::from_uint(promised.mask);
                let body = PostAssertion {
                    bid: promised.bids.clone(),
                    mask: Flags::new(mask, promised.artifacts),
                    commitment: U256::from_be_bytes(commitment.0),
                };
                let assertion = calldata::PostAssertion { guid, bids: promised.bids.clone(), mask, commitment };
                let to_sign = self.client.build_assertion(guid, &body).await?;
                (to_sign, Expected::Assertion { allowance: promised.price, assertion })
            }
            ActionKind::Reveal { index, opening, artifacts } => {
                let metadata = self.metadata(guid, *artifacts).await;
                let verdicts = Flags::new(opening.verdicts, *artifacts);
                let body = RevealAssertion { nonce: opening.nonce, verdicts, metadata: metadata.clone() };
                let index_on_chain = U256::from(*index);
                let reveal =
                    calldata::RevealAssertion { guid, index: index_on_chain, nonce: opening.nonce, verdicts: opening.verdicts, metadata };
                (self.client.build_reveal(guid, *index, &body).await?, Expected::Call(Call::RevealAssertion(reveal)))
            }
            ActionKind::Settle => (self.client.build_settlement(guid).await?, Expected::Call(Call::SettleBounty { guid })),
        };
        self.verify(&expected, &to_sign.transactions)?;
        if let ActionKind::Assert(promised) = &action.kind {
            self.journal.sync(Record::Promised(promised.clone())).await.map_err(ActionError::Journal)?;
        }
        drop(turn);
        Ok(self.queue.send(action.urgency(), to_sign.transactions, action.latest).await?)
    }

    /// Address of what the engine says about so many artifacts: always the same, so it is stored once.
    async fn metadata(&self, guid: Guid, artifacts: usize) -> String {
        let known = self.metadata.lock().expect("nobody panics with it").get(&artifacts).cloned();
        if let Some(address) = known {
            return address;
        }
        match self.client.post_metadata(&verdict_metadata(artifacts)).await {
            Ok(address) if UriKind::of(&address).is_none() => {
                tracing::warn!(%guid, "revealing without metadata: the server's address of it is none");
                String::new()
            }
            Ok(address) => {
                self.metadata.lock().expect("nobody panics with it").insert(artifacts, address.clone());
                address
            }
            Err(error) => {
                // A reveal counts without.
                tracing::warn!(%guid, %error, "revealing without metadata");
                String::new()
            }
        }
    }

    /// How the own assertion on a bounty stands.
    async fn look_up(&self, guid: Guid, commitment: U256) -> Result<Standing, RequestError> {
        let bounty = self.client.bounty(guid).await?;
        let assertions = self.client.assertions(guid).await?;
        let account = self.client.account();
        let own = assertions.iter().position(|assertion| (assertion.author, assertion.commitment) == (account, commitment));
        Ok(own.map_or(Standing::Missing, |index| Standing::Found {
            index: index as u64,
            revealed: !assertions[index].nonce.is_zero(),
            quorum: bounty.quorum_reached,
        }))
    }
}

async fn permit(semaphore: &Semaphore) -> tokio::sync::SemaphorePermit<'_> {
    semaphore.acquire().await.expect("it is never closed")
}

/// What the engine says about each artifact at the reveal: no family, and who scanned.
fn verdict_metadata(artifacts: usize) -> Vec<VerdictMetadata> {
    let environment = Environment { architecture: std::env::consts::ARCH.to_owned(), operating_system: std::env::consts::OS.to_owned() };
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    let scanner = Scanner { version, environment: Some(environment), ..Scanner::default() };
    vec![VerdictMetadata { malware_family: String::new(), scanner: Some(scanner) }; artifacts]
}

/// How a market goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Blocks come whether or not everybody is done.
    Free,
    /// The next block comes when every participant has passed: each block is handled completely, in a fixed order.
    Lockstep,
}

/// What several engines of one process share: when to stop.
#[derive(Clone, Debug)]
pub struct Finish {
    stop: watch::Sender<bool>,
    settled: Arc<AtomicU64>,
    goal: Option<u64>,
}

impl Finish {
    /// Stop when told to, or after so many settled bounties in all.
    pub fn new(goal: Option<u64>) -> Finish {
        Finish { stop: watch::Sender::new(false), settled: Arc::default(), goal }
    }

    /// Stop.
    pub fn now(&self) {
        self.stop.send_replace(true);
    }

    fn count(&self, settled: u64) {
        let all = self.settled.fetch_add(settled, Ordering::Relaxed) + settled;
        if self.goal.is_some_and(|goal| all >= goal) {
            self.now();
        }
    }
}

/// Drives the engine until it is to stop, and tells what it did.
///
/// What is under way on chain then is finished, for at most 15 seconds; the rest is in the journal.
pub async fn run<T: Transport>(office: Office<T>, driver: Driver, events: mpsc::Receiver<Incoming>, finish: Finish, pace: Pace) -> Summary {
    let desk = Desk { office: Arc::new(office), driver, finish, settled: 0 };
    match pace {
        Pace::Free => desk.run_freely(events).await,
        Pace::Lockstep => desk.run_in_lockstep(events).await,
    }
}

/// The driver and where its jobs are carried out.
struct Desk<T> {
    office: Arc<Office<T>>,
    driver: Driver,
    finish: Finish,
    /// Settled bounties that [`Finish`] knows of.
    settled: u64,
}

impl<T: Transport> Desk<T> {
    fn hear(&mut self, incoming: Incoming) -> Vec<Job> {
        let jobs = self.driver.on_incoming(incoming);
        let now = self.driver.now();
        self.office.blocks.send_if_modified(|last| std::mem::replace(last, now) != now);
        self.count();
        jobs
    }

    fn learn(&mut self, outcome: Outcome) -> Vec<Job> {
        let jobs = self.driver.on_outcome(outcome);
        self.count();
        jobs
    }

    fn count(&mut self) {
        let settled = self.driver.settled();
        if settled > self.settled {
            self.finish.count(settled - self.settled);
            self.settled = settled;
        }
    }

    async fn run_freely(mut self, mut events: mpsc::Receiver<Incoming>) -> Summary {
        let mut stop = self.finish.stop.subscribe();
        // What changes the chain is finished when the engine stops; what only looks is not.
        let (mut acting, mut looking) = (JoinSet::new(), JoinSet::new());
        loop {
            let jobs = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                // Under load, time is told first and new bounties wait: they can be dropped, reveals cannot.
                incoming = events.recv() => match incoming {
                    Some(incoming) => self.hear(incoming),
                    None => break,
                },
                Some(done) = acting.join_next() => self.done(done),
                Some(done) = looking.join_next() => self.done(done),
            };
            self.begin(jobs, &mut acting, &mut looking);
        }
        self.driver.stop();
        looking.shutdown().await;
        let drain = async {
            while let Some(done) = acting.join_next().await {
                let jobs = self.done(done);
                self.begin(jobs, &mut acting, &mut looking);
            }
        };
        if tokio::time::timeout(GRACE, drain).await.is_err() {
            tracing::warn!("not all that was under way came to its end; it is in the journal");
        }
        self.driver.summary()
    }

    fn begin(&self, jobs: Vec<Job>, acting: &mut JoinSet<Option<Outcome>>, looking: &mut JoinSet<Option<Outcome>>) {
        for job in jobs {
            let office = Arc::clone(&self.office);
            match job {
                // In the order of the driver.
                Job::Write(record) => self.office.journal.write(record),
                Job::Send(_) | Job::Confirm { .. } => {
                    acting.spawn(async move { office.attempt(job).await });
                }
                _ => {
                    looking.spawn(async move { office.attempt(job).await });
                }
            }
        }
    }

    fn done(&mut self, done: Result<Option<Outcome>, tokio::task::JoinError>) -> Vec<Job> {
        match done {
            Ok(Some(outcome)) => self.learn(outcome),
            Ok(None) => Vec::new(),
            Err(cause) => {
                // Panics end in outcomes; what is left is a runtime that ends.
                tracing::error!(%cause, "a job failed");
                Vec::new()
            }
        }
    }

    async fn run_in_lockstep(mut self, mut events: mpsc::Receiver<Incoming>) -> Summary {
        let mut stop = self.finish.stop.subscribe();
        let mut jobs: VecDeque<Job> = VecDeque::new();
        let mut unconfirmed: Vec<Job> = Vec::new();
        loop {
            let incoming = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                incoming = events.recv() => incoming,
            };
            let Some(incoming) = incoming else { break };
            let (block, connected) = match &incoming {
                Incoming::Message(message) => match &message.event {
                    Heard::Block(block) if self.driver.is_news(block.number) => (Some(block.number), false),
                    _ => (None, false),
                },
                Incoming::Connected => (None, true),
            };
            jobs.extend(self.hear(incoming));
            if connected {
                // The market waits for participants that it has heard of.
                unconfirmed.extend(self.handle_all(std::mem::take(&mut jobs)).await);
            }
            if let Some(block) = block {
                // Mined in this block; the rest depends on them.
                for confirm in unconfirmed.drain(..).rev() {
                    jobs.push_front(confirm);
                }
                unconfirmed = self.handle_all(std::mem::take(&mut jobs)).await;
                if let Err(error) = self.office.client.pass(block.0).await {
                    tracing::warn!(%error, "cannot pass: is this a market in lockstep, and is it not over?");
                }
            }
        }
        self.driver.stop();
        self.driver.summary()
    }

    /// Carries out jobs and what follows from them, until nothing is left but receipts that the next block brings.
    async fn handle_all(&mut self, mut jobs: VecDeque<Job>) -> Vec<Job> {
        let mut unconfirmed = Vec::new();
        let mut sends: Vec<Box<Action>> = Vec::new();
        loop {
            let mut others = Vec::new();
            for job in jobs.drain(..) {
                match job {
                    Job::Send(action) => sends.push(action),
                    other => others.push(other),
                }
            }
            if !others.is_empty() {
                // All at once, but taken in in their order.
                let office = Arc::clone(&self.office);
                for outcome in join_all(others.into_iter().map(|job| office.attempt(job))).await.into_iter().flatten() {
                    jobs.extend(self.learn(outcome));
                }
                continue;
            }
            if sends.is_empty() {
                return unconfirmed;
            }
            // Stable: as the driver asked, within an urgency.
            sends.sort_by_key(|action| action.urgency());
            for action in std::mem::take(&mut sends) {
                if let Some(outcome) = self.office.attempt(Job::Send(action)).await {
                    for job in self.learn(outcome) {
                        match job {
                            Job::Confirm { .. } => unconfirmed.push(job),
                            other => jobs.push_back(other),
                        }
                    }
                }
            }
        }
    }
}

/// A nonce from the operating system's randomness.
///
/// # Panics
///
/// If the operating system has none: then nothing may be committed to.
pub fn random_nonce() -> U256 {
    loop {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the operating system has randomness");
        let nonce = U256::from_be_bytes(bytes);
        if !nonce.is_zero() {
            return nonce;
        }
    }
}

/// 64 bits from the operating system's randomness.
///
/// # Panics
///
/// If the operating system has none.
pub fn random_seed() -> u64 {
    random_nonce().as_limbs()[0]
}
