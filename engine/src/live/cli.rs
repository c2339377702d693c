//! The `microengine` command: the engine on a real market. Flags and environment are those of polyswarm-client.

mod args;
mod new;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, anyhow};
use tokio::{sync::mpsc, task::JoinSet};
use tracing_subscriber::EnvFilter;

use self::args::{LogFormat, Setup, Task};
use super::{
    driver::Driver,
    events::{self, WebSocket},
    http::Http,
    journal::Journal,
    polyswarmd::{Chain, Polyswarmd},
    run::{self, Finish, Office, Pace},
    summary::Summary,
    wallet::Wallet,
};
use crate::{chance::Key, microengine::Microengine, stake};

/// Events that may wait for the driver; then the socket waits.
const BACKLOG: usize = 4096;

/// Times in a row that a market in lockstep may refuse a connection before it is over.
const LOCKSTEP_TRIES: u32 = 3;

/// How the command ended short of success.
enum Ended {
    /// What was typed, or what it names, cannot be used.
    Usage(anyhow::Error),
    /// Anything else.
    Internal(anyhow::Error),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let interrupted = Arc::new(AtomicBool::new(false));
    let result = Setup::from_command_line().map_err(Ended::Usage).and_then(|task| match task {
        Task::New(new) => start_project(&new),
        Task::Print(page) => print(&page),
        Task::NewKey { file, password } => new_key(&file, &password),
        Task::Run(setup) => live(*setup, &interrupted),
    });
    match result {
        Ok(code) if !interrupted.load(Ordering::Relaxed) => code,
        Ok(_) => ExitCode::from(130),
        Err(Ended::Usage(error)) => fail(&error, 2),
        Err(Ended::Internal(error)) => fail(&error, 1),
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    // Nobody reads it if standard error is closed.
    let _ = writeln!(io::stderr(), "microengine: {error:#}");
    ExitCode::from(code)
}

/// Writes a project, and says what to do with it.
fn start_project(new: &new::NewArgs) -> Result<ExitCode, Ended> {
    let next = new.run().map_err(Ended::Usage)?;
    io::stdout().lock().write_all(next.as_bytes()).context("cannot write to standard output").map_err(Ended::Internal)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a page about the command line.
fn print(page: &[u8]) -> Result<ExitCode, Ended> {
    io::stdout().lock().write_all(page).context("cannot write to standard output").map_err(Ended::Internal)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes an account; its address goes to standard output.
fn new_key(file: &Path, password: &str) -> Result<ExitCode, Ended> {
    let wallet = Wallet::create(file, password).map_err(|error| Ended::Usage(error.into()))?;
    let account = wire::address::to_text(wallet.address());
    writeln!(io::stdout().lock(), "{account}").context("cannot write the account").map_err(Ended::Internal)?;
    Ok(ExitCode::SUCCESS)
}

fn live(setup: Setup, interrupted: &Arc<AtomicBool>) -> Result<ExitCode, Ended> {
    log(&setup);
    let wallet = Wallet::open(&setup.keyfile, &setup.password).map_err(|error| Ended::Usage(error.into()))?;
    tracing::info!(account = %wire::address::to_text(wallet.address()), server = %setup.server, "microengine");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime").map_err(Ended::Internal)?;
    let summary = runtime.block_on(engines(&setup, &wallet, interrupted))?;
    // A backend may still be scanning; nobody waits for its answer.
    runtime.shutdown_background();
    write!(io::stdout().lock(), "{summary}").context("cannot write the summary").map_err(Ended::Internal)?;
    let failed = setup.testing.is_some() && summary.errors > 0;
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Runs one engine for each chain, until all are done.
async fn engines(setup: &Setup, wallet: &Wallet, interrupted: &Arc<AtomicBool>) -> Result<Summary, Ended> {
    let finish = Finish::new(setup.testing);
    let mut engines = JoinSet::new();
    let mut writers = Vec::new();
    for &chain in &setup.chains {
        let account = wallet.address();
        let (journal, writer, promises) = Journal::open(&setup.journal, account, chain, &setup.server.to_string())
            .context("cannot use the journal")
            .map_err(Ended::Usage)?;
        writers.push(writer);
        if !promises.is_empty() {
            tracing::info!(%chain, count = promises.len(), "taking up assertions of earlier runs");
        }
        let core = microengine(setup, chain).map_err(Ended::Usage)?;
        let driver = Driver::new(core, account, setup.artifact_types.clone(), promises)
            .with_ceilings(setup.ceilings)
            .with_filter(setup.filter.clone());
        let http =
            Http::new(setup.server.clone(), setup.api_key.as_deref().map(String::as_str)).map_err(|error| Ended::Usage(error.into()))?;
        let pace = if setup.lockstep { Pace::Lockstep } else { Pace::Free };
        // A market in lockstep comes to its end; any other one is waited for.
        let tries = setup.lockstep.then_some(LOCKSTEP_TRIES);
        let client = Polyswarmd::new(http, account, chain);
        let office = Office::new(
            client,
            wallet.clone(),
            journal,
            Arc::clone(&setup.scanner),
            setup.filter.clone(),
            setup.config.scan.slots as usize,
            pace,
        );
        if let Some(id) = setup.chain_id {
            office.pin_chain(id).map_err(|before| {
                let journal = setup.journal.display();
                Ended::Usage(anyhow!("the journal in {journal} is of chain {before}, not {id}; use another folder for that chain"))
            })?;
        }
        let (to, from) = mpsc::channel(BACKLOG);
        tokio::spawn(events::listen(WebSocket::new(setup.server.events(chain)), to, tries));
        engines.spawn(run::run(office, driver, from, finish.clone(), pace));
    }
    tokio::spawn(interrupt(finish, Arc::clone(interrupted)));
    let mut summary = Summary::default();
    while let Some(done) = engines.join_next().await {
        summary.add(&done.context("an engine failed").map_err(Ended::Internal)?);
    }
    for writer in writers {
        writer.finish().await;
    }
    Ok(summary)
}

/// The engine of a chain. Its nonces come from the operating system, unless a seed is given for tests.
fn microengine(setup: &Setup, chain: Chain) -> anyhow::Result<Microengine> {
    let staker = stake::build(&setup.config.strategy)?;
    let secret = Key::root(setup.seed.unwrap_or_else(run::random_seed)).named("engine");
    let secret = if chain == Chain::Side { secret } else { secret.named("home") };
    let mut engine = Microengine::new(setup.scanner.len(), setup.config.judge(), staker, secret);
    if setup.seed.is_none() {
        engine.draw_nonces(run::random_nonce);
    }
    Ok(engine)
}

/// Stops the engines at the first signal, the process at the second.
async fn interrupt(finish: Finish, interrupted: Arc<AtomicBool>) {
    signal().await;
    interrupted.store(true, Ordering::Relaxed);
    tracing::warn!("stopping; once more to stop at once");
    finish.now();
    signal().await;
    crate::backend::command::abandon();
    std::process::exit(130);
}

/// Waits for SIGINT or SIGTERM.
async fn signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}

/// Whether stderr is a terminal, and nobody forbade colours.
fn takes_colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|forbidden| forbidden.is_empty())
}

fn log(setup: &Setup) {
    let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&setup.log)).with_writer(io::stderr).with_target(false);
    match setup.log_format {
        LogFormat::Text => subscriber.with_ansi(takes_colours()).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}
