//! The command line, and the life of the server from start to report.

use std::{
    io::{self, Write, stderr, stdout},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::{CommandFactory as _, Parser, ValueEnum};
use clap_complete::Shell;
use datasets::{CheckOptions, Corpus};
use market::{
    id::{AccountId, Address},
    nct::Nct,
    ruleset::Edition,
};
use replay::plan::Setup;
use sim::{
    commands::completions,
    execute::{self, Broken},
    exit::{self, Exit, OrExit},
    layout,
    output::RunDirectory,
    progress::{self, Progress, Told},
    report,
    settings::{Settings, SettingsArgs},
    shipped, text,
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    chain::GIFT_MAXIMUM,
    clock::{self, BlockTime, Clock, duration},
    http::{self, App},
    node::{Guests, Node},
    run,
    server::Server,
};

const EXAMPLES: &str = "\
Examples:
  mock-polyswarmd                              the panel, a block a second
  mock-polyswarmd starter --block-time 20ms    real small files to scan, fast
  mock-polyswarmd starter --block-time lockstep --exit-when-done --out run
                                               one engine, the same every time
  microengine --polyswarmd-addr http://127.0.0.1:31337 --keyfile key.json \\
      --backend eicar

Exit codes:
  0 the corpus is through; 1 internal error; 2 usage or input;
  4 an invariant is broken; 130 stopped before the end (the run is written)";

/// Replay a labelled corpus over polyswarmd's protocol, for real clients to trade on
#[derive(Debug, Parser)]
#[command(name = "mock-polyswarmd", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// Corpus folder, verdict matrix (.csv, .csv.gz), or the name of a shipped corpus: `panel` (the default), `starter`
    #[arg(value_name = "CORPUS")]
    corpus: Option<PathBuf>,
    /// Scenario in TOML; `sim config` prints one with every key
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Set one key, as in `ambassadors.amount=3` or `rivals.0.count=5`; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Seed of every random draw
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,

    /// When blocks are mined: every so often (`1s`, `20ms`), `manual` (POST /_mock/mine) or `lockstep` (as soon as every
    /// participant has acted or passed)
    #[arg(long, value_name = "TIME", default_value = "1s")]
    block_time: BlockTime,
    /// How long a silent participant of a lockstep is waited for
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    lockstep_timeout: Duration,
    /// The clock starts when so many clients have come [default: 1 in lockstep, else 0]
    #[arg(long, value_name = "N")]
    participants: Option<usize>,
    /// Stop when the corpus is through and everything is settled
    #[arg(long)]
    exit_when_done: bool,
    /// New folder for run.json, the scenario, the journal and a table of bounties
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Account that the report is about, with the wallet of the scenario's engine [default: the first client who asserts]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    account: Option<Address>,
    /// Account to open before the first block, with so many NCT on each chain; repeatable
    #[arg(long, value_name = "ADDRESS=NCT", value_parser = fund)]
    fund: Vec<(Address, Nct)>,
    /// What any other account gets on each chain at first sight, in NCT; arbiters stake 10 million
    #[arg(long, value_name = "NCT", default_value = "50000000", value_parser = nct)]
    wallet: Nct,

    /// Address to listen on
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Port to listen on; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 31337)]
    port: u16,
    /// Serve the cheats under /_mock/ on a port of their own, on the loopback interface; 0 for any that is free
    #[arg(long, value_name = "PORT", conflicts_with = "no_admin")]
    admin_port: Option<u16>,
    /// Serve no cheats
    #[arg(long)]
    no_admin: bool,

    /// What is logged: error, warn, info, debug, trace, or a filter as in `mock_polyswarmd=debug`
    #[arg(long, value_name = "FILTER", default_value = "info", env = "RUST_LOG")]
    log: String,
    /// How the log on stderr is written
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Nothing on stderr but errors
    #[arg(long)]
    quiet: bool,
    /// How progress of reading the corpus and of writing the run is told on stderr; lines of JSON also with --quiet
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    progress: Told,

    /// Print what a shell needs to complete these flags, and do nothing else
    #[arg(long, value_enum, value_name = "SHELL", exclusive = true)]
    completions: Option<Shell>,
    /// Print the manual page, and do nothing else
    #[arg(long, exclusive = true)]
    man: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn address(text: &str) -> Result<Address, String> {
    wire::address::parse(text).map_err(|error| error.to_string())
}

