//! What the server says is not always so: receipts, events, prices and windows that would cost a stake if they were believed.

use wire::message::{Event, QuorumReached, SettledBounty};

use super::*;
use crate::market::tell;

#[tokio::test(start_paused = true)]
async fn an_assertion_that_stands_though_its_receipt_says_failed_is_revealed() {
    let (market, summary) = play(2, |faults| faults.receipts = vec!["transaction failed at block 1, error: approve"; 2]).await;
    market.assert_nothing_is_lost();
    assert_eq!((summary.asserted, summary.revealed, summary.settled, summary.refused, summary.open), (2, 2, 2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_assertion_that_failed_is_given_up_when_it_could_no_longer_be_revealed() {
    let (folder, market) = setting();
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 1).await;
    market.post(&running.events, 1, 5).await;
    running.mine(&market, 0).await;
    // Somebody else spent the balance that was asked for.
    market.with(|state| state.balance = Nct::ZERO);
    running.mine(&market, 5 + REVEAL_WINDOW - 2).await;
    market.with(|state| state.balance = Nct::whole(10));
    market.post(&running.events, 1, 5).await;
    running.mine(&market, 1).await;
    assert_eq!(market.with(|state| state.calls.len()), 2, "no second assertion on the same bounty");
    running.mine(&market, 5).await;
    let summary = running.stop().await;
    assert_eq!((summary.refused, summary.known, summary.asserted, summary.open), (1, 1, 0, 0));
}

/// A quorum or a settlement that is not, told `after` so many blocks of a bounty that is open for five.
async fn told_too_early(settlement: bool, after: u64, restart: bool) {
    let (folder, market) = setting();
    let mut running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 1).await;
    let guid = market.post(&running.events, 1, 5).await;
    running.mine(&market, after).await;
    let event = if settlement {
        Event::SettledBounty(SettledBounty { bounty_guid: guid, settler: wallet().address(), payout: Nct::whole(9) })
    } else {
        Event::Quorum(QuorumReached { bounty_guid: guid })
    };
    tell(&running.events, event).await;
    sleep(BLOCK_TIME).await;
    if restart {
        running.kill().await;
        running = Running::start(&market, folder.path(), Pace::Free).await;
    }
    running.mine(&market, 5 + REVEAL_WINDOW + VOTE_WINDOW + 5 - after).await;
    let summary = running.stop().await;
    market.assert_nothing_is_lost();
    assert_eq!((summary.settled, summary.paid, summary.open), (1, Nct::whole(1), 0), "{settlement} after {after} blocks");
    assert_eq!(market.with(|state| state.failed.clone()), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_false_quorum_or_settlement_costs_no_secret_and_no_reward() {
    for after in [1, 2, 3, 5, 6, 7, 9, 14, 15, 16, 20] {
        for restart in [false, true] {
            told_too_early(false, after, restart).await;
            told_too_early(true, after, restart).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_of_an_earlier_life_is_counted_with_what_it_paid() {
    let (folder, market) = setting();
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 1).await;
    let guid = market.post(&running.events, 1, 5).await;
    running.mine(&market, 5 + REVEAL_WINDOW).await;
    market.with(|state| {
        let bounty = state.bounties.get_mut(&guid).unwrap();
        (bounty.quorum, bounty.settled) = (true, 1);
    });
    let settled = SettledBounty { bounty_guid: guid, settler: wallet().address(), payout: Nct::whole(3) };
    tell(&running.events, Event::SettledBounty(settled)).await;
    running.mine(&market, 3).await;
    let summary = running.stop().await;
    assert_eq!((summary.settled, summary.paid, summary.open), (1, Nct::whole(3), 0));
}
