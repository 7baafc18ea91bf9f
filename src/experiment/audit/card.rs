//! Report cards as tables and figures: Markdown to read, CSV with a row per measured value, two heat maps.

use std::fmt::Write as _;

use serde::Serialize;

use super::reads::{Source, Transport};
use super::{Card, Observed};
use crate::plot::{Heatmap, PlotError};
use crate::run::RunDirectory;
use crate::run::RunError;
use crate::run::atomic::write_atomic;
use crate::run::table::write_table;

/// Why cards could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A figure could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A file could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// One measured value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The algorithm.
    pub algorithm: String,
    /// `lock-step`, `free-running`, or empty where it is neither's.
    pub schedule: &'static str,
    /// A layer, a weight matrix, a link, a trial; empty: the whole network.
    pub place: String,
    /// What was measured.
    pub measure: String,
    /// What it was.
    pub value: String,
}

/// True if a layer of any algorithm was caught.
pub fn caught(cards: &[Card]) -> Vec<String> {
    let of = |card: &Card, observed: &Observed| {
        let found = observed.replays.iter().filter_map(|replay| {
            let what = replay.differs.as_ref()?;
            Some(format!(
                "{}, {}: layer {} is not local: alone it gives other bits in {what}",
                card.algorithm, observed.schedule, replay.layer
            ))
        });
        found.collect::<Vec<String>>()
    };
    cards
        .iter()
        .flat_map(|card| card.observed.iter().flat_map(|observed| of(card, observed)).collect::<Vec<_>>())
        .collect()
}

/// Everything measured, a row per value.
pub fn rows(cards: &[Card]) -> Vec<Row> {
    cards.iter().flat_map(rows_of).collect()
}

fn rows_of(card: &Card) -> Vec<Row> {
    let row = |schedule, place: String, measure: &str, value: String| Row {
        algorithm: card.algorithm.clone(),
        schedule,
        place,
        measure: measure.to_owned(),
        value,
    };
    let mut rows = vec![row("", String::new(), "parameters", card.parameters.to_string())];
    rows.extend(card.no_layers.iter().map(|why| row("", String::new(), "no card", why.clone())));
    for observed in &card.observed {
        let here = |place: String, measure: &str, value: String| row(observed.schedule, place, measure, value);
        rows.push(here(String::new(), "cosine", format!("{:.6}", observed.cosine)));
        rows.push(here(String::new(), "phases ended", observed.ended.join(" ")));
        for replay in &observed.replays {
            let verdict = replay.differs.as_deref().unwrap_or("same bits").to_owned();
            rows.push(here(format!("layer {}", replay.layer), "replayed alone", verdict));
            rows.push(here(format!("layer {}", replay.layer), "numbers compared", replay.numbers.to_string()));
        }
        for (index, reads) in observed.reads.iter().enumerate() {
            for read in reads {
                let value = read.read.map_or("none given", |read| if read { "yes" } else { "no" });
                rows.push(here(format!("W{}", index + 1), &format!("reads {}", read.source.name()), value.to_owned()));
            }
        }
        let counts = &observed.counts;
        for link in &counts.links {
            let place = format!("{}->{}", link.from, link.to);
            rows.push(here(place.clone(), "messages per update", link.messages.to_string()));
            rows.push(here(place.clone(), "messages heard per update", link.heard.to_string()));
            rows.push(here(place, "bytes per update", link.bytes.to_string()));
        }
        for (name, count) in &counts.directives {
            rows.push(here(String::new(), &format!("directives per update: {name}"), count.to_string()));
        }
        for (measure, value) in [
            ("phases per update", counts.phases),
            ("steps per update", counts.steps),
            ("numbers kept: states of another phase", counts.kept_states as f64),
            ("numbers kept: products of another phase", counts.kept_products as f64),
            ("numbers kept: products of the step before", counts.kept_between_steps as f64),
        ] {
            rows.push(here(String::new(), measure, value.to_string()));
        }
    }
    for descent in &card.descents {
        let place = format!("W{}", descent.weights);
        rows.push(row("lock-step", place.clone(), "weight transport", transport_name(descent.transport).to_owned()));
        rows.push(row("lock-step", place, "cosine of feedback and forward weights", format!("{:.6}", descent.cosine)));
    }
    for tolerance in &card.tolerances {
        rows.push(row("", String::new(), &format!("bears {}", tolerance.of), tolerance.cell()));
        for trial in &tolerance.trials {
            let value = trial.cosine.map(|cosine| format!("{cosine:.6}")).or(trial.problem.clone()).unwrap_or_default();
            rows.push(row("", trial.setting.clone(), &format!("cosine under {}", tolerance.of), value));
        }
    }
    rows
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::None => "no",
        Transport::Signs => "signs",
        Transport::Weights => "yes",
    }
}

