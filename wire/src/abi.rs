//! The contract ABI, as far as the contracts' calls need it: 32-byte words, texts and lists of words.
//!
//! Source: the Solidity ABI specification. Only canonical encodings are read, with one exception: eth-abi before version 4
//! (polyswarmd, polyswarm-client) pads an empty text with one word of zeros.

use alloy_primitives::U256;

/// Bytes of a word.
const WORD: usize = 32;

/// One argument.
pub(crate) enum Argument<'a> {
    Word(U256),
    Words(&'a [U256]),
    Text(&'a str),
}

/// Why an argument cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unreadable {
    TooShort,
    NotUtf8,
}

/// How an empty text is padded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmptyText {
    /// Not at all, as the specification has it.
    Bare,
    /// With a word of zeros, as eth-abi does.
    PaddedWord,
}

/// Encodes arguments: the heads, then what the heads of texts and lists point to.
pub(crate) fn encode(selector: [u8; 4], arguments: &[Argument<'_>], empty_text: EmptyText) -> Vec<u8> {
    let mut heads = selector.to_vec();
    let mut tail = Vec::new();
    for argument in arguments {
        match argument {
            Argument::Word(word) => push(&mut heads, *word),
            Argument::Words(words) => {
                push(&mut heads, U256::from(arguments.len() * WORD + tail.len()));
                push(&mut tail, U256::from(words.len()));
                words.iter().for_each(|word| push(&mut tail, *word));
            }
            Argument::Text(text) => {
                push(&mut heads, U256::from(arguments.len() * WORD + tail.len()));
                push(&mut tail, U256::from(text.len()));
                tail.extend_from_slice(text.as_bytes());
                let padding = match empty_text {
                    EmptyText::PaddedWord if text.is_empty() => WORD,
                    _ => text.len().next_multiple_of(WORD) - text.len(),
                };
                tail.resize(tail.len() + padding, 0);
            }
        }
    }
    heads.append(&mut tail);
    heads
}

fn push(bytes: &mut Vec<u8>, word: U256) {
    bytes.extend_from_slice(&word.to_be_bytes::<WORD>());
}

/// Reads arguments from front to back. What it reads is canonical only if encoding it again gives the same bytes.
pub(crate) struct Reader<'a> {
    arguments: &'a [u8],
    head: usize,
}

impl<'a> Reader<'a> {
    /// Reads the bytes after a selector.
    pub(crate) fn new(arguments: &'a [u8]) -> Reader<'a> {
        Reader { arguments, head: 0 }
    }

    /// The next argument, or the offset of the next text or list.
    pub(crate) fn word(&mut self) -> Result<U256, Unreadable> {
        let word = self.word_at(self.head)?;
        self.head += WORD;
        Ok(word)
    }

    /// The next argument, a list.
    pub(crate) fn words(&mut self) -> Result<Vec<U256>, Unreadable> {
        let (start, length) = self.offset_and_length()?;
        let bytes = length.checked_mul(WORD).and_then(|length| self.bytes(start, length));
        Ok(bytes.ok_or(Unreadable::TooShort)?.chunks_exact(WORD).map(U256::from_be_slice).collect())
    }

    /// The next argument, a text.
    pub(crate) fn text(&mut self) -> Result<&'a str, Unreadable> {
        let (start, length) = self.offset_and_length()?;
        let bytes = self.bytes(start, length).ok_or(Unreadable::TooShort)?;
        std::str::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)
    }

    /// Where the content of the next text or list starts, and its length in bytes or words.
    fn offset_and_length(&mut self) -> Result<(usize, usize), Unreadable> {
        let offset = usize::try_from(self.word()?).map_err(|_| Unreadable::TooShort)?;
        let length = usize::try_from(self.word_at(offset)?).map_err(|_| Unreadable::TooShort)?;
        Ok((offset + WORD, length))
    }

    fn word_at(&self, start: usize) -> Result<U256, Unreadable> {
        self.bytes(start, WORD).map(U256::from_be_slice).ok_or(Unreadable::TooShort)
    }

    fn bytes(&self, start: usize, length: usize) -> Option<&'a [u8]> {
        self.arguments.get(start..start.checked_add(length)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_own_example() {
        // `sam("dave", true, [1, 2, 3])`; a text is encoded as `bytes` are.
        let words = [1, 2, 3].map(U256::from);
        let arguments = [Argument::Text("dave"), Argument::Word(U256::from(1)), Argument::Words(&words)];
        let expected = "a5643bf2\
            0000000000000000000000000000000000000000000000000000000000000060\
            0000000000000000000000000000000000000000000000000000000000000001\
            00000000000000000000000000000000000000000000000000000000000000a0\
            0000000000000000000000000000000000000000000000000000000000000004\
            6461766500000000000000000000000000000000000000000000000000000000\
            0000000000000000000000000000000000000000000000000000000000000003\
            0000000000000000000000000000000000000000000000000000000000000001\
            0000000000000000000000000000000000000000000000000000000000000002\
            0000000000000000000000000000000000000000000000000000000000000003";
        let encoded = encode([0xa5, 0x64, 0x3b, 0xf2], &arguments, EmptyText::Bare);
        assert_eq!(hex::encode(&encoded), expected);
        let mut reader = Reader::new(&encoded[4..]);
        assert_eq!(reader.text(), Ok("dave"));
        assert_eq!(reader.word(), Ok(U256::from(1)));
        assert_eq!(reader.words().as_deref(), Ok(&words[..]));
    }
}
