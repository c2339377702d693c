//! An explanation: where the profit was lost, what other stakes would have earned, capital, and what it all hangs on.

use maud::{Markup, html};
use serde_json::json;

use super::{
    Chart, NAME, Number, Section, Text, amount, change, code, count, facts, figures, name, plain, reproduce, sentence, share, table,
    warnings,
};
use crate::{
    explain::{Explanation, GroupFacts},
    money::Money,
    report::{decimal, nct},
    text::{cut, thousands},
};

/// Causes that are told of one bounty, type or family.
const CAUSES: usize = 3;

pub(super) fn sections(explanation: &Explanation) -> Vec<Section> {
    vec![
        Section::new("ran", "What ran", ran(explanation)),
        Section::new("regret", "Where the rest went", waterfall(explanation)),
        Section::new("capital", "Wallet and lock-up", capital(explanation)),
        Section::new("sensitivity", "What it hangs on", sensitivity(explanation)),
        Section::new("repeat", "Do it again", footer(explanation)),
    ]
}

fn ran(explanation: &Explanation) -> Markup {
    html! {
        (warnings(&explanation.warnings))
        (facts(&[
            ("Engine", html! { (name(&explanation.engine)) " by " (name(&explanation.strategy)) }),
            ("Corpus", html! { (name(&explanation.corpus.name)) ": " (count(explanation.corpus.rows)) " artifacts" }),
            ("Market", html! { (name(&explanation.rules)) "; " (count(explanation.bounties)) " bounties, " (count(explanation.asserted)) " asserted on" }),
        ]))
    }
}

/// From the profit to the most that could have been made.
pub(super) fn waterfall(explanation: &Explanation) -> Markup {
    let facts = &explanation.waterfall;
    let steps: Vec<_> = facts.steps.iter().filter(|step| step.bounties > 0 || step.cause.is_usual()).collect();
    let first = vec![plain("the run"), change(&facts.profit), plain(""), plain(""), plain("what it earned")];
    let last = vec![
        plain("hindsight"),
        change(&facts.most),
        plain(""),
        plain(""),
        plain(format!("{}, never late and never short of Nectar", cut(&facts.oracle, NAME))),
    ];
    let rows = steps
        .iter()
        .map(|step| vec![plain(step.cause.name()), cost(&step.cost), share(step.share), count(step.bounties), plain(step.cause.meaning())]);
    let caption = "From the run's profit to the most that could have been made of each bounty";
    let columns = [Text("step"), Number("NCT"), Number("share"), Number("bounties"), Text("meaning")];
    let steps_table = table(caption, &columns, [first].into_iter().chain(rows).chain([last]));
    let bars: Vec<_> =
        steps.iter().filter(|step| step.cost.nct != 0.0).map(|step| json!({ "name": step.cause.name(), "value": step.cost.nct })).collect();
    let data = json!({
        "start": { "name": "the run", "value": facts.profit.nct }, "steps": bars,
        "total": { "name": "hindsight", "value": facts.most.nct }, "unit": "NCT",
    });
    let dearest = steps.iter().max_by(|a, b| a.cost.nct.total_cmp(&b.cost.nct));
    let summary = dearest.map_or_else(String::new, |step| {
        format!("The dearest cause is {}: {} NCT of {} NCT.", step.cause.name(), nct(step.cost.nct, true), nct(facts.difference.nct, true))
    });
    let costliest = facts.costliest.iter().map(|bounty| {
        let or_none = |text: &Option<String>| text.as_deref().map_or_else(|| plain("-"), name);
        vec![
            html! { (bounty.bounty) },
            cost(&bounty.cost),
            change(&bounty.profit),
            or_none(&bounty.file_type),
            or_none(&bounty.family),
            name(&bounty.decision),
            plain(dearest_of(&bounty.steps)),
            code(&bounty.sha256.chars().take(12).collect::<String>()),
        ]
    });
    let columns = [
        Text("bounty"),
        Number("NCT lost"),
        Number("earned"),
        Text("type"),
        Text("family"),
        Text("decision"),
        Text("dearest causes"),
        Text("sha256"),
    ];
    html! {
        (Chart::new("waterfall", caption, summary, data).size("tall").alone())
        (steps_table)
        p.muted.small {
            "Each step is settled anew beside the stakes of others; steps add up to the wei, in a fixed order. "
            @if facts.limited != facts.most { "With the scans and the wallet of the run, hindsight earns " (change(&facts.limited)) " NCT." }
        }
        @if !facts.costliest.is_empty() { details { summary { "The costliest bounties" } (table("The costliest bounties", &columns, costliest)) } }
        (groups("By file type of a bounty's first artifact", "type", &facts.types))
        (groups("By its family", "family", &facts.families))
    }
}

/// What was lost, which is not good because it is more than nothing.
fn cost(money: &Money) -> Markup {
    plain(nct(money.nct, true))
}

/// `scan error +3.2000, mis-sized stake +0.5000`
fn dearest_of(steps: &std::collections::BTreeMap<crate::explain::cause::Cause, Money>) -> String {
    let mut steps: Vec<_> = steps.iter().collect();
    steps.sort_by(|a, b| b.1.nct.total_cmp(&a.1.nct));
    steps.into_iter().take(CAUSES).map(|(cause, cost)| format!("{} {}", cause.name(), nct(cost.nct, true))).collect::<Vec<_>>().join(", ")
}

