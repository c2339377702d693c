//! A sweep: the best trials, what settings do in pairs, profit against drawdown, and how far the best can be believed.

use std::path::Path;

use maud::{Markup, html};
use serde_json::json;

use super::{
    Chart, NAME, Number, Section, Text, amount, code, count, facts, figures, name, plain, reproduce, sentence, share, signed, table,
    warnings,
};
use crate::{
    commands::{stage::quoted, sweep::comparison},
    report::{decimal, nct, sweep::settings},
    sweep::{
        sampler::Sampler,
        summary::{GridFacts, Summary},
    },
    text::{cut, thousands},
};

/// Trials in the table.
const BEST: usize = 50;
/// Trials in the chart of profit and drawdown, besides those on the front.
const DOTS: usize = 2_000;

pub(super) fn sections(summary: &Summary, path: &Path) -> Vec<Section> {
    let mut all =
        vec![Section::new("ran", "What ran", ran(summary)), Section::new("best", "How far the best can be believed", belief(summary))];
    if !summary.trials.is_empty() {
        all.push(Section::new("trials", "The best trials", trials(summary)));
        all.push(Section::new("front", "Profit against drawdown", front(summary)));
    }
    if !summary.grids.is_empty() {
        all.push(Section::new("heat", "Two settings at a time", grids(summary)));
    }
    if !summary.effects.is_empty() {
        all.push(Section::new("effects", "One setting at a time", effects(summary)));
    }
    all.push(Section::new("repeat", "Do it again", footer(summary, path)));
    all
}

fn ran(summary: &Summary) -> Markup {
    let counts = &summary.counts;
    let sampler = match summary.sampler {
        Sampler::Grid => "grid",
        Sampler::Random => "random",
        Sampler::Lhs => "Latin hypercube",
        Sampler::Halving => "successive halving",
    };
    let rounds = (1..).zip(&summary.rounds).map(|(number, round)| {
        let (from, to) = round.bounties;
        vec![plain(format!("{number}")), count(round.trials as u64), count(from + 1), count(to)]
    });
    let failures = summary.failures.iter().map(|(why, how_often)| vec![sentence(why), count(*how_often)]);
    let mut all = vec![
        ("Corpus", html! { (name(&summary.corpus.name)) ": " (count(summary.corpus.rows)) " artifacts" }),
        (
            "Trials",
            html! { (count(summary.points)) " points (" (sampler) "); " (count(counts.computed + counts.reused)) " played, " (count(counts.failed)) " failed" },
        ),
        ("Judged by", html! { "the first " (count(summary.judged)) " bounties" }),
    ];
    if summary.held_out > 0 {
        all.push((
            "Held out",
            html! { "the last " (count(summary.held_out)) " bounties: no trial has seen them; judge the best ones by them" },
        ));
    }
    if let Some(shard) = summary.shard {
        all.push(("Part", plain(shard.to_string())));
    }
    html! {
        (warnings(&summary.warnings))
        (facts(&all))
        @if !summary.rounds.is_empty() {
            (table("Rounds", &[Text("round"), Number("trials"), Number("from bounty"), Number("to")], rounds))
        }
        @if !summary.failures.is_empty() { (table("Why trials failed", &[Text("reason"), Number("trials")], failures)) }
    }
}