/// The report card in words.
pub fn markdown(cards: &[Card]) -> String {
    let mut text = String::from("# Audit\n");
    let with_layers: Vec<&Card> = cards.iter().filter(|card| card.no_layers.is_none()).collect();
    for card in cards.iter().filter(|card| card.no_layers.is_some()) {
        let _ = writeln!(text, "\n`{}`: no card. {}.", card.algorithm, card.no_layers.as_deref().unwrap_or_default());
    }
    if with_layers.is_empty() {
        return text;
    }
    section(
        &mut text,
        "Locality",
        "Every layer built again, alone, and told only what its journal says it heard: same bits in every signal, report, estimate, weight \
         and optimiser state, or the first that differs.",
        &["algorithm", "lock-step", "free-running", "cosine, lock-step", "cosine, free-running", "phases ended"],
        with_layers.iter().map(|card| locality(card)).collect(),
    );
    let mut head = vec!["algorithm", "schedule"];
    head.extend(Source::ALL.map(Source::name));
    let both = |card: &&Card| card.observed.iter().map(|observed| read_row(card, observed)).collect::<Vec<_>>();
    section(
        &mut text,
        "What an update reads",
        "Which weights' first update has other bits if this one thing is changed in the replay; – where no layer is given any.",
        &head,
        with_layers.iter().flat_map(both).collect(),
    );
    section(
        &mut text,
        "What an update takes",
        "Per update, in the whole network; bytes are those of the numbers in signals. Directives: of the layer that receives most.",
        &[
            "algorithm",
            "schedule",
            "phases",
            "steps",
            "signals up",
            "signals down",
            "bytes up",
            "bytes down",
            "directives",
            "states kept for another phase",
            "products kept for another phase",
            "products kept between steps",
        ],
        with_layers
            .iter()
            .flat_map(|card| card.observed.iter().map(|o| cost_row(card, o)).collect::<Vec<_>>())
            .collect(),
    );
    section(
        &mut text,
        "Weight transport and what it bears",
        "Transport: whether the state below moves with the forward weights (their values, or only their signs), all signals heard being \
         the same, in lock-step; the cosine is that of the matrix errors come down through with the forward weights, after the updates. \
         Precision: fewest bits of states and signals with cosine ≥ 0.99; noise on every signal (standard deviation) and delay of every \
         signal (in steps) with cosine ≥ 0.9, at the same number of steps, one draw of noise. Cosines are those with the exact gradient; †: with \
         the algorithm's own undisturbed estimate, which is further from the gradient than that.",
        &["algorithm", "transport", "cos(B, W)", "precision", "noise", "delay"],
        with_layers.iter().map(|card| bearing(card)).collect(),
    );
    text
}

