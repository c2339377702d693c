//! An evaluation in time: what was chosen period by period, what that earned, and how well verdicts keep up.

use maud::{Markup, html};
use serde_json::json;

use super::{
    Chart, NAME, Number, Section, Text,
    compare::{doubts, footer, role},
    count, facts, figures, interval, name, plain, share, signed, table,
};
use crate::{
    report::{compare::p_value, nct, walkforward::beginnings},
    text::{cut, thousands},
    walkforward::{AreaFact, WalkForward},
};

pub(super) fn sections(walked: &WalkForward) -> Vec<Section> {
    vec![
        Section::new("ran", "What ran", ran(walked)),
        Section::new("total", "What choosing by the past earned", total(walked)),
        Section::new("periods", "Period by period", periods(walked)),
        Section::new("areas", "How well verdicts keep up", areas(walked)),
        Section::new("alone", "Each all the time", alone(walked)),
        Section::new("repeat", "Do it again", footer(&walked.method, &walked.name, &walked.command, &walked.wall)),
    ]
}

fn ran(walked: &WalkForward) -> Markup {
    html! {
        (doubts(&walked.allowed_biases, &walked.warnings))
        (facts(&[
            ("Corpus", html! { (name(&walked.corpus.name)) ": " (count(walked.corpus.rows)) " artifacts, " (count(walked.corpus.malicious)) " malicious" }),
            ("Market", name(&walked.rules)),
            ("Bounties", html! { (count(walked.evaluated)) " in " (walked.periods.len()) " periods, after " (count(walked.train)) " to train on" }),
            ("Chosen", html! { "by all that was settled before a period: " (count(walked.embargo_blocks)) " blocks are between" }),
            ("Baseline", name(&walked.baseline)),
        ]))
    }
}

fn total(walked: &WalkForward) -> Markup {
    let walk = &walked.walk;
    let difference = &walk.difference;
    let told = if walk.profit_nct == walk.baseline_nct && difference.per_bounty.nct == 0.0 {
        "the same".to_owned()
    } else if difference.distinct {
        format!("{}, p {}", interval(difference.per_bounty.interval), p_value(difference.p))
    } else {
        format!("not distinguishable; {} would have shown", nct(difference.detectable_nct, false))
    };
    figures(&[
        ("Profit, NCT", signed(walk.profit_nct), format!("the baseline earned {}", nct(walk.baseline_nct, true))),
        (
            "Per bounty, NCT",
            signed(walk.per_bounty.nct),
            format!("{:.0} % interval {}", 100.0 * walked.method.confidence, interval(walk.per_bounty.interval)),
        ),
        ("Against the baseline, per bounty", signed(difference.per_bounty.nct), told),
        ("Regret, NCT", plain(nct(walk.regret_nct, true)), format!("to {}, the best single one in hindsight", cut(&walk.best, NAME))),
    ])
}

fn periods(walked: &WalkForward) -> Markup {
    let from = beginnings(walked);
    let rows = (1..).zip(&walked.periods).zip(&from).map(|((number, period), from)| {
        vec![
            plain(format!("{number}")),
            plain(from.clone()),
            count(period.bounties.1.saturating_sub(period.bounties.0)),
            count(period.artifacts),
            count(period.malicious),
            name(&period.chosen),
            signed(period.profit_nct),
            signed(period.baseline_nct),
            name(&period.best),
            signed(period.best_nct),
            share(period.label.accuracy),
            share(period.label.f1),
            share(period.label.tpr),
            share(period.label.fpr),
        ]
    });
    let columns = [
        Text("period"),
        Text("from"),
        Number("bounties"),
        Number("artifacts"),
        Number("malicious"),
        Text("chosen"),
        Number("profit NCT"),
        Number("baseline"),
        Text("best"),
        Number("profit"),
        Number("accuracy"),
        Number("F1"),
        Number("TPR"),
        Number("FPR"),
    ];
    let caption = "Profit in NCT, period by period; best: in hindsight; rates: of all of the engine's calls, against the corpus label";
    let table = table(caption, &columns, rows);
    let column = |figure: fn(&crate::walkforward::PeriodFacts) -> f64| walked.periods.iter().map(figure).collect::<Vec<f64>>();
    let data = json!({
        "names": from.iter().map(|from| cut(from, 24)).collect::<Vec<_>>(), "unit": "NCT",
        "series": [
            { "name": "chosen by the past", "values": column(|period| period.profit_nct) },
            { "name": "baseline", "values": column(|period| period.baseline_nct) },
            { "name": "best in hindsight", "values": column(|period| period.best_nct) },
        ],
    });
    html! { (Chart::new("lines", "Profit by period", "The figures are in the table below.", data).alone()) (table) }
}

fn areas(walked: &WalkForward) -> Markup {
    let figure = |fact: &AreaFact| match (&fact.aut, &fact.reason) {
        (Some(aut), _) => plain(format!("{aut:.4}")),
        (None, reason) => plain(cut(reason.as_deref().unwrap_or("-"), 200)),
    };
    let areas = &walked.areas;
    let rows = [("corpus label", &areas.label), ("arbiters' consensus", &areas.consensus)]
        .map(|(what, calls)| vec![plain(what), figure(&calls.accuracy), figure(&calls.f1), figure(&calls.tpr)]);
    let column =
        |figure: fn(&crate::walkforward::PeriodFacts) -> Option<f64>| walked.periods.iter().map(figure).collect::<Vec<Option<f64>>>();
    let data = json!({
        "names": beginnings(walked), "unit": "",
        "series": [
            { "name": "accuracy", "values": column(|period| period.label.accuracy) },
            { "name": "F1", "values": column(|period| period.label.f1) },
            { "name": "TPR", "values": column(|period| period.label.tpr) },
            { "name": "FPR", "values": column(|period| period.label.fpr) },
        ],
    });
    let columns = [Text("calls against"), Number("accuracy"), Number("F1"), Number("TPR")];
    html! {
        (Chart::new("lines", "Calls against the corpus label, by period", "The figures are in the table of periods.", data).alone())
        (table("Area under time (AUT)", &columns, rows))
    }
}

fn alone(walked: &WalkForward) -> Markup {
    let mut strategies: Vec<_> = walked.strategies.iter().collect();
    strategies.sort_by(|a, b| b.profit_nct.total_cmp(&a.profit_nct));
    let rows = strategies.iter().map(|facts| {
        vec![
            name(&facts.strategy),
            plain(role(facts.role)),
            signed(facts.profit_nct),
            signed(facts.per_bounty_nct),
            plain(thousands(facts.chosen as u64)),
        ]
    });
    let columns = [Text("strategy"), Text("role"), Number("profit NCT"), Number("per bounty"), Number("periods chosen")];
    table("Each all the time, on the same bounties", &columns, rows)
}
