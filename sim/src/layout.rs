//! Tables and paragraphs within the width of a terminal.
//!
//! What goes to a file or a pipe is laid out whole, so that it is the same bytes everywhere; `COLUMNS` in the environment holds
//! wherever the text goes. A table that is too wide goes on below itself with its other columns, under the first one again; what
//! does not fit even so is left out, the last columns first, and named.

use std::{
    env,
    io::{IsTerminal as _, stdout},
    sync::OnceLock,
};

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use crate::text::{WIDTH, wrapped};

/// Columns that a terminal is taken to have at least.
const LEAST: usize = 20;
/// Parts of a table that stand below each other.
const PARTS: usize = 3;
/// At the end of a line: the sentence goes on in the next one. No foreign text has it, for it is a control character.
pub const SOFT: &str = "\u{b}";

/// Columns that a sentence in a table is given at least.
const SENTENCE: usize = 24;

/// The width of what stdout goes to, in columns; none if that is no terminal.
pub fn width() -> Option<usize> {
    static WIDTH: OnceLock<Option<usize>> = OnceLock::new();
    *WIDTH.get_or_init(|| {
        let asked = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let found = || terminal_size::terminal_size_of(stdout()).map(|(width, _)| usize::from(width.0));
        asked.or_else(found).filter(|&columns| columns > 0).map(|columns| columns.max(LEAST))
    })
}

/// The width of the terminal that stderr is, if it is one.
pub fn of_stderr() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| usize::from(width.0))
}

/// The width that sentences are wrapped to.
pub fn of_sentences() -> usize {
    width().map_or(WIDTH, |width| width.min(WIDTH))
}

/// Whether stderr is a terminal that takes colours, and nobody forbade them.
pub fn stderr_takes_colours() -> bool {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && (set("CLICOLOR_FORCE") || std::io::stderr().is_terminal() && !is_dumb())
}

/// True for a terminal that knows no codes.
pub fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// The lines of a table, without blanks at their ends, within `width`.
pub fn lines(table: &Table, width: Option<usize>) -> String {
    let whole = drawn(table);
    match width {
        Some(width) if whole.lines().any(|line| line.chars().count() > width) => folded_table(table, width),
        _ => whole,
    }
}