fn nct(text: &str) -> Result<Nct, String> {
    let amount: Nct = text.parse().map_err(|error: market::nct::MalformedAmount| error.to_string())?;
    if amount <= Nct::whole(GIFT_MAXIMUM) { Ok(amount) } else { Err(format!("nobody is given more than {GIFT_MAXIMUM} NCT")) }
}

fn fund(text: &str) -> Result<(Address, Nct), String> {
    let (account, amount) = text.split_once('=').ok_or("write ADDRESS=NCT, as in 0x05328f171b8c1463eaFDACCA478D9EE6a1d923F8=1000")?;
    Ok((address(account)?, nct(amount)?))
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = match cli.run() {
        Ok(exit) => exit,
        Err(error) => {
            let exit = if error.is::<Broken>() { Exit::Broken } else { Exit::of(&error) };
            // Nobody may be left to read it.
            let _ = writeln!(stderr(), "{}", exit::line(&error));
            exit
        }
    };
    code.into()
}

impl Cli {
    fn run(self) -> Result<Exit> {
        if let Some(page) = self.about_itself()? {
            stdout().write_all(&page)?;
            return Ok(Exit::Success);
        }
        progress::choose(self.progress);
        self.start_log()?;
        let setup = Arc::new(self.set_up()?);
        let out = self.out.as_deref().map(RunDirectory::create).transpose().or_exit(Exit::Usage)?;
        for warning in &setup.warnings {
            tracing::info!("{}", text::plain(warning));
        }
        let mut expected = self.fund.clone();
        if let Some(account) = self.account
            && !expected.iter().any(|(known, _)| *known == account)
        {
            expected.insert(0, (account, setup.scenario.wallets.engine));
        }
        let guests = Guests { seat: self.account, expected, gift: self.wallet };
        let node = Node::new(setup, guests)?;
        let server = Server::new(node);
        let started = Instant::now();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
        runtime.block_on(self.serve(&server))?;
        runtime.shutdown_timeout(Duration::from_secs(1));
        if let Some(error) = server.take_error() {
            return Err(execute::play_error(error));
        }
        // Without anybody who asserted there is nothing to report, unless it was asked for.
        let seated = server.node().chains().world().seat() != AccountId::NOBODY;
        let wanted = out.is_some() || self.exit_when_done || seated;
        let complete = server.node().is_over();
        if wanted {
            let run = run::conclude(&server.node(), out, command(), started.elapsed(), Progress::new(self.quiet))?;
            let report = match self.format {
                Format::Text => report::text(&run),
                Format::Json => serde_json::to_string_pretty(&run)? + "\n",
            };
            stdout().write_all(report.as_bytes())?;
            if let Some(folder) = &self.out {
                tracing::info!("wrote {}", text::shown(folder));
            }
        }
        Ok(if complete { Exit::Success } else { Exit::Interrupted })
    }

    /// What the command line says of itself, if that was asked for.
    fn about_itself(&self) -> Result<Option<Vec<u8>>> {
        match self.completions {
            Some(shell) => Ok(Some(completions::completions(&Cli::command(), shell))),
            None if self.man => completions::page(&Cli::command()).map(Some),
            None => Ok(None),
        }
    }

    fn start_log(&self) -> Result<()> {
        let filter = if self.quiet { "error" } else { &self.log };
        let filter = tracing_subscriber::EnvFilter::try_new(filter)
            .with_context(|| format!("--log {}", text::quote(&self.log)))
            .or_exit(Exit::Usage)?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(layout::stderr_takes_colours());
        match self.log_format {
            LogFormat::Text => log.with_target(false).init(),
            LogFormat::Json => log.json().init(),
        }
        Ok(())
    }

