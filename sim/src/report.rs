//! The report in a terminal: every figure comes from [`Run`], none is computed here.

pub mod bench;
pub mod compare;
pub mod sweep;
pub mod walkforward;
pub mod explain;
pub mod tournament;
pub mod doctor;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::{
    curve::CONFIDENCE,
    layout,
    run::{EXTERNAL, EngineFacts, JudgedFacts, Money, NOBODY, Run},
    scan::{BackendReport, ScanReport},
    text::{cut, plain, thousands as count},
};
// As all reports write amounts.
pub(crate) use crate::text::nct;

/// Errors of a scan that are printed.
const SHOWN: usize = 20;

/// The beginning of a hash, which is enough to tell it from others.
pub(crate) fn short(hash: &str) -> String {
    plain(&hash.chars().take(12).collect::<String>())
}

/// A name from a file, made harmless and short.
fn name(text: &str) -> String {
    cut(text, 42)
}

fn change(money: &Money) -> String {
    nct(money.nct, true)
}

pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", 100.0 * share))
}

/// `[+0.0100, +0.0150]`, in NCT.
pub(crate) fn interval(ends: Option<(f64, f64)>) -> String {
    ends.map_or_else(|| "-".to_owned(), |(low, high)| format!("[{}, {}]", nct(low, true), nct(high, true)))
}

/// `[87.56, 89.87] %`
pub(crate) fn share_interval(ends: Option<(f64, f64)>) -> String {
    ends.map_or_else(|| "-".to_owned(), |(low, high)| format!("[{:.2}, {:.2}] %", 100.0 * low, 100.0 * high))
}

/// How well the profit per bounty is known; nothing is said of a run of a few bounties.
pub(crate) fn known(engine: &EngineFacts) -> String {
    engine.profit_per_bounty_interval.as_ref().map_or_else(String::new, |facts| match (facts.nct, facts.losing_share_at_most) {
        (None, Some(at_most)) => {
            format!("no interval: only {} bounties lost; up to {} may", count(engine.bounties_lost), percent(Some(at_most)))
        }
        (ends, _) => format!("{:.0} % interval {}", 100.0 * facts.confidence, interval(ends)),
    })
}

pub(crate) fn decimal(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.4}"))
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((2, 1));
    }
    table
}

/// Makes a column one of words, set apart from the figures before it.
fn words(table: &mut Table, at: usize) {
    if let Some(column) = table.column_mut(at) {
        column.set_padding((3, 1)).set_cell_alignment(CellAlignment::Left);
    }
}

/// The table as it fits where it is printed.
fn lines(table: &Table) -> String {
    layout::lines(table, layout::width())
}

/// The report as it fits where it is printed.
fn paragraphs(report: &str) -> String {
    layout::folded(report, layout::width())
}

/// `  what            value  note`: a fact, its value above the one before, and what else there is to know.
fn fact(what: &str, value: &str, note: &str) -> String {
    // In a narrow terminal values stand at its right end.
    let width = layout::width().unwrap_or(usize::MAX);
    let padding = (width.clamp(24, 46) - 2).saturating_sub(what.chars().count());
    // What there is no room for beside it stands below.
    let gap = if width < 70 && !note.is_empty() { "\n    " } else { "  " };
    format!("  {what}{value:>padding$}{gap}{note}").trim_end().to_owned() + "\n"
}

