//! What the server says is not always so: receipts, events, prices and windows that would cost a stake if they were believed.

use engine::live::driver::Ceilings;
use wire::message::{Event, FeesUpdated, QuorumReached, SettledBounty, WindowsUpdated};

use super::*;
use crate::market::{FEE, tell};

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

/// What is left alone after that event.
async fn abstained_after(event: Event, ceilings: Ceilings) -> (Summary, usize) {
    let (folder, market) = setting();
    let running = Running::start_with(&market, folder.path(), Pace::Free, ceilings).await;
    running.mine(&market, 1).await;
    market.with(|state| match &event {
        Event::FeeUpdate(update) => state.fee = Some(update.assertion_fee),
        Event::WindowUpdate(update) => state.reveal_window = Some(update.assertion_reveal_window),
        other => panic!("no such change: {other:?}"),
    });
    tell(&running.events, event).await;
    market.post(&running.events, 1, 5).await;
    market.post(&running.events, 2, 5).await;
    running.mine(&market, 5 + REVEAL_WINDOW + VOTE_WINDOW + 5).await;
    let summary = running.stop().await;
    (summary, market.with(|state| state.calls.len()))
}

#[tokio::test(start_paused = true)]
async fn no_more_is_paid_than_the_ceilings_allow() {
    let fees = |assertion_fee| Event::FeeUpdate(FeesUpdated { bounty_fee: Nct::ZERO, assertion_fee });
    let usual = Ceilings::default();
    let (summary, calls) = abstained_after(fees(Nct::whole(999)), usual).await;
    assert_eq!((summary.abstained.clone(), calls), ([(Abstention::CostlyFee, 2)].into(), 0));
    assert!(summary.to_string().contains("costly fee"), "{summary}");
    let (summary, calls) = abstained_after(fees(FEE), Ceilings { fee: Nct::ZERO, ..usual }).await;
    assert_eq!((summary.abstained, calls), ([(Abstention::CostlyFee, 2)].into(), 0));
    let (summary, calls) = abstained_after(fees(FEE), Ceilings { bid: Nct::wei(62_499_999_999_999_999), ..usual }).await;
    assert_eq!((summary.abstained, calls, summary.open), ([(Abstention::CostlyBid, 2)].into(), 0, 0));
    let (summary, _) = abstained_after(fees(FEE), Ceilings { fee: FEE, bid: Nct::wei(62_500_000_000_000_000) }).await;
    assert_eq!((summary.settled, summary.abstained), (2, [].into()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_change_does_not_outlive_it() {
    let (folder, market) = setting();
    // The question is asked before the change, and answered after it.
    market.with(|state| state.slow_parameters = 3);
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 1).await;
    let fee = Nct::whole(999);
    market.with(|state| (state.fee, state.slow_parameters) = (Some(fee), 0));
    tell(&running.events, Event::FeeUpdate(FeesUpdated { bounty_fee: Nct::ZERO, assertion_fee: fee })).await;
    running.mine(&market, 4).await;
    market.post(&running.events, 1, 5).await;
    running.mine(&market, 5).await;
    let summary = running.stop().await;
    assert_eq!((summary.abstained, summary.asserted), ([(Abstention::CostlyFee, 1)].into(), 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asserted_that_could_not_be_revealed_in_its_window() {
    for window in 0..5 {
        let event = Event::WindowUpdate(WindowsUpdated { assertion_reveal_window: window, arbiter_vote_window: VOTE_WINDOW });
        let (summary, _) = abstained_after(event, Ceilings::default()).await;
        let short = if window < 3 { 2 } else { 0 };
        let abstained = summary.abstained.get(&Abstention::ShortWindow).copied().unwrap_or(0);
        assert_eq!((abstained, summary.revealed, summary.unrevealed), (short, 2 - short, 0), "{window} blocks");
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_at_no_address_is_left_out_of_the_reveal() {
    for (address, expected) in [("Qm", "Qm"), ("https://example.org", ""), ("", "")] {
        let (market, summary) = play(1, |faults| faults.metadata = Some(address)).await;
        assert_eq!((summary.revealed, summary.settled), (1, 1));
        market.with(|state| {
            let said = state.bounties.values().flat_map(|bounty| &bounty.assertions).map(|(_, reveal)| &reveal.as_ref().unwrap().metadata);
            assert_eq!(said.collect::<Vec<_>>(), [expected]);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn another_chain_is_refused_after_a_restart_too() {
    let (folder, market) = setting();
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 1).await;
    market.post(&running.events, 1, 5).await;
    running.mine(&market, 5 + REVEAL_WINDOW + VOTE_WINDOW + 5).await;
    assert_eq!(running.stop().await.settled, 1);
    let calls = || market.with(|state| state.calls.len());
    let before = calls();

    market.with(|state| state.faults.chain = Some(1));
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 1).await;
    market.post(&running.events, 2, 5).await;
    running.mine(&market, 5).await;
    let summary = running.stop().await;
    assert_eq!((summary.refused, summary.errors, calls()), (1, 1, before));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_panics_costs_no_reveal() {
    for panics in [1, 2, 5] {
        let (market, summary) = play(2, |faults| faults.panics = panics).await;
        market.assert_nothing_is_lost();
        assert_eq!((summary.revealed, summary.settled, summary.open, summary.errors), (2, 2, 0, u64::from(panics)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_life_promised_is_not_staked_twice() {
    let (folder, market) = setting();
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 1).await;
    market.post(&running.events, 1, 20).await;
    // It is in the pool, not yet in a block.
    sleep(BLOCK_TIME).await;
    running.kill().await;
    // Enough for one bid and fee, and not for two.
    market.with(|state| state.balance = Nct::wei(150_000_000_000_000_000));
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    market.post(&running.events, 2, 20).await;
    sleep(BLOCK_TIME).await;
    running.mine(&market, 20 + REVEAL_WINDOW + VOTE_WINDOW + 5).await;
    let summary = running.stop().await;
    market.assert_nothing_is_lost();
    assert_eq!(summary.abstained, [(Abstention::Unfunded, 1)].into());
    assert_eq!((summary.resumed, summary.settled), (1, 1));
    assert_eq!(market.with(|state| state.failed.clone()), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_knows_of_a_quorum_before_the_reveal_is_not_believed() {
    let (folder, market) = setting();
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 1).await;
    let guid = market.post(&running.events, 1, 6).await;
    running.mine(&market, 2).await;
    running.kill().await;
    market.with(|state| state.bounties.get_mut(&guid).unwrap().quorum = true);
    let running = Running::start(&market, folder.path(), Pace::Free).await;
    running.mine(&market, 6 + REVEAL_WINDOW + VOTE_WINDOW + 5).await;
    let summary = running.stop().await;
    market.assert_nothing_is_lost();
    assert_eq!((summary.resumed, summary.revealed, summary.settled), (1, 1, 1));
}