fn section(text: &mut String, title: &str, meaning: &str, head: &[&str], rows: Vec<Vec<String>>) {
    let _ = writeln!(text, "\n## {title}\n\n{meaning}\n");
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(head.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
}

fn locality(card: &Card) -> Vec<String> {
    let mut row = vec![card.algorithm.clone()];
    for observed in &card.observed {
        let caught: Vec<String> = observed
            .replays
            .iter()
            .filter(|replay| !replay.is_local())
            .map(|replay| replay.layer.to_string())
            .collect();
        let numbers: usize = observed.replays.iter().map(|replay| replay.numbers).sum();
        row.push(if caught.is_empty() {
            format!("local ({numbers} numbers)")
        } else {
            format!("**not local: layer {}**", caught.join(", "))
        });
    }
    row.extend(card.observed.iter().map(|observed| format!("{:.4}", observed.cosine)));
    row.push(card.observed.first().map_or(String::new(), |observed| observed.ended.join(", ")));
    row
}

fn read_row(card: &Card, observed: &Observed) -> Vec<String> {
    let mut row = vec![card.algorithm.clone(), observed.schedule.to_owned()];
    for source in Source::ALL {
        let of_matrix = |reads: &Vec<super::reads::Read>| {
            reads.iter().find(|read| read.source == source).and_then(|read| read.read)
        };
        let answers: Vec<Option<bool>> = observed.reads.iter().map(of_matrix).collect();
        row.push(if answers.iter().all(Option::is_none) {
            "–".to_owned()
        } else if answers.iter().all(|answer| *answer == Some(true)) {
            "all".to_owned()
        } else if answers.contains(&Some(true)) {
            let named = answers.iter().enumerate().filter(|(_, answer)| **answer == Some(true));
            named.map(|(index, _)| format!("W{}", index + 1)).collect::<Vec<_>>().join(" ")
        } else {
            "no".to_owned()
        });
    }
    row
}

fn cost_row(card: &Card, observed: &Observed) -> Vec<String> {
    let counts = &observed.counts;
    let (up, down) = (counts.traffic(true), counts.traffic(false));
    let whole = |number: f64| format!("{number:.0}");
    let directives: Vec<String> = counts.directives.iter().map(|(name, count)| format!("{name} {count}")).collect();
    vec![
        card.algorithm.clone(),
        observed.schedule.to_owned(),
        whole(counts.phases),
        whole(counts.steps),
        whole(up.0),
        whole(down.0),
        whole(up.1),
        whole(down.1),
        format!("{} ({})", counts.directives_in_all(), directives.join(", ")),
        counts.kept_states.to_string(),
        counts.kept_products.to_string(),
        counts.kept_between_steps.to_string(),
    ]
}

fn bearing(card: &Card) -> Vec<String> {
    let most = card.descents.iter().map(|descent| descent.transport).max();
    let cosines: Vec<String> = card.descents.iter().map(|descent| format!("{:.2}", descent.cosine)).collect();
    let cell = |of: &str| {
        card.tolerances
            .iter()
            .find(|tolerance| tolerance.of == of)
            .map_or("–".to_owned(), super::tolerance::Tolerance::cell)
    };
    vec![
        card.algorithm.clone(),
        most.map_or("–", transport_name).to_owned(),
        cosines.join(", "),
        cell("precision"),
        cell("noise"),
        cell("delay"),
    ]
}

/// Writes `audit.md`, `audit.csv`, `audit.json` and the figures `audit-reads` and `audit-costs`.
pub fn write(cards: &[Card], run: &RunDirectory) -> Result<(), WriteError> {
    write_atomic(&run.file("audit.md"), markdown(cards).as_bytes())?;
    write_table(&run.file("audit.csv"), rows(cards))?;
    let path = run.file("audit.json");
    let json = serde_json::to_vec_pretty(cards).map_err(|error| RunError::content(&path, error.to_string()))?;
    write_atomic(&path, &json)?;
    if cards.iter().any(|card| card.no_layers.is_none()) {
        reads_map(cards).write(run.path(), "audit-reads")?;
        costs_map(cards).write(run.path(), "audit-costs")?;
    }
    Ok(())
}

/// Cards from bottom to top, so that the first is on top.
fn drawn(cards: &[Card]) -> Vec<(&Card, &Observed)> {
    cards.iter().rev().filter_map(|card| Some((card, card.observed.first()?))).collect()
}

fn names(drawn: &[(&Card, &Observed)]) -> Vec<String> {
    drawn.iter().map(|(card, _)| card.algorithm.clone()).collect()
}

fn reads_map(cards: &[Card]) -> Heatmap {
    let drawn = drawn(cards);
    let mut columns: Vec<String> = Source::ALL.iter().map(|source| source.symbol().to_owned()).collect();
    columns.push("transport".to_owned());
    let share = |observed: &Observed, source| {
        let read =
            observed.reads.iter().flatten().filter(|read| read.source == source && read.read == Some(true)).count();
        read as f64 / observed.reads.len().max(1) as f64
    };
    let values = drawn.iter().map(|(card, observed)| {
        let mut row: Vec<f64> = Source::ALL.iter().map(|&source| share(observed, source)).collect();
        let degree = |transport| match transport {
            Transport::None => 0.0,
            Transport::Signs => 0.5,
            Transport::Weights => 1.0,
        };
        row.push(card.descents.iter().map(|descent| degree(descent.transport)).fold(0.0, f64::max));
        row
    });
    Heatmap {
        title: "What an update reads, in lock-step: share of the weight matrices".to_owned(),
        x: ("x state, W weights, B feedback, a predictions, d errors, c coefficient, h product".to_owned(), columns),
        y: (String::new(), names(&drawn)),
        values: values.collect(),
        label: "share of the weight matrices".to_owned(),
        log: false,
    }
}

fn costs_map(cards: &[Card]) -> Heatmap {
    let drawn = drawn(cards);
    let columns = ["phases", "steps", "signals up", "signals down", "bytes", "directives"];
    let costs = |observed: &Observed| {
        let counts = &observed.counts;
        let (up, down) = (counts.traffic(true), counts.traffic(false));
        [counts.phases, counts.steps, up.0, down.0, up.1 + down.1, counts.directives_in_all()]
    };
    let measured: Vec<[f64; 6]> = drawn.iter().map(|(_, observed)| costs(observed)).collect();
    let least = |column: usize| measured.iter().map(|row| row[column]).fold(f64::INFINITY, f64::min).max(1.0);
    let relative = |row: &[f64; 6]| (0..6).map(|column| (row[column] / least(column)).max(1.0)).collect();
    Heatmap {
        title: "What an update takes, in lock-step: log₁₀ of the multiple of the least".to_owned(),
        x: (String::new(), columns.map(str::to_owned).to_vec()),
        y: (String::new(), names(&drawn)),
        values: measured.iter().map(relative).collect(),
        label: "multiple of the least".to_owned(),
        log: true,
    }
}
