//! Oracles: the files that are promised, their magic numbers, the CSV read by another reader, and numbers that no axis can show.

use super::*;

fn figure(y: Axis, points: Vec<(f64, f64)>) -> Figure {
    let band = points.iter().map(|&(_, y)| (y - 0.5, y + 0.5)).collect();
    let series = vec![Series { band, ..Series::new("measured ‖ĝ − g‖", points, Style::Marked) }];
    Figure { title: "A figure".into(), x: Axis::log("λ"), y, series }
}

#[test]
fn a_figure_is_a_picture_twice_and_the_table_that_drew_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let points = vec![(0.001, 0.022), (0.1, 0.036), (1.0, 0.202)];
    figure(Axis::log("distance"), points.clone()).write(folder.path(), "fig").expect("a figure");
    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("a file");
    assert_eq!(read("fig.png")[..8], *b"\x89PNG\r\n\x1a\n");
    let svg = String::from_utf8(read("fig.svg")).expect("text");
    for part in ["<svg", "A figure", "measured ‖ĝ − g‖", "distance", ">λ<"] {
        assert!(svg.contains(part), "{part} stands in the picture");
    }
    let mut reader = csv::Reader::from_path(folder.path().join("fig.csv")).expect("a table");
    let rows: Vec<(String, f64, f64, f64, f64)> = reader.deserialize().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.iter().map(|row| (row.1, row.2)).collect::<Vec<_>>(), points);
    assert!(rows.iter().all(|row| (row.4 - row.3 - 1.0).abs() < 1e-12), "{rows:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 3, "nothing else is left behind");
}

#[test]
fn a_series_keeps_its_colour_where_others_are_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let drawn = |place: Option<usize>, name: &str| {
        let mut figure = figure(Axis::linear("y"), vec![(0.1, 1.0), (1.0, 2.0)]);
        figure.series[0].place = place;
        figure.write(folder.path(), name).expect("a figure");
        std::fs::read_to_string(folder.path().join(name).with_extension("svg")).expect("text").to_lowercase()
    };
    // Okabe & Ito's reddish purple and blue.
    let (fourth, first) = ("#cc79a7", "#0072b2");
    let svg = drawn(Some(3), "moved");
    assert!(svg.contains(fourth) && !svg.contains(first));
    let svg = drawn(None, "plain");
    assert!(svg.contains(first) && !svg.contains(fourth));
}

#[test]
fn numbers_that_no_axis_can_show_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |y: Axis, point: (f64, f64)| {
        figure(y, vec![(0.1, 1.0), point]).write(folder.path(), "fig").map_err(|error| error.to_string())
    };
    for point in [(0.2, 0.0), (0.2, f64::NAN), (-1.0, 1.0)] {
        let problem = refused(Axis::log("y"), point).expect_err("not on a logarithmic axis");
        assert!(problem.contains("measured ‖ĝ − g‖") && problem.contains("logarithmic"), "{problem}");
    }
    assert!(refused(Axis::linear("y"), (0.2, 0.0)).is_ok(), "zero stands on a linear axis");
    let nothing = Figure { series: Vec::new(), ..figure(Axis::linear("y"), vec![]) };
    assert!(nothing.write(folder.path(), "none").is_err());
}

#[test]
fn a_heat_map_has_a_cell_for_every_pair() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let map = Heatmap {
        title: "Cells".into(),
        x: ("delay".into(), names(&["1", "2", "4"])),
        y: ("step".into(), names(&["0.1", "0.2"])),
        values: vec![vec![1e-3, 1e-2, 1e-1], vec![1.0, 10.0, 100.0]],
        label: "distance".into(),
        log: true,
    };
    map.write(folder.path(), "map").expect("a map");
    let table = std::fs::read_to_string(folder.path().join("map.csv")).expect("a table");
    assert_eq!(table.lines().count(), 7);
    assert!(table.contains("4,0.2,100"), "{table}");
    let torn = Heatmap { values: vec![vec![1.0; 3], vec![1.0; 2]], ..map.clone() };
    assert!(torn.write(folder.path(), "torn").is_err());
    let zero = Heatmap { values: vec![vec![0.0; 3]; 2], ..map };
    assert!(zero.write(folder.path(), "zero").expect_err("no logarithm").to_string().contains("no colour"));
}

#[test]
fn spread_is_mean_and_sample_deviation() {
    let spread = Spread::of(&[1.0, 2.0, 3.0, 4.0]);
    assert!((spread.mean - 2.5).abs() < 1e-15 && (spread.deviation - (5.0_f64 / 3.0).sqrt()).abs() < 1e-15);
    assert_eq!(Spread::of(&[7.0]), Spread { mean: 7.0, deviation: 0.0 });
}
