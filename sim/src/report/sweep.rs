//! The report of a sweep: every figure comes from [`Summary`], none is computed here.

use comfy_table::CellAlignment;

use super::{decimal, lines, name, nct, paragraphs, percent, table};
use crate::{
    layout::SOFT,
    sweep::{
        sampler::Sampler,
        summary::Summary,
        trial::{Figures, Record},
    },
    text::{cut, plain, thousands as count},
};

/// Trials, and values of settings, that are printed.
const SHOWN: usize = 10;

/// The whole report.
pub fn text(summary: &Summary) -> String {
    let mut out = String::new();
    header(summary, &mut out);
    rounds(summary, &mut out);
    trials(summary, &mut out);
    effects(summary, &mut out);
    belief(summary, &mut out);
    for (why, how_often) in summary.failures.iter().take(SHOWN) {
        out.push_str(&format!("failed: {} {}: {}\n", count(*how_often), if *how_often == 1 { "trial" } else { "trials" }, cut(why, 200)));
    }
    for warning in &summary.warnings {
        out.push_str(&format!("warning: {}\n", plain(warning)));
    }
    paragraphs(&out)
}

fn header(summary: &Summary, out: &mut String) {
    let counts = &summary.counts;
    let sampler = match summary.sampler {
        Sampler::Grid => "grid",
        Sampler::Random => "random",
        Sampler::Lhs => "Latin hypercube",
        Sampler::Halving => "successive halving",
    };
    let shard = summary.shard.map_or_else(String::new, |shard| format!(", part {shard}"));
    let again = if counts.again > 0 { format!(", {} of them drawn before", count(counts.again)) } else { String::new() };
    out.push_str(&format!(
        "Sweep on `{}`: {} points ({sampler}){again}{shard}\ncomputed {}, reused {}, failed {}\n",
        name(&summary.corpus.name),
        count(summary.points),
        count(counts.computed),
        count(counts.reused),
        count(counts.failed)
    ));
    if summary.held_out > 0 {
        out.push_str(&format!(
            "played on the first {} bounties; the last {} are kept to judge the best ones by\n",
            count(summary.judged),
            count(summary.held_out)
        ));
    }
}

/// The settings of a trial besides its strategy, short enough for a column.
pub(crate) fn settings(record: &Record) -> String {
    let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let shown = record.chosen().map(|(key, value)| format!("{}={value}", short(key)));
    cut(&shown.collect::<Vec<_>>().join(" "), 36)
}

fn rounds(summary: &Summary, out: &mut String) {
    for (number, round) in (1..).zip(&summary.rounds) {
        let (from, to) = round.bounties;
        let trials = if round.trials == 1 { "1 trial".to_owned() } else { format!("{} trials", count(round.trials as u64)) };
        out.push_str(&format!("round {number}: {trials} judged by bounties {} to {}\n", count(from + 1), count(to)));
    }
}

fn trials(summary: &Summary, out: &mut String) {
    if summary.trials.is_empty() {
        return;
    }
    let shown = summary.trials.len().min(SHOWN);
    out.push_str(&format!("\nThe best {shown} of {} trials; profit in NCT\n", count(summary.trials.len() as u64)));
    let header = ["trial", "strategy", "settings", "profit", "per bounty", "Sharpe", "drawdown", "accuracy", "missed"];
    let mut table = table(&header);
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Left);
        }
    }
    let with_settings = summary.trials.iter().any(|record| record.chosen().next().is_some());
    let figures = |record: &Record, of: &Figures| {
        let front = if summary.front.contains(&record.number) { "*" } else { " " };
        [
            format!("{}{front}", name(&record.trial)),
            name(&record.strategy),
            if with_settings { settings(record) } else { String::new() },
            nct(of.profit_nct, true),
            nct(of.per_bounty_nct, true),
            decimal(of.sharpe.map(|sharpe| sharpe.ratio)),
            nct(of.drawdown_nct, false),
            percent(of.accuracy),
            count(of.late + of.unfunded + of.refused),
        ]
    };
    for (record, of) in summary.trials.iter().take(SHOWN).filter_map(|record| Some((record, record.figures()?))) {
        table.add_row(figures(record, of));
    }
    out.push_str(&lines(&table));
    out.push_str("  *: no other trial has both more profit and a smaller drawdown; missed: late, unfunded or refused\n  all trials, and all figures of each, are in trials.csv\n");
}

fn effects(summary: &Summary, out: &mut String) {
    if summary.effects.is_empty() {
        return;
    }
    let round = if summary.rounds.len() > 1 { ", in the first round" } else { "" };
    out.push_str(&format!("\nProfit per bounty by setting, over all trials with that value{round}\n"));
    let mut table = table(&["setting", "value", "trials", "mean", "best"]);
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    for effect in &summary.effects {
        for (place, value) in effect.values.iter().take(SHOWN).enumerate() {
            let setting = if place == 0 { name(&effect.name) } else { String::new() };
            let trials = count(value.trials as u64);
            table.add_row([setting, cut(&value.value, 36), trials, nct(value.mean_nct, true), nct(value.best_nct, true)]);
        }
        if effect.values.len() > SHOWN {
            table.add_row([
                String::new(),
                format!("and {} more", effect.values.len() - SHOWN),
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
    }
    out.push_str(&lines(&table));
}

fn belief(summary: &Summary, out: &mut String) {
    let Some(best) = &summary.best else {
        out.push_str("\nNo trial was played.\n");
        return;
    };
    let with = summary.trials.first().map(settings).filter(|settings| !settings.is_empty());
    let with = with.map_or_else(String::new, |settings| format!(" with {settings}"));
    out.push_str(&format!("\nBest: trial {}, `{}`{with}\n", name(&best.trial), name(&best.strategy)));
    if let Some((deflated, expected)) = best.deflated.zip(best.expected_sharpe) {
        out.push_str(&format!(
            "  {} trials were ever made on this corpus. If none were worth anything, and they differed as much as they do, luck would{SOFT}\n  \
             give the best of them a Sharpe ratio of {expected:.4}; that this one is above it has a probability of {} (deflated)\n",
            count(best.trials_ever as u64),
            percent(Some(deflated)),
        ));
    }
    if let Some(overfitting) = summary.overfitting {
        out.push_str(&format!(
            "  Probability of overfitting: {}; so often the best on half of the bounties is not above the middle on the others\n",
            percent(Some(overfitting))
        ));
    }
}
