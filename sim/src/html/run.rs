//! A run, in the order in which a reader asks: what ran, what it earned, against whom, when, why, how right it was, on what,
//! with which capital, beside whom, and how to do it again.

use std::path::Path;

use maud::{Markup, html};
use serde_json::json;

use super::{
    Chart, Column, NAME, Number, Section, Text, amount, change, code, count, explain, facts, figures, interval, name, plain, reproduce,
    sentence, share, signed, table, warnings,
};
use crate::{
    curve::{CONFIDENCE, CallIntervals},
    explain::Explanation,
    forecast::ForecastFacts,
    groups::{GroupFacts, GroupsFacts},
    report::{decimal, known, nct, percent, share_interval, short},
    results::{Content, Results, Unexplained},
    run::{EXTERNAL, JudgedFacts, NOBODY, Run},
    text::{self, cut, thousands},
};

/// Bars of a chart; the table has the others.
const BARS: usize = 20;

pub(super) fn title(run: &Run) -> String {
    let corpus = cut(&run.corpus.name, NAME);
    match (run.engine.strategy.as_str(), run.engine.name.as_str()) {
        (EXTERNAL, NOBODY) => format!("Replay of {corpus}: nobody from outside asserted"),
        (EXTERNAL, engine) => format!("Replay of {corpus}: {}", cut(engine, NAME)),
        (strategy, engine) => format!("Replay of {corpus}: {} by {}", cut(engine, NAME), cut(strategy, NAME)),
    }
}

pub(super) fn sections(run: &Run, explanation: Result<&Explanation, Unexplained>, path: &Path) -> Vec<Section> {
    let why = |what: &str| match explanation {
        Err(Unexplained::Missing) => Some(html! {
            p.muted { "Not in here yet: " (what) " takes playing the run again. This command adds it, and then this report anew:" }
            (code(&format!("sim explain {} --sensitivity --save", crate::commands::stage::quoted(&path.to_string_lossy()))))
        }),
        Err(Unexplained::OfAnother) => Some(html! {
            div.notice.warn { "The explanation beside this run is of another run, or damaged. Make it again: "
                (code(&format!("sim explain {} --sensitivity --save", crate::commands::stage::quoted(&path.to_string_lossy()))))
            }
        }),
        Ok(_) => None,
    };
    let explained = explanation.ok();
    let waterfall = explained.map_or_else(|| why("where the profit was lost").unwrap_or_default(), explain::waterfall);
    let sensitivity = explained.map_or_else(|| why("what hangs on rivals, arbiters and fees").unwrap_or_default(), explain::sensitivity);
    let mut all = vec![Section::new("ran", "What ran", ran(run)), Section::new("result", "What it earned", result(run))];
    if !run.nulls.is_empty() {
        all.push(Section::new("nulls", "Against strategies without an idea", nulls(run)));
    }
    all.push(Section::new("equity", "Equity and drawdown", equity(run)));
    all.push(Section::new("regret", "Where the rest went", waterfall));
    all.push(Section::new("calibration", "How right it was", calibration(run)));
    all.push(Section::new("groups", "By family, type and month", groups(run)));
    all.push(Section::new("wallet", "Wallet and lock-up", wallet(run, explained)));
    all.push(Section::new("rivals", "Engine and rivals", rivals(run)));
    all.push(Section::new("sensitivity", "What it hangs on", sensitivity));
    all.push(Section::new("repeat", "Do it again", footer(run)));
    all
}

