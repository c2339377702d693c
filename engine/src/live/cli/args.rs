//! What was typed, and what it means.

use std::{
    env, fs,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail, ensure};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum, parser::ValueSource};
use clap_complete::Shell;
use market::nct::Nct;
use wire::artifact::ArtifactType;
use zeroize::Zeroizing;

use super::new::NewArgs;
use crate::{
    config::{BackendConfig, BackendKind, EngineConfig},
    filter::{Filter, FilterConfig},
    live::{driver::Ceilings, http::ServerAddress, polyswarmd::Chain},
    scanner::Scanner,
    stake,
};

const EXAMPLES: &str = "\
Examples:
  microengine new my-engine                                     a project to start from
  microengine --new-key key.json                                a new account
  microengine --keyfile key.json --backend eicar                a server on this machine
  microengine --keyfile key.json --engine engine.toml           backends and strategy of a file
  microengine --keyfile key.json --backend hash-list:bad.txt --strategy 'fixed?bid=0.1'
  microengine --keyfile key.json --backend eicar --testing 3    stop after three settlements
  API_KEY=... microengine --polyswarmd-addr https://host/v1/default --engine engine.toml

Assertions are journalled before they are made: an engine that was stopped, however it was
stopped, reveals and settles them when it is started again. SIGINT and SIGTERM finish what is
under way and print a summary.

Exit codes:
  0 all is well; 1 internal error, or any error with --testing; 2 usage or input;
  130 interrupted";

/// Assert on bounties of a PolySwarm market
#[derive(Debug, Parser)]
#[command(name = "microengine", version, after_help = EXAMPLES, max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Address of polyswarmd: scheme://host:port, with a path if it has one
    #[arg(long, env = "POLYSWARMD_ADDR", value_name = "ADDRESS", default_value = "http://127.0.0.1:31337")]
    polyswarmd_addr: String,
    /// Take an address without a scheme for http:// instead of https://
    #[arg(long)]
    insecure_transport: bool,
    /// Keystore with the private key to sign with
    #[arg(long, env = "KEYFILE", value_name = "FILE", default_value = "keyfile")]
    keyfile: PathBuf,
    /// Make a new keystore of that name, print its account, and end
    #[arg(long, value_name = "FILE")]
    new_key: Option<PathBuf>,
    /// Password of the keystore; better by environment or prompt, because everybody can see arguments
    #[arg(long, env = "PASSWORD", hide_env_values = true, hide_default_value = true)]
    password: Option<String>,
    /// Key to use polyswarmd with; better by environment, because everybody can see arguments
    #[arg(long, env = "API_KEY", value_name = "KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Send the API key over http://, too, where others can read it
    #[arg(long, env = "ALLOW_KEY_OVER_HTTP")]
    allow_key_over_http: bool,
    /// The only backend: `eicar`, or `hash-list:FILE` with a list of SHA-256
    #[arg(long, env = "BACKEND", value_name = "NAME", conflicts_with = "engine")]
    backend: Option<String>,
    /// Engine file: backends, distiller, strategy, scan slots
    #[arg(long, env = "ENGINE", value_name = "FILE")]
    engine: Option<PathBuf>,
    /// Bids of polyswarm-client, instead of the engine file's strategy
    #[arg(long, env = "BID_STRATEGY", value_name = "NAME")]
    bid_strategy: Option<BidStrategy>,
    /// Any strategy, such as `null/min` or `fixed?bid=0.1`, instead of the engine file's
    #[arg(long, value_name = "SPECIFICATION", conflicts_with = "bid_strategy")]
    strategy: Option<String>,
    /// Artifacts to deal with: accept or reject, then a rule as in `mimetype startswith text/`; repeatable
    #[arg(long, num_args = 4, value_names = ["accept|reject", "KEY", "OPERATOR", "VALUE"], action = clap::ArgAction::Append)]
    filter: Vec<String>,
    /// Artifacts to bid more or less on: favor or penalize, then a rule; repeatable
    #[arg(long, num_args = 4, value_names = ["favor|penalize", "KEY", "OPERATOR", "VALUE"], action = clap::ArgAction::Append)]
    confidence: Vec<String>,
    /// Highest fee of an assertion to pay; above, bounties are left alone, whatever the server says that the market asks for
    #[arg(long, env = "MAX_FEE", value_name = "NCT", default_value = "1")]
    max_fee: Nct,
    /// Highest bid on an artifact; bounties that would take a higher one are left alone
    #[arg(long, env = "MAX_BID", value_name = "NCT", default_value = "1")]
    max_bid: Nct,
    /// Stop after so many settled bounties, and fail if anything went wrong
    #[arg(long, env = "TESTING", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    testing: Option<u64>,
    /// Chains to work on: side, home
    #[arg(long, env = "CHAINS", value_name = "CHAIN", value_delimiter = ',', default_value = "side")]
    chains: Vec<Chain>,
    /// Number of the chain to sign for; otherwise that of the first transactions, which the journal keeps
    #[arg(long, env = "CHAIN_ID", value_name = "NUMBER")]
    chain_id: Option<u64>,
    /// Artifact types to scan
    #[arg(long, env = "ARTIFACT_TYPE", value_name = "TYPE", value_delimiter = ',', default_value = "file")]
    artifact_type: Vec<ArtifactKind>,
    /// Folder of the journal, one for each server [default: $XDG_STATE_HOME/microengine]
    #[arg(long, env = "JOURNAL", value_name = "FOLDER")]
    journal: Option<PathBuf>,
    /// Least severe messages to log: error, warn, info, debug or trace
    #[arg(long, env = "LOG_LEVEL", value_name = "LEVEL", default_value = "info", ignore_case = true)]
    log: LogLevel,
    /// Taken for polyswarm-client's sake; --log is for everything
    #[arg(long, env = "CLIENT_LOG_LEVEL", value_name = "LEVEL", hide = true)]
    client_log: Option<String>,
    /// Form of log lines, which go to standard error
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Play with a market that waits for everybody before each block
    #[arg(long)]
    lockstep: bool,
    /// Seed of nonces and of the strategy's chance, for repeatable tests; others can guess the nonces
    #[arg(long, value_name = "NUMBER", requires = "lockstep")]
    seed: Option<u64>,
}

