//! A comparison: who earned what and how sure that is, each against each, and what to choose.

use maud::{Markup, html};
use serde_json::json;

use super::{
    Chart, NAME, Number, Section, Text, amount, code, count, facts, interval, name, plain, reproduce, sentence, share, signed, table,
    warnings,
};
use crate::{
    comparison::{Comparison, ComparisonName, MeanFacts, MethodFacts, Role, StrategyFacts, WallTime},
    report::{
        compare::{in_order, p_value, verdict},
        nct,
    },
    text::{cut, thousands},
    timeline::AllowedBias,
};

/// Strategies that a heat map shows.
const MAPPED: usize = 40;

pub(super) fn sections(comparison: &Comparison) -> Vec<Section> {
    let mut all = vec![
        Section::new("ran", "What ran", ran(comparison)),
        Section::new("choice", "What to choose", choice(comparison)),
        Section::new("profit", "What each earned", profits(comparison)),
    ];
    if comparison.pairs.is_some() {
        all.push(Section::new("pairs", "Each against each", pairs(comparison)));
    }
    if let Some(equity) = equity(comparison) {
        all.push(Section::new("equity", "Equity", equity));
    }
    all.push(Section::new("risks", "Capital and verdicts", risks(comparison)));
    all.push(Section::new("repeat", "Do it again", footer(&comparison.method, &comparison.name, &comparison.command, &comparison.wall)));
    all
}

/// What had to be allowed, and what to know.
pub(super) fn doubts(biases: &[AllowedBias], all: &[String]) -> Markup {
    html! {
        @for bias in biases { div.notice.bad { (sentence(bias.line().trim_end().trim_start_matches("warning: "))) } }
        (warnings(all))
    }
}

fn ran(comparison: &Comparison) -> Markup {
    let seeds = match comparison.name.seeds.as_slice() {
        [seed] => format!("seed {seed}"),
        [first, .., last] => format!("mean of {} markets, seeds {first} to {last}", comparison.name.seeds.len()),
        [] => String::new(),
    };
    let split = comparison.split.map(|split| {
        let size = |(from, to): (u64, u64)| thousands(to.saturating_sub(from));
        format!(
            "{} bounties to train on, {} to choose by, {} to judge by; {} blocks between them",
            size(split.train),
            size(split.validate),
            size(split.test),
            thousands(split.embargo_blocks)
        )
    });
    let corpus = &comparison.corpus;
    let mut all = vec![
        ("Corpus", html! { (name(&corpus.name)) ": " (count(corpus.rows)) " artifacts, " (count(corpus.malicious)) " malicious" }),
        ("Market", html! { (name(&comparison.rules)) ", " (seeds) }),
        ("Bounties", html! { (count(comparison.evaluated)) " that figures are about, of " (count(comparison.bounties)) }),
        ("Baseline", name(&comparison.baseline)),
    ];
    if let Some(split) = split {
        all.push(("Split", plain(split)));
    }
    if comparison.watched {
        all.push(("Ended", plain("when every strategy could be told from the baseline, or there were no more bounties")));
    }
    html! { (doubts(&comparison.allowed_biases, &comparison.warnings)) (facts(&all)) }
}

pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Candidate => "candidate",
        Role::Baseline => "baseline",
        Role::Null => "null",
        Role::Oracle => "oracle",
    }
}

/// A row of a chart of dots and whiskers.
pub(super) fn whisker(called: &str, facts: &MeanFacts, marked: bool) -> serde_json::Value {
    json!({ "name": cut(called, NAME), "value": facts.nct, "interval": facts.interval, "marked": marked })
}

fn called(facts: &StrategyFacts, comparison: &Comparison) -> Markup {
    let best = facts.strategy == comparison.choice.best;
    html! { @if best { strong { "> " (name(&facts.strategy)) } } @else { (name(&facts.strategy)) } }
}