/// The report of a scan of the corpus `corpus`.
pub fn scan(corpus: &str, engine: &str, scan: &ScanReport) -> String {
    let mut out = format!("Scan of `{corpus}`: {} artifacts, engine `{}`\n\n", count(scan.artifacts), name(engine));
    let mut answers = table(&["Backend", "malicious", "benign", "no answer", "finds", "false alarms", "p50", "p95", "p99", "max"]);
    for backend in &scan.backends {
        let failures: u64 = backend.failures.values().sum();
        let malicious = backend.true_positives + backend.false_positives;
        let benign = backend.true_negatives + backend.false_negatives;
        let share = |part: u64, whole: u64| percent((whole > 0).then(|| part as f64 / whole as f64));
        answers.add_row([
            name(&backend.name),
            count(malicious),
            count(benign),
            count(backend.undecided + failures),
            share(backend.true_positives, backend.labelled.0),
            share(backend.false_positives, backend.labelled.1),
            duration(backend.micros.p50),
            duration(backend.micros.p95),
            duration(backend.micros.p99),
            duration(backend.micros.max),
        ]);
    }
    out.push_str(&lines(&answers));
    for backend in scan.backends.iter().filter(|backend| backend.undecided > 0 || !backend.failures.is_empty()) {
        out.push_str(&format!("\nNo answer from {}: {}", name(&backend.name), reasons(backend)));
    }
    if !scan.errors.is_empty() {
        out.push_str("\n\nErrors\n");
        for error in scan.errors.iter().take(SHOWN) {
            let artifact = cut(&error.artifact, 60);
            out.push_str(&format!("  line {}, {artifact}: {}: {}\n", error.line, name(&error.backend), cut(&error.reason, 120)));
        }
        if scan.errors.len() > SHOWN {
            out.push_str(&format!("  and {} more; --format json lists them\n", scan.errors.len() - SHOWN));
        }
    }
    out.push_str(&format!("\n{}\n", scanned(scan)));
    if let Some(bytes) = scan.peak_memory {
        out.push_str(&format!("peak memory {:.0} MB\n", bytes as f64 / 1e6));
    }
    if scan.filtered > 0 {
        out.push_str(&format!("{}\n", filtered(scan)));
    }
    for warning in &scan.warnings {
        out.push_str(&format!("warning: {}\n", plain(warning)));
    }
    if !scan.complete {
        out.push_str("interrupted: what is scanned is kept; the same command goes on from here\n");
    }
    paragraphs(&out)
}

/// A scan in one line.
pub fn scanned(scan: &ScanReport) -> String {
    let mut line = format!("computed {}, reused {}, failed {}", count(scan.computed), count(scan.reused), count(scan.failed));
    if scan.read > 0 {
        let (files, megabytes) = (scan.read as f64 / scan.seconds, scan.bytes as f64 / 1e6 / scan.seconds);
        line += &format!("; {:.1} s, {files:.0} files/s, {megabytes:.1} MB/s, after {:.1} s to load", scan.seconds, scan.load_seconds);
    }
    line
}

/// What a replay says of backends without an answer.
pub fn scan_warnings(scan: &ScanReport) -> Vec<String> {
    let failed = scan.backends.iter().filter(|backend| !backend.failures.is_empty());
    let filtered = (scan.filtered > 0).then(|| filtered(scan));
    let told = failed.map(|backend| format!("no answer from `{}`: {}", backend.name.escape_debug(), reasons(backend)));
    filtered.into_iter().chain(told).chain(scan.warnings.iter().cloned()).collect()
}

fn filtered(scan: &ScanReport) -> String {
    format!("the filter leaves {} of {} artifacts alone", count(scan.filtered), count(scan.filtered + scan.artifacts))
}

fn reasons(backend: &BackendReport) -> String {
    let undecided = (backend.undecided > 0).then(|| format!("{} undecided", count(backend.undecided)));
    let failures = backend.failures.iter().map(|(kind, number)| format!("{} {kind}", count(*number)));
    undecided.into_iter().chain(failures).collect::<Vec<_>>().join(", ")
}

/// Microseconds, in a unit that suits them.
fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// The whole report of a replay.
pub fn text(run: &Run) -> String {
    let mut out = String::new();
    header(run, &mut out);
    profit(run, &mut out);
    accuracy(run, &mut out);
    calibration(run, &mut out);
    types(run, &mut out);
    competitors(run, &mut out);
    footer(run, &mut out);
    paragraphs(&out)
}

