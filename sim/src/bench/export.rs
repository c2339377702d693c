//! The report as other programs read it: Bencher, github-action-benchmark, JUnit viewers, hyperfine's friends.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use engine::chance::fnv1a64;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Map, Value as Json, json};

use super::{BenchReport, FigureReport};
use crate::{
    figures::{Better, Unit, Value},
    gate::Outcome,
    statistics::series,
    text,
};

/// What the measurement is called elsewhere: the same as long as command, corpus, engine and strategy have the same names.
pub fn title(report: &BenchReport) -> String {
    let name = &report.name;
    let strategy = name.strategy.iter().map(|strategy| format!(" {strategy}")).collect::<String>();
    text::plain(&format!("{} {} {}{strategy}", report.bench.name(), name.corpus, name.engine))
}

fn number(figure: &FigureReport) -> Option<f64> {
    match figure.value {
        Value::Number(number) if number.is_finite() => Some(number),
        _ => None,
    }
}

/// Bencher Metric Format: one benchmark, a measure for each figure that is a number.
pub fn bmf(report: &BenchReport) -> Json {
    let slugs = slugs(report.figures.keys());
    let measure = |(name, figure): (&String, &FigureReport)| {
        let mut metric = Map::from_iter([("value".to_owned(), json!(number(figure)?))]);
        if let Some([low, high]) = figure.interval {
            metric.extend([("lower_value".to_owned(), json!(low)), ("upper_value".to_owned(), json!(high))]);
        }
        Some((slugs.get(name)?.clone(), Json::Object(metric)))
    };
    let measures: Map<String, Json> = report.figures.iter().filter_map(measure).collect();
    json!({ title(report): measures })
}

/// Measures' names; those that would share one get a hash of what they are called here.
fn slugs<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<&'a String, String> {
    let all: BTreeMap<&String, String> = names.map(|name| (name, slug(name))).collect();
    let mut counts = BTreeMap::new();
    all.values().for_each(|slug| *counts.entry(slug.clone()).or_insert(0) += 1);
    let own = |(name, slug): (&'a String, String)| match counts[&slug] {
        1 => (name, slug),
        _ => (name, format!("{slug}-{:08x}", fnv1a64(name) as u32)),
    };
    all.into_iter().map(own).collect()
}

/// A measure's name as Bencher makes slugs: lower case, digits and hyphens.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// With six digits that say something, however small it is.
fn six_digits(number: f64) -> String {
    if number != 0.0 && number.abs() < 1e-2 { format!("{number:.5e}") } else { format!("{number:.6}") }
}

/// github-action-benchmark: the figures that get better that way.
pub fn github(report: &BenchReport, better: Better) -> Json {
    let title = title(report);
    let entry = |(name, figure): (&String, &FigureReport)| {
        let mut entry = Map::from_iter([
            ("name".to_owned(), json!(format!("{title}: {}", text::plain(name)))),
            ("unit".to_owned(), json!(figure.unit.name())),
            ("value".to_owned(), json!(number(figure)?)),
        ]);
        if let Some([low, high]) = figure.interval {
            entry.insert("range".to_owned(), json!(format!("{} to {}", six_digits(low), six_digits(high))));
            entry.insert("extra".to_owned(), json!(format!("{} rounds", figure.rounds.len())));
        }
        Some(Json::Object(entry))
    };
    report.figures.iter().filter(|(_, figure)| figure.better == better && figure.unit != Unit::Hash).filter_map(entry).collect()
}

