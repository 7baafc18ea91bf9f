//! What a worker or a coordinator that lies can say. Every lie is one right message with one thing changed, and is refused by name;
//! the right message is accepted.

use std::sync::Arc;

use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::runtime::Builder;

use super::errands::{Heard, next_errand};
use super::heads::{Bid, Envelope, Load, Said};
use super::replies::{Asked, next_reply};
use super::site::{LETTERS_MOST, Site};
use crate::energy::{Activation, Loss};
use crate::engine::remote::{ControlError, Limits, Outgoing, Told, control};
use crate::engine::transport::Stream;
use crate::engine::virtual_time::errand::{Errand, Window};
use crate::engine::virtual_time::kernel::{Key, Time};
use crate::math::Field;
use crate::network::NetworkSpec;
use crate::signal::{Content, Directive, Stamp};
use crate::wire::control::Order;

/// The middle layer of 3-4-2, with a batch of two, done up to time 100.
fn site() -> Site {
    let network = NetworkSpec::new(&[3, 4, 2], Activation::Tanh, Loss::SquaredError).expect("a network");
    let mut site = Site::new(Limits { network: Arc::new(network), batch_most: 6 }, 1..2);
    let page = || Arc::new(Field::<f64>::zeros((0, 2)));
    site.note(&Errand::Present { batch: 1, size: 2, data: page(), target: page() });
    site.note::<f64>(&Errand::Window(Window { until: Time(100), letters: Vec::new() }));
    site
}

/// Bytes that were said, and what is behind them.
fn said(say: impl AsyncFnOnce(&mut Outgoing) -> Result<(), ControlError>) -> Stream {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let bytes = runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let stream = Stream { reader: Box::new(tokio::io::empty()), writer: Box::new(near) };
        let (_, mut out) = control(stream);
        say(&mut out).await.expect("there is room");
        out.flush().await.expect("there is room");
        drop(out);
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).await.expect("what was written");
        bytes
    });
    Stream { reader: Box::new(std::io::Cursor::new(bytes)), writer: Box::new(tokio::io::sink()) }
}

fn to_worker(stream: Stream) -> Result<Option<Heard<f64>>, String> {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let heard = runtime.block_on(next_errand::<f64>(&mut control(stream).0, &site()));
    heard.map_err(|error| error.to_string())
}

fn to_coordinator(stream: Stream, asked: &Asked) -> Result<(), String> {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let heard = runtime.block_on(next_reply::<f64>(&mut control(stream).0, asked, &site()));
    heard.map_err(|error| error.to_string())?.map(drop).map_err(|error| error.to_string())
}

fn signal(link: u32, node: u32, rank: u8, content: Content) -> Envelope {
    let key = Key { time: Time(100), rank, node, link, number: 1 };
    let stamp = Stamp { phase: 1, step: 1, version: 1, answers: 0 };
    Envelope { key, carried: Load::Signal { said: Time(90), stamp, content } }
}

fn windows(letter: Envelope, numbers: usize) -> Result<Option<Heard<f64>>, String> {
    to_worker(said(async |out: &mut Outgoing| {
        out.put(&Bid::Window { until: Time(200), letters: 1 }, &[]).await?;
        out.put(&vec![letter], &vec![0; 8 * numbers]).await
    }))
}

fn outcomes(letter: Envelope, numbers: usize) -> Result<(), String> {
    let said = said(async |out: &mut Outgoing| {
        out.put(&Said::Outcome { next: None, now: Time(99), events: 1, letters: 1 }, &[]).await?;
        out.put(&vec![letter], &vec![0; 8 * numbers]).await
    });
    to_coordinator(said, &Asked::Window)
}

type Lie = fn(&mut Envelope);

