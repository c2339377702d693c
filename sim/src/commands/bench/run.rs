//! A measurement carried out: gates understood, sides measured, the report written, the exit code found.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{Write, stderr},
    path::Path,
    sync::atomic::AtomicBool,
};

use anyhow::{Result, bail};

use super::{super::stage, BenchFormat, CannotTell, Export, MeasureArgs, Opponent, files};
use crate::{
    bench::{
        BenchName, BenchReport, Machine, RoundFacts, SCHEMA,
        baseline::{self, Saved},
        calls::NOTHING_ANSWERED,
        export, instructions,
        judge::{self, Against, Court, Judged},
        probe::{self, Probe, Units},
        program::{ProgramSide, Started},
        rounds::{self, Facts, Measured, Side},
    },
    exit::{Exit, OrExit},
    figures::{self, Better, Subject, Value},
    gate::{Answer, Gate, Outcome},
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
    pub(super) measure: &'a MeasureArgs,
    pub(super) progress: Progress,
    pub(super) quiet: bool,
    pub(super) interrupted: &'a AtomicBool,
}

impl Bench<'_> {
    /// The gates, understood before anything is measured.
    pub(super) fn gates(&self, backends: &[String]) -> Result<Vec<Gate>> {
        let known = figures::known(self.subject, backends.iter().map(String::as_str));
        let measure = self.measure;
        let parse = |typed: &String| {
            let gate =
                Gate::parse(typed, |name| known.get(name).copied(), |name| text::nearest_few(name, known.keys().map(|name| &**name)))?;
            if gate.bound.uses_base() && measure.against.is_none() && measure.baseline.is_none() {
                bail!("gate {}: `base` is nothing here; name it with --against or --baseline", text::quote(typed));
            }
            if gate.figure == "instructions" && !measure.instructions {
                bail!("gate {}: instructions are counted with --instructions", text::quote(typed));
            }
            Ok(gate)
        };
        measure.gate.iter().map(parse).collect::<Result<_>>().or_exit(Exit::Usage)
    }

    /// The baseline, if one is named.
    fn saved(&self) -> Result<Option<Against>> {
        let Some(named) = &self.measure.baseline else { return Ok(None) };
        let file = baseline::file(&self.measure.baselines, named)?;
        let saved = match baseline::read(&file, self.subject)? {
            Some(saved) => self.fitting(saved),
            None if self.measure.save_baseline.as_ref() == Some(named) => {
                Err("there is no such baseline yet: this report becomes the first one".to_owned())
            }
            None => bail!("there is no baseline in {}; measure one with --save-baseline {}", text::shown(&file), text::cut(named, 60)),
        };
        Ok(Some(Against::Saved { label: named.clone(), saved: Box::new(saved) }))
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
    pub(super) fn run_processes(&self, command: String, gates: Vec<Gate>, out: &mut dyn Write) -> Result<Exit> {
        let words = for_a_round(std::env::args_os().skip(1), &["--once".into()]);
        let mut ours = ProgramSide::new(Started::This(words));
        let mut other = ProgramSide::new(Started::Shell(command));
        self.run(&mut [&mut ours, &mut other], gates, out)
    }

    /// Measures, judges, and writes the report.
    pub(super) fn run(&self, sides: &mut [&mut dyn Side], gates: Vec<Gate>, out: &mut dyn Write) -> Result<Exit> {
        let measure = self.measure;
        let saved = self.saved().or_exit(Exit::Usage)?;
        let exports = measure.exports();
        let counted = if measure.instructions { self.count_instructions().or_exit(Exit::Usage)? } else { [None, None] };
        let mut probe = (!measure.no_probe && !measure.once).then(|| self.probe());

        if let Some(share) = probe.as_ref().and_then(|probe| probe::detectable(&probe.before.seconds, measure.rounds as usize)) {
            let pairs = measure.rounds;
            self.say(&format!("noise: by the probe, a change of {:.1} % would show in {pairs} pairs of rounds here", 100.0 * share));
        }
        let mut court = Court::new(&gates);
        let whole = |both: [Option<Facts>; 2]| {
            let mut facts = both.map(Option::unwrap_or_default);
            for (facts, counted) in facts.iter_mut().zip(counted) {
                facts.exact.extend(counted.map(|count| ("instructions".to_owned(), Value::Number(count as f64))));
            }
            let [_, theirs] = &mut facts;
            if theirs.nothing_answered {
                let answered = theirs.exact.keys().filter(|name| judge::answered(name)).cloned();
                theirs.unsure = answered.map(|name| (name, NOTHING_ANSWERED.to_owned())).collect();
            }
            facts
        };
        let against = |theirs: &Facts| match (&saved, &measure.against) {
            (Some(saved), _) => saved.clone(),
            (None, Some(label)) => {
                let one_process = matches!(measure.opponent(), Opponent::Engine(_));
                Against::Side { label: label.clone(), facts: theirs.clone(), one_process }
            }
            (None, None) => Against::Nothing,
        };
        let (confidence, subject) = (measure.confidence, self.subject);
        let plan = measure.plan(self.passes);
        let bar = self.progress.rounds(plan.least());
        let mut measured = Measured::default();
        let ended = rounds::measure(
            &plan,
            sides,
            self.interrupted,
            &mut |measured, both| {
                let [facts, theirs] = &whole(both);
                let against = against(theirs);
                court.look(&Judged { subject, gates: &gates, confidence, probe: probe.as_ref(), against: &against, facts, measured })
            },
            &|done, all| {
                bar.set_length(u64::from(all));
                bar.set_position(u64::from(done));
            },
            &mut measured,
        );
        bar.finish_and_clear();
        let failed = match ended {
            // Nothing was measured that would be worth a report.
            Err(error) if measured.rounds == 0 => return Err(error),
            ended => ended.err(),
        };
        if let Some(probe) = probe.as_mut().filter(|_| measured.complete) {
            probe.after = self.probe().before;
            let pairs = measured.rounds as usize;
            probe.detectable = probe::detectable(&[&probe.before.seconds[..], &probe.after.seconds].concat(), pairs);
        }
        let [facts, theirs] = &whole([0, 1].map(|side| sides.get(side).map(|side| side.facts())));
        let against = against(theirs);
        let judged = Judged { subject, gates: &gates, confidence, probe: probe.as_ref(), against: &against, facts, measured: &measured };
        let report = self.report(&judged, court, failed.as_ref());
        let exit = self.exit(&report);
        let delivered = self.deliver(&report, &exports, out);
        let kept = if report.complete && exit != Exit::Gate { self.keep(&report, &gates) } else { Ok(()) };
        delivered.and(kept)?;
        failed.map_or(Ok(exit), Err)
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

    /// Keeps the report as a baseline, if that was asked for. One that gates could not be held against stays.
    fn keep(&self, report: &BenchReport, gates: &[Gate]) -> Result<()> {
        let Some(name) = &self.measure.save_baseline else { return Ok(()) };
        let file = baseline::path(&self.measure.baselines, name);
        let untold = |(gate, answer): (&Gate, &Answer)| gate.bound.uses_base() && answer.outcome == Outcome::CannotTell;
        if file.exists() && gates.iter().zip(&report.gates).any(untold) {
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

    fn exit(&self, report: &BenchReport) -> Exit {
        if !report.complete {
            return Exit::Interrupted;
        }
        match (report.outcome, self.measure.cannot_tell) {
            (Outcome::Fail, _) | (Outcome::CannotTell, CannotTell::Fail) => Exit::Gate,
            (Outcome::CannotTell, CannotTell::Warn) => {
                for answer in report.gates.iter().filter(|answer| answer.outcome == Outcome::CannotTell) {
                    let line = format!("warning: gate {} cannot be told: {}", text::quote(&answer.gate), text::plain(&answer.why));
                    // Nobody has to listen.
                    let _ = writeln!(stderr(), "{line}");
                }
                Exit::Success
            }
            _ => Exit::Success,
        }
    }

    fn report(&self, judged: &Judged<'_>, court: Court<'_>, failed: Option<&anyhow::Error>) -> BenchReport {
        let measured = judged.measured;
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
                perturbed: self.perturbed,
                detectable: judged.seen(),
            },
            probe: judged.probe.cloned(),
            base: judged.base_report(&figures),
            figures,
            errors,
            warnings,
            unsure: judged.facts.unsure.clone(),
        }
    }

    fn probe(&self) -> Probe {
        let waiting = self.progress.waiting("probing the machine's noise");
        let before = probe::measure(self.jobs);
        waiting.finish_and_clear();
        Probe { threads: self.jobs, before, after: Units::default(), detectable: None }
    }

    /// Instructions of our side, and of another engine.
    fn count_instructions(&self) -> Result<[Option<u64>; 2]> {
        let count = |engine: Option<&Path>| {
            let mut own = ["--counted", "--jobs", "1"].map(OsString::from).to_vec();
            own.extend(engine.into_iter().flat_map(|file| [OsString::from("--engine"), file.into()]));
            let words = for_a_round(std::env::args_os().skip(1), &own);
            let waiting = self.progress.waiting("counting instructions under valgrind");
            let counted = instructions::count(&words);
            waiting.finish_and_clear();
            counted.map(Some)
        };
        let theirs = match self.measure.opponent() {
            Opponent::Engine(file) => count(Some(&file))?,
            _ => None,
        };
        Ok([count(None)?, theirs])
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            // Nobody has to listen.
            let _ = writeln!(stderr(), "{line}");
        }
    }
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
