//! The report of a measurement, for people and for a CI's step: every figure comes from [`BenchReport`], none is computed here.

use std::collections::BTreeMap;

use super::{lines, name, paragraphs, table};
use crate::{
    bench::{BaseKind, BenchReport, FigureReport},
    figures::{self, Better, Figure, Kind, Subject, Unit, Value, shown},
    gate::{self, Answer, Outcome},
    layout::{Align, columns},
    text::{cut, plain, thousands},
};

/// Errors that are printed.
const SHOWN: usize = 20;

/// The whole report.
pub fn text(report: &BenchReport) -> String {
    let mut out = header(report) + "\n";
    out.push_str(&lines(&main_table(report)));
    if let Some(backends) = backends(report) {
        out.push_str(&format!("\nBackends, one artifact\n{backends}"));
    }
    out.push_str(&format!("\n{}", noise(report)));
    if !report.gates.is_empty() {
        out.push_str("\nGates\n");
        for answer in &report.gates {
            out.push_str(&format!("  {:<11}  {}\n               {}\n", answer.outcome.name(), plain(&answer.gate), plain(&answer.why)));
        }
        out.push_str(&format!("{}\n", verdict(report)));
    }
    if !report.errors.is_empty() {
        out.push_str("\nErrors\n");
        for error in report.errors.iter().take(SHOWN) {
            let artifact = cut(&error.artifact, 60);
            out.push_str(&format!("  line {}, {artifact}: {}: {}\n", error.line, name(&error.backend), cut(&error.reason, 120)));
        }
        if report.errors.len() > SHOWN {
            out.push_str(&format!("  and {} more; --format json lists them\n", report.errors.len() - SHOWN));
        }
    }
    for warning in &report.warnings {
        out.push_str(&format!("warning: {}\n", plain(warning)));
    }
    paragraphs(&out)
}

/// The same as a summary of a CI's step, in Markdown.
pub fn markdown(report: &BenchReport) -> String {
    let mut out = format!("### {}\n\n", escaped(&title(report)));
    if !report.gates.is_empty() {
        out.push_str(&format!("**{}**\n\n| gate | | why |\n| --- | --- | --- |\n", escaped(&verdict(report))));
        for answer in &report.gates {
            let mark = match answer.outcome {
                Outcome::Pass => "✅ pass",
                Outcome::CannotTell => "❔ cannot tell",
                Outcome::Fail => "❌ **fail**",
            };
            out.push_str(&format!("| {} | {mark} | {} |\n", escaped(&answer.gate), escaped(&answer.why)));
        }
        out.push('\n');
    }
    let rows = rows(report);
    let header = main_header(report);
    out.push_str(&format!("| {} |\n| --- |{}\n", header.join(" | "), " ---: |".repeat(header.len() - 1)));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out.push_str(&format!("\n{}", noise(report).lines().map(|line| format!("{}  \n", escaped(line))).collect::<String>()));
    for warning in &report.warnings {
        out.push_str(&format!("\n> warning: {}\n", escaped(warning)));
    }
    out
}

/// Text that Markdown and the HTML in it show as it is.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in plain(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' | '@' | '#' => out.extend(['\\', character]),
            _ => out.push(character),
        }
    }
    out
}

/// What was measured, in a line.
fn title(report: &BenchReport) -> String {
    let about = &report.name;
    match (report.bench, &about.strategy) {
        (Subject::Replay, Some(strategy)) => {
            format!("Bench of a replay of `{}`: {} by {}", name(&about.corpus), name(&about.engine), name(strategy))
        }
        _ => format!("Bench of a scan of `{}`: engine `{}`", name(&about.corpus), name(&about.engine)),
    }
}

