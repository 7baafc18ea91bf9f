//! Oracles: round trips, and hostility. What was encoded is decoded to the same value; anything else is an error or another valid
//! value within the same bounds, never a panic, and never room for more than the network's own numbers.

use asynapse::energy::{Activation, Loss};
use asynapse::engine::mailbox::{Delivery, Inbox, Outbox, mailbox};
use asynapse::engine::transport::{Ends, LinkError, Stream, Transport, WINDOW, carry};
use asynapse::math::optimizer::OptimizerState;
use asynapse::math::{Field, Real};
use asynapse::network::{FeedbackState, NetworkSpec, Parameters};
use asynapse::signal::{
    Content, Directive, Extract, Motion, Origin, Phase, Reading, Report, Signal, Stamp, Teaching, Wanted,
};
use asynapse::transaction::{self, Ticket};
use asynapse::wire::control::{self, Bounds, HEAD_MOST, Order, Parcel, Tiding};
use asynapse::wire::frame::{self, Direction, HEADER, Header, Heading, Link};
use asynapse::wire::handshake::{self, Hello, Purpose, Secret};
use asynapse::wire::{VERSION, WireError, numbers};
use ndarray::Array2;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

const LINK: Link = Link { lower: 2, group: 0, rows: 5, columns_most: 7 };

fn network() -> NetworkSpec {
    NetworkSpec::new(&[3, 4, 2], Activation::Tanh, Loss::SquaredError).expect("a network")
}

fn bounds(network: &NetworkSpec) -> Bounds<'_> {
    Bounds { network, batch_most: 6 }
}

fn headings() -> impl Strategy<Value = (Direction, Header)> {
    let stamps = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    (any::<u64>(), 0_usize..5, stamps, 1_usize..=7).prop_map(|(credit, which, stamp, columns)| {
        let (phase, step, version, answers) = stamp;
        let contents = [Content::Prediction, Content::Adjoint, Content::Error, Content::State];
        let content = contents.get(which).copied();
        let stamp = Stamp { phase, step, version, answers };
        let signal = content.map(|content| Heading { stamp, content, shape: (LINK.rows, columns), again: false });
        let direction = if content == Some(Content::Prediction) { Direction::Up } else { Direction::Down };
        (direction, Header { credit, signal })
    })
}

/// Flips, cuts and fills: what a broken or hostile sender makes of good bytes.
fn damage() -> impl Strategy<Value = Vec<(usize, u8)>> {
    vec((any::<usize>(), any::<u8>()), 1..6)
}

