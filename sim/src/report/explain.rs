//! The report of an explanation: every figure comes from [`Explanation`], none is computed here.

use std::collections::BTreeMap;

use comfy_table::CellAlignment;

use super::{change, decimal, fact, lines, name, nct, paragraphs, percent, short, table, words};
use crate::{
    explain::{CostlyFacts, Explanation, GroupFacts, WhatIfFacts, cause::Cause},
    layout::SOFT,
    run::Money,
    text::{plain, thousands as count},
};

/// Types and families that are printed.
const NAMES: usize = 5;
/// Causes that are printed of one bounty, type or family.
const CAUSES: usize = 3;

/// The whole report.
pub fn text(explanation: &Explanation) -> String {
    let mut out = String::new();
    header(explanation, &mut out);
    waterfall(explanation, &mut out);
    costliest(explanation, &mut out);
    groups("file type", &explanation.waterfall.types, &mut out);
    groups("family", &explanation.waterfall.families, &mut out);
    what_if(explanation, &mut out);
    capital(explanation, &mut out);
    sensitivity(explanation, &mut out);
    footer(explanation, &mut out);
    paragraphs(&out)
}

fn header(explanation: &Explanation, out: &mut String) {
    let Explanation { corpus, rules, engine, strategy, bounties, asserted, name: called, .. } = explanation;
    out.push_str(&format!("Why {} by {} earned what it earned on `{}`\n", name(engine), name(strategy), name(&corpus.name)));
    out.push_str(&format!(
        "{} bounties, {} asserted on, rules {rules}, seed {}; played again, with the same profit to the wei\n",
        count(*bounties),
        count(*asserted),
        called.seed
    ));
}

fn waterfall(explanation: &Explanation, out: &mut String) {
    let facts = &explanation.waterfall;
    out.push_str("\nFrom the run's profit to the most that could have been made of each bounty, in NCT\n");
    let mut table = table(&["step", "NCT", "share", "bounties", "meaning"]);
    let blank = String::new;
    table.add_row(["THE RUN".to_owned(), change(&facts.profit), blank(), blank(), blank()]);
    for step in facts.steps.iter().filter(|step| step.bounties > 0 || step.cause.is_usual()) {
        table.add_row([
            step.cause.name().to_owned(),
            change(&step.cost),
            percent(step.share),
            count(step.bounties),
            step.cause.meaning().to_owned(),
        ]);
    }
    let oracle = format!("{}, never late and never short of Nectar", facts.oracle);
    let whole = percent((facts.difference.nct != 0.0).then_some(1.0));
    table.add_row(["HINDSIGHT".to_owned(), change(&facts.most), whole, blank(), oracle]);
    words(&mut table, 4);
    out.push_str(&lines(&table));
    if facts.limited != facts.most {
        let limited = change(&facts.limited);
        out.push_str(&format!("  with the scans and the wallet of the run, {} earns {limited}\n", facts.oracle));
    }
    out.push_str(
        "  each step is settled anew beside the stakes of others; steps add up to the wei, their order is fixed (docs/explain.md)\n",
    );
}

/// `scan error +3.2000, mis-sized stake +0.5000`: the dearest causes.
fn dearest(steps: &BTreeMap<Cause, Money>) -> String {
    let mut steps: Vec<(&Cause, &Money)> = steps.iter().collect();
    steps.sort_by(|a, b| b.1.nct.total_cmp(&a.1.nct));
    let shown: Vec<String> = steps.into_iter().take(CAUSES).map(|(cause, cost)| format!("{} {}", cause.name(), change(cost))).collect();
    shown.join(", ")
}

fn costliest(explanation: &Explanation, out: &mut String) {
    let facts = &explanation.waterfall.costliest;
    if facts.is_empty() {
        return;
    }
    out.push_str("\nCostliest bounties\n");
    let mut table = table(&["bounty", "guid", "NCT", "earned", "type", "family", "decision", "dearest causes"]);
    let or_none = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), |text| crate::text::cut(text, 20));
    for bounty in facts {
        let CostlyFacts { bounty: number, guid, cost, profit, file_type, family, decision, steps, artifacts, .. } = bounty;
        let more = if *artifacts > 1 { format!(" ({artifacts} artifacts)") } else { String::new() };
        table.add_row([
            number.to_string(),
            plain(guid),
            change(cost),
            change(profit),
            or_none(file_type),
            or_none(family),
            crate::text::cut(decision, 20),
            dearest(steps) + &more,
        ]);
    }
    for left in [1, 5, 6, 7] {
        if let Some(column) = table.column_mut(left) {
            column.set_cell_alignment(CellAlignment::Left);
        }
    }
    words(&mut table, 4);
    out.push_str(&lines(&table));
}