fn ran(run: &Run) -> Markup {
    let (corpus, market, engine) = (&run.corpus, &run.market, &run.engine);
    let switches: Vec<&str> = market.switches.iter().map(String::as_str).collect();
    let planned = if market.bounties == market.planned { String::new() } else { format!(" of {}", thousands(market.planned)) };
    let road = match engine.strategy.as_str() {
        EXTERNAL => plain("from outside"),
        strategy => html! {
            @for (place, backend) in engine.backends.iter().take(20).enumerate() { @if place > 0 { " + " } (name(backend)) }
            " → " (name(&engine.distiller))
            @if engine.calibration_map != "none" { " (calibrated: " (name(&engine.calibration_map)) ")" }
            " → " (name(strategy))
        },
    };
    html! {
        @if !run.complete { div.notice.bad { "Interrupted: figures cover what was done." } }
        @if engine.oracle { div.notice.bad { "This strategy is an oracle: it knows the label, as nobody does." } }
        (warnings(&run.warnings))
        (facts(&[
            ("Corpus", html! {
                (name(&corpus.name)) ": " (count(corpus.rows)) " artifacts, " (count(corpus.malicious)) " malicious, " (count(corpus.benign)) " benign"
                @if corpus.recorded_engines > 0 { ", " (corpus.recorded_engines) " recorded engines" }
            }),
            ("Market", html! {
                (name(&market.rules)) @if !switches.is_empty() { ", switches: " (sentence(&switches.join(", "))) }
                "; " (count(market.bounties)) (planned) " bounties with " (count(market.artifacts)) " artifacts in blocks "
                (count(market.first_block)) " to " (count(market.last_block))
            }),
            ("Engine", road),
            ("Wallet", html! { (amount(engine.wallet.nct)) " NCT" }),
        ]))
    }
}

fn result(run: &Run) -> Markup {
    let engine = &run.engine;
    let per_bounty = engine.profit_per_bounty_nct.map_or_else(|| plain("-"), signed);
    let drawdown = &engine.drawdown;
    let fell = if drawdown.depth.nct > 0.0 {
        format!("from bounty {} to {} of those asserted on", thousands(drawdown.from), thousands(drawdown.to))
    } else {
        "it never fell".to_owned()
    };
    let mut headline = vec![
        (
            "Profit, NCT",
            change(&engine.profit),
            if run.complete { "the change of the balance, to the wei".to_owned() } else { String::new() },
        ),
        ("Per bounty, NCT", per_bounty, known(engine)),
    ];
    if let Some((gain, best)) = engine.gain_over_best_null.as_ref().zip(run.best_null()) {
        let sure = engine
            .gain_over_best_null_interval
            .map_or_else(String::new, |ends| format!("{:.0} % interval {}; ", 100.0 * CONFIDENCE, interval(Some(ends))));
        let earns = format!("{} earns {}", cut(&best.strategy, NAME), nct(best.profit.nct, true));
        headline.push(("Gain over the best null, NCT", change(gain), sure + &earns));
    }
    headline.extend([
        ("Deepest drawdown, NCT", amount(drawdown.depth.nct), fell),
        ("Return on stake", share(engine.return_on_stake), format!("of {} NCT staked", nct(engine.staked.nct, false))),
        (
            "Return on locked capital",
            share(engine.return_on_locked),
            format!("of {} NCT in escrow on average", nct(engine.locked_mean_nct, false)),
        ),
        ("Right, by the consensus", share(engine.vs_consensus.accuracy), sure(&engine.vs_consensus_intervals, |of| of.accuracy)),
        ("Malware found, by the label", share(engine.vs_label.tpr), sure(&engine.vs_label_intervals, |of| of.tpr)),
        ("False alarms, by the label", share(engine.vs_label.fpr), sure(&engine.vs_label_intervals, |of| of.fpr)),
        (
            "Staked on, of the artifacts",
            share(engine.coverage.share),
            format!("{} bounties won, {} lost", thousands(engine.bounties_won), thousands(engine.bounties_lost)),
        ),
        ("Rank by profit", plain(format!("{} of {}", engine.rank, engine.of)), "among engine and rivals".to_owned()),
    ]);
    let components = &engine.components;
    let parts = [
        ("bounty share", &components.bounty_share, "shares of bounties, for being right"),
        ("losers' share", &components.losers_share, "shares of the stakes of those who were wrong"),
        ("share without votes", &components.no_vote_share, "shares of bounties that nobody voted on"),
        ("lost stakes", &components.lost_stake, "own stakes on what was wrong"),
        ("assertion fees", &components.fees, "paid for assertions"),
        ("rounding", &components.rounding, "wei that rounding gave or took"),
        ("other", &components.other, "transfers, deposits, payouts not collected"),
    ];
    let shown = || parts.iter().filter(|(what, money, _)| *what != "other" || money.wei != "0");
    let rows = shown().map(|(what, money, meaning)| vec![plain(*what), change(money), plain(money.wei.clone()), plain(*meaning)]);
    let all = rows.chain([vec![plain("profit"), change(&engine.profit), plain(engine.profit.wei.clone()), plain("their sum")]]);
    let caption = "What the profit is made of";
    let table = table(caption, &[Text("part"), Number("NCT"), Number("wei"), Text("meaning")], all);
    let steps: Vec<_> =
        shown().filter(|(_, money, _)| money.nct != 0.0).map(|(what, money, _)| json!({ "name": what, "value": money.nct })).collect();
    let summary = format!("Parts that add up to {} NCT.", nct(engine.profit.nct, true));
    let data = json!({ "steps": steps, "total": { "name": "profit", "value": engine.profit.nct }, "unit": "NCT" });
    html! { (figures(&headline)) (method(run)) (Chart::new("waterfall", caption, summary, data).over(&table)) }
}