fn damaged(bytes: &[u8], damage: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for &(at, byte) in damage {
        if bytes.is_empty() {
            break;
        }
        let at = at % bytes.len();
        match byte % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, byte),
            2 => bytes[at] = u8::MAX,
            _ => bytes[at] ^= 1 << (byte / 4 % 8),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_header_is_read_as_it_was_written((direction, header) in headings()) {
        let bytes = frame::encode::<f32>(LINK, direction, &header);
        prop_assert_eq!(frame::decode::<f32>(&bytes, LINK, direction), Ok(header));
        // Another number type, link or direction is another link's frame.
        prop_assert!(frame::decode::<f64>(&bytes, LINK, direction).is_err());
        let other = Link { lower: 1, ..LINK };
        prop_assert!(frame::decode::<f32>(&bytes, other, direction).is_err());
        let other = if direction == Direction::Up { Direction::Down } else { Direction::Up };
        prop_assert!(frame::decode::<f32>(&bytes, LINK, other).is_err());
    }

    #[test]
    fn a_damaged_header_asks_for_no_more_than_a_right_one((direction, header) in headings(), damage in damage()) {
        let bytes = frame::encode::<f64>(LINK, direction, &header);
        let mut damaged = damaged(&bytes, &damage);
        damaged.resize(HEADER, 0);
        let damaged: [u8; HEADER] = damaged.try_into().expect("a header's length");
        if let Ok(Header { signal: Some(Heading { shape: (rows, columns), .. }), .. }) =
            frame::decode::<f64>(&damaged, LINK, direction)
        {
            prop_assert!(rows == LINK.rows && (1..=LINK.columns_most).contains(&columns));
        }
    }

    #[test]
    fn any_bytes_are_no_header_unless_they_begin_like_one(bytes in prop::array::uniform32(any::<u8>())) {
        let mut header = [0; HEADER];
        header[..32].copy_from_slice(&bytes);
        let stranger = matches!(frame::decode::<f32>(&header, LINK, Direction::Up), Err(WireError::Stranger { .. }));
        prop_assert_eq!(stranger, &header[..4] != b"ASYN");
    }

    #[test]
    fn heads_of_control_messages_survive_damage(which in 0_usize..6, damage in damage(), noise in vec(any::<u8>(), 0..80)) {
        let network = network();
        let heads = [
            control::encode(&(1_usize, Order::Present { batch: 4, data: true, target: false })),
            control::encode(&(0_usize, Order::Begin(phase()))),
            control::encode(&(0_usize, Order::Install(weights::<f32>().1))),
            control::encode(&Tiding::Report(report())),
            control::encode(&Tiding::Extract(1, Parcel::State(5))),
            control::encode(&Tiding::Fault(1, "layer 1 is gone".to_owned())),
        ];
        for bytes in [damaged(&heads[which], &damage), noise] {
            // At most every number the network has, weights and two moments, or one batch of data and one of targets.
            if let Ok((layer, order)) = control::decode::<(usize, Order)>("a directive", &bytes)
                && let Ok(count) = order.numbers(layer, bounds(&network))
            {
                prop_assert!(count <= 3 * (4 * 3 + 4) && layer <= 2);
                let numbers: Vec<f32> = (0..count).map(|n| n as f32).collect();
                prop_assert!(order.with(numbers, layer, bounds(&network)).is_ok());
            }
            if let Ok(tiding) = control::decode::<Tiding>("a tiding", &bytes)
                && let Ok(count) = tiding.numbers(bounds(&network))
            {
                prop_assert!(count <= 3 * (4 * 3 + 4));
                prop_assert!(tiding.with(vec![0.0_f64; count], bounds(&network)).is_ok());
            }
        }
    }

    #[test]
    fn a_damaged_handshake_lets_nobody_in(damage in damage(), which in 0_usize..3) {
        let secret = Secret::new([1; 32]);
        let (nonce_c, nonce_h) = ([2; 32], [3; 32]);
        let hello = Hello { purpose: Purpose::Link { lower: 2, from: 3 }, run: [4; 16], generation: 1, caller: [5; 16], pid: 6 };
        let call = handshake::call(&nonce_c);
        let (called, challenge) = handshake::challenge(&secret, &call, &nonce_h);
        prop_assert_eq!(called, Ok(()));
        let response = handshake::respond(&secret, &nonce_c, &challenge, &hello).expect("a response");
        prop_assert_eq!(handshake::verify(&secret, &call, &nonce_h, &response), Ok(hello));
        let good: [&[u8]; 3] = [&call, &challenge, &response];
        let mut bytes = damaged(good[which], &damage);
        bytes.resize(good[which].len(), 0);
        if bytes == good[which] {
            return Ok(());
        }
        match which {
            0 => {
                let call = bytes.try_into().expect("a call's length");
                let (called, answer) = handshake::challenge(&secret, &call, &nonce_h);
                let answered = handshake::respond(&secret, &nonce_c, &answer, &hello);
                prop_assert!(called.is_err() || answered.is_err(), "the caller notices that its call was changed");
            }
            1 => {
                let challenge = bytes.try_into().expect("a challenge's length");
                prop_assert!(handshake::respond(&secret, &nonce_c, &challenge, &hello).is_err());
            }
            _ => {
                let response = bytes.try_into().expect("a response's length");
                prop_assert_eq!(handshake::verify(&secret, &call, &nonce_h, &response), Err(WireError::WrongSecret));
            }
        }
    }
}

fn phase() -> Phase {
    let motion = Motion::Relax { teaching: Teaching::Nudged(-0.5), from: Origin::Remembered };
    Phase { number: 3, motion, steps: 20, tolerance: 1e-3, reading: Reading::FirstArrival(2.0) }
}

fn report() -> Report {
    let network = network();
    let settings = crate::common::settings(asynapse::engine::Schedule::LockStep, 1, Default::default());
    let mut engine =
        asynapse::engine::Engine::<f64>::new(&network, network.initial_weights(Default::default(), 1), settings)
            .expect("an engine");
    engine.present(&Array2::ones((3, 2)), &Array2::ones((2, 2))).expect("present");
    let planned =
        asynapse::rule::PlannedPhase::read(Motion::Relax { teaching: Teaching::Clamped, from: Origin::Zero }, 1.0);
    engine.run_phase(&planned, asynapse::settling::Limits::steps(3)).expect("a phase").reports[2]
}

