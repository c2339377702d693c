//! Chance with a name: every draw is a function of its address, never of what was drawn before.
//!
//! An address is a list of words such as (seed, purpose, bounty, actor); its key is folded with SplitMix64's finaliser,
//! and the k-th draw of a stream is `mix64(key + k·G)`. So changing one actor shifts nobody else's luck, and no order
//! of evaluation or number of threads can change a result. Texts enter as FNV-1a.
//!
//! Sources: Steele, Lea, Flood 2014 (SplitMix64); Fowler, Noll, Vo (FNV-1a).

use std::convert::Infallible;

use rand::TryRng;

const START: u64 = 0x243F_6A88_85A3_08D3;
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's finaliser.
#[inline]
pub const fn mix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// FNV-1a of a text, 64 bits.
pub const fn fnv1a64(text: &str) -> u64 {
    let (mut hash, bytes, mut index) = (0xCBF2_9CE4_8422_2325_u64, text.as_bytes(), 0);
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01B3);
        index += 1;
    }
    hash
}

/// An address, or the beginning of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(u64);

impl Key {
    /// The address without any word.
    pub const EMPTY: Key = Key(START);

    /// The address that begins with a run's seed.
    pub const fn root(seed: u64) -> Key {
        Key::EMPTY.with(seed)
    }

    /// The address with one more word.
    #[inline]
    pub const fn with(self, word: u64) -> Key {
        Key(mix64((self.0 ^ word).wrapping_add(GAMMA)))
    }

    /// The address with a text as one more word.
    pub const fn named(self, text: &str) -> Key {
        self.with(fnv1a64(text))
    }

    /// The draws at this address.
    #[inline]
    pub const fn stream(self) -> Stream {
        Stream { state: self.0 }
    }
}

/// The draws at one address, in order.
#[derive(Clone, Debug)]
pub struct Stream {
    state: u64,
}

impl Stream {
    /// SplitMix64 from a seed, without an address.
    pub const fn splitmix64(seed: u64) -> Stream {
        Stream { state: seed }
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix64(self.state)
    }

    /// Uniform in [0, 1), 53 bits.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        self.draw().value()
    }

    /// The same, to be looked up in tables too.
    #[inline]
    pub fn draw(&mut self) -> Uniform {
        Uniform(self.bits() >> 11)
    }

    /// Uniform in 0..n.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }
}

/// A uniform draw from [0, 1): 53 bits.
#[derive(Clone, Copy, Debug)]
pub struct Uniform(u64);

impl Uniform {
    /// The draw that gives this number, from [0, 1), or the next one below.
    pub fn of(value: f64) -> Uniform {
        Uniform((value * (1u64 << 53) as f64) as u64)
    }

    /// As a number.
    #[inline]
    pub fn value(self) -> f64 {
        self.0 as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// In which of `2^bits` equal parts of [0, 1) it lies, from 0; up to 53 bits.
    #[inline]
    pub fn part(self, bits: u32) -> usize {
        (self.0 >> (53 - bits)) as usize
    }
}

// Distributions of `rand_distr` draw from a stream like from any generator.
impl TryRng for Stream {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.bits() >> 32) as u32)
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_draws_are_the_published_ones() {
        assert_eq!(fnv1a64("bounty"), 5993172130548563110);
        let draws = |key: Key| {
            [(); 2].map({
                let mut stream = key.stream();
                move |()| stream.bits()
            })
        };
        assert_eq!(draws(Key::EMPTY.named("x")), [4898378944286905026, 16649430352250888852]);
        assert_eq!(draws(Key::EMPTY.named("competitor").with(7).with(20240611)), [13830309124210826907, 8184732648321169945]);
        assert_eq!(draws(Key::EMPTY.named("arbiter").with(20240611).with(3).with(2)), [3561628026430963042, 12827219450165356926]);
    }

    #[test]
    fn the_part_of_a_draw_is_that_of_its_number() {
        let mut chance = Key::root(3).stream();
        for _ in 0..10_000 {
            let draw = chance.draw();
            assert_eq!(Uniform::of(draw.value()).value(), draw.value());
            assert_eq!([8, 10].map(|bits| draw.part(bits)), [256.0, 1024.0].map(|parts| (draw.value() * parts) as usize));
        }
    }

    #[test]
    fn a_splitmix_stream_from_zero_is_splitmix64() {
        let mut stream = Stream::splitmix64(0);
        assert_eq!([stream.bits(), stream.bits()], [16294208416658607535, 7960286522194355700]);
    }
}