/// hyperfine's `--export-json`: a result for our side and, measured in turns, for the other.
pub fn hyperfine(report: &BenchReport) -> Json {
    let ours = (title(report), &report.figures);
    let other = report.base.as_ref().map(|base| (text::plain(&base.label), &base.figures));
    let result = |(command, figures): (String, &BTreeMap<String, FigureReport>)| {
        let rounds = |name: &str| figures.get(name).map_or(&[][..], |figure| &figure.rounds);
        let times = rounds("seconds");
        let (sorted, mean) = (series::sorted(times), |name: &str| series::mean(rounds(name)));
        let (&least, &most) = (sorted.first()?, sorted.last()?);
        let memory: Vec<u64> = rounds("peak_memory").iter().map(|&bytes| bytes as u64).collect();
        Some(json!({
            "command": command,
            "mean": series::mean(times),
            "stddev": (times.len() > 1).then(|| series::deviation(times)),
            "median": series::quantile(&sorted, 0.5),
            "user": mean("cpu_seconds_user"),
            "system": mean("cpu_seconds_system"),
            "min": least,
            "max": most,
            "times": times,
            "memory_usage_byte": memory,
            "exit_codes": vec![0; times.len()],
            "parameters": {},
        }))
    };
    let results: Vec<Json> = [Some(ours), other].into_iter().flatten().filter_map(result).collect();
    json!({ "results": results })
}

