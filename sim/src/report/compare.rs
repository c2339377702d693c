//! The report of a comparison: every figure comes from [`Comparison`], none is computed here.

use comfy_table::CellAlignment;

use super::{lines, name, nct, paragraphs, percent, short, table};
use crate::{
    comparison::{Comparison, ComparisonName, MeanFacts, MethodFacts, Role, StrategyFacts, WallTime},
    layout::SOFT,
    run::CorpusFacts,
    text::{plain, thousands as count},
    timeline::AllowedBias,
};

/// The whole report.
pub fn text(comparison: &Comparison) -> String {
    let mut out: String = comparison.allowed_biases.iter().map(AllowedBias::line).collect();
    header(comparison, &mut out);
    profits(comparison, &mut out);
    risks(comparison, &mut out);
    choice(comparison, &mut out);
    footer(comparison, &mut out);
    paragraphs(&out)
}

/// What was done, on which corpus, in which markets.
pub(super) fn heading(what: &str, corpus: &CorpusFacts, rules: &str, called: &ComparisonName) -> String {
    let markets = match called.seeds.as_slice() {
        [seed] => format!("seed {seed}"),
        seeds => format!("mean of {} markets, seeds {} to {}", seeds.len(), seeds[0], seeds[seeds.len() - 1]),
    };
    let (artifacts, malicious) = (count(corpus.rows), count(corpus.malicious));
    format!("{what} on `{}`: {artifacts} artifacts ({malicious} malicious), rules {rules}, {markets}\n", name(&corpus.name))
}

fn header(comparison: &Comparison, out: &mut String) {
    out.push_str(&heading("Comparison", &comparison.corpus, &comparison.rules, &comparison.name));
    let split = comparison.split.map_or_else(String::new, |split| {
        let size = |(from, to): (u64, u64)| count(to - from);
        format!(
            " to judge by, after {} to train on and {} to choose by; {} blocks between them",
            size(split.train),
            size(split.validate),
            count(split.embargo_blocks)
        )
    });
    let watched = if comparison.watched { ", until every strategy was told from the baseline or there were no more" } else { "" };
    out.push_str(&format!("{} bounties{split}{watched}\n", count(comparison.evaluated)));
}

/// `+0.0123 [+0.0100, +0.0150]`
pub(super) fn mean(facts: &MeanFacts) -> [String; 2] {
    let interval = match facts.interval {
        Some((low, high)) => format!("[{}, {}]", nct(low, true), nct(high, true)),
        None => "-".to_owned(),
    };
    [nct(facts.nct, true), interval]
}

pub(crate) fn p_value(p: Option<f64>) -> String {
    match p {
        None => "-".to_owned(),
        Some(p) if p < 0.001 => "<0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
    }
}

fn mark(facts: &StrategyFacts, comparison: &Comparison) -> String {
    let mark = match facts.role {
        Role::Candidate if facts.strategy == comparison.choice.best => "> ",
        Role::Baseline if facts.strategy == comparison.choice.best => "> ",
        _ => "  ",
    };
    format!("{mark}{}", name(&facts.strategy))
}

/// Those to choose from by profit, then nulls and oracles by profit.
pub(crate) fn in_order(comparison: &Comparison) -> Vec<&StrategyFacts> {
    let mut strategies: Vec<&StrategyFacts> = comparison.strategies.iter().collect();
    let group = |role: Role| match role {
        Role::Candidate | Role::Baseline => 0,
        Role::Null => 1,
        Role::Oracle => 2,
    };
    strategies.sort_by(|a, b| group(a.role).cmp(&group(b.role)).then(b.profit_nct.total_cmp(&a.profit_nct)));
    strategies
}

fn profits(comparison: &Comparison, out: &mut String) {
    let percent = 100.0 * comparison.method.confidence;
    out.push_str(&format!("\nProfit in NCT, with {percent:.0} % intervals; against `{}`, bounty by bounty\n", name(&comparison.baseline)));
    let mut table = table(&["strategy", "profit", "per bounty", "interval", "difference", "interval", "p", "adjusted", "best?"]);
    for facts in in_order(comparison) {
        let [per_bounty, interval] = mean(&facts.per_bounty);
        let [difference, range] = match (&facts.difference, facts.role) {
            (Some(difference), _) => mean(&difference.per_bounty),
            (None, _) => ["baseline".to_owned(), String::new()],
        };
        table.add_row([
            mark(facts, comparison),
            nct(facts.profit_nct, true),
            per_bounty,
            interval,
            difference,
            range,
            facts.difference.map_or_else(String::new, |difference| p_value(difference.p)),
            facts.difference.and_then(|difference| difference.adjusted_p).map_or_else(String::new, |p| p_value(Some(p))),
            match facts.among_best {
                Some(true) => "maybe".to_owned(),
                Some(false) => "no".to_owned(),
                None => String::new(),
            },
        ]);
    }
    out.push_str(&lines(&table));
    if comparison.watched {
        out.push_str(
            "  intervals of differences hold at all times, for all candidates at once: who looks whenever they like is not fooled\n",
        );
        return;
    }
    out.push_str(&format!(
        "  p: sign-flip test of the difference; adjusted: better than the baseline, with all that were tried considered{SOFT}\n  \
         (Romano-Wolf); best?: `no` is told from the best by its interval and by the model confidence set ({:.0} %)\n",
        100.0 * comparison.method.set_confidence
    ));
}

