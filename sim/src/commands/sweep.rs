//! `sim sweep`: thousands of trials over a space of settings.

use std::{
    fs,
    io::{Write, stderr},
    iter,
    path::{self, Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use replay::scenario::Scenario;

use super::{
    Format,
    stage::{Stage, StageArgs, quoted},
};
use crate::{
    execute,
    exit::{Exit, OrExit},
    progress::{self, Progress},
    report,
    settings::{self, Base, SettingsArgs, scenario_sha256},
    shipped,
    sweep::{
        folder::{self, Folder, Plan, PlannedCorpus, Shard},
        registry::{self, Registry},
        sampler::{self, Sampler},
        search::{self, Drawn, Search},
        space::Space,
        summary::Summary,
        trial::Record,
    },
    text,
};

const EXAMPLES: &str = "\
Examples:
  sim sweep --space space.toml --out sweep             every combination
  sim sweep my-corpus --space space.toml --out sweep --sampler lhs -e 1000
  sim sweep --out sweep --resume                       go on after Ctrl-C
  sim sweep --out sweep --resume -e 2000               the same trials, and more
  sim sweep ... --shard 2/4 --out part2                a quarter, on one machine
  sim merge part1 part2 part3 part4 --out sweep        the same as one sweep
  sim replay --trial ID                                one trial again, alone

A space, in TOML:
  strategies = [\"stock/default\", \"fixed?bid={bid}\"]

  [parameters]
  bid = { from = 0.0625, to = 1.0, steps = 8 }   # scale = \"log\" for factors

  [set]
  engine.distiller.rho = [0.0, 0.25, 0.5]        # any key of `sim config`
  arbiters.error = [0.0, 0.05]";

/// The space that a sweep keeps, as it is named in errors: the same everywhere, for reasons of failures are kept, too.
const KEPT: &str = "space";

/// Search a space of strategies, parameters and markets, and say how far the best can be believed
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SweepArgs {
    /// What is played.
    #[command(flatten)]
    pub stage: StageArgs,
    /// What is searched, in TOML
    #[arg(long, value_name = "FILE", required_unless_present = "resume")]
    pub space: Option<PathBuf>,
    /// Points to try; without it, all of a grid, else 100
    #[arg(short = 'e', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub trials: Option<u64>,
    /// How points are chosen
    #[arg(long, value_enum, default_value_t)]
    pub sampler: Sampler,
    /// Folder of the sweep: a new one, or with --resume that of before
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on with the sweep in that folder: what is done is not done again
    #[arg(long)]
    pub resume: bool,
    /// Share of the bounties, the last ones, that no trial sees: the best are judged by them
    #[arg(long, value_name = "PERCENT", default_value = "30", value_parser = share)]
    pub hold_out: f64,
    /// Play only this part of the trials, for `sim merge`
    #[arg(long, value_name = "PART/OF")]
    pub shard: Option<Shard>,
    /// Where the trials are counted that were ever made on a corpus
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

fn share(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (0.0..=90.0).contains(share)).ok_or("a number from 0 to 90")
}

/// Where trials are counted.
#[derive(Clone, Debug, Default, Args)]
pub struct RegistryArgs {
    /// Folder in which all trials ever made are counted, by corpus; without it, one in the user's data folder
    #[arg(long, value_name = "DIR", env = "SIM_REGISTRY")]
    pub registry: Option<PathBuf>,
}

impl RegistryArgs {
    /// The folder.
    ///
    /// # Errors
    ///
    /// If none is named, and the account has none.
    pub fn folder(&self) -> Result<PathBuf> {
        self.registry.clone().map_or_else(registry::default_folder, Ok).or_exit(Exit::Usage)
    }

    /// The folder, made if there is none yet.
    ///
    /// # Errors
    ///
    /// If it cannot be made, either.
    pub fn usable(&self) -> Result<PathBuf> {
        let folder = self.folder()?;
        let problem = || format!("cannot use {}; name another folder with --registry", text::shown(&folder));
        fs::create_dir_all(&folder).with_context(problem).or_exit(Exit::Usage)?;
        Ok(folder)
    }
}

/// Shows how far a search is.
struct Bar<'a> {
    bar: &'a progress::Bar,
}

impl search::Progress for Bar<'_> {
    fn begin(&self, bounties: u64) {
        self.bar.inc_length(bounties);
    }

    fn closed(&self, bounties: u64) {
        self.bar.inc(bounties);
    }
}

fn draw(progress: Progress, plan: &Plan, space: &Space, base: &Base) -> Result<Drawn> {
    let bar = progress.phase("drawing trials", "points", Some(plan.trials));
    Drawn::new(plan, space, base, &|points| bar.inc(points))
}

impl SweepArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the settings, the space or the corpus are wrong, the folder is not that of this sweep or cannot be written, or an
    /// invariant is broken.
    pub fn run(mut self, out: &mut dyn Write) -> Result<Exit> {
        let (quiet, jobs) = (self.stage.quiet, self.stage.scanning.jobs());
        let progress = Progress::new(quiet);
        let registry_folder = self.registry.usable()?;
        let interrupted = execute::interruption()?;
        let Some((mut folder, stage)) = self.folder(progress, &interrupted)? else { return Ok(Exit::Interrupted) };
        let base = Base::read(&SettingsArgs { scenario: Some(folder.scenario()), ..SettingsArgs::default() })?;
        let space = Space::parse(Path::new(KEPT), &folder.plan.space).or_exit(Exit::Usage)?;
        if self.resume
            && let Some(trials) = self.trials
        {
            // Of a grid no more than there are.
            let seed = stage.setup.scenario.seed;
            let points = sampler::points(&space, folder.plan.sampler, seed, Some(trials)).or_exit(Exit::Usage)?;
            folder.extend(points.len() as u64).or_exit(Exit::Usage)?;
        }
        let mut registry = Registry::open(&registry_folder, &folder.plan.corpus.sha256).or_exit(Exit::Usage)?;

        let drawn = draw(progress, &folder.plan, &space, &base)?;
        let unplayable: Vec<&str> = drawn.trials.iter().filter_map(|trial| trial.scenario.as_ref().err()).map(String::as_str).collect();
        if let (Some(first), false) = (unplayable.first(), quiet) {
            let (count, all) = (text::thousands(unplayable.len() as u64), text::thousands(drawn.trials.len() as u64));
            let _ = writeln!(stderr(), "{count} of {all} trials cannot be played: {}", text::plain(first));
        }
        let started = Instant::now();
        let bar = progress.bar(0, false);
        let setup = &stage.setup;
        let search = Search { folder: &folder, base: &base, setup, jobs, interrupted: &interrupted };
        let found = search.run(drawn, &Bar { bar: &bar });
        bar.finish_and_clear();
        let (counts, records) = execute::answer(found)?;
        let seconds = started.elapsed().as_secs_f64();
        let place = path::absolute(&self.out)?;
        let Some(records) = records else {
            registry.add(folder::read(&self.out)?.iter(), &place)?;
            if !quiet {
                let done = counts.computed + counts.reused;
                let _ = writeln!(
                    stderr(),
                    "interrupted: {} trials are kept in {}; `sim sweep --out {} --resume` goes on",
                    text::thousands(done),
                    text::shown(&self.out),
                    text::shown(&self.out)
                );
            }
            return Ok(Exit::Interrupted);
        };
        folder.finish(&records)?;
        registry.add(records.iter(), &place)?;
        let summary = Summary::new(&folder.plan, counts, &records, &registry);
        tell(&summary, &self.out, self.format, out)?;
        if !quiet {
            let rate = counts.bounties as f64 / seconds.max(1e-9);
            let _ = writeln!(stderr(), "{seconds:.1} s, {} bounties/s; wrote {}", text::thousands(rate as u64), text::shown(&self.out));
        }
        Ok(if summary.trials.is_empty() { Exit::Usage } else { Exit::Success })
    }

    /// The folder that is worked in, and the market that its trials change; nothing if that was interrupted.
    fn folder(&mut self, progress: Progress, interrupted: &AtomicBool) -> Result<Option<(Folder, Stage)>> {
        let mut kept = None;
        if self.resume {
            let folder = Folder::open(&self.out).or_exit(Exit::Usage)?;
            if self.space.is_none() {
                // Everything is as it was.
                if self.stage.corpus.is_some() || !self.stage.settings.is_empty() {
                    let error = anyhow!("--resume goes on with what is in {}; leave other settings out", text::shown(&self.out));
                    return Err(error).or_exit(Exit::Usage);
                }
                self.stage.corpus = Some(folder.plan.corpus.path.clone());
                self.stage.settings.scenario = Some(folder.scenario());
            }
            kept = Some(folder);
        }
        let text = match (&self.space, &kept) {
            (Some(file), _) => settings::read(file).or_exit(Exit::Usage)?,
            (None, Some(folder)) => folder.plan.space.clone(),
            (None, None) => return Err(anyhow!("name a space with --space")).or_exit(Exit::Usage),
        };
        let space = Space::parse(self.space.as_deref().unwrap_or(Path::new(KEPT)), &text).or_exit(Exit::Usage)?;
        let sampler = match &kept {
            Some(folder) if self.space.is_none() => folder.plan.sampler,
            _ => self.sampler,
        };
        if space.names_strategies() && !self.stage.settings.strategy.is_empty() {
            return Err(anyhow!("--strategy: the space names its strategies itself; leave one of the two out")).or_exit(Exit::Usage);
        }
        if sampler == Sampler::Halving && self.shard.is_some() {
            return Err(anyhow!("--shard: by halves, who goes on depends on all trials; use another sampler")).or_exit(Exit::Usage);
        }
        if kept.is_none() {
            Folder::check_new(&self.out).or_exit(Exit::Usage)?;
        }
        let Some(stage) = self.stage.set(progress, interrupted)? else { return Ok(None) };
        let scenario: Scenario = toml::from_str(&stage.scenario_toml).context("the scenario as it is played")?;
        let seed = scenario.seed;
        let trials = match &kept {
            Some(folder) => folder.plan.trials,
            None => sampler::points(&space, sampler, seed, self.trials).or_exit(Exit::Usage)?.len() as u64,
        };
        let setup = &stage.setup;
        let plan = Plan {
            schema: folder::SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            corpus: PlannedCorpus {
                name: setup.corpus.name().to_owned(),
                path: real(&shipped::find(self.stage.corpus.as_deref())),
                sha256: hex::encode(setup.summary.sha256),
                rows: setup.summary.rows,
            },
            scenario_sha256: hex::encode(scenario_sha256(&scenario)),
            inputs: setup.inputs.clone(),
            sampler,
            trials,
            bounties: setup.bounties,
            judged: match &kept {
                Some(folder) if self.space.is_none() => folder.plan.judged,
                _ => (setup.bounties - (setup.bounties as f64 * self.hold_out / 100.0).round() as u64).max(1),
            },
            repeats: setup.repeats(),
            warnings: setup.warnings.clone(),
            shard: self.shard,
            space: text,
        };
        let folder = match kept {
            None => {
                // Where nothing can be played, there is nothing to keep.
                let drawn = draw(progress, &plan, &space, &Base::parse(Path::new("scenario"), &stage.scenario_toml)?)?;
                if drawn.trials.iter().all(|trial| trial.scenario.is_err())
                    && let Some(why) = drawn.trials.first().and_then(|trial| trial.scenario.as_ref().err())
                {
                    return Err(anyhow!("no trial can be played: {why}")).or_exit(Exit::Usage);
                }
                Folder::create(&self.out, plan, &stage.scenario_toml).or_exit(Exit::Usage)?
            }
            Some(folder) => {
                if let Some(what) = folder.plan.other_than(&plan) {
                    let name = text::shown(&self.out);
                    let error = anyhow!("the sweep in {name} has another {what}; go on as it began, or name a new folder");
                    return Err(error).or_exit(Exit::Usage);
                }
                if self.shard.is_some() && self.shard != folder.plan.shard {
                    let error = anyhow!("the sweep in {} is another part of the trials", text::shown(&self.out));
                    return Err(error).or_exit(Exit::Usage);
                }
                folder
            }
        };
        Ok(Some((folder, stage)))
    }
}