/// JUnit's XML: a test case for each gate.
///
/// # Errors
///
/// If it cannot be written as XML.
pub fn junit(report: &BenchReport) -> Result<String> {
    let title = title(report);
    let mut suite = TestSuite::new(title.as_str());
    for answer in &report.gates {
        let mut status = match answer.outcome {
            Outcome::Pass => TestCaseStatus::success(),
            Outcome::CannotTell => TestCaseStatus::skipped(),
            Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        };
        let why = text::plain(&answer.why);
        match answer.outcome {
            Outcome::Pass => {}
            Outcome::CannotTell => drop(status.set_message(format!("cannot be told on this machine: {why}"))),
            Outcome::Fail => drop(status.set_message(why.as_str()).set_type("gate")),
        }
        let mut case = TestCase::new(text::plain(&answer.gate), status);
        case.set_classname(format!("sim.bench.{}", report.bench.name())).set_system_out(why);
        suite.add_test_case(case);
    }
    for (name, figure) in &report.figures {
        let value = match &figure.value {
            Value::Number(number) => number.to_string(),
            Value::Text(text) => text::plain(text),
        };
        suite.add_property(Property::new(text::plain(name), value));
    }
    let mut junit = Report::new("sim bench");
    junit.add_test_suite(suite);
    junit.to_string().context("cannot write JUnit's XML")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::{super::sample, *};

    fn check(found: &Json, expected: &Expect) {
        expected.assert_eq(&serde_json::to_string_pretty(found).unwrap());
    }

    #[test]
    fn bencher_reads_a_value_and_bounds_by_slug() {
        check(
            &bmf(&sample::report(1.0)),
            &expect![[r#"
                {
                  "scan <b>\\u{1b}[31m corpus mine": {
                    "backends-a-b-script-p99": {
                      "lower_value": 0.003993272099300916,
                      "upper_value": 0.003997495232266469,
                      "value": 0.00399536238899671
                    },
                    "cpu-seconds-user": {
                      "lower_value": 0.5,
                      "upper_value": 0.5,
                      "value": 0.5
                    },
                    "files-per-s": {
                      "lower_value": 100.0626584295414,
                      "upper_value": 100.16848089816531,
                      "value": 100.11607485258573
                    },
                    "seconds": {
                      "lower_value": 0.5989908148951372,
                      "upper_value": 0.5996242848399705,
                      "value": 0.5993043583495061
                    },
                    "tpr": {
                      "value": 0.9
                    }
                  }
                }"#]],
        );
    }

    #[test]
    fn backends_of_like_names_have_their_own_slugs() {
        let names = ["backends.a-b.p99", "backends.a.b.p99", "backends.c.p99"].map(str::to_owned);
        let slugs = slugs(names.iter());
        assert_eq!(slugs[&names[2]], "backends-c-p99");
        assert!(slugs[&names[0]] != slugs[&names[1]] && slugs.values().all(|slug| !slug.contains('.')), "{slugs:?}");
    }

    #[test]
    fn the_action_reads_one_way_at_a_time() {
        check(
            &github(&sample::report(1.0), Better::Less),
            &expect![[r#"
                [
                  {
                    "extra": "12 rounds",
                    "name": "scan <b>\\u{1b}[31m corpus mine: backends.a|b<script>\\u{202e}.p99",
                    "range": "3.99327e-3 to 3.99750e-3",
                    "unit": "s",
                    "value": 0.00399536238899671
                  },
                  {
                    "extra": "12 rounds",
                    "name": "scan <b>\\u{1b}[31m corpus mine: cpu_seconds_user",
                    "range": "0.500000 to 0.500000",
                    "unit": "s",
                    "value": 0.5
                  },
                  {
                    "extra": "12 rounds",
                    "name": "scan <b>\\u{1b}[31m corpus mine: seconds",
                    "range": "0.598991 to 0.599624",
                    "unit": "s",
                    "value": 0.5993043583495061
                  }
                ]"#]],
        );
        check(
            &github(&sample::report(1.0), Better::More),
            &expect![[r#"
            [
              {
                "extra": "12 rounds",
                "name": "scan <b>\\u{1b}[31m corpus mine: files_per_s",
                "range": "100.062658 to 100.168481",
                "unit": "files/s",
                "value": 100.11607485258573
              },
              {
                "name": "scan <b>\\u{1b}[31m corpus mine: tpr",
                "unit": "share",
                "value": 0.9
              }
            ]"#]],
        );
    }

    #[test]
    fn hyperfines_schema_has_a_result_for_each_side() {
        let found = hyperfine(&sample::report(1.0));
        let results = found["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        for result in results {
            let (times, codes) = (result["times"].as_array().unwrap(), result["exit_codes"].as_array().unwrap());
            assert_eq!((times.len(), codes.len(), result["memory_usage_byte"].as_array().unwrap().len() % 12), (12, 12, 0));
            let number = |key: &str| result[key].as_f64().unwrap();
            assert!(number("min") <= number("median") && number("median") <= number("max") && number("stddev") > 0.0);
            assert_eq!((number("user"), number("system"), result["parameters"].is_object()), (0.5, 0.0, true));
        }
        assert_eq!(results[1]["command"], "old.toml");
    }

    #[test]
    fn junit_has_a_case_for_each_gate() {
        let found = junit(&sample::report(0.5)).unwrap();
        expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="sim bench" tests="3" skipped="1" failures="2" errors="0">
                <testsuite name="scan &lt;b&gt;\u{1b}[31m corpus mine" tests="3" skipped="1" errors="0" failures="2">
                    <properties>
                        <property name="backends.a|b&lt;script&gt;\u{202e}.p99" value="0.007993572809948495"/>
                        <property name="cpu_seconds_user" value="0.5"/>
                        <property name="files_per_s" value="50.04020223624856"/>
                        <property name="seconds" value="1.1990359214922734"/>
                        <property name="tpr" value="0.9"/>
                        <property name="verdicts_sha256" value="abababababababababababababababababababababababababababababababab"/>
                    </properties>
                    <testcase name="files_per_s &gt;= base * 0.95" classname="sim.bench.scan">
                        <failure message="50.04 files/s, and the bound is 95.11 files/s; by its rounds -47.4 % off, between -47.4 % and -47.3 % (99.38 % confidence, 12 rounds)" type="gate"/>
                        <system-out>50.04 files/s, and the bound is 95.11 files/s; by its rounds -47.4 % off, between -47.4 % and -47.3 % (99.38 % confidence, 12 rounds)</system-out>
                    </testcase>
                    <testcase name="tpr &gt;= base - 1%" classname="sim.bench.scan">
                        <failure message="90.00 % is not &gt;= 99.00 %" type="gate"/>
                        <system-out>90.00 % is not &gt;= 99.00 %</system-out>
                    </testcase>
                    <testcase name="load_seconds &lt;= 2s" classname="sim.bench.scan">
                        <skipped message="cannot be told on this machine: there is no `load_seconds` here: it is not defined for this input, or the system does not tell"/>
                        <system-out>there is no `load_seconds` here: it is not defined for this input, or the system does not tell</system-out>
                    </testcase>
                </testsuite>
            </testsuites>
        "#]].assert_eq(&found);
        assert!(quick_junit::Report::deserialize(found.as_bytes()).is_ok());
    }
}