/// Weights of layer 0 with the state of an optimiser, as bytes and head.
fn weights<T: Real>() -> (Extract<T>, Parcel, Vec<u8>) {
    let numbers = |count: usize, of: f64| (0..count).map(|n| T::of(of + n as f64)).collect::<Vec<T>>();
    let parameters = Parameters {
        weights: Array2::from_shape_vec((4, 3), numbers(12, 0.5)).expect("a shape"),
        bias: numbers(4, -3.0),
    };
    let states = [
        OptimizerState { updates: 9, first: numbers(12, 100.0), second: numbers(12, 200.0) },
        OptimizerState { updates: 9, first: numbers(4, 300.0), second: numbers(4, 400.0) },
    ];
    let extract = Extract::Weights(parameters, Some(states));
    let (parcel, bytes) = Parcel::of(&extract);
    (extract, parcel, bytes)
}

/// Bytes as the numbers they are, as a receiver makes them.
fn received<T: Real>(bytes: &[u8], count: usize) -> Vec<T> {
    let mut out = vec![T::zero(); count];
    assert_eq!(numbers::room(&mut out).len(), bytes.len(), "as many as the head says");
    numbers::room(&mut out).copy_from_slice(bytes);
    numbers::settle(&mut out);
    out
}

fn directives_survive<T: Real>() {
    let network = network();
    let field = |rows, columns| {
        std::sync::Arc::new(Field::<T>::from_shape_fn((rows, columns), |(r, c)| T::of((r * 10 + c) as f64 - 0.1)))
    };
    let moment: Vec<T> = (0..12).map(|n| T::of(f64::from(n))).collect();
    let optimizer = Some(OptimizerState { updates: 2, first: moment, second: Vec::new() });
    let learned = FeedbackState { matrix: (*field(4, 3)).clone(), optimizer };
    let directives = [
        (0, Directive::Present { batch: 6, data: Some(field(3, 6)), target: None }),
        (2, Directive::Present { batch: 1, data: None, target: Some(field(2, 1)) }),
        (1, Directive::Present { batch: 5, data: None, target: None }),
        (0, Directive::Show(field(3, 5))),
        (1, Directive::Begin(phase())),
        (1, Directive::Continue(u64::MAX)),
        (1, Directive::Recount),
        (1, Directive::Halt),
        (1, Directive::Number(u64::MAX - 1)),
        (1, Directive::Remember),
        (1, Directive::Collect { coefficient: -f64::MIN_POSITIVE }),
        (1, Directive::Learn),
        (1, Directive::Transact(transaction::Order::Commit(Ticket { generation: 3, step: u64::MAX }))),
        (1, Directive::Extract(Wanted::Estimate)),
        (0, Directive::Install(Box::new(weights::<T>().0))),
        (1, Directive::Install(Box::new(Extract::Precision(vec![T::of(0.5); 4])))),
        (
            0,
            Directive::Install(Box::new(Extract::Feedback(FeedbackState {
                matrix: (*field(4, 3)).clone(),
                optimizer: None,
            }))),
        ),
        (0, Directive::Install(Box::new(Extract::Feedback(learned)))),
    ];
    for (layer, directive) in directives {
        let (order, bytes) = Order::of(&directive);
        let order: Order = control::decode("a directive", &control::encode(&order)).expect("a head");
        let count = order.numbers(layer, bounds(&network)).expect("within bounds");
        let back = order.with(received::<T>(&bytes, count), layer, bounds(&network)).expect("a directive");
        assert_eq!(format!("{back:?}"), format!("{directive:?}"));
    }
}

#[test]
fn every_directive_is_read_as_it_was_written() {
    directives_survive::<f32>();
    directives_survive::<f64>();
}

#[test]
fn tidings_are_read_as_they_were_written() {
    let network = network();
    let vote = transaction::Answer::Vote(Ticket { generation: 1, step: 7 }, false);
    let answer = Tiding::Extract(1, Parcel::Answer(vote));
    let severed = Tiding::Severed(1, 2, "timed out".to_owned());
    for tiding in [Tiding::Report(report()), Tiding::Fault(2, "why".to_owned()), Tiding::LinkBroken(0), severed, answer]
    {
        let back: Tiding = control::decode("a tiding", &control::encode(&tiding)).expect("a tiding");
        assert_eq!(back.numbers(bounds(&network)), Ok(0));
        assert_eq!(back, tiding);
    }
    // Not a number is a number like any other on the wire.
    let strange = Field::from_shape_vec((4, 1), vec![f32::NAN, f32::INFINITY, -0.0, 1e-45]).expect("a shape");
    let (parcel, bytes) = Parcel::of(&Extract::State(strange.clone()));
    let tiding = Tiding::Extract(1, parcel);
    let count = tiding.numbers(bounds(&network)).expect("within bounds");
    let (_, back) = tiding.with(received::<f32>(&bytes, count), bounds(&network)).expect("a state");
    let Extract::State(back) = back else { panic!("a state") };
    let bits = |field: &Field<f32>| field.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&back), bits(&strange));
}

