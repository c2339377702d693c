//! One cell of text and the value it stands for.
//!
//! Nothing here knows files or lines: a refused cell is `Err(Refused)`, and the reader says where.

use std::path::{Path, PathBuf};

use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, tz::TimeZone};

use crate::artifact::Truth;
use crate::manifest::is_inside;

/// The cell holds something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

pub(crate) fn truth(cell: &[u8]) -> Result<Truth, Refused> {
    match cell {
        b"malicious" => Ok(Truth::Malicious),
        b"benign" => Ok(Truth::Benign),
        _ => Err(Refused),
    }
}

/// `1`, `0` or empty.
pub(crate) fn verdict(cell: &[u8]) -> Result<Option<bool>, Refused> {
    match cell {
        b"" => Ok(None),
        b"0" => Ok(Some(false)),
        b"1" => Ok(Some(true)),
        _ => Err(Refused),
    }
}

/// A number in `0..=1`, or empty.
pub(crate) fn confidence(cell: &[u8]) -> Result<Option<f32>, Refused> {
    if cell.is_empty() {
        return Ok(None);
    }
    let number = std::str::from_utf8(cell).ok().and_then(|text| text.parse().ok()).ok_or(Refused)?;
    unit_interval(number).map(Some)
}

/// Holds a confidence to `0..=1`; a NaN is outside.
pub(crate) fn unit_interval(number: f32) -> Result<f32, Refused> {
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err(Refused) }
}

/// Decimal digits, or empty.
pub(crate) fn size(cell: &[u8]) -> Result<Option<u64>, Refused> {
    if cell.is_empty() {
        return Ok(None);
    }
    let mut bytes: u64 = 0;
    for digit in cell {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Refused);
        }
        bytes = bytes.checked_mul(10).and_then(|b| b.checked_add(digit.into())).ok_or(Refused)?;
    }
    Ok(Some(bytes))
}

/// Unix seconds of an RFC 3339 time, of `YYYY-MM-DD HH:MM:SS` or `YYYY-MM-DD` in UTC, or empty.
///
/// A time with a `T` and no offset is refused: nothing says which clock it was read from.
pub(crate) fn time(cell: &[u8]) -> Result<Option<i64>, Refused> {
    if cell.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(cell).map_err(|_| Refused)?;
    let timestamp = match (text.len(), text.as_bytes().get(10)) {
        (10, _) => text.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC)).map(|zoned| zoned.timestamp()),
        (19, Some(b' ')) => text.parse::<DateTime>().and_then(|time| time.to_zoned(TimeZone::UTC)).map(|zoned| zoned.timestamp()),
        _ => text.parse::<Timestamp>(),
    };
    // Rounded down, before 1970 too.
    timestamp.map(|t| Some(t.as_nanosecond().div_euclid(1_000_000_000) as i64)).map_err(|_| Refused)
}

/// Unix seconds that a calendar can show.
pub(crate) fn seconds(seconds: i64) -> Result<i64, Refused> {
    Timestamp::from_second(seconds).map(|t| t.as_second()).map_err(|_| Refused)
}

/// A relative path of plain names, or empty.
pub(crate) fn path(cell: &str) -> Result<Option<PathBuf>, Refused> {
    match Path::new(cell) {
        _ if cell.is_empty() => Ok(None),
        path if is_inside(path) && !cell.contains('\0') => Ok(Some(path.to_owned())),
        _ => Err(Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_shapes_of_time_are_read_as_utc_seconds() {
        assert_eq!(time(b"2024-01-02T03:04:05Z"), Ok(Some(1_704_164_645)));
        assert_eq!(time(b"2024-01-02T04:04:05.9+01:00"), Ok(Some(1_704_164_645)));
        assert_eq!(time(b"2024-01-02 03:04:05"), Ok(Some(1_704_164_645)));
        assert_eq!(time(b"2024-01-02"), Ok(Some(1_704_153_600)));
        assert_eq!(time(b"1969-12-31T23:59:59.5Z"), Ok(Some(-1)));
        assert_eq!(time(b""), Ok(None));
    }

    #[test]
    fn other_shapes_of_time_are_refused() {
        for text in ["2024-01-02T03:04:05", "02/01/2024", "2024-13-01", "1704164645", "yesterday", "2024-02-30", "+02024-1-1"] {
            assert_eq!(time(text.as_bytes()), Err(Refused), "{text}");
        }
    }

    #[test]
    fn a_size_is_digits_that_fit() {
        assert_eq!(size(b"18446744073709551615"), Ok(Some(u64::MAX)));
        for text in ["18446744073709551616", "-1", "+1", "1.0", " 1", "1k"] {
            assert_eq!(size(text.as_bytes()), Err(Refused), "{text}");
        }
    }

    #[test]
    fn a_confidence_is_within_zero_and_one() {
        assert_eq!(confidence(b"0.25"), Ok(Some(0.25)));
        assert_eq!(confidence(b""), Ok(None));
        for text in ["1.01", "-0.1", "nan", "inf", "half"] {
            assert_eq!(confidence(text.as_bytes()), Err(Refused), "{text}");
        }
    }

    #[test]
    fn a_path_stays_below_the_folder() {
        assert_eq!(path("files/a.txt"), Ok(Some(PathBuf::from("files/a.txt"))));
        assert_eq!(path(""), Ok(None));
        for text in ["/etc/passwd", "../a", "a/../../b", ".", "a\0b"] {
            assert_eq!(path(text), Err(Refused), "{text}");
        }
    }
}
