//! `delay` for groups of neurons on the wall clock. Oracles: the least time of the links, below which nothing may be, and virtual time, which
//! is closed form here. How late things are is printed by the program and not asserted: this machine may be busy.

use super::delaying_wall::{json, number};
use super::program::Bench;

/// Three groups per layer; group 1 of layer 2 hears the layer above late, and ticks half as often.
const GROUPS: [&str; 10] = [
    "delay",
    "delay-wall",
    "model.widths=[784,6,6,6,10]",
    "data.train=20",
    "inference.max_infer_iters=300",
    "--out=seen",
    "model.groups=3",
    "links.message=error",
    "links.\"3->2.1\".delay=17",
    "clocks.\"2.1\".period=4",
];

#[test]
fn groups_are_laid_beside_virtual_time_one_by_one() {
    let bench = Bench::new();
    let outcome = bench.run(&GROUPS).expect(0);
    assert!(outcome.stdout.contains("groups are not followed signal by signal"), "{outcome}");
    assert!(outcome.stdout.contains("\n2.1 ") && outcome.stdout.contains("\n1.0 "), "{outcome}");
    let found = json(&bench, "seen/delay.json");
    let rows = found["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 18, "three groups of three hidden layers, two waves");
    for row in rows {
        let (layer, group, least) = (number(row, "layer"), number(row, "group"), number(row, "least"));
        // Down, group 1 of layer 2 hears of the switch from the layer above after 5 + 17 ms, or by way of layer 1 after 5 + 5 + 5 + 5.
        let expected = match (row["direction"].as_str(), layer as u64, group as u64) {
            (Some("down"), 2, 1) => 20.0,
            (Some("down"), ..) => 5.0 * (4.0 - layer),
            _ => 5.0 * layer,
        };
        assert!((least - expected).abs() < 1e-3, "{row}");
        for first in ["arrival", "onset", "rise10", "rise50", "rise90"] {
            assert!(number(row, first) >= least, "{first}: {row}");
        }
        assert!(number(row, "predicted_arrival") >= least - 1e-9, "{row}");
        let ratio = number(row, "onset") / number(row, "predicted_onset");
        assert!((number(row, "ratio") - ratio).abs() < 1e-12, "{row}");
        // The same laws: period 2 and delay 5 make 6 ms per hop, and the slow clock hears at whole fours.
        let predicted = match (row["direction"].as_str(), layer as u64, group as u64) {
            (Some("down"), 2, 1) => 24.0,
            (Some("down"), ..) => 6.0 * (4.0 - layer),
            (_, 2, 1) => 12.0,
            _ => 6.0 * layer,
        };
        assert_eq!(number(row, "predicted_arrival"), predicted, "{row}");
    }
    assert!(found["waves"][0]["arrows"].is_null());
    for stem in ["delay-down", "heat-up", "errors-down"] {
        assert!(bench.path(&format!("seen/{stem}.png")).exists(), "{stem}");
    }
}

#[test]
fn groups_that_run_free_have_one_process() {
    let bench = Bench::new();
    let outcome = bench.run(&[&GROUPS[..], &["workers=2"]].concat()).expect(2);
    assert!(
        outcome.stderr.contains("`workers` must be 1 for groups of neurons with the mode `free-running`"),
        "{outcome}"
    );
}