/// `95 % interval [87.56, 89.87] %`; nothing of a run that does not say.
fn sure(known: &Option<CallIntervals>, of: fn(&CallIntervals) -> Option<(f64, f64)>) -> String {
    let said = known.as_ref().map_or_else(String::new, |known| match of(known) {
        Some(ends) => format!("{:.0} % interval {}", 100.0 * known.confidence, share_interval(Some(ends))),
        None => "no interval: too few bounties decide".to_owned(),
    });
    // The sign of percent stays with its numbers.
    said.replace("] %", "]\u{a0}%")
}

/// How the intervals were found.
fn method(run: &Run) -> Markup {
    let Some(facts) = &run.engine.profit_per_bounty_interval else { return Markup::default() };
    html! {
        p.muted.small {
            "Intervals: stationary bootstrap, studentized, " (count(u64::from(facts.resamples))) " resamples of " (count(facts.blocks as u64))
            @if facts.bounties_per_block == 1 { " bounties" } @else { " sums of " (count(facts.bounties_per_block)) " bounties in a row" }
            "; a share with fewer than ten calls on a side by Clopper and Pearson, if bounties have one artifact each. They tell the luck of this corpus, not what other corpora are like."
        }
    }
}

fn nulls(run: &Run) -> Markup {
    let own = (format!("> {}", cut(&run.engine.strategy, NAME)), run.engine.profit.nct);
    let mut all: Vec<(String, f64)> = run.nulls.iter().map(|null| (cut(&null.strategy, NAME), null.profit.nct)).collect();
    all.push(own.clone());
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    let rows = all.iter().map(|(strategy, profit)| vec![html! { bdi { (strategy) } }, signed(*profit)]);
    let caption = "The same market, met by others in the engine's place";
    let table = table(caption, &[Text("strategy"), Number("profit NCT")], rows);
    let marked = all.iter().position(|one| *one == own);
    let bars: Vec<_> = all.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let summary = run
        .engine
        .gain_over_best_null
        .as_ref()
        .map_or_else(String::new, |gain| format!("{} NCT over the best of them.", nct(gain.nct, true)));
    html! {
        (Chart::new("bars", caption, summary, json!({ "bars": bars, "marked": marked, "unit": "NCT" })).size("short").over(&table))
        p.muted.small { "How sure a difference between strategies is, " code { "sim compare" } " tells: it plays several in the same market." }
    }
}

