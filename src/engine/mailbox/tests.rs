//! Oracle: what the two deliveries promise, sentence by sentence.

use super::*;
use crate::signal::Content;
use futures::future::poll_fn;

fn signal(phase: u64, version: u64) -> Signal<f32> {
    let stamp = Stamp { phase, version, ..Stamp::default() };
    Signal { stamp, content: Content::Prediction, numbers: Arc::default() }
}

fn heard(inbox: &Inbox<f32>, phase: u64) -> Option<u64> {
    inbox.try_take(phase).map(|signal| signal.stamp.version)
}

#[test]
fn in_order_keeps_every_signal_and_a_runaway_neighbour_is_an_error() {
    let (outbox, inbox) = mailbox(Delivery::InOrder);
    for version in 1..=4 {
        assert_eq!(outbox.send(signal(1, version)), Ok(Sent::Delivered));
    }
    assert_eq!(outbox.send(signal(1, 5)), Err(Broken));
    assert_eq!((heard(&inbox, 1), heard(&inbox, 1)), (Some(1), Some(2)));
    assert_eq!(outbox.send(signal(1, 5)), Ok(Sent::Delivered));
}

#[test]
fn newest_wins_replaces_what_was_not_heard_and_says_so() {
    let (outbox, inbox) = mailbox(Delivery::NewestWins);
    assert_eq!(outbox.send(signal(1, 1)), Ok(Sent::Delivered));
    assert_eq!(outbox.send(signal(1, 2)), Ok(Sent::Replaced(1)));
    assert_eq!((heard(&inbox, 1), heard(&inbox, 1)), (Some(2), None));
    assert_eq!(outbox.send(signal(1, 3)), Ok(Sent::Delivered));
}

#[test]
fn a_signal_of_a_later_phase_waits_for_its_phase() {
    let (outbox, inbox) = mailbox(Delivery::NewestWins);
    assert!(outbox.send(signal(2, 1)).is_ok());
    assert_eq!((heard(&inbox, 1), heard(&inbox, 2)), (None, Some(1)));
}

#[test]
fn what_is_held_back_waits_by_the_rules_of_its_delivery_and_is_heard_when_released() {
    for (delivery, last) in [(Delivery::NewestWins, Sent::Replaced(1)), (Delivery::InOrder, Sent::Delivered)] {
        let (outbox, inbox) = mailbox(delivery);
        let gate = outbox.gate();
        gate.hold();
        assert_eq!(outbox.send(signal(1, 1)), Ok(Sent::Delivered));
        assert_eq!(outbox.send(signal(1, 2)), Ok(last));
        assert_eq!((heard(&inbox, 1), gate.unheard().map(|stamp| stamp.version)), (None, Some(2)));
        gate.release();
        assert!(heard(&inbox, 1).is_some());
        gate.cut();
        assert_eq!(outbox.send(signal(1, 3)), Err(Broken));
    }
}

/// A receiver that was told "ready" and finds nothing would ask again for ever, without ever giving way to anybody.
#[tokio::test]
async fn a_receiver_is_woken_only_for_what_it_can_take_or_for_the_end() {
    let ready = async |inbox: &Inbox<f32>, phase| {
        poll_fn(|context| Poll::Ready(inbox.poll_waiting(phase, context).is_ready())).await
    };
    let (outbox, inbox) = mailbox(Delivery::NewestWins);
    let gate = outbox.gate();
    assert_eq!(outbox.send(signal(2, 1)), Ok(Sent::Delivered));
    drop(outbox);
    assert!(!ready(&inbox, 1).await, "its phase has not come");
    gate.hold();
    assert!(!ready(&inbox, 2).await, "it is held back");
    gate.release();
    assert!(ready(&inbox, 2).await);
    assert_eq!(heard(&inbox, 2), Some(1));
    assert!(ready(&inbox, 2).await && inbox.is_over());
}

#[tokio::test]
async fn a_sender_that_goes_away_wakes_its_receiver_but_what_it_sent_is_still_heard() {
    let (outbox, inbox) = mailbox(Delivery::InOrder);
    let receiver = tokio::spawn(async move {
        let first = poll_fn(|context| inbox.poll_take(1, context)).await.map(|signal| signal.stamp.version);
        let second = poll_fn(|context| inbox.poll_take(1, context)).await.map(|signal| signal.stamp.version);
        (first, second)
    });
    tokio::task::yield_now().await;
    assert!(outbox.send(signal(1, 9)).is_ok());
    drop(outbox);
    assert_eq!(receiver.await.ok(), Some((Ok(9), Err(Broken))));
}
