//! A tournament: shares round by round, and each strategy among the others.

use maud::{Markup, html};
use serde_json::json;

use super::{
    Chart, NAME, Number, Section, Text, code, compare::heat, count, facts, interval, name, plain, reproduce, sentence, signed, table,
    warnings,
};
use crate::{
    report::tournament::{ending, equilibria},
    text::cut,
    tournament::Tournament,
};

pub(super) fn sections(tournament: &Tournament) -> Vec<Section> {
    vec![
        Section::new("ran", "What ran", ran(tournament)),
        Section::new("shares", "Who spreads", shares(tournament)),
        Section::new("pairs", "Each among each", pairs(tournament)),
        Section::new("repeat", "Do it again", footer(tournament)),
    ]
}

fn ran(tournament: &Tournament) -> Markup {
    html! {
        (warnings(&tournament.warnings))
        (facts(&[
            ("Corpus", html! { (name(&tournament.corpus.name)) ": " (count(tournament.corpus.rows)) " artifacts" }),
            ("Market", html! { (name(&tournament.rules)) ", seed " (tournament.seed) }),
            ("Seats", html! { (tournament.seats) ", all with the profile of " (name(&tournament.profile)) }),
            ("Bounties", html! { (count(tournament.bounties)) " in every market, the first " (count(tournament.learning)) " to learn from" }),
        ]))
    }
}

fn shares(tournament: &Tournament) -> Markup {
    let names: Vec<String> = tournament.strategies.iter().map(|strategy| cut(strategy, NAME)).collect();
    let rows = (1..).zip(&tournament.rounds).flat_map(|(number, round)| {
        let each = names.iter().zip(&round.shares).zip(&round.seats).zip(&round.profit_nct);
        each.map(move |(((strategy, share), seats), profit)| {
            let profit = profit.map_or_else(|| plain("-"), signed);
            vec![
                plain(format!("{number}")),
                html! { bdi { (strategy) } },
                plain(seats.to_string()),
                plain(format!("{:.1} %", 100.0 * share)),
                profit,
            ]
        })
    });
    let columns = [Number("round"), Text("strategy"), Number("seats in it"), Number("share after it"), Number("NCT per bounty of a seat")];
    let table = table("Shares after each round", &columns, rows);
    let rounds = &tournament.rounds;
    let series: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(place, name)| json!({ "name": name, "values": rounds.iter().map(|round| round.shares.get(place)).collect::<Vec<_>>() }))
        .collect();
    let data = json!({ "names": (1..=rounds.len()).map(|round| round.to_string()).collect::<Vec<_>>(), "unit": "share", "series": series });
    let [ended, stable] = [ending(tournament), equilibria(tournament)];
    html! { p { (sentence(ended.trim())) } p { (sentence(stable.trim())) } (Chart::new("lines", "Shares by round", ended.trim(), data).over(&table)) }
}

fn pairs(tournament: &Tournament) -> Markup {
    let names: Vec<String> = tournament.strategies.iter().map(|strategy| cut(strategy, 32)).collect();
    let (mut cells, mut rows) = (Vec::new(), Vec::new());
    for (row, pairs) in tournament.pairs.iter().enumerate().take(names.len()) {
        for (column, pair) in pairs.iter().enumerate().take(names.len()) {
            cells.push((column, row, pair.profit_nct, interval(pair.interval)));
            if row != column {
                let beats = if pair.beats {
                    html! { span.badge.good { "yes" } }
                } else {
                    html! { span.badge { "not seen" } }
                };
                let [own, among] = [row, column].map(|place| html! { bdi { (names[place]) } });
                rows.push(vec![own, among, signed(pair.profit_nct), signed(pair.more_nct), plain(interval(pair.interval)), beats]);
            }
        }
    }
    let caption = "NCT per bounty of one seat with the row's strategy, all others having the column's";
    let columns =
        [Text("strategy"), Text("among"), Number("per bounty"), Number("more than the column's"), Number("interval"), Text("beats it?")];
    let table = table(&format!("{caption}; intervals hold for a column in {:.0} %", 100.0 * tournament.confidence), &columns, rows);
    heat(caption, "Every pair is in the table.".to_owned(), &names, &cells).over(&table)
}

fn footer(tournament: &Tournament) -> Markup {
    reproduce(
        &tournament.command,
        "The same version, scenario, corpus and seed give the same figures on any machine.",
        &[
            ("Program", plain(format!("sim {}", cut(&tournament.version, NAME)))),
            ("Scenario", code(&tournament.scenario_sha256)),
            ("Corpus", code(&tournament.corpus_sha256)),
            ("Seed", plain(tournament.seed.to_string())),
        ],
    )
}
