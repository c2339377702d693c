//! A measurement carried out: gates understood, sides measured, the report written, the exit code found.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{Write, stderr},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Result, bail};

use super::{super::stage, BenchFormat, CannotTell, Export, MeasureArgs, Opponent, files};
use crate::{
    bench::{
        BenchName, BenchReport, Machine, RoundFacts, SCHEMA,
        baseline::{self, Saved},
        export, instructions,
        judge::{self, Against, Court, Judged, SHARED},
        probe::{self, Probe, Units},
        program::{ProgramSide, Started},
        rounds::{self, Facts, Measured, Side},
    },
    exit::{Exit, OrExit},
    figures::{self, Better, Subject, Value},
    gate::{Gate, Outcome},
    progress::Progress,
    report::bench as reports,
    scan::ScanErrorReport,
    text,
};

/// A measurement on its way.
pub(super) struct Bench<'a> {
    pub(super) subject: Subject,
    pub(super) name: BenchName,
    pub(super) jobs: usize,
    /// Times through the corpus in a warm round, at least.
    pub(super) passes: u32,
    pub(super) perturbed: Option<u64>,
    /// Null strategies are played; in a scan there are none.
    pub(super) nulls: bool,
    pub(super) measure: &'a MeasureArgs,
    pub(super) progress: Progress,
    pub(super) quiet: bool,
    pub(super) interrupted: &'a AtomicBool,
}

/// What must hold, understood, and what was kept to hold it against.
pub(super) struct Terms {
    gates: Vec<Gate>,
    kept: Option<Against>,
}