fn equity(run: &Run) -> Markup {
    let curve = &run.engine.curve;
    let points = &curve.points;
    if points.is_empty() {
        return html! { p.muted { "This run was written by an earlier version, without its equity over time. Play it again to see it." } };
    }
    let column = |figure: fn(&crate::curve::PointFacts) -> f64| points.iter().map(figure).collect::<Vec<f64>>();
    let rows = points.iter().map(|point| {
        vec![count(point.block), amount(point.equity_nct), amount(point.low_nct), amount(point.high_nct), amount(point.drawdown_nct)]
    });
    let caption = "Equity and drawdown, in NCT, by the block in which a bounty was over";
    let columns = [Number("block"), Number("equity"), Number("least"), Number("most"), Number("drawdown")];
    let table = long_table(caption, &columns, rows);
    let data = json!({
        "blocks": points.iter().map(|point| point.block).collect::<Vec<u64>>(),
        "equity": column(|point| point.equity_nct),
        "low": column(|point| point.low_nct),
        "high": column(|point| point.high_nct),
        "drawdown": column(|point| point.drawdown_nct),
    });
    let summary =
        format!("Ends at {} NCT; the deepest fall is {} NCT.", nct(run.engine.profit.nct, true), nct(run.engine.drawdown.depth.nct, false));
    html! { (Chart::new("equity", caption, summary, data).note(sampled(run)).size("tall").over(&table)) }
}

/// What a point stands for.
fn sampled(run: &Run) -> String {
    match run.engine.curve.bounties_per_point {
        1 => "A point is a bounty.".to_owned(),
        bounties => format!(
            "A point stands for {} bounties in a row. The line is where the equity stood after the last of them; the band reaches from the \
             least to the most on the way, and the drawdown is the deepest among them, so that no fall is left out.",
            thousands(bounties)
        ),
    }
}

/// A table with all of its rows: those of a curve are bounded.
fn long_table(caption: &str, columns: &[Column], rows: impl Iterator<Item = Vec<Markup>>) -> Markup {
    let rows: Vec<Vec<Markup>> = rows.collect();
    // Two tables side by side in time, each within what a table shows.
    let half = rows.len().div_ceil(rows.len().div_ceil(super::ROWS).max(1)).max(1);
    html! {
        @for (part, rows) in rows.chunks(half).enumerate() {
            @let caption = if part == 0 { caption.to_owned() } else { format!("{caption}, part {}", part + 1) };
            (table(&caption, columns, rows.iter().cloned()))
        }
    }
}

fn calibration(run: &Run) -> Markup {
    let engine = &run.engine;
    let judged = |what: &str, facts: &JudgedFacts| {
        let table = &facts.table;
        let counts = [table.true_positives, table.false_positives, table.true_negatives, table.false_negatives].map(count);
        let rates = [share(facts.accuracy), share(facts.tpr), share(facts.fpr), plain(format!("{:.4}", facts.mcc))];
        [plain(what)].into_iter().chain(rates).chain(counts).collect::<Vec<Markup>>()
    };
    let known = |intervals: &Option<CallIntervals>| {
        intervals.map(|of| {
            let ends = [of.accuracy, of.tpr, of.fpr].map(|ends| plain(share_interval(ends)));
            let what = plain(format!("{:.0} % interval", 100.0 * of.confidence));
            [what].into_iter().chain(ends).chain((0..5).map(|_| plain(""))).collect()
        })
    };
    let rows = [
        Some(judged("arbiters' consensus", &engine.vs_consensus)),
        known(&engine.vs_consensus_intervals),
        Some(judged("corpus label", &engine.vs_label)),
        known(&engine.vs_label_intervals),
        Some(judged("consensus against label", &run.market.consensus_vs_label)),
    ];
    let rows = rows.into_iter().flatten();
    let columns = [
        Text("against"),
        Number("accuracy"),
        Number("TPR"),
        Number("FPR"),
        Number("MCC"),
        Number("TP"),
        Number("FP"),
        Number("TN"),
        Number("FN"),
    ];
    let coverage = &engine.coverage;
    html! {
        (table("What was asserted, against what it turned out to be", &columns, rows))
        p.muted.small {
            "Asserted on " (count(coverage.bounties_asserted)) " of " (count(run.market.bounties)) " bounties (" (percent(coverage.share))
            " of the artifacts): " (count(engine.bounties_won)) " won, " (count(engine.bounties_lost)) " lost. Left alone: "
            (count(coverage.late)) " late, " (count(coverage.unfunded)) " unfunded, " (count(coverage.no_answer)) " without answer, "
            (count(coverage.no_stake)) " by choice, " (count(coverage.refused)) " refused."
        }
        (reliability(run))
    }
}

