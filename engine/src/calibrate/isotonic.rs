//! The isotonic map: the rising line nearest to the outcomes, by pooling adjacent violators.
//!
//! Equal scores are pooled first; between scores the line is straight, beyond them it is level. Nothing is certain:
//! probabilities are kept within `1/(n + 2)` and `1 - 1/(n + 2)`. Source: Zadrozny, Elkan 2002.

use super::Scored;

/// The line.
#[derive(Clone, PartialEq, Debug)]
pub struct IsotonicMap {
    /// The scores that were seen, rising.
    pub scores: Vec<f64>,
    /// The share of malicious outcomes at each, never falling.
    pub shares: Vec<f64>,
    /// Distance that is kept from 0 and 1.
    edge: f64,
}

/// Neighbouring scores with one share.
struct Block {
    scores: usize,
    outcomes: f64,
    malicious: f64,
}

impl Block {
    fn share(&self) -> f64 {
        self.malicious / self.outcomes
    }
}

impl IsotonicMap {
    /// The map for these outcomes.
    pub fn fit(outcomes: &[Scored]) -> IsotonicMap {
        let mut sorted: Vec<(f64, f64)> = outcomes.iter().map(|outcome| (outcome.score, f64::from(u8::from(outcome.malicious)))).collect();
        sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (mut scores, mut blocks): (Vec<f64>, Vec<Block>) = Default::default();
        for equal in sorted.chunk_by(|one, other| one.0 == other.0) {
            scores.push(equal[0].0);
            let malicious = equal.iter().map(|(_, malicious)| malicious).sum();
            blocks.push(Block { scores: 1, outcomes: equal.len() as f64, malicious });
            while let [.., before, last] = &mut blocks[..]
                && before.share() >= last.share()
            {
                before.scores += last.scores;
                before.outcomes += last.outcomes;
                before.malicious += last.malicious;
                blocks.pop();
            }
        }
        let shares = blocks.iter().flat_map(|block| std::iter::repeat_n(block.share(), block.scores)).collect();
        IsotonicMap { scores, shares, edge: 1.0 / (outcomes.len() as f64 + 2.0) }
    }

    /// The probability behind a score.
    pub fn apply(&self, score: f64) -> f64 {
        let above = self.scores.partition_point(|&seen| seen < score);
        let share = match (above.checked_sub(1), self.scores.get(above)) {
            // The score itself was seen, or everything lies on one side of it.
            (_, Some(&seen)) if seen == score => self.shares[above],
            (None, None) => 0.5,
            (None, Some(_)) => self.shares[0],
            (Some(below), None) => self.shares[below],
            (Some(below), Some(&seen)) => {
                let way = (score - self.scores[below]) / (seen - self.scores[below]);
                self.shares[below] + way * (self.shares[above] - self.shares[below])
            }
        };
        share.clamp(self.edge.min(0.5), 1.0 - self.edge.min(0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_scores_it_is_straight_and_beyond_them_level() {
        let outcome = |score, malicious| Scored { score, malicious };
        let map = IsotonicMap::fit(&[outcome(0.2, false), outcome(0.4, true), outcome(0.4, false), outcome(0.8, true)]);
        assert_eq!((&map.scores[..], &map.shares[..]), (&[0.2, 0.4, 0.8][..], &[0.0, 0.5, 1.0][..]));
        let check = |score, p: f64| assert!((map.apply(score) - p).abs() < 1e-12, "{score}: {}", map.apply(score));
        check(0.0, 1.0 / 6.0);
        check(0.3, 0.25);
        check(0.4, 0.5);
        check(0.5, 0.625);
        check(1.0, 5.0 / 6.0);
    }

    #[test]
    fn violators_are_pooled_as_far_back_as_it_takes() {
        let verdicts = [false, true, true, false, false, true];
        let outcomes: Vec<Scored> =
            verdicts.iter().enumerate().map(|(place, &malicious)| Scored { score: place as f64 / 10.0, malicious }).collect();
        assert_eq!(IsotonicMap::fit(&outcomes).shares, [0.0, 0.5, 0.5, 0.5, 0.5, 1.0]);
    }
}