fn profits(comparison: &Comparison) -> Markup {
    let level = 100.0 * comparison.method.confidence;
    let rows = in_order(comparison).into_iter().map(|facts| {
        let difference = facts.difference.as_ref();
        let best = match facts.among_best {
            Some(true) => html! { span.badge.good { "maybe" } },
            Some(false) => html! { span.badge { "no" } },
            None => plain(""),
        };
        vec![
            called(facts, comparison),
            best,
            signed(facts.profit_nct),
            signed(facts.per_bounty.nct),
            plain(interval(facts.per_bounty.interval)),
            difference.map_or_else(|| plain("baseline"), |difference| signed(difference.per_bounty.nct)),
            difference.map_or_else(|| plain(""), |difference| plain(interval(difference.per_bounty.interval))),
            difference.map_or_else(|| plain(""), |difference| plain(p_value(difference.p))),
            difference.and_then(|difference| difference.adjusted_p).map_or_else(|| plain(""), |p| plain(p_value(Some(p)))),
        ]
    });
    let columns = [
        Text("strategy"),
        Text("best?"),
        Number("profit NCT"),
        Number("per bounty"),
        Number("interval"),
        Number("difference"),
        Number("interval"),
        Number("p"),
        Number("adjusted p"),
    ];
    let table = table(&format!("Profit, with {level:.0} % intervals; differences against the baseline, bounty by bounty"), &columns, rows);
    let ordered = in_order(comparison);
    let marked = |facts: &StrategyFacts| facts.strategy == comparison.choice.best;
    let earned: Vec<_> = ordered.iter().map(|facts| whisker(&facts.strategy, &facts.per_bounty, marked(facts))).collect();
    let difference = |facts: &&StrategyFacts| match &facts.difference {
        Some(difference) => whisker(&facts.strategy, &difference.per_bounty, marked(facts)),
        // The baseline itself, so that both charts have the same rows.
        None => json!({ "name": cut(&facts.strategy, NAME), "value": 0.0, "interval": null, "marked": marked(facts) }),
    };
    let differ: Vec<_> = ordered.iter().map(difference).collect();
    let summary = "The figures are in the table below.";
    html! {
        div.columns {
            (Chart::new("whiskers", "Profit per bounty", summary, json!({ "rows": earned, "unit": "NCT" })).alone())
            (Chart::new("whiskers", "Difference to the baseline, per bounty", summary, json!({ "rows": differ, "unit": "NCT" })).alone())
        }
        (table)
        p.muted.small {
            @if comparison.watched { "Intervals of differences hold at all times, for all candidates at once: who looks whenever they like is not fooled." }
            @else {
                "p: sign-flip test of the difference. Adjusted: better than the baseline, with all that were tried considered (Romano and Wolf). Best?: "
                code { "no" } " is told from the best by its interval and by the model confidence set (" (format!("{:.0}", 100.0 * comparison.method.set_confidence)) " %)."
            }
        }
    }
}

fn choice(comparison: &Comparison) -> Markup {
    html! { @for line in verdict(comparison).lines().filter(|line| !line.is_empty()) { p { (sentence(line)) } } }
}

/// Names, cells, and what they mean, as a heat map.
pub(super) fn heat(title: &str, summary: String, names: &[String], cells: &[(usize, usize, f64, String)]) -> Chart {
    let cells: Vec<_> = cells.iter().map(|(column, row, value, text)| json!([column, row, value, text])).collect();
    Chart::new("heat", title, summary, json!({ "columns": names, "rows": names, "cells": cells, "unit": "NCT" })).size("tall")
}

fn pairs(comparison: &Comparison) -> Markup {
    let Some(pairs) = &comparison.pairs else { return Markup::default() };
    let names: Vec<String> = comparison.strategies.iter().map(|facts| cut(&facts.strategy, 32)).collect();
    let mut cells = Vec::new();
    let mut rows = Vec::new();
    for pair in pairs {
        let (Some(row), Some(column)) = (names.get(pair.strategy), names.get(pair.against)) else { continue };
        if pair.strategy < MAPPED && pair.against < MAPPED {
            cells.push((pair.against, pair.strategy, pair.nct, interval(pair.interval)));
        }
        let distinct = pair.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
        let told = if distinct {
            html! { span.badge.good { "yes" } }
        } else {
            html! { span.badge { "no" } }
        };
        rows.push(vec![html! { bdi { (row) } }, html! { bdi { (column) } }, signed(pair.nct), plain(interval(pair.interval)), told]);
    }
    let level = 100.0 * comparison.method.confidence;
    let caption = format!("What the row earned more than the column, in NCT per bounty, with {level:.0} % intervals");
    let columns = [Text("strategy"), Text("against"), Number("difference"), Number("interval"), Text("told apart?")];
    let table = table(&caption, &columns, rows);
    let summary = "Every pair is in the table below.".to_owned();
    html! {
        (heat(&caption, summary, &names[..names.len().min(MAPPED)], &cells).note(
            "Each interval is for its pair alone: among many pairs some are told apart by chance. The tests against the baseline allow for that."
        ).over(&table))
    }
}