impl Bench<'_> {
    /// The gates, understood before anything is measured, and the baseline.
    pub(super) fn terms(&self, backends: &[String]) -> Result<Terms> {
        let known = figures::known(self.subject, backends.iter().map(String::as_str));
        let kept = self.saved().or_exit(Exit::Usage)?;
        let parse = |typed: &String| {
            let names = || known.keys().map(|name| &**name);
            let gate = Gate::parse(typed, |name| known.get(name).copied(), |name| figures::advice(name, names()))?;
            match self.hopeless(&gate, kept.as_ref()) {
                Some(why) => bail!("gate {}: {why}", text::quote(typed)),
                None => Ok(gate),
            }
        };
        let gates = self.measure.gate.iter().map(parse).collect::<Result<_>>().or_exit(Exit::Usage)?;
        Ok(Terms { gates, kept })
    }

    /// Why a gate can never be told with what was asked for, if so, and what to ask for instead.
    fn hopeless(&self, gate: &Gate, kept: Option<&Against>) -> Option<&'static str> {
        let (measure, base, opponent) = (self.measure, gate.bound.uses_base(), self.measure.opponent());
        // What takes the place of a baseline may have what that one has not.
        let lacking = match kept {
            Some(Against::Saved { saved, .. }) => !saved.figures.contains_key(&gate.figure) && measure.save_baseline != measure.baseline,
            _ => false,
        };
        match (gate.figure.as_str(), opponent) {
            (_, Opponent::Nobody) if base && kept.is_none() => Some("`base` is nothing here; name it with --against or --baseline"),
            ("instructions", _) if !measure.instructions => Some("instructions are counted with --instructions"),
            ("instructions", Opponent::Command(_)) if base => {
                Some("the instructions of a command are not counted; name an engine's file with --against, or a baseline")
            }
            ("instructions", _) if base && lacking => Some("the baseline has none; save one with --instructions"),
            ("gain_over_best_null", Opponent::Command(_)) => {
                Some("against a command no null strategies are played; name an engine's file with --against, or a baseline")
            }
            ("gain_over_best_null", _) if !self.nulls => Some("null strategies are played without --no-nulls only"),
            ("gain_over_best_null", _) if base && lacking => Some("the baseline has none; save one without --no-nulls"),
            (name, Opponent::Engine(_)) if SHARED.contains(&name) => {
                Some("both engines share this process and its memory; --against a command tells them apart")
            }
            _ => None,
        }
    }

    /// The baseline, if one is named.
    fn saved(&self) -> Result<Option<Against>> {
        let (Some(label), Some(file)) = (self.measure.baseline.clone(), self.measure.baseline_file()?) else { return Ok(None) };
        let unfit = |label, why, first| Ok(Some(Against::Unfit { label, why, first }));
        match baseline::read(&file, self.subject)? {
            Some(saved) => match self.fitting(saved) {
                Ok(saved) => Ok(Some(Against::Saved { label, saved: Box::new(saved) })),
                Err(why) => unfit(label, why, false),
            },
            None if self.measure.save_baseline.as_ref() == Some(&label) => {
                unfit(label, "there is no such baseline yet: this report becomes the first one".to_owned(), true)
            }
            None => bail!("there is no baseline in {}; measure one with --save-baseline {}", text::shown(&file), text::cut(&label, 60)),
        }
    }

    fn fitting(&self, saved: Saved) -> Result<Saved, String> {
        if saved.name.corpus_sha256 != self.name.corpus_sha256 {
            return Err("the baseline was measured on another corpus; save a new one".to_owned());
        }
        match (&self.name.market, &saved.name.market) {
            (Some(own), Some(then)) => own
                .differs(then)
                .map_or(Ok(saved), |differs| Err(format!("the baseline was measured on another market ({differs}); save a new one"))),
            (Some(_), None) => Err("the baseline does not say on which market it was measured; save a new one".to_owned()),
            (None, _) => Ok(saved),
        }
    }

    /// Both sides as processes: one for each round.
    pub(super) fn run_processes(&self, command: String, terms: Terms, out: &mut dyn Write) -> Result<Exit> {
        let words = for_a_round(std::env::args_os().skip(1), &["--once".into()]);
        let mut ours = ProgramSide::new(Started::This(words));
        let mut other = ProgramSide::new(Started::Shell(command));
        self.run(&mut [&mut ours, &mut other], terms, out)
    }

    /// Measures, judges, and writes the report.
    pub(super) fn run(&self, sides: &mut [&mut dyn Side], terms: Terms, out: &mut dyn Write) -> Result<Exit> {
        let (measure, Terms { gates, kept }) = (self.measure, terms);
        let exports = measure.exports();
        if measure.instructions {
            instructions::check().or_exit(Exit::Usage)?;
        }
        let mut probe = (!measure.no_probe && !measure.once).then(|| self.probe());
        if let Some(share) = probe.as_ref().and_then(|probe| probe::detectable(&probe.before.seconds, measure.rounds as usize)) {
            let pairs = measure.rounds;
            self.say(&format!("noise: by the probe, a change of {:.1} % would show in {pairs} pairs of rounds here", 100.0 * share));
        }
        let (mut court, mut measured) = (Court::new(&gates), Measured::default());
        let plan = measure.plan(self.passes);
        let bar = self.progress.rounds(plan.least());
        let ended = rounds::measure(
            &plan,
            sides,
            self.interrupted,
            &mut |measured, both| court.look(&self.judged(&gates, probe.as_ref(), &self.parties(kept.as_ref(), both), measured)),
            &|done, all| {
                bar.set_length(u64::from(all));
                bar.set_position(u64::from(done));
            },
            &mut measured,
        );
        bar.finish_and_clear();
        let mut failed = match ended {
            // Nothing was measured that would be worth a report.
            Err(error) if measured.rounds == 0 => return Err(error),
            ended => ended.err(),
        };
        if let Some(probe) = probe.as_mut().filter(|_| measured.complete) {
            probe.after = self.probe().before;
            let pairs = measured.rounds as usize;
            probe.detectable = probe::detectable(&[&probe.before.seconds[..], &probe.after.seconds].concat(), pairs);
        }
        let mut both = [0, 1].map(|side| sides.get(side).map(|side| side.facts()));
        if measure.instructions && measured.complete {
            // Not before: valgrind would be the largest of this process's children in all rounds.
            failed = self.count_instructions(&mut both).or_exit(Exit::Usage).err();
            measured.complete = failed.is_none();
            // Whoever interrupts ends valgrind, too.
            failed = failed.filter(|_| !self.interrupted.load(Ordering::Relaxed));
        }
        let parties = self.parties(kept.as_ref(), both);
        let judged = self.judged(&gates, probe.as_ref(), &parties, &measured);
        let report = self.report(&judged, court, failed.as_ref());
        let exit = self.exit(&report, &judged);
        let delivered = self.deliver(&report, &exports, out);
        let kept = match (report.complete, exit) {
            (true, Exit::Gate) if measure.save_baseline.is_some() => {
                self.say("no baseline was saved, because of the gates");
                Ok(())
            }
            (true, exit) if exit != Exit::Gate => self.keep(&report, &judged),
            _ => Ok(()),
        };
        delivered.and(kept)?;
        failed.map_or(Ok(exit), Err)
    }

    /// What is known of our side, and what it is compared with.
    fn parties(&self, kept: Option<&Against>, both: [Option<Facts>; 2]) -> (Facts, Against) {
        let ([ours, facts], opponent) = (both.map(Option::unwrap_or_default), self.measure.opponent());
        let against = match (kept, &self.measure.against) {
            (Some(kept), _) => kept.clone(),
            (None, Some(label)) => Against::Side { label: label.clone(), facts, one_process: matches!(opponent, Opponent::Engine(_)) },
            (None, None) => Against::Nothing,
        };
        (ours, against)
    }

    fn judged<'a>(
        &self,
        gates: &'a [Gate],
        probe: Option<&'a Probe>,
        (facts, against): &'a (Facts, Against),
        measured: &'a Measured,
    ) -> Judged<'a> {
        Judged { subject: self.subject, gates, confidence: self.measure.confidence, probe, against, facts, measured }
    }

    /// Prints the report and writes it to files: all of them, whatever becomes of one. The error is the first.
    fn deliver(&self, report: &BenchReport, exports: &[Export], out: &mut dyn Write) -> Result<()> {
        let measure = self.measure;
        let format = if measure.once { BenchFormat::Json } else { measure.format };
        let printed = rendered(report, format).and_then(|rendered| Ok(out.write_all(rendered.as_bytes()).and_then(|()| out.flush())?));
        let write = |Export { format, file }: &Export| {
            files::write(file, &rendered(report, *format)?).or_exit(Exit::Usage)?;
            self.say(&format!("wrote {}", text::shown(file)));
            Ok(())
        };
        let written: Vec<Result<()>> = exports.iter().map(write).collect();
        [printed].into_iter().chain(written).collect()
    }

    /// Keeps the report as a baseline, if that was asked for and it is fit to be one. One that it could not be held against stays,
    /// unless that is the baseline's own fault.
    fn keep(&self, report: &BenchReport, judged: &Judged<'_>) -> Result<()> {
        let Some(name) = &self.measure.save_baseline else { return Ok(()) };
        let file = baseline::path(&self.measure.baselines, name);
        if let Some(why) = report.unkept() {
            self.say(&format!("warning: this report is kept as no baseline, because nothing should be held to it: {why}"));
            return Ok(());
        }
        // Another one's fault is not that of the one in this place.
        let own = self.measure.baseline.as_ref() == Some(name);
        let untold = |gate: &Gate| gate.bound.uses_base() && !(own && judged.waits_for_baseline(gate));
        if file.exists() && untold_gates(report, judged).any(untold) {
            let file = text::shown(&file);
            self.say(&format!("left {file} as it is, because a gate on `base` cannot be told; take it away to begin anew"));
            return Ok(());
        }
        baseline::write(&self.measure.baselines, name, report).or_exit(Exit::Usage)?;
        self.say(&format!("wrote {}", text::shown(&file)));
        if report.probe.is_none() {
            self.say("warning: it has no noise probe, so gates on measured figures cannot be held against it; leave out --no-probe");
        }
        Ok(())
    }

    fn exit(&self, report: &BenchReport, judged: &Judged<'_>) -> Exit {
        if !report.complete {
            return Exit::Interrupted;
        }
        // Somebody must be the first.
        let first = matches!(judged.against, Against::Unfit { first: true, .. }) && report.unkept().is_none();
        let excused = first && untold_gates(report, judged).all(|gate| judged.waits_for_baseline(gate));
        match (report.outcome, self.measure.cannot_tell) {
            (Outcome::Fail, _) => Exit::Gate,
            (Outcome::CannotTell, CannotTell::Fail) if !excused => Exit::Gate,
            (Outcome::CannotTell, CannotTell::Warn | CannotTell::Fail) => {
                for answer in report.gates.iter().filter(|answer| answer.outcome == Outcome::CannotTell) {
                    let line = format!("warning: gate {} cannot be told: {}", text::quote(&answer.gate), text::plain(&answer.why));
                    self.say(&line);
                }
                Exit::Success
            }
            (Outcome::CannotTell, CannotTell::Pass) | (Outcome::Pass, _) => Exit::Success,
        }
    }

    fn report(&self, judged: &Judged<'_>, court: Court<'_>, failed: Option<&anyhow::Error>) -> BenchReport {
        let measured = judged.measured;
        let processes = matches!(self.measure.opponent(), Opponent::Command(_));
        let gates = court.answers(judged);
        let figures = judged.figures();
        let (mut warnings, mut errors) = (judged.facts.warnings.clone(), judged.facts.errors.clone());
        if let Against::Side { label, facts, .. } = judged.against {
            let label = text::cut(label, 60);
            warnings.extend(facts.warnings.iter().map(|warning| format!("{label}: {warning}")));
            let theirs = facts.errors.iter().cloned();
            errors.extend(theirs.map(|error| ScanErrorReport { backend: format!("{label}: {}", error.backend), ..error }));
        }
        if cfg!(debug_assertions) {
            warnings.push("this program was built without optimisation: times say nothing; build it with --release".to_owned());
        }
        match failed {
            Some(error) => warnings.push(format!("a round failed, and figures are of those before: {error}")),
            None if !measured.complete => warnings.push("interrupted: figures are of the rounds that were over".to_owned()),
            None => {}
        }
        // A process of ours may have said the same.
        let mut said = BTreeSet::new();
        warnings.retain(|warning| said.insert(warning.clone()));
        BenchReport {
            schema: SCHEMA,
            bench: self.subject,
            name: self.name.clone(),
            command: typed(),
            complete: measured.complete,
            outcome: judge::outcome(&gates),
            gates,
            machine: Machine::here(),
            rounds: RoundFacts {
                warm: measured.rounds,
                passes: judged.facts.passes.unwrap_or(measured.passes),
                cold: self.measure.cold,
                warm_up: self.measure.plan(1).warm_up,
                looks: measured.looks,
                jobs: self.jobs,
                confidence: self.measure.confidence,
                perturbed: self.perturbed.filter(|_| !processes),
                processes,
                detectable: judged.seen(),
            },
            probe: judged.probe.cloned(),
            base: judged.base_report(&figures),
            figures,
            errors,
            warnings,
            unsure: judged.facts.unsure.clone(),
            missing_answers: judged.facts.missing_answers,
            nothing_answered: judged.facts.nothing_answered,
        }
    }

    fn probe(&self) -> Probe {
        let waiting = self.progress.waiting("probing the machine's noise");
        let before = probe::measure(self.jobs);
        waiting.finish_and_clear();
        Probe { threads: self.jobs, before, after: Units::default(), detectable: None }
    }

    /// Adds the instructions of our side, and of another engine.
    fn count_instructions(&self, both: &mut [Option<Facts>; 2]) -> Result<()> {
        let count = |engine: Option<&Path>| {
            let mut own = ["--counted", "--jobs", "1"].map(OsString::from).to_vec();
            own.extend(engine.into_iter().flat_map(|file| [OsString::from("--engine"), file.into()]));
            let words = for_a_round(std::env::args_os().skip(1), &own);
            let waiting = self.progress.waiting("counting instructions under valgrind");
            let counted = instructions::count(&words);
            waiting.finish_and_clear();
            counted
        };
        let opponent = match self.measure.opponent() {
            Opponent::Engine(file) => Some(file),
            Opponent::Nobody | Opponent::Command(_) => None,
        };
        let [ours, theirs] = both;
        let engines = [(ours, true, None), (theirs, opponent.is_some(), opponent.as_deref())];
        for (facts, counts, engine) in engines {
            if let Some(facts) = facts.as_mut().filter(|_| counts) {
                facts.exact.insert("instructions".to_owned(), Value::Number(count(engine)? as f64));
            }
        }
        Ok(())
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            // Nobody has to listen.
            let _ = writeln!(stderr(), "{line}");
        }
    }
}