#[test]
fn a_head_that_claims_gigabytes_is_refused_without_them() {
    // A length of 2^60 in bincode's encoding, where a string's or a list's length stands.
    let claim = [&[253][..], &(1_u64 << 60).to_le_bytes()].concat();
    assert!(control::decode::<Vec<u64>>("a list", &claim).is_err());
    assert!(control::decode::<String>("a text", &claim).is_err());
    let fault = control::encode(&Tiding::Fault(1, String::new()));
    assert!(control::decode::<Tiding>("a tiding", &[&fault[..fault.len() - 1], &claim].concat()).is_err());
    assert!(control::decode::<Vec<u8>>("a list", &vec![0; HEAD_MOST + 1]).is_err(), "longer than a head can be");
    let trailing = [control::encode(&Tiding::LinkBroken(1)), vec![0]].concat();
    let error = control::decode::<Tiding>("a tiding", &trailing).expect_err("one byte too many").to_string();
    assert!(error.contains("1 bytes too many"), "{error}");
}

#[test]
fn numbers_are_bounded_by_the_network() {
    let network = network();
    for (layer, order) in [
        (0, Order::Present { batch: 7, data: true, target: false }),
        (0, Order::Present { batch: usize::MAX, data: true, target: true }),
        (0, Order::Show(7)),
        (3, Order::Present { batch: 1, data: false, target: false }),
        (usize::MAX, Order::Learn),
        // The output owns no weights.
        (2, Order::Install(Parcel::Weights(None))),
    ] {
        assert!(order.numbers(layer, bounds(&network)).is_err(), "{order:?} for layer {layer}");
        assert!(order.clone().with::<f32>(Vec::new(), layer, bounds(&network)).is_err() || layer > 2, "{order:?}");
    }
    // No layer stands above the last number there is.
    for parcel in [Parcel::Weights(None), Parcel::Estimate, Parcel::Feedback(None)] {
        let refused = Tiding::Extract(usize::MAX, parcel.clone()).numbers(bounds(&network));
        assert!(matches!(refused, Err(WireError::Field { field: "the layer", .. })), "{parcel:?}: {refused:?}");
    }
    let short = Order::Present { batch: 2, data: true, target: false }.with(vec![0.0_f32; 5], 0, bounds(&network));
    assert!(short.is_err(), "fewer numbers than said");
}

#[test]
fn another_version_is_named_on_both_sides() {
    let secret = Secret::new([1; 32]);
    let mut call = handshake::call(&[2; 32]);
    call[2..4].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let (called, mut answer) = handshake::challenge(&secret, &call, &[3; 32]);
    assert_eq!(called, Err(WireError::Version { theirs: VERSION + 1 }));
    assert!(answer[4..].iter().all(|&byte| byte == 0), "nothing that could be of use to a stranger");
    answer[2..4].copy_from_slice(&(VERSION + 2).to_le_bytes());
    let hello = Hello { purpose: Purpose::Control, run: [0; 16], generation: 0, caller: [0; 16], pid: 0 };
    let refused = handshake::respond(&secret, &[2; 32], &answer, &hello);
    assert_eq!(refused, Err(WireError::Version { theirs: VERSION + 2 }));
}

/// A proof is worth nothing in the other direction, with other nonces, or with another secret.
#[test]
fn proofs_cannot_be_used_again() {
    let (ours, other) = (Secret::new([1; 32]), Secret::new([9; 32]));
    let hello = Hello { purpose: Purpose::Pulse, run: [0; 16], generation: 0, caller: [7; 16], pid: 1 };
    let call = handshake::call(&[2; 32]);
    let (_, challenge) = handshake::challenge(&ours, &call, &[3; 32]);
    let response = handshake::respond(&ours, &[2; 32], &challenge, &hello).expect("a response");
    assert_eq!(handshake::verify(&ours, &call, &[4; 32], &response), Err(WireError::WrongSecret), "another nonce");
    assert_eq!(handshake::verify(&other, &call, &[3; 32], &response), Err(WireError::WrongSecret));
    assert_eq!(handshake::respond(&other, &[2; 32], &challenge, &hello), Err(WireError::WrongSecret));
    assert_eq!(handshake::respond(&ours, &[5; 32], &challenge, &hello), Err(WireError::WrongSecret), "another nonce");
}

/// One end of a link with layer 2 below, and the raw other end.
fn end(delivery: Delivery) -> (Outbox<f32>, Inbox<f32>, Ends<f32>) {
    let (out, said) = mailbox(delivery);
    let (heard, inbox) = mailbox(delivery);
    (out, inbox, Ends { said, heard })
}