fn risks(comparison: &Comparison, out: &mut String) {
    let whole = if comparison.split.is_some() { " (whole run, but for the last two columns)" } else { "" };
    out.push_str(&format!("\nCapital and verdicts{whole}\n"));
    let mut table = table(&[
        "strategy",
        "on locked",
        "on stake",
        "drawdown",
        "locked peak",
        "asserted",
        "accuracy",
        "late",
        "unfunded",
        "refused",
        "regret",
        "of hindsight",
    ]);
    for facts in in_order(comparison) {
        table.add_row([
            mark(facts, comparison),
            percent(facts.return_on_locked),
            percent(facts.return_on_stake),
            nct(facts.drawdown_nct, false),
            nct(facts.locked_peak_nct, false),
            percent(facts.coverage),
            percent(facts.accuracy),
            count(facts.late),
            count(facts.unfunded),
            count(facts.refused),
            nct(facts.regret_nct, true),
            percent(facts.share_of_hindsight),
        ]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    out.push_str(&lines(&table));
    out.push_str("  on locked: profit by the mean of what was locked; on stake: a diagnostic only, for it praises small stakes\n");
    out.push_str(&format!(
        "  regret: what the best fixed stake per bin of confidence earned more in hindsight ({} NCT); of hindsight: of the most{SOFT}\n  that could have been made of each bounty\n",
        nct(comparison.fixed_nct, true)
    ));
}

fn choice(comparison: &Comparison, out: &mut String) {
    out.push('\n');
    out.push_str(&verdict(comparison));
}

/// What to choose, and how sure that is, in a few sentences of a line each.
pub(crate) fn verdict(comparison: &Comparison) -> String {
    let mut out = String::new();
    let best = comparison.strategies.iter().find(|facts| facts.strategy == comparison.choice.best);
    let Some(best) = best else { return out };
    let (called, baseline) = (name(&best.strategy), name(&comparison.baseline));
    if comparison.split.is_some() {
        out.push_str(&format!("Choose `{called}`, by the bounties to choose by. On those to judge by, "));
    } else {
        out.push_str(&format!("Choose `{called}`, which earned most: "));
    }
    match &best.difference {
        None => out.push_str("it is the baseline itself.\n"),
        Some(difference) if difference.distinct => {
            let [mean, interval] = mean(&difference.per_bounty);
            out.push_str(&format!("{mean} NCT per bounty against `{baseline}`, {interval}.\n"));
        }
        Some(_) => out.push_str(&format!("it cannot be told from `{baseline}`.\n")),
    }
    let others: Vec<String> =
        comparison.choice.set.iter().filter(|other| **other != best.strategy).map(|other| format!("`{}`", name(other))).collect();
    match others.as_slice() {
        _ if comparison.watched => {}
        [] => out.push_str("Every other one earned less, beyond what chance explains.\n"),
        others if comparison.choice.set.contains(&best.strategy) => {
            out.push_str(&format!("These may be as good: {}.\n", others.join(", ")))
        }
        others => out.push_str(&format!("There, others were better, beyond what chance explains: {}.\n", others.join(", "))),
    }
    for facts in in_order(comparison) {
        let (Role::Candidate, Some(difference)) = (facts.role, &facts.difference) else { continue };
        if difference.distinct {
            continue;
        }
        let called = name(&facts.strategy);
        let why = match (comparison.watched, difference.few_decide) {
            (true, false) => " so far".to_owned(),
            (_, true) => "; a few bounties decide, see the warning".to_owned(),
            (false, false) => format!("; a difference of {} NCT per bounty would have shown", nct(difference.detectable_nct, false)),
        };
        out.push_str(&format!("`{called}` against the baseline: not distinguishable{why}.\n"));
    }
    for facts in comparison.strategies.iter().filter(|facts| comparison.watched && facts.role == Role::Candidate) {
        if let Some(after) = facts.difference.and_then(|difference| difference.watched.decided_after) {
            out.push_str(&format!("`{}` was told from the baseline after {} bounties.\n", name(&facts.strategy), count(after)));
        }
    }
    if let Some(superior) = &comparison.superior {
        out.push_str(&format!(
            "That none of them beats the baseline is {}: p {} (superior predictive ability; bounds {} and {}).\n",
            if superior.p < 1.0 - comparison.method.confidence { "refuted" } else { "not refuted" },
            p_value(Some(superior.p)),
            p_value(Some(superior.lower)),
            p_value(Some(superior.upper))
        ));
    }
    out
}

fn footer(comparison: &Comparison, out: &mut String) {
    let Comparison { name, method, command, wall, warnings, .. } = comparison;
    out.push_str(&footing(method, name, command, wall, warnings));
}

/// How figures were made, what repeats them, how long that took, and what to know before believing them.
pub(super) fn footing(method: &MethodFacts, called: &ComparisonName, command: &str, wall: &WallTime, warnings: &[String]) -> String {
    let mut out = format!(
        "\nMethod   stationary bootstrap, {} resamples, mean block {:.1} bounties; {} sign flips\n",
        count(u64::from(method.resamples)),
        method.block,
        count(u64::from(method.flips))
    );
    out.push_str(&format!(
        "Run      sim {}, scenario {}, corpus {}\nRepeat   {}\n",
        called.version,
        short(&called.scenario_sha256),
        short(&called.corpus_sha256),
        plain(command)
    ));
    let rate = wall.bounties_per_second.map_or_else(String::new, |rate| format!(", {} bounties/s", count(rate as u64)));
    out.push_str(&format!("Time     {:.2} s to play{rate}, {:.2} s of statistics\n", wall.play_seconds, wall.statistics_seconds));
    for warning in warnings {
        out.push_str(&format!("warning: {}\n", plain(warning)));
    }
    out
}