fn header(run: &Run, out: &mut String) {
    let (corpus, market, engine) = (&run.corpus, &run.market, &run.engine);
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let who = match (engine.strategy.as_str(), engine.name.as_str()) {
        (EXTERNAL, NOBODY) => "nobody from outside asserted".to_owned(),
        (EXTERNAL, _) => name(&engine.name),
        (strategy, _) => format!("{} by {}", name(&engine.name), name(strategy)),
    };
    line(format!("Replay of `{}`: {who}", name(&corpus.name)));
    line(String::new());
    let recorded = if corpus.recorded_engines > 0 { format!(", {} recorded engines", corpus.recorded_engines) } else { String::new() };
    line(format!(
        "  Corpus   {} artifacts ({} malicious, {} benign){recorded}",
        count(corpus.rows),
        count(corpus.malicious),
        count(corpus.benign)
    ));
    let switches = if market.switches.is_empty() { String::new() } else { format!(", switches: {}", market.switches.join(", ")) };
    line(format!(
        "  Market   {}{switches}; {}{} bounties with {} artifacts in blocks {} to {}",
        market.rules,
        count(market.bounties),
        if market.bounties == market.planned { String::new() } else { format!(" of {}", count(market.planned)) },
        count(market.artifacts),
        market.first_block,
        market.last_block
    ));
    let backends: Vec<String> = engine.backends.iter().map(|backend| name(backend)).collect();
    let calibrated = match engine.calibration_map.as_str() {
        "none" => String::new(),
        map => format!(", calibrated ({map})"),
    };
    let road = match engine.strategy.as_str() {
        EXTERNAL => "from outside".to_owned(),
        strategy => format!("{} -> {}{calibrated} -> {}", backends.join(" + "), engine.distiller, name(strategy)),
    };
    line(format!("  Engine   {road}, wallet {} NCT", nct(engine.wallet.nct, false)));
    for warning in &run.warnings {
        line(format!("  Warning: {warning}"));
    }
}

fn profit(run: &Run, out: &mut String) {
    let engine = &run.engine;
    out.push_str("\nProfit in NCT\n");
    let mut line = |what: &str, value: String, note: String| out.push_str(&fact(what, &value, &note));
    let components = &engine.components;
    line("bounty share", change(&components.bounty_share), String::new());
    line("losers' share", change(&components.losers_share), String::new());
    line("share without votes", change(&components.no_vote_share), String::new());
    line("lost stakes", change(&components.lost_stake), String::new());
    line("assertion fees", change(&components.fees), String::new());
    line("rounding", format!("{} wei", components.rounding.wei), String::new());
    if components.other.wei != "0" {
        line("other", change(&components.other), "transfers, deposits, payouts not collected".to_owned());
    }
    let checked = if run.complete { "= change of the balance, to the wei" } else { "" };
    line("PROFIT", change(&engine.profit), checked.to_owned());
    line("per bounty", engine.profit_per_bounty_nct.map_or_else(|| "-".to_owned(), |profit| nct(profit, true)), known(engine));
    if let Some(gain) = &engine.gain_over_best_null {
        let mut note = run.best_null().map_or_else(String::new, |best| format!("{} earns {}", best.strategy, change(&best.profit)));
        if let Some(ends) = engine.gain_over_best_null_interval {
            note = format!("{:.0} % interval {}; {note}", 100.0 * CONFIDENCE, interval(Some(ends)));
        }
        line("gain over best null", change(gain), note);
    }
    line("return on stake", percent(engine.return_on_stake), format!("of {} NCT staked", nct(engine.staked.nct, false)));
    line(
        "return on locked capital",
        percent(engine.return_on_locked),
        format!("of {} NCT in escrow on average, {} at most", nct(engine.locked_mean_nct, false), nct(engine.locked_peak.nct, false)),
    );
    let drawdown = &engine.drawdown;
    let place = if drawdown.depth.nct > 0.0 {
        format!("from bounty {} to {}; under water {} bounties at most", drawdown.from, drawdown.to, drawdown.longest_under_water)
    } else {
        String::new()
    };
    line("deepest drawdown", nct(-drawdown.depth.nct, false), place);
    line("rank by profit", format!("{} of {}", engine.rank, engine.of), String::new());
}