fn prediction(version: u64) -> (Header, Field<f32>) {
    let stamp = Stamp { phase: 1, version, ..Stamp::default() };
    let signal = Some(Heading { stamp, content: Content::Prediction, shape: (LINK.rows, 2), again: false });
    (Header { credit: 0, signal }, Field::from_elem((LINK.rows, 2), version as f32))
}

fn bytes_of(header: &Header, field: &Field<f32>) -> Vec<u8> {
    let numbers = numbers::bytes(field.as_slice().expect("contiguous")).into_owned();
    [frame::encode::<f32>(LINK, Direction::Up, header).to_vec(), numbers].concat()
}

/// What the upper end of a link makes of these bytes, and what its layer could hear.
async fn hears(bytes: Vec<u8>, delivery: Delivery) -> (Result<(), LinkError>, Vec<u64>) {
    let [here, mut there] = Stream::pair(Transport::Bytes).await.expect("a pair");
    let (_out, inbox, ends) = end(delivery);
    let pumps = tokio::spawn(carry(here, LINK, Direction::Down, ends));
    there.writer.write_all(&bytes).await.expect("write");
    drop(there);
    let ended = pumps.await.expect("no panic");
    assert!(inbox.is_over() || inbox.try_take(1).is_some(), "the layer will notice");
    let versions = std::iter::from_fn(|| inbox.try_take(1)).map(|signal| signal.stamp.version).collect();
    (ended, versions)
}

#[tokio::test]
async fn a_link_takes_frames_until_one_is_wrong() {
    let good = |version| {
        let (header, field) = prediction(version);
        bytes_of(&header, &field)
    };
    let (ended, _) = hears([good(1), good(2)].concat(), Delivery::InOrder).await;
    assert!(ended.is_ok(), "{ended:?}");
    // Cut anywhere: the neighbour is gone, which is no fault of this side.
    for length in [1, HEADER - 1, HEADER, HEADER + 1, good(1).len() - 1] {
        let (ended, heard) = hears(good(1)[..length].to_vec(), Delivery::InOrder).await;
        assert!(ended.is_ok() && heard.is_empty(), "{length} bytes: {ended:?}");
    }
    for at in [0, 4, 5, 6, 7, 8, 12, 16, 20] {
        let mut wrong = good(1);
        wrong[at] ^= 0x80;
        let (ended, heard) = hears(wrong, Delivery::InOrder).await;
        assert!(matches!(ended, Err(LinkError::Wire(_))) && heard.is_empty(), "byte {at}: {ended:?}");
    }
    let (ended, _) = hears((1..=5).flat_map(good).collect(), Delivery::InOrder).await;
    assert!(matches!(ended, Err(LinkError::Runaway)), "nobody is that far ahead in lock-step: {ended:?}");
}

/// The sender is held to the window while nobody reads, replaces in its mailbox what has not left, and is told so.
#[tokio::test]
async fn a_slow_receiver_gets_no_more_than_a_window_of_old_signals() {
    let [here, there] = Stream::pair(Transport::Bytes).await.expect("a pair");
    let (below, below_hears, ends) = end(Delivery::NewestWins);
    let pumps = tokio::spawn(carry(here, LINK, Direction::Up, ends));
    let mut lost = Vec::new();
    for version in 1..=50 {
        let (header, field) = prediction(version);
        let Heading { stamp, content, .. } = header.signal.expect("a signal");
        let signal = Signal { stamp, content, numbers: std::sync::Arc::new(field) };
        if let asynapse::engine::mailbox::Sent::Replaced(version) = below.send(signal).expect("sent") {
            lost.push(version);
        }
        // Time for the pump, were it to take more.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(
        lost,
        (WINDOW + 1..50).collect::<Vec<_>>(),
        "a window is on its way, the newest waits, the rest is replaced"
    );
    // Now there is a receiver.
    let (_above, above_hears, ends) = end(Delivery::NewestWins);
    let others = tokio::spawn(carry(there, LINK, Direction::Down, ends));
    let mut newest = 0;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        if let Some(signal) = above_hears.try_take(1) {
            assert!(signal.stamp.version > newest, "in order");
            newest = signal.stamp.version;
            assert!(signal.numbers.iter().all(|&x| x == newest as f32), "its own numbers");
        }
    }
    assert_eq!(newest, 50, "the last word arrives");
    drop((below, below_hears));
    assert!(pumps.await.expect("no panic").is_ok() && others.await.expect("no panic").is_ok());
    assert!(above_hears.is_over(), "and so does the end");
}
