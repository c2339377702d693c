//! The bound on one record: a reader that hands out bytes only up to a mark.
//!
//! The CSV parser grows its buffer for as long as a record goes on, so a file of one endless line
//! would take all memory. The mark is moved before every record.

use std::io::{self, Read};

/// A reader that stops, with an error, at a mark.
pub(crate) struct Gate<R> {
    inner: R,
    delivered: u64,
    mark: u64,
    /// The mark was hit.
    pub(crate) stopped: bool,
    /// The input is at its end.
    pub(crate) ended: bool,
    /// The last byte handed out.
    pub(crate) last: u8,
}

impl<R: Read> Gate<R> {
    pub(crate) fn new(inner: R) -> Gate<R> {
        Gate { inner, delivered: 0, mark: 0, stopped: false, ended: false, last: b'\n' }
    }

    /// Lets bytes through up to the position `mark`.
    pub(crate) fn open_to(&mut self, mark: u64) {
        self.mark = mark;
    }
}

impl<R: Read> Read for Gate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.mark.saturating_sub(self.delivered);
        if left == 0 {
            self.stopped = true;
            return Err(io::Error::other("record too long"));
        }
        let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..room])?;
        self.delivered += read as u64;
        match buffer[..read].last() {
            Some(last) => self.last = *last,
            None => self.ended = true,
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_passes_the_mark() {
        let mut gate = Gate::new(&b"abcdef"[..]);
        let mut buffer = [0; 16];
        gate.open_to(4);
        assert_eq!(gate.read(&mut buffer).unwrap(), 4);
        assert!(gate.read(&mut buffer).is_err());
        assert!(gate.stopped);
        gate.open_to(16);
        assert_eq!((gate.read(&mut buffer).unwrap(), gate.last, gate.ended), (2, b'f', false));
        assert_eq!((gate.read(&mut buffer).unwrap(), gate.ended), (0, true));
    }
}