fn drawn(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A column as wide as it likes to be.
struct Wish {
    columns: usize,
    /// Whether it may be wrapped.
    sentence: bool,
}

fn wishes(table: &Table) -> Vec<Wish> {
    let padding = table.column_iter().map(|column| usize::from(column.padding_width()));
    let wide = table.column_max_content_widths().into_iter().map(usize::from);
    let sentence = |at: usize| table.column_cells_iter(at).flatten().any(|cell| cell.content().trim().matches(' ').count() >= 3);
    let last = table.column_iter().count().saturating_sub(1);
    let wish = |(at, (content, padding))| Wish { columns: content + padding, sentence: at == last && at > 0 && sentence(at) };
    wide.zip(padding).enumerate().map(wish).collect()
}

/// A table in parts, one below the other, each with the first column and some of the others.
fn folded_table(table: &Table, width: usize) -> String {
    let wishes = wishes(table);
    let first = match wishes[0].columns {
        // Names in pieces are hard to read.
        whole if whole <= 3 * width / 5 => whole,
        _ => (width / 3).max(18).min(width / 2),
    };
    let mut parts: Vec<(Vec<usize>, usize)> = Vec::new();
    for (at, wish) in wishes.iter().enumerate().skip(1) {
        let needed = if wish.sentence { wish.columns.min(SENTENCE) } else { wish.columns };
        match parts.last_mut() {
            // The blank at the end of a line is not printed.
            Some((columns, used)) if *used + needed <= width + 1 => {
                columns.push(at);
                *used += needed;
            }
            _ => parts.push((vec![at], first + needed)),
        }
    }
    let left_out: Vec<usize> = parts.split_off(PARTS.min(parts.len())).into_iter().flat_map(|(columns, _)| columns).collect();
    let parts: Vec<String> = parts.iter().map(|(columns, _)| drawn(&part(table, columns, first, &wishes, width))).collect();
    let mut out = parts.join("\n");
    if !left_out.is_empty() {
        let name = |at: usize| table.header().and_then(|header| header.cell_iter().nth(at)).map(|cell| cell.content().trim().to_owned());
        let called = |name: String| if name.is_empty() { "notes".to_owned() } else { name };
        let names: Vec<String> = left_out.into_iter().filter_map(name).map(called).collect();
        let said = format!("  (no room for: {}; a wider terminal has it, or --format json)\n", names.join(", "));
        out.push_str(&folded(&said, Some(width)));
    }
    out
}

/// The first column and some others.
fn part(table: &Table, columns: &[usize], first: usize, wishes: &[Wish], width: usize) -> Table {
    let mut part = table.clone();
    let fixed = |columns: usize| ColumnConstraint::UpperBoundary(Width::Fixed(u16::try_from(columns).unwrap_or(u16::MAX)));
    for (at, column) in part.column_iter_mut().enumerate() {
        column.set_constraint(match at {
            0 => fixed(first),
            at if !columns.contains(&at) => ColumnConstraint::Hidden,
            at if wishes[at].sentence || first + wishes[at].columns > width + 1 => fixed(width + 1 - first),
            _ => ColumnConstraint::ContentWidth,
        });
    }
    part.set_width(u16::try_from(width + 1).unwrap_or(u16::MAX)).set_content_arrangement(ContentArrangement::Dynamic);
    part
}

/// How a column's cells stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows as aligned columns, two spaces apart; what the last column cannot hold within [`of_sentences`] is wrapped.
pub fn columns(aligns: &[Align], rows: &[Vec<String>]) -> String {
    columns_within(aligns, rows, width())
}

fn columns_within(aligns: &[Align], rows: &[Vec<String>], within: Option<usize>) -> String {
    let sentences = within.map_or(WIDTH, |within| within.min(WIDTH));
    let width = |text: &str| text.chars().count();
    let widths: Vec<usize> =
        (0..aligns.len()).map(|index| rows.iter().filter_map(|row| row.get(index)).map(|cell| width(cell)).max().unwrap_or(0)).collect();
    let last = aligns.len().saturating_sub(1);
    let indent: usize = widths[..last].iter().map(|width| width + 2).sum();
    let wraps = aligns[last] == Align::Left;
    let least = indent + if wraps { widths[last].min(SENTENCE) } else { widths[last] };
    match within {
        Some(within) if least > within && wraps && last == 1 => return listed(rows, within),
        Some(within) if least > within => return lines(&boxed(aligns, rows), Some(within)),
        _ => {}
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[index].saturating_sub(width(cell)));
            match aligns[index] {
                Align::Left if index == last => {
                    line.push_str(&wrapped(cell, sentences.saturating_sub(indent).max(SENTENCE)).join(&format!("\n{:indent$}", "")))
                }
                Align::Left => line.extend([cell.as_str(), &padding]),
                Align::Right => line.extend([padding.as_str(), cell]),
            }
            if index < last {
                line.push_str("  ");
            }
        }
        out.extend([line.trim_end(), "\n"]);
    }
    out
}

/// Names and what they mean, where there is no room for that beside them.
fn listed(rows: &[Vec<String>], within: usize) -> String {
    let mut out = String::new();
    for row in rows {
        let Some((name, meaning)) = row.split_first() else { continue };
        out.extend([name.as_str(), "\n"]);
        for line in meaning.iter().flat_map(|meaning| wrapped(meaning, within.saturating_sub(4).max(1))) {
            out.extend(["    ", &line, "\n"]);
        }
    }
    out
}