fn header(report: &BenchReport) -> String {
    let (rounds, machine) = (&report.rounds, &report.machine);
    let passes = if rounds.passes > 1 { format!(", {} passes each", thousands(u64::from(rounds.passes))) } else { String::new() };
    let perturbed = match (report.bench, rounds.perturbed) {
        (Subject::Replay, _) => "",
        (Subject::Scan, Some(_)) => "; other bytes in every pass",
        // Each process has its own.
        (Subject::Scan, None) if rounds.processes => "",
        (Subject::Scan, None) => "; the same bytes in every pass",
    };
    let count = |count: u32, what: &str| format!("{} {what}{}", thousands(u64::from(count)), if count == 1 { "" } else { "s" });
    format!(
        "{}\n{}{passes}, {}; {} thread{}{perturbed}\n{}, {} cores, {}, {} build\n",
        title(report),
        count(rounds.warm, "warm round"),
        count(rounds.cold, "cold round"),
        rounds.jobs,
        if rounds.jobs == 1 { "" } else { "s" },
        cut(&machine.cpu, 60),
        machine.cores,
        plain(&machine.system),
        plain(&machine.build),
    )
}

fn main_header(report: &BenchReport) -> Vec<String> {
    let percent = (100.0 * report.rounds.confidence).round();
    let interval = format!("{percent} % interval");
    match &report.base {
        None => vec!["figure".to_owned(), "value".to_owned(), interval],
        Some(_) => ["figure", "value", "base", "change", &interval].map(str::to_owned).to_vec(),
    }
}

fn main_table(report: &BenchReport) -> comfy_table::Table {
    let header = main_header(report);
    let mut table = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows(report) {
        table.add_row(row);
    }
    table
}

/// The figures but those of backends, in the order in which they are listed.
fn rows(report: &BenchReport) -> Vec<Vec<String>> {
    let order: Vec<&'static str> = match report.bench {
        Subject::Scan => figures::SCAN.iter().map(|figure| figure.name).collect(),
        Subject::Replay => figures::replay().map(|figure| figure.name).collect(),
    };
    let row = |of: &&'static str| {
        let figure = report.figures.get(*of)?;
        let mut row = vec![(*of).to_owned(), shown(&figure.value, figure.unit)];
        match &report.base {
            None => row.push(match figure.interval {
                Some([low, high]) => {
                    let of = |end| figures::bare(&shown(&Value::Number(end), figure.unit), figure.unit).to_owned();
                    format!("[{}, {}]", of(low), of(high))
                }
                None => without_interval(figure).to_owned(),
            }),
            Some(base) => {
                row.push(base.figures.get(*of).map_or_else(|| "-".to_owned(), |base| shown(&base.value, base.unit)));
                row.extend(change(figure, base.figures.get(*of), base.ratios.get(*of)));
            }
        }
        Some(row)
    };
    order.iter().filter_map(row).collect()
}

/// By how much a figure is another one than in the base, and the interval of that.
fn change(figure: &FigureReport, base: Option<&FigureReport>, ratio: Option<&crate::bench::Ratio>) -> [String; 2] {
    let percent = |ratio: f64| format!("{:+.2} %", 100.0 * (ratio - 1.0));
    match (ratio, base) {
        (Some(ratio), _) => {
            let end = |end: Option<f64>| end.map_or_else(|| "unknown".to_owned(), percent);
            [percent(ratio.estimate), format!("[{}, {}]", end(ratio.low), end(ratio.high))]
        }
        (None, Some(base)) if figure.kind != Kind::Measured => {
            let same = if figure.value == base.value { "the same" } else { "another" };
            let change = match (&figure.value, &base.value) {
                (Value::Number(own), Value::Number(other)) if own != other => difference(*own, *other, figure.unit),
                _ => same.to_owned(),
            };
            [change, kind(figure.kind).to_owned()]
        }
        _ => [String::new(), without_interval(figure).to_owned()],
    }
}

/// How far two exact figures are apart: shares in points, what can be negative or zero by itself, the rest in percent.
fn difference(own: f64, other: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => format!("{:+.2} points", 100.0 * (own - other)),
        Unit::Nct => format!("{}{}", if own > other { "+" } else { "" }, shown(&Value::Number(own - other), unit)),
        _ if other > 0.0 => format!("{:+.2} %", 100.0 * (own / other - 1.0)),
        _ => "another".to_owned(),
    }
}

