//! What all requests share: the node behind its lock, and the channels on which news of it goes out.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use market::{
    block::BlockNumber,
    id::{AccountId, Address},
};
use replay::world::PlayError;
use tokio::sync::{Notify, broadcast, watch};

use crate::{
    chain::ChainName,
    clock::Clock,
    node::{Mail, Node},
};

/// Messages that a WebSocket reader may be behind before it is dropped.
const BACKLOG: usize = 8192;

/// How long others are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// A transaction on the side chain to be mined, before its receipt is given up.
    pub side: Duration,
    /// The same on the home chain.
    pub home: Duration,
    /// A WebSocket client to take a message, before it is dropped.
    pub reader: Duration,
}

impl Default for Patience {
    /// polyswarmd's for receipts, and that of polyswarm-client's pings for readers.
    fn default() -> Patience {
        Patience { side: Duration::from_secs(10), home: Duration::from_secs(60), reader: Duration::from_secs(20) }
    }
}

impl Patience {
    /// How long a receipt is waited for.
    pub fn receipt(&self, chain: ChainName) -> Duration {
        match chain {
            ChainName::Side => self.side,
            ChainName::Home => self.home,
        }
    }
}

/// Somebody who hears of a chain.
#[derive(Debug)]
pub struct Listener {
    /// Everything that is said, as text for the WebSocket.
    pub news: broadcast::Receiver<Arc<str>>,
    /// Changes when time goes elsewhere than on.
    pub jumps: watch::Receiver<()>,
    /// The block in which it began to listen.
    pub now: BlockNumber,
}

/// Pages that can look on at a time.
const PAGES: usize = 16;

/// A page that looks on, until this is dropped.
#[derive(Debug)]
pub struct Onlooker {
    /// Changes when something happened.
    pub changes: watch::Receiver<()>,
    /// Changes when time goes elsewhere than on.
    pub jumps: watch::Receiver<()>,
    server: Arc<Server>,
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        self.server.pages.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often the log says how far the run is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What the log has said.
#[derive(Debug)]
struct Told {
    last: Instant,
    seated: bool,
    over: bool,
}

/// A server, as its requests and its clock see it.
#[derive(Debug)]
pub struct Server {
    node: Mutex<Node>,
    /// The current block, for whoever waits for the next.
    block: watch::Sender<u64>,
    news: [broadcast::Sender<Arc<str>>; 2],
    /// Time went elsewhere: whoever listens is to begin anew.
    jumps: watch::Sender<()>,
    /// Something happened that a page shows.
    changed: watch::Sender<()>,
    /// Pages that look on.
    pages: AtomicUsize,
    /// When blocks are mined, once that is settled.
    clock: OnceLock<Clock>,
    /// Where clients connect, if pages are served elsewhere.
    port: OnceLock<u16>,
    /// Somebody came, acted, or passed.
    pub activity: Notify,
    /// Time to stop.
    stop: watch::Sender<bool>,
    /// What ended the run, if it was an error.
    broken: Mutex<Option<PlayError>>,
    told: Mutex<Told>,
    started: f64,
    patience: Patience,
}

impl Server {
    /// A server of `node`.
    pub fn new(node: Node) -> Arc<Server> {
        Server::with_patience(node, Patience::default())
    }

    /// A server that waits for others as long as `patience` says.
    pub fn with_patience(node: Node, patience: Patience) -> Arc<Server> {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        Arc::new(Server {
            block: watch::Sender::new(node.now().0),
            node: Mutex::new(node),
            news: [broadcast::Sender::new(BACKLOG), broadcast::Sender::new(BACKLOG)],
            jumps: watch::Sender::new(()),
            changed: watch::Sender::new(()),
            pages: AtomicUsize::new(0),
            clock: OnceLock::new(),
            port: OnceLock::new(),
            activity: Notify::new(),
            stop: watch::Sender::new(false),
            broken: Mutex::new(None),
            told: Mutex::new(Told { last: Instant::now(), seated: false, over: false }),
            started,
            patience,
        })
    }

    /// The node. Never held across an `.await`.
    pub fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the server started, in seconds since 1970.
    pub fn started(&self) -> f64 {
        self.started
    }

    /// How long others are waited for.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// Hears of every block.
    pub fn blocks(&self) -> watch::Receiver<u64> {
        self.block.subscribe()
    }

    /// Hears of everything on a chain from now on.
    pub fn listen(&self, chain: ChainName) -> Listener {
        let heard = {
            let node = self.node();
            Listener { news: self.news[chain as usize].subscribe(), jumps: self.jumps.subscribe(), now: node.now() }
        };
        if chain == ChainName::Side {
            self.activity.notify_one();
        }
        heard
    }