/// The path of a file from anywhere.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Prints a report on the sweep in `folder`, and what to do next.
fn tell(summary: &Summary, folder: &Path, format: Format, out: &mut dyn Write) -> Result<()> {
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(summary)?)?,
        Format::Text => {
            out.write_all(report::sweep::text(summary).as_bytes())?;
            if let Some(best) = summary.trials.first() {
                let trial = ["sim", "replay", "--trial", &best.trial, "--sweep", &folder.to_string_lossy()].map(quoted).join(" ");
                writeln!(out, "\nPlay it again  {}", text::plain(&trial))?;
                writeln!(out, "Be sure        {}", text::plain(&comparison(summary, folder, best)))?;
            }
        }
    }
    Ok(())
}

/// The command that compares the best trials in the market of the very best.
pub(crate) fn comparison(summary: &Summary, folder: &Path, best: &Record) -> String {
    let alike = summary.trials.iter().filter(|record| record.set == best.set).take(3);
    let scenario = folder::scenario(folder);
    let files =
        ["compare", &shipped::name_of(&summary.corpus.path).to_string_lossy(), "--scenario", &scenario.to_string_lossy()].map(quoted);
    let mut words: Vec<String> = iter::once("sim".to_owned()).chain(files).collect();
    alike.for_each(|record| words.extend(["-s".to_owned(), quoted(&record.strategy)]));
    for (key, value) in best.chosen() {
        words.extend(["--set".to_owned(), quoted(&format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))]);
    }
    // What the trials saw is no judge of them, and the same artifacts again are no later ones.
    let held_out = 100.0 * summary.held_out as f64 / (summary.held_out + summary.judged) as f64;
    if (1.0..80.0).contains(&held_out) && !summary.repeats {
        let held_out = held_out.floor() as u64;
        words.extend(["--split".to_owned(), format!("20/{}/{held_out}", 80 - held_out)]);
    }
    words.join(" ")
}