    fn set_up(&self) -> Result<Setup> {
        let args = SettingsArgs { scenario: self.scenario.clone(), set: self.set.clone(), seed: self.seed, ..SettingsArgs::default() };
        let settings = Settings::resolve(&args)?;
        let corpus = Corpus::open(&shipped::find(self.corpus.as_deref()))?;
        let spinner = Progress::new(self.quiet).spinner("checking the corpus");
        let summary = corpus.check(CheckOptions { files: corpus.has_files() }, &mut |rows| spinner.set_position(rows))?;
        spinner.finish_and_clear();
        let folder = self.scenario.as_deref().and_then(std::path::Path::parent).unwrap_or(std::path::Path::new(""));
        let setup = Setup::new(settings.scenario, corpus, summary, folder).or_exit(Exit::Usage)?;
        if setup.rules.edition != Edition::V1_6_1 {
            let rules = setup.rules.name;
            return Err(anyhow::anyhow!("polyswarmd's protocol knows the contracts of 1.6, not {rules}; `sim replay` plays it"))
                .or_exit(Exit::Usage);
        }
        let windows = [
            ("ambassadors.duration", setup.scenario.ambassadors.duration),
            ("market.reveal_window", setup.rules.reveal_window),
            ("market.vote_window", setup.rules.vote_window),
        ];
        for (key, blocks) in windows.into_iter().filter(|(_, blocks)| *blocks < 3) {
            tracing::warn!("`{key}` is {blocks}: clients act one block late and are mined one block later; set it to 3 or more");
        }
        Ok(setup)
    }

    async fn serve(&self, server: &Arc<Server>) -> Result<()> {
        if !self.bind.is_loopback() {
            tracing::warn!("listening on {}: anybody who reaches it can trade, and cheat unless --no-admin", self.bind);
        }
        // Before anybody hears of this server: who starts it may stop it at once.
        let signals = Signals::listen().context("cannot listen for signals")?;
        let cheats = !self.no_admin && self.admin_port.is_none();
        let address = SocketAddr::new(self.bind, self.port);
        let (serving, address) = listen(server, http::app(server, cheats), address, "polyswarmd", "--port").await?;
        let (mut servers, mut page) = (vec![serving], cheats.then_some(address));
        if let Some(port) = self.admin_port {
            server.connect_at(address.port());
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
            let (serving, address) = listen(server, http::admin(server), address, "cheats", "--admin-port").await?;
            servers.push(serving);
            page = Some(address);
        }
        if let Some(address) = page {
            tracing::info!("the market, live, for a browser: http://{address}/");
        }
        tokio::spawn(stop_on_signal(server.clone(), signals));
        let (clock, participants) = match self.block_time {
            BlockTime::Every(period) => (Clock::Every(period), 0),
            BlockTime::Manual => (Clock::Manual, 0),
            BlockTime::Lockstep => (Clock::Lockstep { timeout: self.lockstep_timeout }, 1),
        };
        clock::run(server.clone(), clock, self.participants.unwrap_or(participants), self.exit_when_done).await;
        for serving in servers {
            // A request that never ends is not waited for: the run is worth more.
            match tokio::time::timeout(Duration::from_secs(5), serving).await {
                Ok(served) => served.context("a server task failed")?.context("the server failed")?,
                Err(_) => tracing::warn!("a request was still open"),
            }
        }
        // WebSockets are told what is left to tell; one that takes its time is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(1), server.deserted()).await;
        Ok(())
    }
}

/// Binds and serves until the server stops; answers with the address, too.
async fn listen(
    server: &Arc<Server>,
    app: App,
    address: SocketAddr,
    what: &str,
    flag: &str,
) -> Result<(JoinHandle<io::Result<()>>, SocketAddr)> {
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => {
            let error = anyhow::anyhow!("cannot listen on {address}: {error}; name another with {flag} (0 takes any that is free)");
            return Err(error).or_exit(Exit::Usage);
        }
    };
    let address = listener.local_addr().context("a listener has an address")?;
    tracing::info!("{what} on http://{address}");
    Ok((tokio::spawn(http::serve(listener, app, server.clone())), address))
}

/// The first signal asks for an orderly end, the second ends everything at once.
async fn stop_on_signal(server: Arc<Server>, mut signals: Signals) {
    signals.next().await;
    tracing::info!("stopping");
    server.stop();
    signals.next().await;
    execute::abandon();
    std::process::exit(130);
}

/// What asks a process to end. From when it is made on, no signal ends the process by itself.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Signals> {
        tokio::signal::windows::ctrl_c().map(Signals)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// The command as it was typed.
fn command() -> String {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    format!("mock-polyswarmd {}", words.join(" ")).trim_end().to_owned()
}
