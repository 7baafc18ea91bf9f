//! Lanes by themselves. Oracle: the laws, spelt out; nothing is ever early.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::Array2;

use super::lane::Entrance;
use super::timekeeper::Timekeeper;
use super::{Scale, WallLaws};
use crate::engine::mailbox::{Broken, Delivery, Inbox, Outbox, mailbox};
use crate::engine::virtual_time::kernel::Time;
use crate::engine::virtual_time::links::LinkLaws;
use crate::math::law::{Drawn, Law};
use crate::signal::{Content, Signal, Stamp};

fn signal(version: u64) -> Signal<f64> {
    let stamp = Stamp { phase: 1, step: version, version, answers: 0 };
    Signal { stamp, content: Content::Prediction, numbers: Arc::new(Array2::zeros((1, 1))) }
}

/// A lane with these laws, one unit being a millisecond.
fn lane(timekeeper: &Timekeeper, laws: LinkLaws, delivery: Delivery) -> (Outbox<f64>, Inbox<f64>) {
    let (target, inbox) = mailbox(delivery);
    let time = (timekeeper.keeper(), Scale::new(Instant::now(), 1.0));
    (Outbox::by(Arc::new(Entrance::new((0, 1), (laws, laws), 7, target, time))), inbox)
}

/// Waits for the next signal; its version.
fn next(inbox: &Inbox<f64>) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(signal) = inbox.try_take(1) {
            return signal.stamp.version;
        }
        assert!(Instant::now() < deadline, "nothing came");
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn nothing_is_early_and_order_is_kept() {
    let timekeeper = Timekeeper::start().expect("a thread");
    let laws = LinkLaws { delay: Law::Always(20.0), ..LinkLaws::default() };
    let (outbox, inbox) = lane(&timekeeper, laws, Delivery::InOrder);
    let sent: Vec<Instant> = (1..=3)
        .map(|version| {
            let now = Instant::now();
            outbox.send(signal(version)).expect("the neighbour is there");
            now
        })
        .collect();
    for (version, sent) in (1..=3).zip(sent) {
        assert_eq!(next(&inbox), version);
        assert!(
            sent.elapsed() >= Duration::from_millis(20),
            "early by {:?}",
            Duration::from_millis(20) - sent.elapsed()
        );
    }
}

/// Copies and resends of what has been heard are dropped, and overtaken signals are: versions only grow. What is lost is sent again.
#[test]
fn the_newest_gets_through_loss_duplication_and_reordering() {
    let timekeeper = Timekeeper::start().expect("a thread");
    let delay = Law::Drawn(Drawn::Uniform { low: 0.0, high: 2.0 });
    let laws = LinkLaws { delay, loss: 0.7, duplicate: 0.5, reorder: true, resend: 3.0, ..LinkLaws::default() };
    for round in 0..20 {
        let (outbox, inbox) = lane(&timekeeper, laws, Delivery::NewestWins);
        for version in 1..=5 {
            outbox.send(signal(version)).expect("the neighbour is there");
            std::thread::sleep(Duration::from_micros(300));
        }
        let mut heard = vec![next(&inbox)];
        while heard.last() != Some(&5) {
            heard.push(next(&inbox));
        }
        assert!(heard.windows(2).all(|pair| pair[0] < pair[1]), "round {round}: {heard:?}");
        std::thread::sleep(Duration::from_millis(10));
        assert!(inbox.try_take(1).is_none(), "round {round}: a copy of what was heard");
    }
}

/// The fates of signals are drawn from seed, link and number alone.
#[test]
fn the_same_seed_loses_the_same_signals() {
    let laws = LinkLaws { loss: 0.5, ..LinkLaws::default() };
    let fates = || {
        let timekeeper = Timekeeper::start().expect("a thread");
        let (outbox, inbox) = lane(&timekeeper, laws, Delivery::NewestWins);
        let mut heard = Vec::new();
        for version in 1..=64 {
            outbox.send(signal(version)).expect("the neighbour is there");
            // An errand behind it shows that it is over.
            let (out, over) = std::sync::mpsc::channel();
            timekeeper.keeper().at(Instant::now(), move || {
                let _ = out.send(());
            });
            over.recv().expect("the time is kept");
            heard.extend(inbox.try_take(1).map(|signal| signal.stamp.version));
        }
        heard
    };
    let heard = fates();
    assert_eq!(heard, fates());
    assert!((10..54).contains(&heard.len()), "{} of 64 with a loss of a half", heard.len());
}

#[test]
fn either_end_closes_the_other() {
    let timekeeper = Timekeeper::start().expect("a thread");
    let laws = LinkLaws { delay: Law::Always(3.6e6), ..LinkLaws::default() };
    let (outbox, inbox) = lane(&timekeeper, laws, Delivery::NewestWins);
    outbox.send(signal(1)).expect("the neighbour is there");
    assert!(!inbox.is_over());
    drop(outbox);
    assert!(inbox.is_over(), "the sender is gone, whatever is still held");
    let (outbox, inbox) = lane(&timekeeper, laws, Delivery::NewestWins);
    drop(inbox);
    assert_eq!(outbox.send(signal(1)).err(), Some(Broken));
}

#[test]
fn model_time_is_never_ahead_of_the_wall() {
    let scale = Scale::new(Instant::now(), 0.37);
    for _ in 0..1000 {
        let before = Instant::now();
        let now = scale.now();
        assert!(scale.instant(now) >= before, "what is counted from a rounded present would be early");
        assert!(scale.instant(now + Time::of(2.0)) >= before + Duration::from_nanos(740_000));
    }
}

#[test]
fn laws_of_another_network_or_of_no_time_are_refused() {
    let laws = WallLaws {
        unit_ms: 1.0,
        seed: 1,
        clocks: vec![Default::default(); 3],
        links: vec![Default::default(); 2],
        group_clocks: vec![((0, 1), Default::default()), ((1, 0), Default::default())],
        group_links: vec![([(0, 1), (1, 0)], LinkLaws { loss: 0.5, ..LinkLaws::default() })],
    };
    let text = |laws: &WallLaws| serde_json::to_string(laws).expect("plain values");
    assert_eq!(WallLaws::read(&text(&laws), 2).as_ref(), Ok(&laws));
    assert!(WallLaws::read(&text(&laws), 3).is_err_and(|error| error.contains("another network")));
    assert!(WallLaws::read(&text(&WallLaws { unit_ms: 0.0, ..laws.clone() }), 2).is_err());
    assert!(WallLaws::read("{", 2).is_err());
    let unsorted = laws.group_clocks.iter().rev().copied().collect();
    assert!(WallLaws::read(&text(&WallLaws { group_clocks: unsorted, ..laws.clone() }), 2).is_err());
    let mut negative = laws.clone();
    negative.group_links[0].1.delay = Law::Always(-1.0);
    assert!(WallLaws::read(&text(&negative), 2).is_err_and(|error| error.contains("negative")));
    let mut negative = laws;
    negative.links[1][0].delay = Law::Always(-1.0);
    assert!(WallLaws::read(&text(&negative), 2).is_err_and(|error| error.contains("negative")));
}