fn belief(summary: &Summary) -> Markup {
    let Some((best, record)) = summary.best.as_ref().zip(summary.trials.first()) else { return html! { p { "No trial was played." } } };
    let Some(of) = record.figures() else { return Markup::default() };
    let expected = best.expected_sharpe.map_or_else(String::new, |expected| {
        format!(
            "that its Sharpe ratio is above {expected:.4}, the luck of the best of {} trials worth nothing",
            thousands(best.trials_ever as u64)
        )
    });
    html! {
        p { "Best: trial " code { (cut(&best.trial, NAME)) } ", " (name(&best.strategy)) @if !settings(record).is_empty() { " with " (sentence(&settings(record))) } "." }
        (figures(&[
            ("Profit per bounty, NCT", signed(of.per_bounty_nct), format!("{} on {} bounties", nct(of.profit_nct, true), thousands(of.bounties))),
            ("Deepest drawdown, NCT", amount(of.drawdown_nct), format!("{} bounties lost", thousands(of.lost))),
            ("Deflated Sharpe ratio", share(best.deflated), expected),
            ("Probability of overfitting", share(summary.overfitting), "so often the best on half of the bounties is not above the middle on the others".to_owned()),
            ("Trials ever", count(best.trials_ever as u64), "on this corpus, on this account".to_owned()),
            ("Held out", count(summary.held_out), "bounties that no trial has seen".to_owned()),
        ]))
    }
}

fn trials(summary: &Summary) -> Markup {
    let rows = summary.trials.iter().take(BEST).filter_map(|record| {
        let of = record.figures()?;
        let front = summary.front.contains(&record.number);
        Some(vec![
            html! { code { (cut(&record.trial, NAME)) } @if front { " " span.badge.good { "front" } } },
            name(&record.strategy),
            plain(settings(record)),
            signed(of.profit_nct),
            signed(of.per_bounty_nct),
            plain(decimal(of.sharpe.map(|sharpe| sharpe.ratio))),
            amount(of.drawdown_nct),
            share(of.return_on_locked),
            share(of.coverage),
            share(of.accuracy),
            count(of.late + of.unfunded + of.refused),
        ])
    });
    let columns = [
        Text("trial"),
        Text("strategy"),
        Text("settings"),
        Number("profit NCT"),
        Number("per bounty"),
        Number("Sharpe"),
        Number("drawdown"),
        Number("on locked"),
        Number("coverage"),
        Number("accuracy"),
        Number("missed"),
    ];
    let caption = format!("The best {} of {} trials", summary.trials.len().min(BEST), thousands(summary.trials.len() as u64));
    html! {
        (table(&caption, &columns, rows))
        p.muted.small { "Front: no other trial has both more profit and a smaller drawdown. Missed: late, unfunded or refused. All trials are in " code { "trials.csv" } "." }
    }
}

fn front(summary: &Summary) -> Markup {
    let dot = |record: &crate::sweep::trial::Record| {
        let of = record.figures()?;
        let called = format!("{} {}", cut(&record.trial, 16), cut(&record.strategy, 40));
        Some((of.drawdown_nct, of.per_bounty_nct, called))
    };
    let on_front = |number: u32| summary.front.contains(&number);
    let (edge, others): (Vec<_>, Vec<_>) = summary.trials.iter().partition(|record| on_front(record.number));
    let left_out = others.len().saturating_sub(DOTS);
    let points = |records: &[&crate::sweep::trial::Record]| {
        records.iter().filter_map(|record| dot(record)).map(|(x, y, name)| json!([x, y, name])).collect::<Vec<_>>()
    };
    let data = json!({
        "xName": "deepest drawdown, NCT", "yName": "profit per bounty, NCT",
        "points": points(&others[..others.len().min(DOTS)]), "front": points(&edge),
    });
    let rows = edge.iter().filter_map(|record| {
        let of = record.figures()?;
        Some(vec![code(&record.trial), name(&record.strategy), plain(settings(record)), signed(of.per_bounty_nct), amount(of.drawdown_nct)])
    });
    let columns = [Text("trial"), Text("strategy"), Text("settings"), Number("per bounty NCT"), Number("drawdown NCT")];
    let table = table("The front: no other trial has both more profit and a smaller drawdown", &columns, rows);
    let note = if left_out > 0 {
        format!("The best {} trials and those on the front; {} more are in trials.csv.", thousands(DOTS as u64), thousands(left_out as u64))
    } else {
        String::new()
    };
    let summary = format!("{} trials are on the front.", edge.len());
    html! { (Chart::new("scatter", "Profit per bounty and deepest drawdown of each trial", summary, data).note(note).size("tall").alone()) (table) }
}

