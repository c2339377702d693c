//! Words for a terminal: foreign text made safe to print, the nearest known name, wrapped lines.
//!
//! What is printed is decided in `commands`.

use std::{fmt::Write as _, path::Path};

/// Characters of a foreign value that a message shows.
const SHOWN: usize = 60;

/// The width that text is laid out for.
pub const WIDTH: usize = 80;

/// A text with control and bidi characters escaped; everything else stays as it is.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character.is_control() || is_invisible(character) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out
}

/// A path as a message shows it: escaped, but whole.
pub fn shown(path: &Path) -> String {
    let mut out = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        out.push_str(&plain(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// A foreign value in backticks, escaped and cut to about 60 characters.
pub fn quote(value: &str) -> String {
    if value.is_empty() { "empty".to_owned() } else { format!("`{}`", cut(value, SHOWN)) }
}

/// At most `limit` characters of `text`, escaped; `…` stands for the rest.
pub fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", plain(&text[..end])),
        None => plain(text),
    }
}

/// Characters that reorder or hide the text around them in a terminal.
pub fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        || is_none(character)
}

/// True for what Unicode says will never be a character; XML knows no way to write some of them.
fn is_none(character: char) -> bool {
    matches!(character, '\u{fdd0}'..='\u{fdef}') || u32::from(character) & 0xfffe == 0xfffe
}

/// The known name that `name` was probably meant to be.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance is quadratic; nobody mistypes a name of hundreds of characters.
    if name.len() > 100 {
        return None;
    }
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known))
        .min()
        .filter(|(distance, known)| *distance <= (known.chars().count() / 3).max(1))
        .map(|(_, known)| known)
}

/// The known names that `name` was probably meant to be: the nearest one, and those that it is a part of or that are a part of
/// it; four at most.
pub fn nearest_few<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let part = |known: &&str| name.len() > 2 && (known.contains(name) || name.contains(*known));
    let mut few: Vec<String> = nearest(name, known.clone()).into_iter().chain(known.filter(part)).map(str::to_owned).collect();
    few.dedup();
    few.truncate(4);
    few
}

/// A number with a comma between thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A moment in Unix seconds as text; the bare number outside the calendar.
pub fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |moment| moment.to_string())
}

/// `text` in lines of at most `width` characters, broken between words.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("one line at least");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// NCT with four decimals and groups; with its sign for a change.
pub(crate) fn nct(amount: f64, signed: bool) -> String {
    if !amount.is_finite() {
        return "-".to_owned();
    }
    let text = format!("{:.4}", amount.abs());
    let (whole, fraction) = text.split_once('.').expect("four decimals were asked for");
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), thousands);
    let negative = amount < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    let sign = match (signed, negative) {
        (_, true) => "-",
        (true, false) => "+",
        (false, false) => "",
    };
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_cannot_drive_the_terminal() {
        assert_eq!(quote("a\x1b[31m\u{202e}b\n"), "`a\\u{1b}[31m\\u{202e}b\\n`");
        assert_eq!(quote(&"é".repeat(61)), format!("`{}…`", "é".repeat(60)));
        assert_eq!(plain("\u{fffe}\u{1ffff}\u{fffd}"), "\\u{fffe}\\u{1ffff}\u{fffd}");
        assert_eq!(quote(""), "empty");
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("cuont", ["count", "amount"]), Some("count"));
        assert_eq!(nearest("colour", ["count", "amount"]), None);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