fn accuracy(run: &Run, out: &mut String) {
    let engine = &run.engine;
    out.push_str("\nAccuracy of what was asserted\n");
    let mut table = table(&["against", "accuracy", "TPR", "FPR", "MCC", "TP", "FP", "TN", "FN"]);
    let mut row = |what: &str, judged: &JudgedFacts| {
        let counts = [judged.table.true_positives, judged.table.false_positives, judged.table.true_negatives, judged.table.false_negatives]
            .map(count);
        let figures = [percent(judged.accuracy), percent(judged.tpr), percent(judged.fpr), format!("{:.4}", judged.mcc)];
        table.add_row([what.to_owned()].into_iter().chain(figures).chain(counts));
    };
    row("arbiters' consensus", &engine.vs_consensus);
    row("corpus label", &engine.vs_label);
    row("consensus vs label", &run.market.consensus_vs_label);
    out.push_str(&lines(&table));
    let (by_consensus, by_label) = (engine.vs_consensus_intervals, engine.vs_label_intervals);
    for (truth, of) in [("consensus", by_consensus.filter(|_| by_consensus != by_label)), ("label", by_label)] {
        let Some(of) = of else { continue };
        out.push_str(&format!(
            "  {:.0} % intervals by the {truth}: accuracy {}, TPR {}, FPR {}\n",
            100.0 * of.confidence,
            share_interval(of.accuracy),
            share_interval(of.tpr),
            share_interval(of.fpr)
        ));
    }
    let coverage = &engine.coverage;
    let line = format!(
        "  asserted on {} of {} bounties ({} of the artifacts): {} won, {} lost\n  left alone: {} late, {} unfunded, {} without answer, {} by choice, {} refused\n",
        count(coverage.bounties_asserted),
        count(run.market.bounties),
        percent(coverage.share),
        count(engine.bounties_won),
        count(engine.bounties_lost),
        count(coverage.late),
        count(coverage.unfunded),
        count(coverage.no_answer),
        count(coverage.no_stake),
        count(coverage.refused),
    );
    out.push_str(&line);
}

fn calibration(run: &Run, out: &mut String) {
    let facts = &run.engine.calibration;
    let rows = [
        ("arbiters' consensus", &facts.vs_consensus),
        ("corpus label", &facts.vs_label),
        ("consensus, last 30 %", &facts.held_out.vs_consensus),
        ("label, last 30 %", &facts.held_out.vs_label),
    ];
    if facts.vs_label.is_none() {
        return;
    }
    out.push_str("\nP(malicious), staked on or not (`covered`: groups of like artifacts within their 90 % intervals, of how many)\n");
    let mut table = table(&["against", "artifacts", "Brier", "= rel", "- res", "+ unc", "log-loss", "ECE", "z", "AUC", "covered"]);
    for (what, facts) in rows {
        let Some(facts) = facts else { continue };
        table.add_row([
            what.to_owned(),
            count(facts.forecasts),
            decimal(Some(facts.brier)),
            decimal(Some(facts.reliability)),
            decimal(Some(facts.resolution)),
            decimal(Some(facts.uncertainty)),
            decimal(Some(facts.log_loss)),
            decimal(Some(facts.ece_equal_width)),
            facts.spiegelhalter_z.map_or_else(|| "-".to_owned(), |z| format!("{z:.1}")),
            decimal(facts.auc),
            facts
                .interval_coverage
                .map_or_else(|| "-".to_owned(), |share| format!("{} of {}", percent(Some(share)), facts.interval_groups)),
        ]);
    }
    out.push_str(&lines(&table));
    out.push_str(
        "  rel, res and AUC count forecasts as equal within 4,096 bins of log-odds; a group has 10 hits of the rarer class to expect\n",
    );
}

