//! Words for error messages: foreign text made safe to print, and the nearest known name.
//!
//! The sentences themselves live in `error`.

use std::fmt::Write as _;
use std::path::Path;

/// Characters of a foreign value that a message shows.
const SHOWN: usize = 60;

/// Characters of another library's message that a message shows.
const SHOWN_OF_CAUSE: usize = 200;

/// A foreign value in backticks: control and bidi characters escaped, cut to about 60 characters.
pub(crate) fn quote(value: impl AsRef<[u8]>) -> String {
    let value = value.as_ref();
    if value.is_empty() {
        return "empty".to_owned();
    }
    // Four bytes is the longest character, so this prefix always holds enough of them; the rest is never looked at.
    let prefix = &value[..value.len().min(4 * (SHOWN + 1))];
    let mut out = String::from("`");
    if escape(prefix, SHOWN, &mut out) || prefix.len() < value.len() {
        out.push('…');
    }
    out.push('`');
    out
}

/// A path as a message shows it: escaped like a value, but whole.
pub(crate) fn shown(path: &Path) -> String {
    let mut out = String::new();
    escape(path.as_os_str().as_encoded_bytes(), usize::MAX, &mut out);
    out
}

/// Another library's message as part of ours: one line, no final full stop, not endless.
pub(crate) fn cause(message: &str) -> String {
    let mut out = String::new();
    let words: Vec<&str> = message.split_whitespace().collect();
    let words = words.join(" ");
    for character in words.trim_end_matches('.').chars().take(SHOWN_OF_CAUSE) {
        // It quotes our input, and it may hold backticks of its own.
        if !character.is_control() && !is_invisible(character) {
            out.push(character);
        }
    }
    out
}

/// The known name that `name` was probably meant to be.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // The distance is quadratic; nobody mistypes a name of hundreds of characters.
    if name.len() > 100 {
        return None;
    }
    let lower = name.to_lowercase();
    known
        .into_iter()
        .filter(|known| known.len() <= 100)
        .map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known))
        .min()
        .filter(|(distance, known)| *distance <= (known.chars().count() / 3).max(1))
        .map(|(_, known)| known.to_owned())
}

/// `` (the nearest is `x`)``, or nothing.
pub(crate) fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (the nearest is {})", quote(name))).unwrap_or_default()
}

/// Escapes up to `limit` characters into `out`; true if some were left over.
fn escape(bytes: &[u8], limit: usize, out: &mut String) -> bool {
    let mut left = limit;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if left == 0 {
                return true;
            }
            left -= 1;
            match character {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '`' | '\\' => out.extend(['\\', character]),
                _ if character.is_control() || is_invisible(character) => {
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
                }
                _ => out.push(character),
            }
        }
        for byte in chunk.invalid() {
            if left == 0 {
                return true;
            }
            left -= 1;
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    false
}

/// Characters that reorder or hide the text around them in a terminal.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_cannot_drive_the_terminal() {
        assert_eq!(quote("plain"), "`plain`");
        assert_eq!(quote(""), "empty");
        assert_eq!(quote("a\x1b[31m\u{202e}b\n"), "`a\\u{1b}[31m\\u{202e}b\\n`");
        assert_eq!(quote(b"\xff`\\"), "`\\xff\\`\\\\`");
    }

    #[test]
    fn a_quoted_value_is_cut_to_sixty_characters() {
        assert_eq!(quote("é".repeat(60)).chars().count(), 62);
        assert_eq!(quote("é".repeat(61)), format!("`{}…`", "é".repeat(60)));
        assert_eq!(quote("x".repeat(1 << 20)), format!("`{}…`", "x".repeat(60)));
    }

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["sha256", "label", "first_seen"];
        assert_eq!(nearest("fisrt_seen", known).as_deref(), Some("first_seen"));
        assert_eq!(nearest("SHA256", known).as_deref(), Some("sha256"));
        assert_eq!(nearest("colour", known), None);
    }
}
