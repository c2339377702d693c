//! What the server says is not always so: receipts, events, prices and windows that would cost a stake if they were believed.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_assertion_that_stands_though_its_receipt_says_failed_is_revealed() {
    let (market, summary) = play(2, |faults| faults.receipts = vec!["transaction failed at block 1, error: approve"; 2]).await;
    market.assert_nothing_is_lost();
    assert_eq!((summary.asserted, summary.revealed, summary.settled, summary.refused, summary.open), (2, 2, 2, 0, 0));
}