fn groups(what: &str, groups: &[GroupFacts], out: &mut String) {
    // One alone says nothing that the waterfall does not.
    if groups.len() < 2 {
        return;
    }
    out.push_str(&format!("\nBy {what} of a bounty's first artifact\n"));
    let mut table = table(&[what, "NCT", "dearest causes"]);
    for group in groups.iter().take(NAMES) {
        table.add_row([name(&group.name), change(&group.cost), dearest(&group.steps)]);
    }
    words(&mut table, 2);
    out.push_str(&lines(&table));
    if groups.len() > NAMES {
        out.push_str("  --format json has more of them\n");
    }
}

fn what_if(explanation: &Explanation, out: &mut String) {
    out.push_str("\nThe same verdicts with other stakes, every pot settled anew\n");
    let mut table = table(&["stake", "profit NCT", "difference", "per bounty", "staked NCT", "clamped"]);
    for facts in &explanation.what_if {
        let WhatIfFacts { stake, factor, profit, difference, per_bounty_nct, staked, clamped } = facts;
        table.add_row([
            factor.as_ref().map_or_else(|| stake.clone(), |factor| format!("x {factor}")),
            change(profit),
            change(difference),
            per_bounty_nct.map_or_else(|| "-".to_owned(), |profit| nct(profit, true)),
            nct(staked.nct, false),
            percent(*clamped),
        ]);
    }
    out.push_str(&lines(&table));
    out.push_str(&format!(
        "  what the own stake does to the pot is exact, given those of others; what others would have done about it, and whether{SOFT}\n  \
         the wallet would have covered it, is not in here; clamped: share of bounties of which a bid was moved to a limit\n",
    ));
}

fn capital(explanation: &Explanation, out: &mut String) {
    let facts = &explanation.capital;
    out.push_str("\nCapital in NCT\n");
    let mut line = |what: &str, value: String, note: String| out.push_str(&fact(what, &value, &note));
    line(
        "wallet",
        nct(facts.wallet.nct, false),
        format!("{} would have been enough for this run: what it earns pays later stakes", nct(facts.needed_nct, false)),
    );
    let quantiles: Vec<String> =
        facts.locked_quantiles.iter().map(|quantile| format!("{:.0} %: {}", 100.0 * quantile.share, nct(quantile.nct, false))).collect();
    line("locked on average", nct(facts.locked_mean_nct, false), format!("over time {}", quantiles.join(", ")));
    line("locked at most", nct(facts.locked_peak.nct, false), String::new());
    let ruin = &facts.ruin;
    let theta = ruin.theta.map_or_else(|| "no loss at all".to_owned(), |theta| format!("theta {theta:.4} per NCT"));
    line("ruin, at most", percent(Some(ruin.bound)), format!("Lundberg's bound, bounties independent: {theta}"));
    line(
        "ruin in resampled runs",
        percent(ruin.frequency),
        format!("of {}, mean block {:.1} bounties", count(u64::from(ruin.resamples)), ruin.block),
    );
    for deposit in &facts.deposits {
        let (low, high) = deposit.interval;
        line(
            &format!("deposit for {:.0} % of runs", 100.0 * deposit.share),
            nct(deposit.nct, false),
            format!("[{}, {}] at {:.0} %", nct(low, false), nct(high, false), 100.0 * facts.confidence),
        );
    }
    if facts.deposits.is_empty() {
        line("deposit", "-".to_owned(), "too few bounties to resample".to_owned());
    }
    let thumb = &facts.rule_of_thumb;
    line(
        "rule of thumb",
        nct(thumb.nct, false),
        format!(
            "{} bounties a day x {} staked on one x {} days locked",
            nct(thumb.bounties_per_day, false),
            nct(thumb.mean_bid_nct, false),
            decimal(Some(thumb.days))
        ),
    );
}

fn sensitivity(explanation: &Explanation, out: &mut String) {
    let Some(changes) = &explanation.sensitivity else { return };
    out.push_str("\nThe same market with one thing changed, played again\n");
    let mut table = table(&["change", "profit NCT", "difference", ""]);
    for facts in changes {
        let shown = |money: &Option<Money>| money.as_ref().map_or_else(|| "-".to_owned(), change);
        let reason = facts.reason.as_ref().map_or_else(String::new, |reason| plain(reason));
        table.add_row([facts.change.to_owned(), shown(&facts.profit), shown(&facts.difference), reason]);
    }
    words(&mut table, 3);
    out.push_str(&lines(&table));
}

fn footer(explanation: &Explanation, out: &mut String) {
    let Explanation { name: called, wall, .. } = explanation;
    out.push_str(&format!(
        "\nRun      sim {}, scenario {}, corpus {}, seed {}\nRepeat   {}\n",
        name(&called.run_version),
        short(&called.scenario_sha256),
        short(&called.corpus_sha256),
        called.seed,
        plain(&explanation.command)
    ));
    out.push_str(&format!("Took     {:.2} s to play, {:.2} s of statistics\n", wall.play_seconds, wall.statistics_seconds));
    for warning in &explanation.warnings {
        out.push_str(&format!("warning: {}\n", plain(warning)));
    }
}