/// What else there is to do.
#[derive(Debug, Subcommand)]
enum Command {
    New(NewArgs),
    /// Print what a shell needs to complete commands and flags
    Completions {
        /// Shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// polyswarm-client's bid strategies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum BidStrategy {
    Conservative,
    Default,
    Aggressive,
}

/// Types of artifacts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ArtifactKind {
    File,
    Url,
}

/// Severities, with Python's names beside ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum LogLevel {
    #[value(alias = "critical", alias = "fatal")]
    Error,
    #[value(alias = "warning")]
    Warn,
    Info,
    Debug,
    Trace,
}

/// Forms of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// What is to be done.
pub(crate) enum Task {
    /// To start a project.
    New(NewArgs),
    /// To say what the command line is.
    Print(Vec<u8>),
    /// To make a new keystore, and no more.
    NewKey { file: PathBuf, password: Zeroizing<String> },
    /// To run.
    Run(Box<Setup>),
}

/// What the engine needs.
pub(crate) struct Setup {
    pub(crate) server: ServerAddress,
    pub(crate) keyfile: PathBuf,
    pub(crate) password: Zeroizing<String>,
    pub(crate) api_key: Option<Zeroizing<String>>,
    pub(crate) config: EngineConfig,
    pub(crate) filter: Filter,
    pub(crate) scanner: Arc<Scanner>,
    pub(crate) ceilings: Ceilings,
    pub(crate) testing: Option<u64>,
    pub(crate) chains: Vec<Chain>,
    pub(crate) chain_id: Option<u64>,
    pub(crate) artifact_types: Vec<ArtifactType>,
    pub(crate) journal: PathBuf,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    pub(crate) lockstep: bool,
    pub(crate) seed: Option<u64>,
}

fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "microengine", &mut script);
    script
}

fn manual() -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Args::command()).render(&mut page).context("cannot write the manual page")?;
    Ok(page)
}

impl Setup {
    /// Reads the command line, the environment, and the files they name. Exits where clap does: for help, version, and
    /// arguments that are none.
    pub(crate) fn from_command_line() -> anyhow::Result<Task> {
        let matches = Args::command().get_matches();
        let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        match args.command {
            Some(Command::New(new)) => return Ok(Task::New(new)),
            Some(Command::Completions { shell }) => return Ok(Task::Print(completions(shell))),
            Some(Command::Man) => return manual().map(Task::Print),
            None => {}
        }
        if let Some(file) = args.new_key {
            let password = password(args.password, &format!("Password of the new {}: ", file.display()))?;
            return Ok(Task::NewKey { file, password });
        }
        Setup::of(args, &matches).map(|setup| Task::Run(Box::new(setup)))
    }

