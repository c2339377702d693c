//! The report as a page: one file with everything in it, for a browser without a network.
//!
//! Every figure comes from what a command wrote, none is computed here. All numbers are in tables, so the page says the same
//! without its script, which draws the same figures as charts. Foreign text goes through [`mod@crate::text`], and the templates
//! escape it.

mod compare; // a comparison
mod explain; // an explanation, alone or in a run
mod run; // a run
mod sweep; // a sweep
mod tournament; // a tournament
mod walkforward; // an evaluation in time

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::{
    look,
    money::Money,
    report::{interval, nct, percent},
    results::{Content, Results},
    text::{self, cut},
};

/// What draws the charts.
const SCRIPT: &str = include_str!("../assets/report.js");
/// Characters of a foreign name that are shown.
const NAME: usize = 60;
/// Characters of a foreign sentence that are shown.
const SENTENCE: usize = 4_000;
/// Rows of a table; a longer one says where all are.
const ROWS: usize = 250;

/// The page about results, one after the other; several are compared first.
pub fn page(all: &[Results]) -> String {
    let title = match all {
        [one] => title(one),
        several => format!("{} results", several.len()),
    };
    let exhibits: Vec<(String, Vec<Section>)> = all.iter().map(|results| (self::title(results), sections(results))).collect();
    let side_by_side = (all.len() > 1).then(|| run::side_by_side(all)).flatten();
    let policy = look::policy(&[look::CHARTS, SCRIPT], &[look::STYLE]);
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(look::STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.masthead {
                    div {
                        h1 { (title) }
                        @if let [one] = all { p { (subtitle(one)) } }
                    }
                    label.screen #theme hidden {
                        "Colours"
                        select { option value="" { "as the system" } option value="light" { "light" } option value="dark" { "dark" } }
                    }
                    nav aria-label="Contents" { (contents(&exhibits, side_by_side.is_some())) }
                }
                main #main {
                    @if let Some(side) = &side_by_side { section.card #compared aria-labelledby="compared-title" { h2 #compared-title { "Side by side" } (side) } }
                    @for (number, (name, sections)) in (1..).zip(&exhibits) {
                        @if all.len() > 1 {
                            header #{"r" (number)} { h2 { (name) } p.muted { (subtitle(&all[number - 1])) } }
                        }
                        @for section in sections { (section.card(number, all.len() > 1)) }
                    }
                }
                footer.footer {
                    p { "Written by sim " (env!("CARGO_PKG_VERSION")) ". Figures are those of the files that it read; amounts are in NCT (Nectar)." }
                    noscript { p { "Charts need scripts; every figure is in the tables, too." } }
                }
                script { (PreEscaped(look::CHARTS)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    body.into_string()
}

fn title(results: &Results) -> String {
    match &results.content {
        Content::Run(run, _) => run::title(run),
        Content::Comparison(comparison) => format!("Comparison on {}", cut(&comparison.corpus.name, NAME)),
        Content::WalkForward(walked) => format!("Walk forward on {}", cut(&walked.corpus.name, NAME)),
        Content::Tournament(tournament) => format!("Tournament on {}", cut(&tournament.corpus.name, NAME)),
        Content::Sweep(summary) => format!("Sweep on {}", cut(&summary.corpus.name, NAME)),
        Content::Explanation(explanation) => {
            format!("Why {} earned what it earned on {}", cut(&explanation.engine, NAME), cut(&explanation.corpus.name, NAME))
        }
    }
}

fn subtitle(results: &Results) -> Markup {
    html! { "From " code { (text::shown(&results.path)) } }
}

fn sections(results: &Results) -> Vec<Section> {
    match &results.content {
        Content::Run(run, explanation) => run::sections(run, explanation.as_deref().map_err(|why| *why), &results.path),
        Content::Comparison(comparison) => compare::sections(comparison),
        Content::WalkForward(walked) => walkforward::sections(walked),
        Content::Tournament(tournament) => tournament::sections(tournament),
        Content::Sweep(summary) => sweep::sections(summary, &results.path),
        Content::Explanation(explanation) => explain::sections(explanation),
    }
}

fn contents(exhibits: &[(String, Vec<Section>)], compared: bool) -> Markup {
    html! {
        ol {
            @if compared { li { a href="#compared" { "Side by side" } } }
            @if let [(_, sections)] = exhibits {
                @for section in sections { li { a href={"#r1-" (section.id)} { (section.title) } } }
            } @else {
                @for (number, (name, _)) in (1..).zip(exhibits) { li { a href={"#r" (number)} { (name) } } }
            }
        }
    }
}

/// A part of the page under one heading.
struct Section {
    id: &'static str,
    title: &'static str,
    body: Markup,
}

impl Section {
    fn new(id: &'static str, title: &'static str, body: Markup) -> Section {
        Section { id, title, body }
    }

    /// The card of the section; beside others, its heading is one of theirs.
    fn card(&self, number: usize, beside_others: bool) -> Markup {
        let id = format!("r{number}-{}", self.id);
        let title = format!("{id}-title");
        html! {
            section.card id=(id) aria-labelledby=(title) {
                @if beside_others { h3 id=(title) { (self.title) } } @else { h2 id=(title) { (self.title) } }
                (self.body)
            }
        }
    }
}

/// A column of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    /// Of text.
    Text(&'static str),
    /// Of numbers.
    Number(&'static str),
}

use Column::{Number, Text};

/// A table with its caption; the first cell of a row names it. Of too many rows the first are shown.
fn table(caption: &str, columns: &[Column], rows: impl IntoIterator<Item = Vec<Markup>>) -> Markup {
    let rows: Vec<Vec<Markup>> = rows.into_iter().collect();
    let numeric = |place: usize| matches!(columns.get(place), Some(Number(_)));
    html! {
        div.scroll.tall[rows.len() > 25] tabindex="0" role="region" aria-label=(caption) {
            table {
                caption {
                    (caption)
                    @if rows.len() > ROWS { "; the first " (ROWS) " of " (text::thousands(rows.len() as u64)) " rows: the file has all" }
                }
                thead { tr {
                    @for column in columns {
                        @match column { Text(name) => th scope="col" { (name) }, Number(name) => th.number scope="col" { (name) } }
                    }
                } }
                tbody {
                    @for row in rows.iter().take(ROWS) {
                        tr {
                            @for (place, cell) in row.iter().enumerate() {
                                @if place == 0 { th class=(if numeric(0) { "number" } else { "name" }) scope="row" { (cell) } }
                                @else if numeric(place) { td.number { (cell) } }
                                @else { td.name { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A chart, what it shows in words, and the same as a table.
struct Chart {
    /// What the script draws.
    kind: &'static str,
    title: String,
    /// What to know when looking at it.
    note: String,
    /// What there is to see, for who cannot see it.
    summary: String,
    data: Value,
    /// `tall`, `short`, or nothing.
    size: &'static str,
}

impl Chart {
    fn new(kind: &'static str, title: impl Into<String>, summary: impl Into<String>, data: Value) -> Chart {
        Chart { kind, title: title.into(), note: String::new(), summary: summary.into(), data, size: "" }
    }

    fn note(self, note: impl Into<String>) -> Chart {
        Chart { note: note.into(), ..self }
    }

    fn size(self, size: &'static str) -> Chart {
        Chart { size, ..self }
    }

    /// With the table folded away.
    fn over(self, table: &Markup) -> Markup {
        html! { figure { (self.drawn()) details { summary { "The same as a table" } (table) } } }
    }

    /// Beside a table that stands open anyway.
    fn alone(self) -> Markup {
        html! { figure { (self.drawn()) } }
    }

    fn drawn(&self) -> Markup {
        html! {
            figcaption { (self.title) @if !self.note.is_empty() { small { (self.note) } } }
            div class={"chart " (self.size)} data-chart=(self.kind) role="img" aria-label={(self.title) ". " (self.summary)} {}
            script type="application/json" { (PreEscaped(embedded(&self.data))) }
        }
    }
}

/// JSON that can stand in a script element, whatever texts are in it.
fn embedded(data: &Value) -> String {
    let escaped = [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];
    escaped.iter().fold(data.to_string(), |text, (character, escape)| text.replace(*character, escape))
}

/// Figures that are read first: what they are called, what they are, what they mean.
fn figures(all: &[(&str, Markup, String)]) -> Markup {
    html! {
        dl.figures {
            @for (name, value, note) in all { div { dt { (name) } dd { (value) } @if !note.is_empty() { dd { (note) } } } }
        }
    }
}

/// Names and what they stand for.
fn facts(all: &[(&str, Markup)]) -> Markup {
    html! { dl.facts { @for (name, value) in all { dt { (name) } dd { (value) } } } }
}

/// What to know before believing anything.
fn warnings(all: &[String]) -> Markup {
    html! {
        @if !all.is_empty() {
            div.notice.warn role="note" aria-label="Warnings" {
                @if let [one] = all { strong { "Warning: " } (sentence(one)) }
                @else { strong { "Warnings" } ul { @for warning in all.iter().take(50) { li { (sentence(warning)) } } } }
            }
        }
    }
}

/// A name from a file, isolated from the direction of the text around it.
fn name(text: &str) -> Markup {
    html! { bdi { (cut(text, NAME)) } }
}

/// A longer text from a file; what stands in backticks is for a program.
fn sentence(text: &str) -> Markup {
    let text = cut(text, SENTENCE);
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { bdi { (part) } } } @else { bdi { (part) } }
        }
    }
}

/// Something for a program, as a command.
fn code(text: &str) -> Markup {
    html! { code { bdi { (cut(text, SENTENCE)) } } }
}

fn plain(text: impl Into<String>) -> Markup {
    let text = text.into();
    html! { (text) }
}

fn count(number: u64) -> Markup {
    plain(text::thousands(number))
}

/// NCT with its sign, green above zero and red below.
fn signed(amount: f64) -> Markup {
    let text = nct(amount, true);
    match text.as_bytes() {
        [b'-', ..] if text.len() > 1 => html! { span.bad { (text) } },
        [b'+', rest @ ..] if rest.iter().any(|byte| (b'1'..=b'9').contains(byte)) => html! { span.good { (text) } },
        _ => plain(text),
    }
}

fn change(money: &Money) -> Markup {
    signed(money.nct)
}

fn amount(amount: f64) -> Markup {
    plain(nct(amount, false))
}

fn share(share: Option<f64>) -> Markup {
    plain(percent(share))
}

/// The command and the hashes that make the same again.
fn reproduce(command: &str, note: &str, all: &[(&str, Markup)]) -> Markup {
    html! {
        p { (note) }
        pre tabindex="0" { code { bdi { (cut(command, SENTENCE)) } } }
        (facts(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_place() {
        let hostile = "</script><!--<img src=x onerror=alert(1)>&\u{2028}\u{2029}";
        let data = serde_json::json!({ hostile: hostile });
        let text = embedded(&data);
        assert!(!text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), data, "it is the same to who reads it");
        let shown = name(hostile).into_string();
        assert_eq!(shown, "<bdi>&lt;/script&gt;&lt;!--&lt;img src=x onerror=alert(1)&gt;&amp;\\u{2028}\\u{2029}</bdi>");
        assert_eq!(name(&"x".repeat(10_000)).into_string().len(), "<bdi></bdi>".len() + NAME + "…".len());
        assert_eq!(sentence("say `a<b` \0").into_string(), "<bdi>say </bdi><code><bdi>a&lt;b</bdi></code><bdi> \\u{0}</bdi>");
    }

    #[test]
    fn signs_have_colours_and_nothing_has_none() {
        assert_eq!(signed(1.0).into_string(), r#"<span class="good">+1.0000</span>"#);
        assert_eq!(signed(-0.5).into_string(), r#"<span class="bad">-0.5000</span>"#);
        assert_eq!([signed(0.0), signed(-0.000_01), signed(f64::NAN)].map(Markup::into_string), ["+0.0000", "+0.0000", "-"]);
    }

    #[test]
    fn a_table_that_is_too_long_says_so() {
        let rows = (0..ROWS + 5).map(|row| vec![plain(format!("row {row}")), count(row as u64)]);
        let page = table("All", &[Text("name"), Number("count")], rows).into_string();
        assert!(page.contains("the first 250 of 255 rows") && page.contains("row 249") && !page.contains("row 250"));
        assert!(
            page.contains(r#"role="region" aria-label="All""#) && page.contains(r#"<th class="name" scope="row">row 0</th>"#),
            "{page:.900}"
        );
    }
}