fn groups(caption: &str, what: &'static str, groups: &[GroupFacts]) -> Markup {
    // One alone says nothing that the waterfall does not.
    if groups.len() < 2 {
        return Markup::default();
    }
    let rows = groups.iter().map(|group| vec![name(&group.name), cost(&group.cost), plain(dearest_of(&group.steps))]);
    html! { details { summary { (caption) } (table(caption, &[Text(what), Number("NCT lost"), Text("dearest causes")], rows)) } }
}

/// What was locked, how likely ruin was, and what a wallet should hold.
pub(super) fn capital(explanation: &Explanation) -> Markup {
    let facts = &explanation.capital;
    let ruin = &facts.ruin;
    let theta = ruin.theta.map_or_else(|| "no loss at all".to_owned(), |theta| format!("theta {theta:.4} per NCT"));
    let quantiles = facts.locked_quantiles.iter().map(|quantile| vec![share(Some(quantile.share)), amount(quantile.nct)]);
    let deposits = facts.deposits.iter().map(|deposit| {
        let (low, high) = deposit.interval;
        vec![share(Some(deposit.share)), amount(deposit.nct), plain(format!("[{}, {}]", nct(low, false), nct(high, false)))]
    });
    let thumb = &facts.rule_of_thumb;
    html! {
        p { strong { "What a wallet should hold" } }
        (figures(&[
            ("Enough for this run, NCT", amount(facts.needed_nct), format!("the wallet had {}", nct(facts.wallet.nct, false))),
            ("Ruin, at most", share(Some(ruin.bound)), format!("Lundberg's bound, bounties independent: {theta}")),
            ("Ruin in resampled runs", share(ruin.frequency), format!("of {}, mean block {:.1} bounties", thousands(u64::from(ruin.resamples)), ruin.block)),
            ("Rule of thumb, NCT", amount(thumb.nct), format!(
                "{} bounties a day x {} staked x {} days locked",
                nct(thumb.bounties_per_day, false), nct(thumb.mean_bid_nct, false), decimal(Some(thumb.days))
            )),
        ]))
        div.columns {
            (table("Locked: in this share of the blocks no more than", &[Number("of the blocks"), Number("NCT")], quantiles))
            @if facts.deposits.is_empty() { p.muted { "Too few bounties to say what deposit is enough." } }
            @else {
                (table(
                    &format!("Deposits that are enough, with {:.0} % intervals", 100.0 * facts.confidence),
                    &[Number("of resampled runs"), Number("NCT"), Number("interval")],
                    deposits,
                ))
            }
        }
    }
}

/// Other stakes, and other markets.
pub(super) fn sensitivity(explanation: &Explanation) -> Markup {
    let called = |stake: &str, factor: &Option<String>| {
        factor.as_ref().map_or_else(|| cut(stake, NAME), |factor| format!("x {}", cut(factor, NAME)))
    };
    let stakes = explanation.what_if.iter().map(|facts| {
        vec![
            plain(called(&facts.stake, &facts.factor)),
            change(&facts.profit),
            change(&facts.difference),
            facts.per_bounty_nct.map_or_else(|| plain("-"), super::signed),
            amount(facts.staked.nct),
            share(facts.clamped),
        ]
    });
    let columns =
        [Text("stake"), Number("profit NCT"), Number("difference"), Number("per bounty"), Number("staked NCT"), Number("clamped")];
    let stakes = table("The same verdicts with other stakes, every pot settled anew", &columns, stakes);
    let bars: Vec<_> =
        explanation.what_if.iter().map(|facts| json!({ "name": called(&facts.stake, &facts.factor), "value": facts.profit.nct })).collect();
    let shown = |money: &Option<Money>| money.as_ref().map_or_else(|| plain("-"), change);
    let changed = explanation.sensitivity.as_ref().map(|changes| {
        let rows = changes.iter().map(|facts| {
            let reason = facts.reason.as_deref().map_or_else(|| plain(""), sentence);
            vec![name(&facts.change), shown(&facts.profit), shown(&facts.difference), reason]
        });
        let table = table(
            "The same market with one thing changed, played again",
            &[Text("change"), Number("profit NCT"), Number("difference"), Text("")],
            rows,
        );
        let told = changes.iter().filter_map(|facts| Some((cut(&facts.change, NAME), facts.difference.as_ref()?.nct)));
        let bars: Vec<_> = told.map(|(name, value)| json!({ "name": name, "value": value })).collect();
        (bars, table)
    });
    html! {
        (Chart::new("bars", "Profit with other stakes", "The figures are in the table below.", json!({ "bars": bars, "unit": "NCT" })).size("short").alone())
        (stakes)
        p.muted.small {
            "What the own stake does to the pot is exact, given those of others; what others would have done about it, and whether the wallet would "
            "have covered it, is not in here. Clamped: share of bounties of which a bid was moved to a limit."
        }
        @match changed {
            Some((bars, table)) => {
                @if !bars.is_empty() {
                    (Chart::new("bars", "What the profit changes by", "The figures are in the table below.", json!({ "bars": bars, "unit": "NCT" })).alone())
                }
                (table)
            }
            None => p.muted { "What other rivals, arbiters and fees would do, " code { "sim explain --sensitivity" } " tells." }
        }
    }
}

fn footer(explanation: &Explanation) -> Markup {
    let called = &explanation.name;
    reproduce(
        &explanation.command,
        "This is the run that was explained; `sim explain` plays it again.",
        &[
            ("Program", plain(format!("sim {}, explained by {}", cut(&called.run_version, NAME), cut(&called.version, NAME)))),
            ("Scenario", code(&called.scenario_sha256)),
            ("Corpus", code(&called.corpus_sha256)),
            ("Seed", plain(called.seed.to_string())),
        ],
    )
}