/// Rows, the first of them the header, as a table that can be folded.
fn boxed(aligns: &[Align], rows: &[Vec<String>]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if let Some((header, rows)) = rows.split_first() {
        table.set_header(header).add_rows(rows);
    }
    for (column, align) in table.column_iter_mut().zip(aligns) {
        if *align == Align::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    table
}

/// `text` with lines that are too long broken between words and indented as what they stand behind. The command that repeats
/// a run stays in one piece.
///
/// Where a line ends in [`SOFT`], it goes on in the next: in one piece where lines are folded, else as if nothing were there.
pub fn folded(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.replace(SOFT, "") };
    let mut out = String::with_capacity(text.len());
    for line in joined(text).lines() {
        if line.chars().count() <= width || line.starts_with("Repeat ") {
            out.extend([line, "\n"]);
            continue;
        }
        let own = line.len() - line.trim_start().len();
        let (head, tail) = line.split_at(hanging(line, own, width));
        let indent = if head.len() > own { head.chars().count() } else { own + 2 };
        let rows = wrapped(tail, width.saturating_sub(indent.max(head.chars().count())).max(1));
        out.extend([head, &rows.join(&format!("\n{:indent$}", "")), "\n"]);
    }
    out
}

/// The text with lines that go on in the next joined to it.
fn joined(text: &str) -> String {
    let mut pieces = text.split(SOFT);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, next| text + " " + next.trim_start())
}

/// Where the words of a line begin that may be wrapped: behind its indentation, or behind the gap after a label.
fn hanging(line: &str, indent: usize, width: usize) -> usize {
    let ends = line.char_indices().map(|(at, _)| at).filter(|&at| line[..at].ends_with("  ") && !line[at..].starts_with(' '));
    ends.filter(|&at| at > indent && at <= 2 * width / 3).max().unwrap_or(indent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: usize, sentence: &str) -> Table {
        let mut table = Table::new();
        let names: Vec<String> = (0..columns).map(|at| format!("figure {at}")).chain(["meaning".to_owned()]).collect();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(names);
        table.add_row((0..columns).map(|at| format!("1,234.567{at}")).chain([sentence.to_owned()]));
        for column in table.column_iter_mut().skip(1).take(columns - 1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    #[test]
    fn a_table_that_fits_is_left_alone() {
        let table = table(4, "what it means");
        assert_eq!(lines(&table, None), lines(&table, Some(200)));
        assert_eq!(lines(&table, None).lines().count(), 2);
    }

    #[test]
    fn nothing_is_wider_than_the_terminal_and_what_is_left_out_is_named() {
        let table = table(8, "a sentence of quite a few words that goes on and on");
        for width in [20, 30, 40, 60, 80, 100] {
            let text = lines(&table, Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
            let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for at in 0..8 {
                assert!(folded.contains(&format!("figure {at}")), "figure {at} is nowhere at {width}:\n{text}");
            }
            assert_eq!(text.contains("(no room for"), width < 60, "{width}:\n{text}");
        }
    }

    #[test]
    fn columns_stand_in_line_and_the_last_one_wraps() {
        let rows = [vec!["a".to_owned(), "10".to_owned(), "word ".repeat(16)], vec!["long".to_owned(), "9".to_owned(), "x".to_owned()]];
        let text = columns_within(&[Align::Left, Align::Right, Align::Left], &rows, None);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.ends_with("\nlong   9  x\n"), "{text}");
    }

    #[test]
    fn where_there_is_no_room_beside_a_name_its_meaning_stands_below() {
        let rows = [["a-name-of-some-length", "one two three"], ["b", "four"]].map(|row| row.map(str::to_owned).to_vec());
        let text = columns_within(&[Align::Left, Align::Left], &rows, Some(20));
        assert_eq!(text, "a-name-of-some-length\n    one two three\nb\n    four\n");
    }

    #[test]
    fn paragraphs_hang_under_their_first_word() {
        let text =
            "  Corpus   one two three four five six\nRepeat   sim replay with a long line that is to be copied\nplain words to break\n";
        assert_eq!(
            folded(text, Some(20)),
            "  Corpus   one two\n           three\n           four five\n           six\nRepeat   sim replay with a long line that is to be copied\nplain words to break\n"
        );
        assert_eq!(folded("a sentence that is wrapped\n", Some(14)), "a sentence\n  that is\n  wrapped\n");
        assert_eq!(folded(text, None), text);
        let broken = format!("  one sentence{SOFT}\n  in two lines\nanother\n");
        assert_eq!(folded(&broken, Some(40)), "  one sentence in two lines\nanother\n");
        assert_eq!(folded(&broken, None), "  one sentence\n  in two lines\nanother\n");
    }
}