/// Put the parts of a sweep together that were played apart
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sim merge part1 part2 --out sweep     the same files as one sweep writes")]
pub struct MergeArgs {
    /// Folders of all parts
    #[arg(value_name = "DIR", required = true)]
    pub parts: Vec<PathBuf>,
    /// New folder of the whole sweep
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Where trials are counted.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Nothing on stderr but errors
    #[arg(long)]
    pub quiet: bool,
}

impl MergeArgs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the parts are not those of one sweep, or not whole, or a file cannot be written.
    pub fn run(self, out: &mut dyn Write) -> Result<Exit> {
        let registry_folder = self.registry.usable()?;
        Folder::check_new(&self.out).or_exit(Exit::Usage)?;
        let (folder, records) = self.merged().or_exit(Exit::Usage)?;
        folder.finish(&records)?;
        let mut registry = Registry::open(&registry_folder, &folder.plan.corpus.sha256).or_exit(Exit::Usage)?;
        registry.add(records.iter(), &path::absolute(&self.out)?)?;
        let failed = records.iter().filter(|record| record.figures().is_none()).count() as u64;
        let counts = search::Counts { reused: records.len() as u64 - failed, failed, ..search::Counts::default() };
        let summary = Summary::new(&folder.plan, counts, &records, &registry);
        tell(&summary, &self.out, self.format, out)?;
        if !self.quiet {
            let _ = writeln!(stderr(), "wrote {}", text::shown(&self.out));
        }
        Ok(if summary.trials.is_empty() { Exit::Usage } else { Exit::Success })
    }

    fn merged(&self) -> Result<(Folder, Vec<Record>)> {
        let mut places: Vec<PathBuf> = self.parts.iter().map(|part| real(part)).collect();
        places.sort();
        if let Some(pair) = places.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(anyhow!("{} is named twice; name each part once", text::shown(&pair[0])));
        }
        let parts: Vec<Folder> = self.parts.iter().map(|part| Folder::open(part)).collect::<Result<_>>()?;
        let first = &parts[0];
        for (name, part) in self.parts.iter().zip(&parts) {
            let other = part.plan.other_than(&first.plan).or((part.plan.trials != first.plan.trials).then_some("number of trials"));
            if let Some(what) = other {
                return Err(anyhow!("{} has another {what} than {}", text::shown(name), text::shown(&self.parts[0])));
            }
        }
        // Which trials there are follows from the plan alone.
        let base = Base::read(&SettingsArgs { scenario: Some(first.scenario()), ..SettingsArgs::default() })?;
        if hex::encode(scenario_sha256(&base.with(&[])?)) != first.plan.scenario_sha256 {
            return Err(anyhow!("{} was changed after the sweep; take that of another part", text::shown(&first.scenario())));
        }
        let space = Space::parse(Path::new(KEPT), &first.plan.space)?;
        let (mut records, mut missing) = (Vec::new(), Vec::new());
        for trial in draw(Progress::new(self.quiet), &first.plan, &space, &base)?.trials {
            let mut found = parts.iter().filter_map(|part| part.known(&trial.id));
            let Some(outcome) = found.next() else {
                missing.push(trial.number);
                continue;
            };
            if found.any(|other| other != outcome) {
                return Err(anyhow!("trial {} came to different figures in two parts; play it again", trial.id));
            }
            records.push(trial.record(outcome.clone()));
        }
        if let Some(number) = missing.first() {
            return Err(anyhow!(
                "{} trials are missing, the first is number {number}: name all parts, and go on with those that were interrupted",
                missing.len()
            ));
        }
        let scenario = fs::read_to_string(first.scenario()).with_context(|| format!("cannot read {}", text::shown(&first.scenario())))?;
        let folder = Folder::create(&self.out, Plan { shard: None, ..first.plan.clone() }, &scenario)?;
        Ok((folder, records))
    }
}
