//! Logs of events and their replay. Oracles: the file's own digest, computed here; the run that was not interrupted; and logs that
//! somebody has changed, which must be found out at the very event.

use std::fs;

use sha2::{Digest, Sha256};

use super::program::Bench;
use super::resumed::assert_same;

const RECORD: usize = 48;

/// Delays, losses and clocks that are drawn, and a log that reaches into the second epoch of seven batches.
const ROUGH: [&str; 9] = [
    "model.widths=[784,8,6,10]",
    "schedule.mode=virtual-time",
    "inference.max_infer_iters=12",
    "clocks.period={ law = \"uniform\", low = 0.5, high = 1.5 }",
    "links.delay={ law = \"exponential\", mean = 0.5, min = 0.25 }",
    "links.loss=0.1",
    "links.resend=5",
    "record.cosine_every=0",
    "record.event_log=10",
];

fn hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_run_leaves_a_log_that_its_replay_repeats_event_for_event_on_any_threads() {
    let bench = Bench::new();
    let outcome = bench.train("a", &[&ROUGH[..], &["learning.epochs=2"]].concat()).expect(0);
    let run = bench.run_directory("a");
    let log = fs::read(run.file("events.log")).expect("a log");
    let sha256 = hexadecimal(&log);
    let events = run.meta()["events"].clone();
    assert_eq!(events["sha256"], sha256.as_str());
    assert_eq!(events["batches"], 10);
    let count = events["events"].as_u64().expect("a count") as usize;
    assert_eq!(log.len(), RECORD * (count + 10), "an event or the beginning of a batch is 48 bytes");
    assert!(count > 1000 && outcome.stdout.contains(&sha256), "{outcome}");
    let replayed = bench.run(&["replay", "runs/a"]).expect(0);
    assert!(replayed.stdout.contains(&sha256) && replayed.stdout.contains(&count.to_string()), "{replayed}");

    let shown = bench.run(&["replay", "runs/a", "--batch", "8", "--from", "3.5", "--events", "15"]).expect(0);
    let times = shown
        .stdout
        .lines()
        .filter(|line| !line.contains("events of"))
        .filter_map(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    let times: Vec<f64> = times.collect();
    assert!(times.len() == 15 && times[0] >= 3.5 && times.is_sorted(), "{shown}");
    assert!(shown.stdout.contains("before 3.5 τ") && shown.stdout.contains("tick"), "{shown}");
    assert!(shown.stdout.contains(&sha256), "who watches changes nothing: {shown}");

    let threads = ["learning.epochs=2", "schedule.threads=2", "schedule.shards=3"];
    bench.train("b", &[&ROUGH[..], &threads].concat()).expect(0);
    assert!(fs::read(bench.run_directory("b").file("events.log")).expect("a log") == log, "on two threads");
    bench.train("c", &[&ROUGH[..], &["seed=5"]].concat()).expect(0);
    assert!(fs::read(bench.run_directory("c").file("events.log")).expect("a log") != log, "another seed");
}

#[test]
fn a_log_that_was_changed_is_found_out_at_the_event() {
    let bench = Bench::new();
    bench.train("a", &ROUGH).expect(0);
    let path = bench.run_directory("a").file("events.log");
    let log = fs::read(&path).expect("a log");
    let replay = |what: &[u8]| {
        fs::write(&path, what).expect("a log");
        bench.run(&["replay", "runs/a"])
    };
    for (place, byte) in [(0, 32), (40, 0), (333, 40), (777, 47)] {
        let mut changed = log.clone();
        changed[RECORD * place + byte] ^= 1;
        replay(&changed).expect(1).says(&[&format!("event {place} of the log"), "recorded: ", "replayed: "]);
    }
    let swapped = [&log[..RECORD * 50], &log[RECORD * 51..RECORD * 52], &log[RECORD * 50..]].concat();
    replay(&swapped).expect(1).says(&["event 50 of the log, in batch 0"]);
    replay(&log[..log.len() - RECORD]).expect(1).says(&["recorded: nothing, the log ends here"]);
    replay(&[&log[..], &log[..RECORD]].concat()).expect(1).says(&["replayed: nothing, the run is over"]);
    replay(&log).expect(0);

    let meta = bench.run_directory("a").text("meta.json");
    let sha256 = hexadecimal(&log);
    bench.put("runs/a/meta.json", meta.replace(&sha256, &"0".repeat(64)));
    replay(&log).expect(2).says(&["meta.json", &sha256]);
    // Another configuration is another run.
    bench.put("runs/a/meta.json", meta);
    let config = bench.run_directory("a").text("config.toml");
    bench.put("runs/a/config.toml", config.replace("loss = 0.1", "loss = 0.11"));
    replay(&log).expect(1).says(&["is not as it was"]);
}

#[test]
fn what_cannot_be_replayed_is_refused() {
    let bench = Bench::new();
    bench.train("a", &["schedule.mode=virtual-time"]).expect(0);
    bench.run(&["replay", "runs/a"]).expect(2).says(&["runs/a has no log of events", "record.event_log"]);
    bench.run(&["replay", "runs/none"]).expect(2).says(&["runs/none is not a run directory"]);
    bench.train("b", &["schedule.mode=virtual-time", "record.event_log=2"]).expect(0);
    bench.run(&["replay", "runs/b", "--batch", "2"]).expect(2).says(&["--batch 2", "0 to 1"]);
    bench.run(&["replay", "runs/b", "--batch", "1", "--from", "-1"]).expect(2);
}

/// Clocks, delays, losses and noise are drawn by batch and number, counts are kept with the checkpoint: nothing tells a run that was
/// interrupted from one that was not.
#[test]
fn a_resumed_run_in_virtual_time_has_the_bits_the_counts_and_the_log_of_an_undisturbed_one() {
    for more in [
        &["inference.tolerance=1e-3"][..],
        &["record.checkpoint_every=5", "links.delivery=queue"],
        &["numerics.state_noise=0.01", "numerics.message_noise=0.01"],
    ] {
        let rough = [&ROUGH[..], more].concat();
        let bench = Bench::new();
        bench.train("whole", &[&rough[..], &["learning.epochs=2"]].concat()).expect(0);
        bench.train("parts", &rough).expect(0);
        bench.resume("parts", &["learning.epochs=2"]).expect(0);
        let [parts, whole] = ["parts", "whole"].map(|name| bench.run_directory(name));
        assert_same(&parts, &whole);
        assert_eq!(parts.text("links.csv"), whole.text("links.csv"), "counts go on");
        assert_eq!(parts.meta()["events"], whole.meta()["events"]);
        bench.run(&["replay", "runs/parts"]).expect(0);
        // A log that would have a gap is refused.
        let other = ["learning.epochs=3", "record.event_log=20"];
        bench.resume("parts", &other).expect(2).says(&["events.log", "leave record.event_log as it was"]);
    }
}
