//! When bounties are posted, and when the engine is done scanning them. Both depend on nothing that a strategy does.

use engine::{chance::Key, config::ScanConfig};
use market::block::BlockNumber;
use rand::distr::Distribution;
use rand_distr::StandardNormal;

use crate::scenario::{AmbassadorConfig, Arrival};

/// First block in which a bounty can be posted.
pub const START: BlockNumber = BlockNumber(1_000);

/// Blocks of posting, one bounty after the other.
#[derive(Clone, Debug)]
pub struct Arrivals {
    arrival: Arrival,
    per_block: f64,
    block_seconds: f64,
    /// Blocks since the start, in fractions.
    clock: f64,
    /// Second of the first recorded bounty of this pass over the corpus, and the clock then.
    epoch: Option<(i64, f64)>,
    posted: u64,
}

impl Arrivals {
    /// The arrivals of a scenario.
    pub fn new(config: &AmbassadorConfig, block_seconds: f64) -> Arrivals {
        Arrivals { arrival: config.arrival, per_block: config.bounties_per_block, block_seconds, clock: 0.0, epoch: None, posted: 0 }
    }

    /// The corpus begins again: recorded times go on one block after the last.
    pub fn begin_pass(&mut self) {
        self.epoch = None;
        if self.arrival == Arrival::Recorded && self.posted > 0 {
            self.clock += 1.0;
        }
    }

    /// The block of the next bounty, whose address is `at` and whose first artifact was first seen then.
    ///
    /// A recorded time before the last one (a corpus that is not in order) posts in the same block.
    pub fn next(&mut self, at: Key, first_seen: Option<i64>) -> BlockNumber {
        match self.arrival {
            Arrival::Fixed => self.clock = self.posted as f64 / self.per_block,
            Arrival::Poisson => self.clock -= libm::log(1.0 - at.named("arrival").stream().uniform()) / self.per_block,
            Arrival::Recorded => {
                if let Some(seconds) = first_seen {
                    let (epoch, clock) = *self.epoch.get_or_insert((seconds, self.clock));
                    self.clock = self.clock.max(clock + seconds.saturating_sub(epoch) as f64 / self.block_seconds);
                }
            }
        }
        self.posted += 1;
        BlockNumber(START.0 + self.clock as u64)
    }
}

/// The engine's scan slots.
#[derive(Clone, Debug)]
pub struct ScanQueue {
    config: ScanConfig,
    block_seconds: f64,
    /// When each slot is free again, in seconds.
    free: Vec<f64>,
}

impl ScanQueue {
    /// All slots free.
    pub fn new(config: &ScanConfig, block_seconds: f64) -> ScanQueue {
        ScanQueue { config: config.clone(), block_seconds, free: vec![0.0; config.slots as usize] }
    }

    /// The block in which all artifacts of a bounty posted at `posted` are scanned: each takes the slot that is free
    /// first, in order, for the seconds that were measured, or else for a lognormal time. What cannot even be begun before `expiration` is left out: nobody scans
    /// for a bounty that is over.
    pub fn scan(
        &mut self,
        at: Key,
        posted: BlockNumber,
        expiration: BlockNumber,
        measured: impl Iterator<Item = Option<f64>>,
    ) -> BlockNumber {
        let (now, over) = (posted.0 as f64 * self.block_seconds, expiration.0 as f64 * self.block_seconds);
        let mut chance = at.named("scan").stream();
        let mut done = now;
        for measured in measured {
            let slot = self.free.iter_mut().min_by(|a, b| a.total_cmp(b)).expect("at least one slot");
            let normal: f64 = if self.config.spread > 0.0 { StandardNormal.sample(&mut chance) } else { 0.0 };
            let begun = slot.max(now);
            if begun >= over {
                return expiration;
            }
            let drawn = || self.config.milliseconds as f64 / 1000.0 * libm::exp(self.config.spread * normal);
            *slot = begun + measured.unwrap_or_else(drawn);
            done = slot.max(done);
        }
        BlockNumber(posted.0.saturating_add(libm::ceil((done - now) / self.block_seconds) as u64))
    }
}

#[cfg(test)]
mod tests {
    use engine::config::ScanTimes;

    use super::*;

    #[test]
    fn arrivals_come_at_their_rate_and_never_go_back() {
        for arrival in [Arrival::Fixed, Arrival::Poisson] {
            let config = AmbassadorConfig { arrival, bounties_per_block: 4.0, ..AmbassadorConfig::default() };
            let mut arrivals = Arrivals::new(&config, 15.0);
            let blocks: Vec<u64> = (0..4000).map(|bounty| arrivals.next(Key::root(1).with(bounty), None).0 - START.0).collect();
            assert!(blocks.windows(2).all(|pair| pair[0] <= pair[1]));
            assert!((blocks[3999] as f64 - 1000.0).abs() < 60.0, "{arrival:?}: {}", blocks[3999]);
        }
    }

    #[test]
    fn recorded_arrivals_keep_their_distances() {
        let config = AmbassadorConfig { arrival: Arrival::Recorded, ..AmbassadorConfig::default() };
        let mut arrivals = Arrivals::new(&config, 15.0);
        let blocks = [100, 100, 130, 60, 160].map(|second| arrivals.next(Key::root(1), Some(second)).0 - START.0);
        assert_eq!(blocks, [0, 0, 2, 2, 4]);
        arrivals.begin_pass();
        let again = [100, 130].map(|second| arrivals.next(Key::root(1), Some(second)).0 - START.0);
        assert_eq!(again, [5, 7], "a second pass goes on where the first ended");
    }

    #[test]
    fn a_busy_scanner_is_late() {
        let config = ScanConfig { slots: 2, milliseconds: 15_000, spread: 0.0, times: ScanTimes::Modelled };
        let mut queue = ScanQueue::new(&config, 15.0);
        let mut scan = |posted, expiration, artifacts| {
            let times = std::iter::repeat_n(None, artifacts);
            queue.scan(Key::root(1), BlockNumber(posted), BlockNumber(expiration), times).0
        };
        let done: Vec<u64> = (0..5).map(|_| scan(10, 30, 1)).collect();
        assert_eq!(done, [11, 11, 12, 12, 13]);
        assert_eq!(scan(20, 40, 3), 22);
        // An overloaded scanner leaves out what is over before its turn, and is in time for the next.
        assert_eq!((0..6).map(|_| scan(50, 52, 1)).collect::<Vec<_>>(), [51, 51, 52, 52, 52, 52]);
        assert_eq!(scan(52, 60, 1), 53);
    }

    #[test]
    fn a_measured_time_counts_before_a_drawn_one() {
        let config = ScanConfig { slots: 1, milliseconds: 1_000_000, spread: 0.5, times: ScanTimes::Measured };
        let mut queue = ScanQueue::new(&config, 15.0);
        let times = [Some(14.0), Some(0.5), Some(0.6)].into_iter();
        assert_eq!(queue.scan(Key::root(1), BlockNumber(10), BlockNumber(90), times), BlockNumber(12));
    }
}