/// What stands where a figure has no interval.
fn without_interval(figure: &FigureReport) -> &'static str {
    match figure.kind {
        Kind::Measured if (1..gate::LEAST).contains(&figure.rounds.len()) => "too few rounds",
        Kind::Measured => "-",
        exact => kind(exact),
    }
}

/// How well a figure is known.
const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Exact => "exact",
        Kind::Counted => "within 1 %",
        Kind::Measured => "measured",
    }
}

/// The backends side by side.
fn backends(report: &BenchReport) -> Option<String> {
    let mut by_name: BTreeMap<&str, BTreeMap<&str, &FigureReport>> = BTreeMap::new();
    for (full, figure) in &report.figures {
        if let Some((backend, of)) = full.strip_prefix("backends.").and_then(|rest| rest.rsplit_once('.')) {
            by_name.entry(backend).or_default().insert(of, figure);
        }
    }
    let columns = [
        ("p50", "p50"),
        ("p95", "p95"),
        ("p99", "p99"),
        ("max", "max"),
        ("tpr", "finds"),
        ("fpr", "false alarms"),
        ("errors", "errors"),
        ("timeouts", "time-outs"),
    ];
    let header: Vec<&str> = ["backend"].into_iter().chain(columns.map(|(_, title)| title)).collect();
    let mut table = table(&header);
    for (backend, figures) in &by_name {
        let cell = |of: &str| figures.get(of).map_or_else(|| "-".to_owned(), |figure| shown(&figure.value, figure.unit));
        table.add_row([name(backend)].into_iter().chain(columns.map(|(of, _)| cell(of))));
    }
    (!by_name.is_empty()).then(|| lines(&table))
}

/// How small a change can be seen here, and what is compared with.
fn noise(report: &BenchReport) -> String {
    let mut out = String::new();
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    if let Some(share) = report.probe.as_ref().and_then(|probe| probe.detectable) {
        let rounds = report.rounds.warm;
        out.push_str(&format!("noise: by the probe, a change of {} would show in {rounds} pairs of rounds here\n", percent(share)));
    }
    if let Some(share) = report.rounds.detectable {
        out.push_str(&format!("noise: by the rounds themselves, a change of {} would have shown in `seconds`\n", percent(share)));
    }
    if let Some(base) = &report.base {
        let how = match base.kind {
            BaseKind::Against => "measured in turns",
            BaseKind::Baseline => "measured at another time",
        };
        out.push_str(&format!("base: {}, {how}\n", cut(&base.label, 120)));
        if let Some(drift) = base.drift {
            out.push_str(&format!("drift: the machine may be off by {} since, which intervals allow for\n", percent(drift)));
        }
        if let Some(why) = &base.unusable {
            out.push_str(&format!("base: measured figures cannot be compared with it: {}\n", plain(why)));
        }
    }
    out
}

