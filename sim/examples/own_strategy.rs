//! A staking strategy of your own, in `sim` as it is:
//!
//! ```text
//! cargo run --release -p sim --example own_strategy -- compare panel -s own/record -s stock/default
//! ```
//!
//! `own/record` goes by its record: the more of its calls were right so far, the more it bids. Copy this file and change
//! `stake` and `settled`; the same registration makes it known to `microengine` (`microengine new` starts a project with both).

use std::process::ExitCode;

use engine::{
    chance::Stream,
    distill::DistilledVerdict,
    market_view::MarketView,
    settled::SettledBounty,
    stake::{
        Parameters, Stake, Staker, StrategyError,
        placing::{Wish, place},
    },
};
use market::nct::Nct;

/// Bids `least + (most - least)(2 r - 1)` on its verdict, where r is the share of its calls that were right so far; nothing
/// while r is not above one half. Before it knows anything, it counts one right call and one wrong one.
#[derive(Debug)]
struct Record {
    /// The greatest bid, in NCT.
    most: f64,
    right: u64,
    wrong: u64,
}

impl Record {
    /// The strategy with what stands behind the `?` of its name, as in `own/record?most=0.5`.
    fn make(mut parameters: Parameters<'_>) -> Result<Box<dyn Staker>, StrategyError> {
        let most = parameters.amount("most", Nct::whole(1))?;
        parameters.finish(&["most"])?;
        Ok(Box::new(Record { most: most.to_f64(), right: 1, wrong: 1 }))
    }
}

impl Staker for Record {
    fn stake(&mut self, view: &MarketView<'_>, verdicts: &[Option<DistilledVerdict>], _: &mut Stream, stakes: &mut Vec<Option<Stake>>) {
        let share = self.right as f64 / (self.right + self.wrong) as f64;
        let least = view.rules.bid_minimum.to_f64();
        let bid = least + (self.most - least) * (2.0 * share - 1.0);
        let wish = |verdict: &DistilledVerdict| (share > 0.5).then(|| Wish { malicious: verdict.malicious(), bid });
        let wishes: Vec<Option<Wish>> = verdicts.iter().map(|verdict| verdict.as_ref().and_then(wish)).collect();
        // Whole wei, within the rules' limits and the wallet.
        place(view, &wishes, stakes);
    }

    fn learns(&self) -> bool {
        true
    }

    /// Hears of every bounty that was scanned, once it is settled.
    fn settled(&mut self, settled: &SettledBounty) {
        let Some(consensus) = settled.consensus else { return };
        for (artifact, verdict) in settled.verdicts.iter().enumerate() {
            let Some(verdict) = verdict else { continue };
            let right = verdict.malicious() == consensus.contains(artifact);
            *(if right { &mut self.right } else { &mut self.wrong }) += 1;
        }
    }
}

/// Makes it known by its name, with what it means and how it is made; once, before anything else.
pub(crate) fn register() {
    engine::stake::register(&[("own/record", "bids by the share of its calls that were right so far", Record::make)]);
}

fn main() -> ExitCode {
    register();
    sim::cli::main()
}
