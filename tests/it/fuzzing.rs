//! Oracle: our own encoders. Every decoder that is fuzzed accepts what they make, whole, and survives it cut at every byte and
//! damaged anywhere; and there is a fuzz target for each, and for nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use asynapse::fuzzing::DECODERS;
use asynapse::math::random::{Purpose, Stream};

/// What is damaged or cut of a longer message is a sample of it.
const TRIALS: usize = 400;

/// Feeds one decoder and says with which bytes it failed, if it did.
fn survives(name: &str, read: fn(&[u8]) -> bool, bytes: &[u8]) {
    assert!(catch_unwind(|| read(bytes)).is_ok(), "{name} panics at {bytes:02x?}");
}

#[test]
fn what_our_encoders_make_is_accepted() {
    for decoder in DECODERS {
        let seeds = (decoder.seeds)();
        assert!(!seeds.is_empty(), "{} has messages to begin with", decoder.name);
        for (number, seed) in seeds.iter().enumerate() {
            assert!((decoder.read)(seed), "{} refuses its own message {number}: {:?}", decoder.name, seed);
        }
    }
}

#[test]
fn noise_is_refused_where_there_is_a_format() {
    for decoder in DECODERS {
        // A record of a log may hold any numbers.
        if decoder.name != "event_log" {
            assert!(!(decoder.read)(&[0xa7; 700]), "{} takes noise for something", decoder.name);
        }
    }
}

#[test]
fn cut_and_damaged_messages_are_errors_or_other_messages() {
    let mut stream = Stream::new(1, Purpose::Trial, 91);
    for decoder in DECODERS {
        for seed in (decoder.seeds)() {
            let step = seed.len() / TRIALS + 1;
            for length in (0..seed.len()).step_by(step) {
                survives(decoder.name, decoder.read, &seed[..length]);
            }
            for _ in 0..TRIALS.min(8 * seed.len()) {
                let mut damaged = seed.clone();
                for _ in 0..=stream.below(3) {
                    let at = stream.below(damaged.len());
                    damaged[at] = match stream.below(3) {
                        0 => u8::MAX,
                        1 => damaged[at] ^ (1 << stream.below(8)),
                        _ => stream.below(256) as u8,
                    };
                }
                survives(decoder.name, decoder.read, &damaged);
            }
        }
    }
}

#[test]
fn every_decoder_has_its_fuzz_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let decoders: BTreeSet<String> = DECODERS.iter().map(|decoder| decoder.name.to_owned()).collect();
    assert_eq!(decoders.len(), DECODERS.len(), "no name is used twice");
    let entries = fs::read_dir(root.join("fuzz_targets")).expect("the targets");
    let targets: BTreeSet<String> = entries
        .map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(targets, decoders);
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    for name in &decoders {
        let target = fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).expect("a target");
        assert!(target.contains(&format!("decoder!({name});")), "{name} calls its own decoder");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is built");
    }
}