/// What all gates together came to.
fn verdict(report: &BenchReport) -> String {
    let of = |outcome: Outcome| report.gates.iter().filter(|answer: &&Answer| answer.outcome == outcome).count();
    let parts = [(Outcome::Pass, "passed"), (Outcome::Fail, "FAILED"), (Outcome::CannotTell, "cannot be told here")];
    let said: Vec<String> = parts
        .iter()
        .map(|(outcome, word)| (of(*outcome), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!("of {} gate{}: {}", report.gates.len(), if report.gates.len() == 1 { "" } else { "s" }, said.join(", "))
}

/// Every figure that reports of these have.
pub fn figures(subjects: impl Iterator<Item = Subject>) -> String {
    let mut out = String::new();
    let row = |name: String, figure: &Figure| {
        let better = match figure.better {
            Better::More => "more",
            Better::Less => "less",
            Better::Neither => "-",
        };
        vec![name, figure.unit.name().to_owned(), better.to_owned(), kind(figure.kind).to_owned(), figure.what.to_owned()]
    };
    for subject in subjects {
        let mut rows = vec![["figure", "unit", "better", "kind", ""].map(str::to_owned).to_vec()];
        match subject {
            Subject::Scan => {
                rows.extend(figures::SCAN.iter().map(|figure| row(figure.name.to_owned(), figure)));
                rows.extend(figures::BACKEND.iter().map(|figure| row(figures::of_backend("NAME", figure.name), figure)));
            }
            Subject::Replay => rows.extend(figures::replay().map(|figure| row(figure.name.to_owned(), figure))),
        }
        out.push_str(&format!("sim bench {}\n{}\n", subject.name(), columns(&[Align::Left; 5], &rows)));
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::bench::sample;

    #[test]
    fn a_report_says_what_was_compared_and_what_it_came_to() {
        expect![[r#"
            Bench of a scan of `<b>\u{1b}[31m corpus`: engine `mine`
            12 warm rounds, 3 passes each, 1 cold round; 2 threads; other bytes in every pass
            a cpu, 2 cores, linux x86_64, release build

              figure                    value           base         change          95 % interval
              files_per_s       50.04 files/s    100 files/s       -50.02 %   [-50.04 %, -49.98 %]
              seconds                 1.199 s      599.30 ms      +100.09 %  [+99.92 %, +100.16 %]
              cpu_seconds_user      500.00 ms      500.00 ms        +0.00 %     [+0.00 %, +0.00 %]
              tpr                     90.00 %       100.00 %  -10.00 points                  exact
              verdicts_sha256   abababababab…  abababababab…       the same                  exact

            Backends, one artifact
              backend              p50  p95      p99  max  finds  false alarms  errors  time-outs
              a|b<script>\u{202e}    -    -  7.99 ms    -      -             -       -          -

            noise: by the rounds themselves, a change of 0.1 % would have shown in `seconds`
            base: old.toml, measured in turns

            Gates
              FAIL         files_per_s >= base * 0.95
                           50.04 files/s, and the bound is 95.11 files/s; by its rounds -47.4 % off, between -47.4 % and -47.3 % (99.38 % confidence, 12 rounds)
              FAIL         tpr >= base - 1%
                           90.00 % is not >= 99.00 %
              cannot tell  load_seconds <= 2s
                           there is no `load_seconds` here: it is not defined for this input, or the system does not tell
            of 3 gates: 2 FAILED, 1 cannot be told here
            warning: a <script>alert(1)</script> warning
        "#]].assert_eq(&text(&sample::report(0.5)));
    }

    #[test]
    fn a_summary_of_a_step_shows_hostile_names_as_they_are() {
        expect![[r#"
            ### Bench of a scan of \`&lt;b&gt;\\u{1b}\[31m corpus\`: engine \`mine\`

            **of 3 gates: 2 FAILED, 1 cannot be told here**

            | gate | | why |
            | --- | --- | --- |
            | files\_per\_s &gt;= base \* 0.95 | ❌ **fail** | 50.04 files/s, and the bound is 95.11 files/s; by its rounds -47.4 % off, between -47.4 % and -47.3 % (99.38 % confidence, 12 rounds) |
            | tpr &gt;= base - 1% | ❌ **fail** | 90.00 % is not &gt;= 99.00 % |
            | load\_seconds &lt;= 2s | ❔ cannot tell | there is no \`load\_seconds\` here: it is not defined for this input, or the system does not tell |

            | figure | value | base | change | 95 % interval |
            | --- | ---: | ---: | ---: | ---: |
            | files\_per\_s | 50.04 files/s | 100 files/s | -50.02 % | \[-50.04 %, -49.98 %\] |
            | seconds | 1.199 s | 599.30 ms | +100.09 % | \[+99.92 %, +100.16 %\] |
            | cpu\_seconds\_user | 500.00 ms | 500.00 ms | +0.00 % | \[+0.00 %, +0.00 %\] |
            | tpr | 90.00 % | 100.00 % | -10.00 points | exact |
            | verdicts\_sha256 | abababababab… | abababababab… | the same | exact |

            noise: by the rounds themselves, a change of 0.1 % would have shown in \`seconds\`  
            base: old.toml, measured in turns  

            > warning: a &lt;script&gt;alert(1)&lt;/script&gt; warning
        "#]].assert_eq(&markdown(&sample::report(0.5)));
    }
}
