//! Groups of neurons in virtual time, from the command line. Oracles: the names and numbers of groups, which follow from the widths;
//! constant delays, which every age has to be; the closed form, which `delay` compares with; the promised exit codes.

use super::program::Bench;

const GROUPS: [&str; 4] =
    ["schedule.mode=virtual-time", "model.groups=neuron", "links.message=error", "inference.max_infer_iters=5"];

#[test]
fn a_network_of_single_neurons_trains_with_delays_of_its_own() {
    let bench = Bench::new();
    let widths = ["model.widths=[784,3,10]", "data.train=40", "data.test=20", "learning.epochs=1"];
    let late = ["links.delay=0.5", "links.\"0.783->1.2\".delay=2.5"];
    bench.train("a", &[&GROUPS[..], &widths, &late].concat()).expect(0);
    let run = bench.run_directory("a");
    let mut reader = csv::Reader::from_path(run.path().join("links.csv")).expect("a table");
    let head = reader.headers().expect("a head").clone();
    let at = |name| head.iter().position(|column| column == name).expect("a column");
    let (mut rows, mut special) = (0, 0);
    for row in reader.records() {
        let row = row.expect("a whole row");
        rows += 1;
        let (from, to) = (&row[at("from")], &row[at("to")]);
        let (layer, _) = from.split_once('.').unwrap_or((from, ""));
        // The output is whole, and has no second name.
        assert_eq!(from.contains('.'), layer != "2", "{from}");
        // It is heard at the tick after it has arrived.
        let is_special = (from, to) == ("0.783", "1.2");
        special += usize::from(is_special);
        let oldest: f64 = row[at("staleness_max")].parse().expect("a number");
        assert_eq!(oldest >= 2.5, is_special, "{from}->{to}: {oldest}");
    }
    assert_eq!((rows, special), (2 * (784 * 3 + 3), 1));
}

#[test]
fn a_wave_is_measured_group_by_group() {
    let bench = Bench::new();
    let words = [
        "delay",
        "delay",
        "model.widths=[784,8,8,8,10]",
        "data.train=20",
        "--out=seen",
        "--rest=zero",
        "model.groups=4",
        "links.message=error",
        "inference.activity_lr=0.02",
        "inference.max_infer_iters=4000",
        "links.\"2.1->1.3\".delay=7",
    ];
    let outcome = bench.run(&words).expect(0);
    assert_eq!(outcome.stdout.matches("arrival = closed form, to the tick: 12 of 12 groups").count(), 2, "{outcome}");
    let mut reader = csv::Reader::from_path(bench.path("seen/delay.csv")).expect("a table");
    let rows: Vec<(String, String)> = reader
        .records()
        .map(|row| row.expect("a whole row"))
        .map(|row| (row[1].to_owned(), row[2].to_owned()))
        .collect();
    let place = |index: usize| ((3 - index / 4).to_string(), (index % 4).to_string());
    assert_eq!(rows[..12], (0..12).map(place).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_honoured_is_a_sentence() {
    let bench = Bench::new();
    let late = ["schedule.mode=virtual-time", "model.groups=4", "links.delay=1"];
    bench.train("a", &late).expect(2).says(&["links.message", "whole current"]);
    let unknown = ["schedule.mode=virtual-time", "model.groups=4", "links.message=error", "clocks.\"1.4\".period=2"];
    bench.train("b", &unknown).expect(2).says(&["there is no group `1.4`", "1.0 to 1.3"]);
    let whole = ["schedule.mode=virtual-time", "links.\"0.0->1\".delay=2"];
    bench.train("c", &whole).expect(2).says(&["there is no link between groups", "model.groups"]);
}