/// The gates that cannot be told.
fn untold_gates<'a>(report: &'a BenchReport, judged: &'a Judged<'_>) -> impl Iterator<Item = &'a Gate> {
    let answered = judged.gates.iter().zip(&report.gates);
    answered.filter(|(_, answer)| answer.outcome == Outcome::CannotTell).map(|(gate, _)| gate)
}

/// The command as it was typed, quoted for a shell.
fn typed() -> String {
    let words = std::env::args_os().skip(1).map(|word| stage::quoted(&word.to_string_lossy()));
    ["sim".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// The report in a format.
fn rendered(report: &BenchReport, format: BenchFormat) -> Result<String> {
    let json = |value: serde_json::Value| Ok(serde_json::to_string_pretty(&value)? + "\n");
    match format {
        BenchFormat::Text => Ok(reports::text(report)),
        BenchFormat::Markdown => Ok(reports::markdown(report)),
        BenchFormat::Json => json(serde_json::to_value(report)?),
        BenchFormat::Bmf => json(export::bmf(report)),
        BenchFormat::GithubBenchmark => json(export::github(report, Better::Less)),
        BenchFormat::GithubBenchmarkBigger => json(export::github(report, Better::More)),
        BenchFormat::Hyperfine => json(export::hyperfine(report)),
        BenchFormat::Junit => export::junit(report),
    }
}

/// The words that this program was started with, for one round of it: without what is asked of all rounds together, and with its
/// `own` in the place of what was typed. Behind `--` nothing is a flag.
fn for_a_round(typed: impl Iterator<Item = OsString>, own: &[OsString]) -> Vec<OsString> {
    const VALUES: [&str; 15] = [
        "--progress",
        "--rounds",
        "--min-time",
        "--max-time",
        "--warm-up",
        "--gate",
        "--against",
        "--baseline",
        "--save-baseline",
        "--baselines",
        "--confidence",
        "--cannot-tell",
        "--format",
        "--export",
        "--export-json",
    ];
    const SWITCHES: [&str; 3] = ["--no-probe", "--instructions", "--quiet"];
    let (mut words, mut typed) = (Vec::new(), typed);
    while let Some(word) = typed.next() {
        if word == "--" {
            words.push(word);
            break;
        }
        let shown = word.to_string_lossy();
        let (flag, has_value) = shown.split_once('=').map_or((&*shown, false), |(flag, _)| (flag, true));
        if VALUES.contains(&flag) || (flag.starts_with("--") && own.iter().any(|own| own == flag)) {
            if !has_value {
                typed.next();
            }
        } else if !SWITCHES.contains(&flag) {
            words.push(word);
        }
    }
    words.extend(typed);
    // `bench scan` or `bench replay`, wherever they stand.
    let bench = words.iter().position(|word| word == "bench").unwrap_or(0);
    let command = words.iter().skip(bench).position(|word| word == "scan" || word == "replay").map_or(0, |place| bench + place + 1);
    words.splice(command..command, own.iter().cloned());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_words_stand_before_a_corpus_that_looks_like_flags() {
        let of = |typed: &str, own: &str| {
            let words = |text: &str| text.split_whitespace().map(OsString::from).collect::<Vec<_>>();
            for_a_round(words(typed).into_iter(), &words(own)).join(std::ffi::OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(
            of("--progress json bench scan --rounds 3 --engine=a.toml --gate=x -- --gate", "--once"),
            "bench scan --once --engine=a.toml -- --gate",
        );
        let counted = "--counted --jobs 1 --engine b.toml";
        assert_eq!(
            of("bench replay panel --jobs 4 --engine a.toml --instructions -s scan", counted),
            "bench replay --counted --jobs 1 --engine b.toml panel -s scan",
        );
        assert_eq!(of("bench scan -- --jobs", counted), "bench scan --counted --jobs 1 --engine b.toml -- --jobs");
    }
}