fn reliability(run: &Run) -> Markup {
    let facts = &run.engine.calibration;
    let all: Vec<(&str, &ForecastFacts)> = [
        ("consensus", &facts.vs_consensus),
        ("label", &facts.vs_label),
        ("consensus, last 30 %", &facts.held_out.vs_consensus),
        ("label, last 30 %", &facts.held_out.vs_label),
    ]
    .into_iter()
    .filter_map(|(what, facts)| Some((what, facts.as_ref()?)))
    .collect();
    if all.is_empty() {
        return html! { p.muted { "The engine said nothing of how probable malice is." } };
    }
    let rows = all.iter().map(|(what, facts)| {
        let covered = facts
            .interval_coverage
            .map_or_else(|| "-".to_owned(), |share| format!("{} of {}", percent(Some(share)), facts.interval_groups));
        vec![
            plain(*what),
            count(facts.forecasts),
            plain(decimal(Some(facts.brier))),
            plain(decimal(Some(facts.reliability))),
            plain(decimal(Some(facts.resolution))),
            plain(decimal(Some(facts.uncertainty))),
            plain(decimal(Some(facts.log_loss))),
            plain(decimal(Some(facts.ece_equal_width))),
            plain(facts.spiegelhalter_z.map_or_else(|| "-".to_owned(), |z| format!("{z:.1}"))),
            plain(decimal(facts.auc)),
            plain(covered),
        ]
    });
    let columns = [
        Text("against"),
        Number("artifacts"),
        Number("Brier"),
        Number("= reliability"),
        Number("- resolution"),
        Number("+ uncertainty"),
        Number("log-loss"),
        Number("ECE"),
        Number("z"),
        Number("AUC"),
        Number("covered"),
    ];
    let scores = table("Scores of the probabilities of malice, staked on or not", &columns, rows);
    let bins = all.iter().flat_map(|(what, facts)| {
        facts.reliability_table.iter().map(|row| {
            vec![
                plain(*what),
                plain(format!("{:.1} to {:.1}", row.from, row.to)),
                count(row.forecasts),
                plain(decimal(Some(row.mean_probability))),
                plain(decimal(Some(row.malicious))),
            ]
        })
    });
    let caption = "Reliability: what was said, and what was so";
    let columns = [Text("against"), Text("said between"), Number("artifacts"), Number("said, in the mean"), Number("share malicious")];
    let table = table(caption, &columns, bins);
    let series: Vec<_> = all
        .iter()
        .map(|(what, facts)| {
            let points: Vec<_> =
                facts.reliability_table.iter().map(|row| json!([row.mean_probability, row.malicious, row.forecasts])).collect();
            json!({ "name": what, "points": points })
        })
        .collect();
    let summary = format!(
        "On the diagonal is who is right as often as said. Calibration error against the {}: {}.",
        all[0].0,
        decimal(Some(all[0].1.ece_equal_width))
    );
    let note = "By tenths of the probability. On the diagonal, as many were malicious as was said; the larger a point, the more artifacts.";
    html! {
        div.columns {
            (Chart::new("reliability", caption, summary, json!({ "series": series })).note(note).alone())
            (table)
        }
        (scores)
        p.muted.small {
            "Brier = reliability - resolution + uncertainty. ECE: mean distance to the diagonal. z: beyond ±1.96 calibration is doubtful. "
            "Covered: groups of like artifacts within their 90 % intervals, of how many."
        }
    }
}