fn equity(comparison: &Comparison) -> Option<Markup> {
    let equity = comparison.equity.as_ref()?;
    let series: Vec<_> = equity
        .strategies
        .iter()
        .zip(&comparison.strategies)
        .filter(|(_, facts)| facts.role != Role::Oracle)
        .map(|(nct, facts)| {
            let points: Vec<_> =
                (1..).zip(nct).map(|(point, nct)| json!([(point * equity.bounties_per_point).min(comparison.evaluated), nct])).collect();
            json!({ "name": cut(&facts.strategy, 32), "points": points })
        })
        .collect();
    let note = match equity.bounties_per_point {
        1 => "Oracles are left out: they would make everybody else look flat.".to_owned(),
        bounties => format!(
            "A point stands for {} bounties: where the equity stood after the last of them; falls in between are in the drawdown below. Oracles are \
             left out: they would make everybody else look flat.",
            thousands(bounties)
        ),
    };
    let last = equity
        .strategies
        .iter()
        .zip(&comparison.strategies)
        .map(|(nct, facts)| vec![name(&facts.strategy), nct.last().map_or_else(|| plain("-"), |nct| signed(*nct))]);
    let table = table("Equity after the last bounty", &[Text("strategy"), Number("NCT")], last);
    let data = json!({ "series": series, "xName": "bounty", "unit": "NCT", "zoom": true });
    Some(
        Chart::new("lines", "Equity, bounty by bounty", "Where each ends is in the table below.", data)
            .note(note)
            .size("tall")
            .over(&table),
    )
}

fn risks(comparison: &Comparison) -> Markup {
    let rows = in_order(comparison).into_iter().map(|facts| {
        vec![
            called(facts, comparison),
            share(facts.return_on_locked),
            share(facts.return_on_stake),
            amount(facts.drawdown_nct),
            amount(facts.locked_peak_nct),
            share(facts.coverage),
            share(facts.accuracy),
            count(facts.late),
            count(facts.unfunded),
            count(facts.refused),
            plain(nct(facts.regret_nct, true)),
            share(facts.share_of_hindsight),
        ]
    });
    let columns = [
        Text("strategy"),
        Number("on locked"),
        Number("on stake"),
        Number("drawdown"),
        Number("locked peak"),
        Number("asserted"),
        Number("accuracy"),
        Number("late"),
        Number("unfunded"),
        Number("refused"),
        Number("regret"),
        Number("of hindsight"),
    ];
    let whole = if comparison.split.is_some() {
        "Capital and verdicts, of the whole run but for the last two columns"
    } else {
        "Capital and verdicts"
    };
    html! {
        (table(whole, &columns, rows))
        p.muted.small {
            "On locked: profit by the mean of what was locked. On stake: a diagnostic only, for it praises small stakes. Regret: what the best fixed "
            "stake per bin of confidence earned more in hindsight (" (nct(comparison.fixed_nct, true)) " NCT). Of hindsight: of the most that could have "
            "been made of each bounty."
        }
    }
}

pub(super) fn footer(method: &MethodFacts, called: &ComparisonName, command: &str, wall: &WallTime) -> Markup {
    let seeds: Vec<String> = called.seeds.iter().take(20).map(u64::to_string).collect();
    reproduce(
        command,
        "The same version, scenario, corpus and seeds give the same figures on any machine.",
        &[
            ("Program", plain(format!("sim {}", cut(&called.version, NAME)))),
            ("Scenario", code(&called.scenario_sha256)),
            ("Corpus", code(&called.corpus_sha256)),
            ("Seeds", plain(seeds.join(", "))),
            (
                "Method",
                plain(format!(
                    "stationary bootstrap, {} resamples, mean block {:.1} bounties; {} sign flips",
                    thousands(u64::from(method.resamples)),
                    method.block,
                    thousands(u64::from(method.flips))
                )),
            ),
            ("Took", plain(format!("{:.2} s to play, {:.2} s of statistics", wall.play_seconds, wall.statistics_seconds))),
        ],
    )
}
