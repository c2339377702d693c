//! The report of a tournament: every figure comes from [`Tournament`], none is computed here.

use super::{lines, name, nct, paragraphs, short, table};
use crate::{
    layout::SOFT,
    text::{plain, thousands as count},
    tournament::{Ending, Tournament},
};

/// The whole report.
pub fn text(tournament: &Tournament) -> String {
    let mut out = String::new();
    header(tournament, &mut out);
    shares(tournament, &mut out);
    pairs(tournament, &mut out);
    out.push_str(&ending(tournament));
    out.push_str(&equilibria(tournament));
    footer(tournament, &mut out);
    paragraphs(&out)
}

fn header(tournament: &Tournament, out: &mut String) {
    let Tournament { corpus, rules, seed, seats, profile, bounties, learning, strategies, .. } = tournament;
    out.push_str(&format!(
        "Tournament on `{}`: {} artifacts ({} malicious), rules {rules}, seed {seed}\n{seats} seats, all with the profile of `{}`; {} strategies; {} bounties in every market,{SOFT}\nthe first {} of them to learn from: they count for nothing\n",
        name(&corpus.name),
        count(corpus.rows),
        count(corpus.malicious),
        name(profile),
        strategies.len(),
        count(*bounties),
        count(*learning),
    ));
}

fn shares(tournament: &Tournament, out: &mut String) {
    out.push_str("\nShares in % after each round (seats it had in it)\n");
    let names: Vec<String> = tournament.strategies.iter().map(|strategy| name(strategy)).collect();
    let header: Vec<&str> = ["round"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut table = table(&header);
    for (number, round) in tournament.rounds.iter().enumerate() {
        let cell = |(share, seats): (&f64, &u32)| format!("{:.1} ({seats})", 100.0 * share);
        let cells = round.shares.iter().zip(&round.seats).map(cell);
        table.add_row([(number + 1).to_string()].into_iter().chain(cells));
    }
    out.push_str(&lines(&table));
}

fn pairs(tournament: &Tournament, out: &mut String) {
    let names: Vec<String> = tournament.strategies.iter().map(|strategy| name(strategy)).collect();
    out.push_str(&format!(
        "\nNCT per bounty of one seat with the row's strategy, the other {} having the column's\n",
        tournament.seats - 1
    ));
    let header: Vec<&str> = [""].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut profits = table(&header);
    for (row, called) in tournament.pairs.iter().zip(&names) {
        profits.add_row([called.clone()].into_iter().chain(row.iter().map(|pair| nct(pair.profit_nct, true))));
    }
    out.push_str(&lines(&profits));
    out.push_str(&format!(
        "\nWhat it earns more than the column's strategy in that seat, with intervals that hold for a column in {:.0} %\n",
        100.0 * tournament.confidence
    ));
    let mut more = table(&["", "among", "per bounty", "interval", "beats it?"]);
    for (column, among) in names.iter().enumerate() {
        for (row, called) in names.iter().enumerate().filter(|(row, _)| *row != column) {
            let pair = &tournament.pairs[row][column];
            let interval = pair.interval.map_or_else(|| "-".to_owned(), |(low, high)| format!("[{}, {}]", nct(low, true), nct(high, true)));
            let beats = match pair.interval {
                _ if pair.beats => "yes",
                Some((_, high)) if high < 0.0 => "no",
                _ => "not seen",
            };
            more.add_row([called.clone(), among.clone(), nct(pair.more_nct, true), interval, beats.to_owned()]);
        }
    }
    out.push_str(&lines(&more));
}

/// How the rounds ended, in a sentence.
pub(crate) fn ending(tournament: &Tournament) -> String {
    let Tournament { strategies, rounds, settled, leaders, .. } = tournament;
    let rounds_text = format!("{} rounds", rounds.len());
    let last = rounds.last().map(|round| round.shares.as_slice()).unwrap_or_default();
    let share = |strategy: &str| {
        let share = strategies.iter().zip(last).find(|(known, _)| *known == strategy).map_or(0.0, |(_, share)| *share);
        format!("{:.1} %", 100.0 * share)
    };
    let leader = leaders.last().map_or("", String::as_str);
    let ended = if *settled { "when the shares stand still" } else { "when the rounds are over" };
    let all: Vec<String> = strategies.iter().map(|strategy| format!("`{}` {}", name(strategy), share(strategy))).collect();
    match tournament.ending {
        Ending::Wins => format!("\n`{}` wins: it has {} of the seats {ended}, after {rounds_text}.\n", name(leader), share(leader)),
        Ending::Mixed => format!("\nNobody wins; {ended}, after {rounds_text}: {}.\n", all.join(", ")),
        Ending::Cycles => {
            let lead: Vec<String> = leaders.iter().take(8).map(|leader| format!("`{}`", name(leader))).collect();
            let more = if leaders.len() > 8 { ", …" } else { "" };
            format!("\nIt cycles: the lead went to {}{more} in {rounds_text}.\n", lead.join(", "))
        }
        Ending::Open => {
            format!("\nIt is open: the lead still changed; after {rounds_text} `{}` has it. Play more --rounds.\n", name(leader))
        }
    }
}

/// Where nobody would change, in a sentence.
pub(crate) fn equilibria(tournament: &Tournament) -> String {
    let quoted: Vec<String> = tournament.equilibria.iter().map(|strategy| format!("`{}`", name(strategy))).collect();
    match quoted.as_slice() {
        [] => "Where all play the same, some other strategy earns more: none of these is an equilibrium.\n".to_owned(),
        [only] => format!("Where all play {only}, no other of these was seen to earn more: an equilibrium among them.\n"),
        several => {
            format!("Where all play one of {}, no other of these was seen to earn more: equilibria among them.\n", several.join(", "))
        }
    }
}

fn footer(tournament: &Tournament, out: &mut String) {
    out.push_str(&format!(
        "\nRun      sim {}, scenario {}, corpus {}\nRepeat   {}\n",
        tournament.version,
        short(&tournament.scenario_sha256),
        short(&tournament.corpus_sha256),
        plain(&tournament.command)
    ));
    for warning in &tournament.warnings {
        out.push_str(&format!("warning: {}\n", plain(warning)));
    }
}