/// A chart of profits by group over its table.
fn by_group(what: &'static str, caption: &str, note: &str, groups: &[&GroupFacts]) -> Markup {
    let rows = groups.iter().map(|group| {
        vec![
            name(&group.name),
            count(group.artifacts),
            count(group.malicious),
            share(group.coverage),
            share(group.accuracy),
            share(group.tpr),
            share(group.fpr),
            change(&group.profit),
        ]
    });
    let columns = [
        Text(what),
        Number("artifacts"),
        Number("malicious"),
        Number("coverage"),
        Number("accuracy"),
        Number("TPR"),
        Number("FPR"),
        Number("profit NCT"),
    ];
    let table = table(caption, &columns, rows);
    let bars: Vec<_> = groups
        .iter()
        .take(if what == "month" { usize::MAX } else { BARS })
        .map(|group| json!({ "name": cut(&group.name, 24), "value": group.profit.nct }))
        .collect();
    let best = groups.iter().max_by(|a, b| a.profit.nct.total_cmp(&b.profit.nct));
    let summary = best.map_or_else(String::new, |best| format!("Most with {}: {} NCT.", cut(&best.name, NAME), nct(best.profit.nct, true)));
    let kind = if what == "month" { "columns" } else { "bars" };
    let size = if bars.len() < 6 && kind == "bars" { "short" } else { "" };
    // One bar is as long as any.
    let several = bars.len() > 1;
    let chart = Chart::new(kind, format!("Profit by {what}"), summary, json!({ "bars": bars, "unit": "NCT" }));
    html! { @if several { (chart.note(note).size(size).alone()) } (table) }
}

fn groups(run: &Run) -> Markup {
    let told = |facts: &GroupsFacts| facts.groups.len() + usize::from(facts.others.is_some());
    let rivals = run
        .types
        .iter()
        .map(|facts| vec![name(&facts.file_type), share(facts.rivals_majority_misses), share(facts.rivals_majority_false_alarms)]);
    let types: Vec<GroupFacts> = run
        .types
        .iter()
        .map(|facts| GroupFacts {
            name: facts.file_type.clone(),
            artifacts: facts.artifacts,
            malicious: facts.malicious,
            coverage: facts.coverage,
            accuracy: facts.accuracy,
            tpr: facts.tpr,
            fpr: facts.fpr,
            profit: facts.profit.clone(),
        })
        .collect();
    let note = "Profit is of bounties whose first artifact is in the group; accuracy, TPR and FPR are against the corpus label.";
    html! {
        @if told(&run.families) > 0 {
            (by_group("family", "By family", note, &run.families.rows().collect::<Vec<_>>()))
        } @else { p.muted { "No family is named in this corpus, or the run was written by an earlier version." } }
        (by_group("type", "By file type", note, &types.iter().collect::<Vec<_>>()))
        details {
            summary { "What rivals miss, by file type" }
            (table("Share that most rivals with an opinion called wrong", &[Text("type"), Number("of malware"), Number("of benign artifacts")], rivals))
        }
        @if told(&run.months) > 0 {
            (by_group("month", "By the month in which artifacts were first seen", note, &run.months.rows().collect::<Vec<_>>()))
        } @else { p.muted { "No artifact of this corpus says when it was first seen, or the run was written by an earlier version." } }
    }
}

fn wallet(run: &Run, explanation: Option<&Explanation>) -> Markup {
    let engine = &run.engine;
    let points = &engine.curve.points;
    let headline = figures(&[
        ("Wallet at first, NCT", amount(engine.wallet.nct), String::new()),
        ("Locked on average, NCT", amount(engine.locked_mean_nct), "over all blocks".to_owned()),
        ("Locked at most, NCT", amount(engine.locked_peak.nct), String::new()),
        ("Not covered", count(engine.coverage.unfunded), "bounties left alone because the wallet was short".to_owned()),
    ]);
    let rows = points.iter().map(|point| vec![count(point.block), amount(point.locked_nct)]);
    let caption = "In escrow, in NCT, at most since the point before";
    let table = long_table(caption, &[Number("block"), Number("locked")], rows);
    let data = json!({
        "x": points.iter().map(|point| point.block).collect::<Vec<u64>>(),
        "xName": "block", "unit": "NCT", "zoom": true,
        "series": [{ "name": "locked", "values": points.iter().map(|point| point.locked_nct).collect::<Vec<f64>>(), "area": true }],
    });
    let summary = format!("{} NCT at most.", nct(engine.locked_peak.nct, false));
    html! {
        (headline)
        @if !points.is_empty() { (Chart::new("lines", caption, summary, data).note(sampled_capital(run)).over(&table)) }
        @if let Some(explanation) = explanation { (explain::capital(explanation)) }
    }
}

