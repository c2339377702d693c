//! An engine that is killed at any moment and started again reveals everything it asserted, and asserts nothing twice.
//!
//! The market is in lockstep: no block passes without the engine, so what is lost is lost by the engine and not by the
//! speed of the machine.

use std::{
    hint::spin_loop,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use datasets::{CheckOptions, Corpus};
use engine::chance::Key;
use market::{id::Address, nct::Nct};
use mock_polyswarmd::{
    chain::ChainName,
    clock::{self, Clock},
    http,
    node::{Guests, Node},
    server::Server,
};
use replay::{
    plan::Setup,
    scenario::{Arrival, Scenario},
};
use tokio::{net::TcpListener, sync::broadcast::error::RecvError};

/// Times the engine is killed.
const KILLS: u64 = 50;
/// Longest time that the run may take, in all.
const PATIENCE: Duration = Duration::from_secs(300);

fn setup() -> Arc<Setup> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/corpora/starter");
    let corpus = Corpus::open(&folder).unwrap();
    let summary = corpus.check(CheckOptions { files: true }, &mut |_| {}).unwrap();
    let mut scenario = Scenario { bounties: 240, ..Scenario::default() };
    scenario.ambassadors.arrival = Arrival::Fixed;
    scenario.ambassadors.bounties_per_block = 1.0;
    scenario.ambassadors.duration = 6;
    scenario.market.reveal_window = Some(5);
    scenario.market.vote_window = Some(5);
    scenario.rivals[0].count = 2;
    scenario.arbiters.count = 2;
    Arc::new(Setup::new(scenario, corpus, summary, &folder).unwrap())
}

/// A running engine, which does not outlive the test.
struct Engine(Child);

impl Engine {
    fn start(address: &str, journal: &Path) -> Engine {
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/microengine.json");
        let child = Command::new(env!("CARGO_BIN_EXE_microengine"))
            .args(["--polyswarmd-addr", address, "--keyfile", key, "--backend", "eicar", "--lockstep", "--log", "error"])
            .arg("--journal")
            .arg(journal)
            .env("PASSWORD", "password")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Engine(child)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SIGKILL: nothing is tidied up.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_asserted_is_revealed() {
    let account: Address = "0x09825b2d914eaF8796446747b7D1eC7591538ECc".parse().unwrap();
    let guests = Guests { seat: Some(account), expected: vec![(account, Nct::whole(1_000))], gift: Nct::ZERO };
    let server = Server::new(Node::new(setup(), guests).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(http::serve(listener, http::app(&server, false), server.clone()));
    let mut news = server.listen(ChainName::Side).news;
    let clock = tokio::spawn(clock::run(server.clone(), Clock::Lockstep { timeout: PATIENCE }, 1, true));

    let journal = tempfile::tempdir().unwrap();
    let mut engine = Engine::start(&address, journal.path());
    let play = async {
        for kill in 0..KILLS {
            let mut chance = Key::root(1).with(kill).stream();
            // Somewhere among the things that happen, and some way into what the engine makes of it.
            for _ in 0..1 + chance.below(40) {
                match news.recv().await {
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => panic!("the server is gone"),
                }
            }
            let moment = Instant::now() + Duration::from_micros(chance.below(8_000));
            while Instant::now() < moment {
                spin_loop();
            }
            assert!(!server.node().is_over(), "the run ended after {kill} kills: it is too short for this test");
            drop(engine);
            engine = Engine::start(&address, journal.path());
        }
        clock.await.unwrap();
    };
    tokio::time::timeout(PATIENCE, play).await.expect("the engine goes on after every kill");

    let node = server.node();
    let market = node.chains().market(ChainName::Side);
    let own = market.known_account(account).unwrap();
    let (mut asserted, mut settled) = (0, 0);
    for number in 0..node.setup().bounties {
        let bounty = market.bounty(market.bounty_guid(number).unwrap()).unwrap();
        let assertions: Vec<_> = bounty.assertions.iter().filter(|assertion| assertion.author == own).collect();
        assert!(assertions.len() <= 1, "bounty {number} is asserted on {} times", assertions.len());
        for assertion in assertions {
            asserted += 1;
            assert!(assertion.revealed().is_some(), "bounty {number}: an assertion was never revealed");
            settled += u64::from(bounty.has_settled(own));
        }
    }
    assert!(asserted > 100, "only {asserted} bounties were asserted on");
    assert_eq!(settled, asserted, "what is due is collected, too");
}