fn grids(summary: &Summary) -> Markup {
    let effect = |place: usize| summary.effects.get(place);
    let told: Vec<&GridFacts> = summary.grids.iter().filter(|grid| effect(grid.x).is_some() && effect(grid.y).is_some()).collect();
    let axes: Vec<_> = summary
        .effects
        .iter()
        .map(|effect| json!({ "name": cut(&effect.name, 48), "values": effect.values.iter().map(|value| cut(&value.value, 24)).collect::<Vec<_>>() }))
        .collect();
    let grids: Vec<_> = told
        .iter()
        .map(|grid| {
            let cells: Vec<_> = grid.cells.iter().map(|cell| json!([cell.x, cell.y, cell.mean_nct, cell.trials, cell.best_nct])).collect();
            json!({ "x": grid.x, "y": grid.y, "cells": cells })
        })
        .collect();
    let data = json!({ "axes": axes, "grids": grids, "unit": "NCT" });
    let axis = |label: &'static str, class: &'static str| {
        html! { label { (label) select class=(class) { @for (place, effect) in summary.effects.iter().enumerate() { option value=(place) { (cut(&effect.name, 48)) } } } } }
    };
    html! {
        div.toolbar.axes hidden { (axis("Across", "across")) (axis("Up", "up")) }
        (Chart::new("grid", "Mean profit per bounty, over all trials with these two values", "Every pair of settings is in a table below.", data).size("tall").alone())
        @for grid in told {
            @if let (Some(x), Some(y)) = (effect(grid.x), effect(grid.y)) {
                @let value = |effect: &crate::sweep::summary::EffectFacts, place: usize| effect.values.get(place).map_or_else(|| plain("-"), |value| name(&value.value));
                @let rows = grid.cells.iter().map(|cell| vec![value(x, cell.x), value(y, cell.y), count(cell.trials as u64), signed(cell.mean_nct), signed(cell.best_nct)]);
                @let caption = format!("{} and {}", cut(&x.name, 48), cut(&y.name, 48));
                details {
                    summary { (caption) }
                    (table(&caption, &[Text("first"), Text("second"), Number("trials"), Number("mean NCT"), Number("best NCT")], rows))
                }
            }
        }
    }
}

fn effects(summary: &Summary) -> Markup {
    let round = if summary.rounds.len() > 1 { ", in the first round" } else { "" };
    let rows = summary.effects.iter().flat_map(|effect| {
        effect.values.iter().map(|value| {
            vec![name(&effect.name), name(&value.value), count(value.trials as u64), signed(value.mean_nct), signed(value.best_nct)]
        })
    });
    let caption = format!("Profit per bounty by setting, over all trials with that value{round}");
    table(&caption, &[Text("setting"), Text("value"), Number("trials"), Number("mean NCT"), Number("best NCT")], rows)
}

fn footer(summary: &Summary, path: &Path) -> Markup {
    let folder = quoted(&path.to_string_lossy());
    let (best, first) = (summary.best.as_ref(), summary.trials.first());
    let sure = first.map(|first| ("Be sure", code(&comparison(summary, path, first))));
    let again = best.map_or_else(
        || format!("sim sweep --out {folder} --resume"),
        |best| format!("sim replay --trial {} --sweep {folder}", quoted(&best.trial)),
    );
    reproduce(
        &again,
        "Plays the best trial again, alone, and checks that it decides and is paid the same.",
        &[
            ("Program", plain(format!("sim {}", cut(&summary.version, NAME)))),
            ("Scenario", code(&summary.scenario_sha256)),
            ("Corpus", code(&summary.corpus.sha256)),
        ]
        .into_iter()
        .chain(sure)
        .collect::<Vec<_>>(),
    )
}