    /// Lets a page look on, if there is room for one more. It is none of the listeners: no clock waits for it.
    pub fn look_on(self: &Arc<Server>) -> Option<Onlooker> {
        let one_more = |pages: usize| (pages < PAGES).then_some(pages + 1);
        self.pages.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Onlooker { changes: self.changed.subscribe(), jumps: self.jumps.subscribe(), server: self.clone() })
    }

    /// Pages that look on now.
    pub fn pages(&self) -> usize {
        self.pages.load(Ordering::Relaxed)
    }

    /// Says when blocks are mined; the first word holds.
    pub fn set_clock(&self, clock: Clock) {
        let _ = self.clock.set(clock);
    }

    /// When blocks are mined; when somebody asks for one, if nothing was said.
    pub fn clock(&self) -> Clock {
        self.clock.get().copied().unwrap_or(Clock::Manual)
    }

    /// Where clients connect, if pages are served on another port.
    pub fn port(&self) -> Option<u16> {
        self.port.get().copied()
    }

    /// Says where clients connect; for good.
    pub(crate) fn connect_at(&self, port: u16) {
        let _ = self.port.set(port);
    }

    /// WebSocket connections open to the side chain.
    pub fn side_listeners(&self) -> usize {
        self.news[ChainName::Side as usize].receiver_count()
    }

    /// WebSocket connections open now.
    pub fn listeners(&self) -> usize {
        self.news.iter().map(broadcast::Sender::receiver_count).sum()
    }

    /// Lets an account in at first sight.
    pub fn visit(&self, address: Address) {
        let mut node = self.node();
        if node.knows(address) {
            return;
        }
        match node.visit(address) {
            Ok(mail) => {
                // Contracts and simulated accounts are not let in.
                if node.knows(address) {
                    tracing::info!(account = %address, "a visitor comes in");
                }
                self.deliver(mail);
            }
            Err(error) => self.break_off(error),
        }
        drop(node);
        self.activity.notify_one();
    }

    /// Mines a block; false if that was the end of the run.
    pub fn mine(&self) -> bool {
        let mut node = self.node();
        match node.mine() {
            Ok(mail) => {
                let now = node.now().0;
                self.deliver(mail);
                self.tell(&node);
                drop(node);
                self.block.send_replace(now);
                true
            }
            Err(error) => {
                drop(node);
                self.break_off(error);
                false
            }
        }
    }

    /// Says now and then how far the run is.
    fn tell(&self, node: &Node) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (seat, world) = (node.chains().world().seat(), node.chains().world());
        if seat != AccountId::NOBODY && !told.seated {
            told.seated = true;
            tracing::info!(account = %world.names()[seat.0 as usize], "asserted: the report is about this account");
        }
        if told.last.elapsed() >= TELL_EVERY {
            told.last = Instant::now();
            let (figures, over) = (node.figures(), world.closed());
            tracing::info!(block = node.now().0, posted = figures.bounties, over, transactions = figures.transactions, "underway");
        }
        if node.is_over() && !told.over {
            told.over = true;
            tracing::info!("the corpus is through and everything settled");
        }
    }

    /// Sends mail out. Called with the node locked, so that everybody hears of everything in the same order.
    pub fn deliver(&self, mail: Vec<Mail>) {
        for (chain, message) in mail {
            if let Ok(text) = serde_json::to_string(&message) {
                // Nobody has to listen.
                let _ = self.news[chain as usize].send(text.into());
            }
        }
        self.changed.send_replace(());
    }

    /// Tells that time went back or forth by other means than mining. No message says so: WebSockets are closed, and clients
    /// begin anew.
    pub fn jumped(&self) {
        let now = self.node().now().0;
        self.jumps.send_replace(());
        self.block.send_replace(now);
        self.activity.notify_one();
    }

    /// Ends the run because of an error.
    pub fn break_off(&self, error: PlayError) {
        tracing::error!(%error, "the run broke off");
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop();
    }

    /// The error that ended the run.
    pub fn take_error(&self) -> Option<PlayError> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Asks everybody to finish.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// True when it is time to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Completes when no WebSocket is open.
    pub async fn deserted(&self) {
        for news in &self.news {
            news.closed().await;
        }
    }

    /// Completes when it is time to stop.
    pub async fn stopped(&self) {
        // The sender is in `self`: it cannot be gone.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }
}
