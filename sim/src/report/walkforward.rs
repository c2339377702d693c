//! The report of an evaluation in time: every figure comes from [`WalkForward`], none is computed here.

use comfy_table::CellAlignment;

use super::{
    compare::{footing, heading, mean, p_value},
    lines, name, nct, paragraphs, percent, table,
};
use crate::{
    comparison::Role,
    text::{plain, thousands as count},
    timeline::AllowedBias,
    walkforward::{AloneFacts, AreaFact, PeriodFacts, WalkForward},
};

/// The whole report.
pub fn text(walked: &WalkForward) -> String {
    let mut out: String = walked.allowed_biases.iter().map(AllowedBias::line).collect();
    header(walked, &mut out);
    periods(walked, &mut out);
    areas(walked, &mut out);
    alone(walked, &mut out);
    total(walked, &mut out);
    footer(walked, &mut out);
    paragraphs(&out)
}

fn header(walked: &WalkForward, out: &mut String) {
    out.push_str(&heading("Walk forward", &walked.corpus, &walked.rules, &walked.name));
    out.push_str(&format!(
        "{} bounties in {} periods, after {} to train on; chosen by all that was settled before a period: {} blocks are between\n",
        count(walked.evaluated),
        walked.periods.len(),
        count(walked.train),
        count(walked.embargo_blocks)
    ));
}

/// `2024-01-31`, with hours and minutes where several periods begin on a day; the block where there are no dates.
pub(crate) fn beginnings(walked: &WalkForward) -> Vec<String> {
    let date = |period: &PeriodFacts| period.first_seen.as_ref().and_then(|(first, _)| first.split('T').next().map(str::to_owned));
    let close = walked.periods.windows(2).any(|pair| date(&pair[0]) == date(&pair[1]));
    let beginning = |period: &PeriodFacts| match (&period.first_seen, date(period)) {
        (Some((first, _)), _) if close => first.chars().take("2024-01-31T12:00".len()).collect::<String>().replace('T', " "),
        (_, Some(date)) => date,
        _ => format!("block {}", count(period.blocks.0)),
    };
    walked.periods.iter().map(beginning).collect()
}

fn periods(walked: &WalkForward, out: &mut String) {
    out.push_str("\nProfit in NCT, period by period\n");
    let mut table =
        table(&["period", "from", "bounties", "malware", "chosen", "profit", "baseline", "best", "profit", "accuracy", "F1", "TPR"]);
    for column in [4, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Left);
        }
    }
    for ((number, period), beginning) in (1..).zip(&walked.periods).zip(beginnings(walked)) {
        let malware = (period.artifacts > 0).then(|| period.malicious as f64 / period.artifacts as f64);
        table.add_row([
            format!("{number}"),
            beginning,
            count(period.bounties.1 - period.bounties.0),
            percent(malware),
            name(&period.chosen),
            nct(period.profit_nct, true),
            nct(period.baseline_nct, true),
            name(&period.best),
            nct(period.best_nct, true),
            percent(period.label.accuracy),
            percent(period.label.f1),
            percent(period.label.tpr),
        ]);
    }
    out.push_str(&lines(&table));
    out.push_str("  best: in hindsight; accuracy, F1, TPR: of all of the engine's calls, against the corpus label\n");
}

fn areas(walked: &WalkForward, out: &mut String) {
    out.push_str("\nArea under time (AUT)\n");
    let areas = &walked.areas;
    let mut table = table(&["calls against", "accuracy", "F1", "TPR"]);
    let figure = |fact: &AreaFact| fact.aut.map_or_else(|| "-".to_owned(), |aut| format!("{aut:.4}"));
    for (what, calls) in [("corpus label", &areas.label), ("arbiters' consensus", &areas.consensus)] {
        table.add_row([what.to_owned(), figure(&calls.accuracy), figure(&calls.f1), figure(&calls.tpr)]);
    }
    out.push_str(&lines(&table));
    match (areas.profit_per_bounty.aut, &areas.profit_per_bounty.reason) {
        (Some(aut), _) => out.push_str(&format!("  of the profit per bounty of what was chosen: {} NCT, a diagnostic\n", nct(aut, true))),
        (None, reason) => out.push_str(&format!("  none: {}\n", plain(reason.as_deref().unwrap_or_default()))),
    }
    if areas.profit_per_bounty.aut.is_some() {
        let of_calls = [("label", &areas.label), ("consensus", &areas.consensus)].into_iter().flat_map(|(truth, calls)| {
            [("accuracy", &calls.accuracy), ("F1", &calls.f1), ("TPR", &calls.tpr)].map(|(figure, fact)| (truth, figure, fact))
        });
        for (truth, figure, fact) in of_calls {
            if let Some(reason) = &fact.reason {
                out.push_str(&format!("  no area of {figure} against the {truth}: {}\n", plain(reason)));
            }
        }
    }
}

fn alone(walked: &WalkForward, out: &mut String) {
    out.push_str("\nEach all the time, on the same bounties\n");
    let mut table = table(&["strategy", "profit", "per bounty", "periods chosen"]);
    let group = |role: Role| match role {
        Role::Candidate | Role::Baseline => 0,
        Role::Null => 1,
        Role::Oracle => 2,
    };
    let mut strategies: Vec<&AloneFacts> = walked.strategies.iter().collect();
    strategies.sort_by(|a, b| group(a.role).cmp(&group(b.role)).then(b.profit_nct.total_cmp(&a.profit_nct)));
    for facts in strategies {
        let chosen = if group(facts.role) == 0 { count(facts.chosen as u64) } else { String::new() };
        table.add_row([format!("  {}", name(&facts.strategy)), nct(facts.profit_nct, true), nct(facts.per_bounty_nct, true), chosen]);
    }
    out.push_str(&lines(&table));
}

fn total(walked: &WalkForward, out: &mut String) {
    let (walk, baseline) = (&walked.walk, name(&walked.baseline));
    let level = 100.0 * walked.method.confidence;
    let [per_bounty, interval] = mean(&walk.per_bounty);
    out.push_str(&format!(
        "\nChosen by the past: {} NCT, {per_bounty} per bounty, {level:.0} % interval {interval}.\n",
        nct(walk.profit_nct, true)
    ));
    let difference = &walk.difference;
    let [apart, interval] = mean(&difference.per_bounty);
    if difference.distinct {
        out.push_str(&format!("Against `{baseline}`: {apart} per bounty, {interval}, p {}.\n", p_value(difference.p)));
    } else if walk.profit_nct == walk.baseline_nct && difference.per_bounty.nct == 0.0 {
        out.push_str(&format!("Against `{baseline}`: the same.\n"));
    } else {
        out.push_str(&format!(
            "Against `{baseline}`: {apart} per bounty, {interval}, p {}: not distinguishable; a difference of {} would have shown.\n",
            p_value(difference.p),
            nct(difference.detectable_nct, false)
        ));
    }
    out.push_str(&format!(
        "Regret to `{}`, the best single one in hindsight: {} NCT, {} per bounty.\n",
        name(&walk.best),
        nct(walk.regret_nct, true),
        nct(walk.regret_per_bounty_nct, true)
    ));
}

fn footer(walked: &WalkForward, out: &mut String) {
    let WalkForward { name, method, command, wall, warnings, .. } = walked;
    out.push_str(&footing(method, name, command, wall, warnings));
}