fn types(run: &Run, out: &mut String) {
    out.push_str("\nBy file type (accuracy against the label; `rivals miss`: share of malware that their majority calls benign)\n");
    let mut table =
        table(&["type", "artifacts", "malicious", "coverage", "accuracy", "TPR", "FPR", "profit NCT", "rivals miss", "false alarms"]);
    for facts in &run.types {
        table.add_row([
            name(&facts.file_type),
            count(facts.artifacts),
            count(facts.malicious),
            percent(facts.coverage),
            percent(facts.accuracy),
            percent(facts.tpr),
            percent(facts.fpr),
            change(&facts.profit),
            percent(facts.rivals_majority_misses),
            percent(facts.rivals_majority_false_alarms),
        ]);
    }
    out.push_str(&lines(&table));
}

fn competitors(run: &Run, out: &mut String) {
    out.push_str("\nEngine and rivals by profit\n");
    let mut table = table(&["", "strategy", "profit NCT", "staked NCT", "bounties", "accuracy", "TPR", "FPR", "late", "unfunded"]);
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    let engine = &run.engine;
    let own = (
        engine.profit.nct,
        [
            format!("> {}", name(&engine.name)),
            name(&engine.strategy),
            change(&engine.profit),
            nct(engine.staked.nct, false),
            count(engine.coverage.bounties_asserted),
            percent(engine.vs_consensus.accuracy),
            percent(engine.vs_consensus.tpr),
            percent(engine.vs_consensus.fpr),
            count(engine.coverage.late),
            count(engine.coverage.unfunded),
        ],
    );
    let rival = |rival: &crate::run::RivalFacts| {
        (
            rival.profit.nct,
            [
                name(&rival.name),
                name(&rival.strategy),
                change(&rival.profit),
                nct(rival.staked.nct, false),
                count(rival.bounties_asserted),
                percent(rival.accuracy),
                percent(rival.tpr),
                percent(rival.fpr),
                count(rival.late),
                count(rival.unfunded),
            ],
        )
    };
    let mut rows: Vec<(f64, [String; 10])> = run.rivals.iter().map(rival).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    // With hundreds of rivals, the best, the worst, and the engine's neighbours say enough; run.json has all.
    let place = rows.partition_point(|(profit, _)| *profit > own.0);
    rows.insert(place, own);
    let total = rows.len();
    let mut skipped = false;
    for (index, (_, row)) in rows.into_iter().enumerate() {
        if total > 40 && index >= 12 && index + 6 < total && index.abs_diff(place) > 3 {
            if !std::mem::replace(&mut skipped, true) {
                table.add_row(["..."]);
            }
            continue;
        }
        skipped = false;
        table.add_row(row);
    }
    out.push_str(&lines(&table));
    let market = &run.market;
    out.push_str(&format!(
        "  ambassadors {}, arbiters {}, left in escrow {}: all {} NCT are accounted for\n",
        change(&market.ambassadors),
        change(&market.arbiters),
        nct(market.stranded.nct, false),
        nct(market.supply.nct, false),
    ));
}

fn footer(run: &Run, out: &mut String) {
    let run_name = &run.name;
    out.push_str(&format!(
        "\nRun      sim {}, scenario {}, corpus {}, seed {}\nRepeat   {}\n",
        run_name.version,
        short(&run_name.scenario_sha256),
        short(&run_name.corpus_sha256),
        run_name.seed,
        plain(&run.command),
    ));
    if let Some(journal) = &run.journal {
        out.push_str(&format!("Journal  {} records, sha256 {}\n", count(journal.records), short(&journal.sha256)));
    }
    let rate = run.wall.bounties_per_second.map_or_else(String::new, |rate| format!(", {} bounties a second", count(rate as u64)));
    out.push_str(&format!("Took     {:.2} s{rate}\n", run.wall.seconds));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (nct(1234.5, true), nct(-0.00001, true), nct(-12.25, false)),
            ("+1,234.5000".into(), "+0.0000".into(), "-12.2500".into())
        );
    }

    #[test]
    fn hostile_names_do_not_reach_the_terminal() {
        assert_eq!(name("a\u{1b}[31mb\u{202e}c"), "a\\u{1b}[31mb\\u{202e}c");
        assert_eq!(name(&"x".repeat(10_000)).chars().count(), 43);
    }
}