fn sampled_capital(run: &Run) -> String {
    match run.engine.curve.bounties_per_point {
        1 => String::new(),
        bounties => format!("A point stands for {} bounties in a row, and tells the most that was locked meanwhile.", thousands(bounties)),
    }
}

fn rivals(run: &Run) -> Markup {
    let engine = &run.engine;
    let own = (
        engine.profit.nct,
        format!("> {}", cut(&engine.name, NAME)),
        vec![
            html! { strong { "> " (name(&engine.name)) } },
            name(&engine.strategy),
            change(&engine.profit),
            amount(engine.staked.nct),
            count(engine.coverage.bounties_asserted),
            share(engine.vs_consensus.accuracy),
            share(engine.vs_consensus.tpr),
            share(engine.vs_consensus.fpr),
            count(engine.coverage.late),
            count(engine.coverage.unfunded),
        ],
    );
    let mut all: Vec<(f64, String, Vec<Markup>)> = run
        .rivals
        .iter()
        .map(|rival| {
            let cells = vec![
                name(&rival.name),
                name(&rival.strategy),
                change(&rival.profit),
                amount(rival.staked.nct),
                count(rival.bounties_asserted),
                share(rival.accuracy),
                share(rival.tpr),
                share(rival.fpr),
                count(rival.late),
                count(rival.unfunded),
            ];
            (rival.profit.nct, cut(&rival.name, 24), cells)
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let place = all.partition_point(|(profit, ..)| *profit > own.0);
    all.insert(place, own);
    // The engine's own row is always shown.
    if place >= super::ROWS {
        let own = all.remove(place);
        all.insert(super::ROWS - 1, own);
    }
    let bars: Vec<_> = all.iter().take(40).map(|(profit, name, _)| json!({ "name": name, "value": profit })).collect();
    let marked = (place < 40).then_some(place);
    let columns = [
        Text("name"),
        Text("strategy"),
        Number("profit NCT"),
        Number("staked NCT"),
        Number("bounties"),
        Number("accuracy"),
        Number("TPR"),
        Number("FPR"),
        Number("late"),
        Number("unfunded"),
    ];
    let market = &run.market;
    let summary = format!("The engine is {} of {}.", engine.rank, engine.of);
    let data = json!({ "bars": bars, "marked": marked, "unit": "NCT" });
    html! {
        (Chart::new("bars", "Engine and rivals by profit", summary, data).size(if bars.len() > 14 { "tall" } else { "" }).alone())
        (table("Engine and rivals by profit; right or wrong is against the consensus", &columns, all.into_iter().map(|(.., cells)| cells)))
        p.muted.small {
            "Ambassadors " (change(&market.ambassadors)) ", arbiters " (change(&market.arbiters)) ", left in escrow " (amount(market.stranded.nct))
            ": all " (amount(market.supply.nct)) " NCT are accounted for."
        }
    }
}

fn footer(run: &Run) -> Markup {
    let called = &run.name;
    let mut all = vec![
        ("Program", plain(format!("sim {}", cut(&called.version, NAME)))),
        ("Scenario", code(&called.scenario_sha256)),
        ("Corpus", code(&called.corpus_sha256)),
        ("Seed", plain(called.seed.to_string())),
    ];
    if !called.inputs.is_empty() {
        let inputs: Vec<String> = called.inputs.iter().take(40).cloned().collect();
        all.push(("Files and backends", code(&inputs.join(", "))));
    }
    all.push(("Decisions", code(&run.decisions_sha256)));
    if let Some(journal) = &run.journal {
        all.push(("Journal", html! { (count(journal.records)) " records, sha256 " (code(&journal.sha256)) }));
    }
    let rate = run.wall.bounties_per_second.map_or_else(String::new, |rate| format!(", {} bounties a second", thousands(rate as u64)));
    all.push(("Took", plain(format!("{:.2} s on {} threads{rate}", run.wall.seconds, run.wall.jobs))));
    reproduce(&run.command, "The same version, scenario, corpus and seed give the same figures, to the wei, on any machine.", &all)
}

/// Runs beside each other, if there are several.
pub(super) fn side_by_side(all: &[Results]) -> Option<Markup> {
    let runs: Vec<(usize, &Run, String)> = (1..)
        .zip(all)
        .filter_map(|(number, results)| match &results.content {
            Content::Run(run, _) => Some((number, &**run, text::shown(&results.path))),
            _ => None,
        })
        .collect();
    if runs.len() < 2 {
        return None;
    }
    let first = runs[0].1;
    let mut differ = Vec::new();
    let mut differs = |what: &str, other: bool| {
        if other {
            differ.push(what.to_owned());
        }
    };
    differs("corpora", runs.iter().any(|(_, run, _)| run.name.corpus_sha256 != first.name.corpus_sha256));
    differs("rules", runs.iter().any(|(_, run, _)| run.market.rules != first.market.rules));
    differs("numbers of bounties", runs.iter().any(|(_, run, _)| run.market.bounties != first.market.bounties));
    differs("seeds", runs.iter().any(|(_, run, _)| run.name.seed != first.name.seed));
    let rows = runs.iter().map(|(number, run, path)| {
        let engine = &run.engine;
        vec![
            html! { a href={"#r" (number)} { bdi { (cut(path, NAME)) } } },
            name(&engine.strategy),
            count(run.market.bounties),
            change(&engine.profit),
            engine.profit_per_bounty_nct.map_or_else(|| plain("-"), signed),
            plain(interval(engine.profit_per_bounty_interval.as_ref().and_then(|facts| facts.nct))),
            engine.gain_over_best_null.as_ref().map_or_else(|| plain("-"), change),
            amount(engine.drawdown.depth.nct),
            share(engine.return_on_locked),
            share(engine.coverage.share),
            share(engine.vs_consensus.accuracy),
            plain(format!("{} of {}", engine.rank, engine.of)),
            code(&short(&run.name.scenario_sha256)),
        ]
    });
    let columns = [
        Text("run"),
        Text("strategy"),
        Number("bounties"),
        Number("profit NCT"),
        Number("per bounty"),
        Number("interval"),
        Number("over best null"),
        Number("drawdown"),
        Number("on locked"),
        Number("coverage"),
        Number("accuracy"),
        Number("rank"),
        Text("scenario"),
    ];
    let series: Vec<_> = runs
        .iter()
        .take(12)
        .map(|(number, run, _)| {
            let points: Vec<_> = run.engine.curve.points.iter().map(|point| json!([point.block, point.equity_nct])).collect();
            json!({ "name": format!("{number}: {}", cut(&run.engine.strategy, 24)), "points": points })
        })
        .collect();
    let whiskers: Vec<_> = runs
        .iter()
        .map(|(number, run, _)| {
            let engine = &run.engine;
            let ends = engine.profit_per_bounty_interval.as_ref().and_then(|facts| facts.nct);
            json!({ "name": format!("{number}: {}", cut(&engine.strategy, 24)), "value": engine.profit_per_bounty_nct, "interval": ends })
        })
        .collect();
    let summary = "The figures are in the table above.";
    Some(html! {
        @if !differ.is_empty() {
            div.notice.warn { "These runs have different " (differ.join(", ")) ": their figures are not those of the same task." }
        }
        (table("Runs side by side", &columns, rows))
        div.columns {
            (Chart::new("whiskers", "Profit per bounty, with intervals", summary, json!({ "rows": whiskers, "unit": "NCT" })).size("short").alone())
            (Chart::new("lines", "Equity over market time", summary, json!({ "series": series, "xName": "block", "unit": "NCT", "zoom": true }))
                .note("Where each stood after the last bounty of a point; falls in between are in each run's own chart.").alone())
        }
    })
}