/// Links of 3-4-2: 0 up and 1 down between the input and the middle, 2 up and 3 down between the middle and the output.
#[test]
fn letters_that_no_link_carries_are_refused_by_name() {
    let up = || signal(0, 1, 1, Content::Prediction);
    assert!(windows(up(), 8).is_ok(), "a prediction for four units and two samples");
    assert!(windows(signal(3, 1, 3, Content::Error), 4).is_ok(), "an error of two units");
    assert!(outcomes(signal(2, 2, 1, Content::Prediction), 4).is_ok(), "a prediction for two units");
    assert!(outcomes(signal(1, 0, 3, Content::State), 8).is_ok(), "an error of four units");
    let with = |change: Lie| {
        let mut letter = up();
        change(&mut letter);
        windows(letter, 8).expect_err("a lie")
    };
    let lies: [(Lie, &str); 9] = [
        (|l| l.key.link = 4, "the link of a letter is 4"),
        (|l| l.key.link = u32::MAX, "the link of a letter"),
        (|l| l.key.node = 2, "the node of a letter is 2"),
        (|l| l.key.rank = 0, "the kind of a letter is 0"),
        (|l| l.key.rank = 3, "the kind of a letter is 3"),
        (|l| l.key.time = Time(99), "the time of a letter is 99"),
        (|l| l.key.time = Time(u64::MAX), "the time of a letter"),
        (|l| l.key.number = u64::MAX, "the number of a letter"),
        (|l| l.carried = Load::Version(1), "the kind of a letter is 1"),
    ];
    for (lie, named) in lies {
        let problem = with(lie);
        assert!(problem.contains(named), "{named}: {problem}");
    }
    let old = |carried| windows(Envelope { carried, ..up() }, 8).expect_err("a lie");
    let stamp = Stamp { version: u64::MAX, ..Stamp::default() };
    let content = Content::Prediction;
    assert!(old(Load::Signal { said: Time(1), stamp, content }).contains("the stamp of a letter"));
    let stamp = Stamp::default();
    assert!(old(Load::Signal { said: Time(1), stamp, content: Content::Error }).contains("the kind of a letter"));
    // What is right for the worker is not what a worker says.
    assert!(outcomes(up(), 8).expect_err("its own node").contains("the node of a letter is 1"));
    assert!(outcomes(signal(0, 0, 4, content), 8).expect_err("no signal").contains("the kind of a letter is 4"));
}

#[test]
fn pages_and_lists_that_are_longer_or_shorter_than_they_can_be_are_refused() {
    let up = || signal(0, 1, 1, Content::Prediction);
    assert!(windows(up(), 9).expect_err("one too many").contains("the length of a chunk is 72"));
    assert!(windows(up(), 7).is_err(), "one is missing");
    let letters =
        |letters| to_worker(said(async |out: &mut Outgoing| out.say(&Bid::Window { until: Time(200), letters }).await));
    assert!(letters(LETTERS_MOST + 1).expect_err("too many").contains("the number of letters"));
    assert!(letters(LETTERS_MOST).is_err(), "none of them comes, and no room was made");
    let lists = |first: usize, second: usize| {
        let spoken = said(async |out: &mut Outgoing| {
            out.put(&Said::Ends { unheard: false }, &[]).await?;
            out.put(&vec![1_u64; first], &[]).await?;
            out.put(&vec![1_u64; second], &[]).await
        });
        to_coordinator(spoken, &Asked::Ends)
    };
    assert_eq!(lists(2, 2), Ok(()));
    assert!(lists(3, 1).expect_err("three of two").contains("the length of a list is 3"));
    assert!(lists(0, 2).expect_err("an empty pack").contains("the length of a list is 0"));
}

fn says<H: Serialize>(head: H, asked: &Asked) -> String {
    to_coordinator(said(async |out: &mut Outgoing| out.say(&head).await), asked).expect_err("a lie")
}

#[test]
fn answers_to_something_else_and_times_that_are_over_are_refused() {
    let outcome = |next| Said::Outcome { next, now: Time(99), events: 0, letters: 0 };
    assert!(says(outcome(Some(Time(99))), &Asked::Window).contains("the next event is 99"));
    assert!(says(outcome(None), &Asked::Count).contains("something else"));
    assert!(says(Said::Done, &Asked::Window).contains("something else"));
    assert!(says(Said::Counted { waved: true, arrived: 2 }, &Asked::Count).contains("the number of arrivals is 2"));
    assert!(says(Said::Fault(1, "it cannot".into()), &Asked::Window).contains("it cannot"));
}

#[test]
fn directives_are_for_own_nodes_once_each_and_none_of_a_phase() {
    let told = |count: usize, directives: Vec<(usize, Directive<f64>)>| {
        to_worker(said(async |out: &mut Outgoing| {
            out.put(&Bid::Direct(count), &[]).await?;
            for (node, directive) in &directives {
                out.put(&Told::Order(*node, Order::of(directive).0), &[]).await?;
            }
            Ok(())
        }))
    };
    assert!(told(1, vec![(1, Directive::Learn)]).is_ok());
    let refused = |count, directives| told(count, directives).expect_err("a lie");
    assert!(refused(2, vec![(1, Directive::Learn); 2]).contains("the number of directives is 2"));
    assert!(refused(1, vec![(0, Directive::Learn)]).contains("the node of a directive is 0"));
    assert!(refused(1, vec![(1, Directive::Halt)]).contains("the kind of a directive"));
    let batch = to_worker(said(async |out: &mut Outgoing| out.say(&Bid::Present { batch: 1, size: 7 }).await));
    assert!(batch.expect_err("more than was announced").contains("the batch is 7"));
}