    fn of(args: Args, matches: &ArgMatches) -> anyhow::Result<Setup> {
        let typed = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        let server = ServerAddress::parse(&args.polyswarmd_addr, args.insecure_transport)?;
        // polyswarm-client's way of saying that there is none.
        let api_key = args.api_key.filter(|key| !key.is_empty()).map(Zeroizing::new);
        ensure!(
            api_key.is_none() || !server.is_plain() || args.allow_key_over_http,
            "everybody between here and {server} could read the API key; use https://, or --allow-key-over-http"
        );
        for name in ["password", "api_key"].into_iter().filter(|&name| typed(name)) {
            let name = name.replace('_', "-");
            let variable = name.replace('-', "_").to_uppercase();
            warn(&format!("other users of this machine can see --{name}; the environment variable {variable} is safer"));
        }

        if args.client_log.is_some() && typed("client_log") {
            warn("--client-log has no effect: --log is for everything");
        }

        let (mut config, folder) = match (&args.engine, &args.backend) {
            (Some(file), _) => read_engine(file)?,
            (None, Some(backend)) => (EngineConfig { backends: vec![named(backend)?], ..EngineConfig::default() }, PathBuf::new()),
            (None, None) => bail!("no backend; say --backend eicar, or name an engine file with --engine"),
        };
        for rule in args.filter.chunks(4).chain(args.confidence.chunks(4)) {
            let FilterConfig { accept, reject, favor, penalize } = &mut config.filter;
            let rules = match rule[0].as_str() {
                "accept" => accept,
                "reject" => reject,
                "favor" => favor,
                "penalize" => penalize,
                other => bail!("`{}` is none of accept and reject (--filter), favor and penalize (--confidence)", other.escape_debug()),
            };
            rules.push(rule[1..].join(" "));
        }
        config.check()?;
        let chosen = args.bid_strategy.map(|strategy| match strategy {
            BidStrategy::Conservative => "stock/conservative".to_owned(),
            BidStrategy::Default => "stock/default".to_owned(),
            BidStrategy::Aggressive => "stock/aggressive".to_owned(),
        });
        if let Some(strategy) = args.strategy.or(chosen) {
            config.strategy = strategy;
        }
        stake::build(&config.strategy)?;
        for (index, backend) in config.backends.iter().enumerate() {
            ensure!(
                backend.kind != BackendKind::Recorded,
                "backend {index} is `recorded`: it replays a corpus, and a live market has none; use one that looks at files"
            );
        }
        let filter = Filter::new(&config.filter)?;
        let scanner = Scanner::new(&config, &folder)?;
        ensure!(!scanner.is_empty(), "the engine file names no backend");
        scanner.prepare()?;

        let password = password(args.password, &format!("Password of {}: ", args.keyfile.display()))?;
        let mut chains = args.chains;
        chains.sort();
        chains.dedup();
        ensure!(!args.lockstep || chains == [Chain::Side], "--lockstep is for the side chain alone");
        ensure!(args.chain_id.is_none() || chains.len() == 1, "--chain-id is for one chain; start an engine for each");
        let types = args.artifact_type.iter().map(|kind| match kind {
            ArtifactKind::File => ArtifactType::File,
            ArtifactKind::Url => ArtifactType::Url,
        });
        let level = args.log.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        Ok(Setup {
            server,
            keyfile: args.keyfile,
            password,
            api_key,
            config,
            filter,
            scanner: Arc::new(scanner),
            ceilings: Ceilings { fee: args.max_fee, bid: args.max_bid },
            testing: args.testing,
            chains,
            chain_id: args.chain_id,
            artifact_types: types.collect(),
            journal: args.journal.map_or_else(default_journal, Ok)?,
            log: format!("error,engine={level},microengine={level}"),
            log_format: args.log_format,
            lockstep: args.lockstep,
            seed: args.seed,
        })
    }
}

/// The password that was given, or is asked for where somebody can answer.
fn password(given: Option<String>, question: &str) -> anyhow::Result<Zeroizing<String>> {
    match given {
        Some(password) => Ok(password.into()),
        None if io::stdin().is_terminal() => Ok(rpassword::prompt_password(question).context("cannot read the password")?.into()),
        None => bail!("no password and nobody to ask: set the environment variable PASSWORD"),
    }
}

/// The engine of a file, and the folder that its files are relative to.
fn read_engine(file: &Path) -> anyhow::Result<(EngineConfig, PathBuf)> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read the engine file {}", file.display()))?;
    let config = toml::from_str(&text).with_context(|| format!("{} is no engine file", file.display()))?;
    Ok((config, file.parent().map(Path::to_owned).unwrap_or_default()))
}

/// The backend of a name on the command line.
fn named(backend: &str) -> anyhow::Result<BackendConfig> {
    match backend.split_once(':') {
        None if backend == "eicar" => Ok(BackendConfig::of(BackendKind::Eicar)),
        Some(("hash-list", file)) if !file.is_empty() => {
            Ok(BackendConfig { bad: Some(file.to_owned()), ..BackendConfig::of(BackendKind::HashList) })
        }
        _ if backend == "hash-list" => bail!("backend `hash-list` needs a list of malicious files: `hash-list:FILE`"),
        _ => bail!("there is no backend `{backend}`; there are `eicar` and `hash-list:FILE`, and more in an engine file"),
    }
}

fn default_journal() -> anyhow::Result<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("XDG_STATE_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("microengine"))
        .context("no place for the journal: say --journal FOLDER, or set HOME")
}

fn warn(sentence: &str) {
    use io::Write as _;
    // Before the log is set up. Nobody reads it if standard error is closed.
    let _ = writeln!(io::stderr(), "microengine: warning: {sentence}");
}
