//! When what is done about a bounty: acts with their blocks, and a calendar of them.

use market::block::BlockNumber;

/// What is left to be done about a bounty, in the order in which it happens within a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Act {
    /// The rival at this position of the plan asserts.
    Assert(u32),
    /// The engine has its scans.
    Decide,
    /// All rivals reveal.
    Reveal,
    /// The vote at this position of the plan is cast.
    Vote(u32),
    /// Ambassador and rivals settle.
    Settle,
    /// The arbiters settle, and the bounty is over.
    Close,
    /// Visitors may still come to settle.
    Wait,
}

/// An act and when it is due: blocks after posting above, the act below, in one number that sorts as the two do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Due(u64);

impl Due {
    /// Bits of an act: three for its kind, the others for a position.
    const ACT_BITS: u32 = 32;
    const POSITION_BITS: u32 = 29;

    pub(crate) fn new(wait: u64, act: Act) -> Due {
        let (kind, position) = match act {
            Act::Assert(position) => (0, position),
            Act::Decide => (1, 0),
            Act::Reveal => (2, 0),
            Act::Vote(position) => (3, position),
            Act::Settle => (4, 0),
            Act::Close => (5, 0),
            Act::Wait => (6, 0),
        };
        debug_assert!(position >> Due::POSITION_BITS == 0);
        // Nobody lives to see what is further away.
        let wait = wait.min(u64::from(u32::MAX));
        Due(wait << Due::ACT_BITS | kind << Due::POSITION_BITS | u64::from(position))
    }

    /// The block, for a bounty posted in that one.
    pub(crate) fn block(self, posted: BlockNumber) -> BlockNumber {
        BlockNumber(posted.0.saturating_add(self.0 >> Due::ACT_BITS))
    }

    pub(crate) fn act(self) -> Act {
        let act = self.0 as u32;
        let position = act & ((1 << Due::POSITION_BITS) - 1);
        match act >> Due::POSITION_BITS {
            0 => Act::Assert(position),
            1 => Act::Decide,
            2 => Act::Reveal,
            3 => Act::Vote(position),
            4 => Act::Settle,
            5 => Act::Close,
            _ => Act::Wait,
        }
    }
}

/// One act of one bounty, in the order in which they happen within a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Entry {
    /// Number of the bounty.
    pub(crate) number: u64,
    /// The act, and when it was due: what is late happens in its old order.
    pub(crate) due: Due,
    /// Where the bounty is.
    pub(crate) slot: u32,
}

/// All that is left to be done, by block: a ring as long as the longest wait. What is further away comes up too early, and
/// is put back.
pub(crate) struct Calendar {
    ring: Vec<Vec<Entry>>,
}

impl Calendar {
    pub(crate) fn new(longest_wait: u64) -> Calendar {
        Calendar { ring: vec![Vec::new(); (longest_wait + 2).next_power_of_two() as usize] }
    }

    #[inline]
    fn bucket(&mut self, block: BlockNumber) -> &mut Vec<Entry> {
        let mask = self.ring.len() as u64 - 1;
        &mut self.ring[(block.0 & mask) as usize]
    }

    /// Takes out everything, in no order.
    pub(crate) fn clear(&mut self) -> Vec<Entry> {
        self.ring.iter_mut().flat_map(std::mem::take).collect()
    }

    #[inline]
    pub(crate) fn add(&mut self, block: BlockNumber, entry: Entry) {
        self.bucket(block).push(entry);
    }

    /// Takes out what comes up in `block`, in the order in which it was added.
    pub(crate) fn take(&mut self, block: BlockNumber, into: &mut Vec<Entry>) {
        into.clear();
        std::mem::swap(self.bucket(block), into);
    }
}
