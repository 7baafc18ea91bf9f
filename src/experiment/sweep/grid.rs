//! The grid: a base configuration, settings that stay, keys that vary, and seeds.
//!
//! Run k of a grid with axes of n_1 … n_m values and s seeds: the first axis typed varies slowest, the seed fastest.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::measure::{self, RunKind};
use super::{Axis, SweepError};
use crate::config::{self, Config};

/// More runs than this are a typing error; every one would be a file.
const RUNS_MOST: usize = 100_000;
/// After this many points that can't be run the rest is not looked at.
const PROBLEMS_MOST: usize = 5;
/// Keys that belong to the sweep as a whole.
const OF_THE_SWEEP: &str = "output.";

/// Which runs there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    origin: String,
    text: String,
    fixed: Vec<String>,
    axes: Vec<Axis>,
    seeds: Vec<u64>,
}

/// One run of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its number, from 0.
    pub run: usize,
    /// The swept keys with their values here.
    pub settings: Vec<(String, String)>,
    /// The seed.
    pub seed: u64,
}

impl Grid {
    /// The grid over a configuration (`target` as for [`config::load`]) that these `key=…` words span, with `seeds` seeds from the
    /// configuration's on. Without `seeds` it has one, or those of a word `seed=a,b,c`.
    ///
    /// # Errors
    /// A base that can't be read; words that are no axis; a key given twice; more runs than make sense.
    pub fn read(target: Option<&str>, words: &[String], seeds: Option<usize>) -> Result<Self, SweepError> {
        let config::Text { origin, text, .. } = config::text_of(target)?;
        let (mut fixed, mut axes, mut listed) = (Vec::new(), Vec::new(), None);
        for word in words {
            match Axis::read(word)? {
                None => fixed.push(word.clone()),
                Some(axis) if axis.key.starts_with(OF_THE_SWEEP) => {
                    let problem = format!("`{}` names the folder of the whole sweep; it has one value", axis.key);
                    return Err(SweepError::Axis { word: word.clone(), problem });
                }
                Some(axis) if axis.key == "seed" => listed = Some((word, axis)),
                Some(axis) => axes.push(axis),
            }
        }
        let keys = fixed.iter().filter_map(|word| Some(word.split_once('=')?.0.trim()));
        let mut seen: BTreeSet<&str> = keys.collect();
        for key in axes.iter().map(|axis| &axis.key).chain(listed.iter().map(|(_, axis)| &axis.key)) {
            if !seen.insert(key) {
                return Err(SweepError::Grid(format!("`{key}` is swept and given a second time")));
            }
        }
        let mut grid = Self { origin, text, fixed, axes, seeds: vec![0] };
        grid.seeds = match (listed, seeds) {
            (Some((word, _)), Some(_)) => {
                let problem = "--seeds counts seeds from the configuration's on; give one of the two".to_owned();
                return Err(SweepError::Axis { word: word.clone(), problem });
            }
            (Some((word, axis)), None) => {
                let number = |value: &String| value.parse::<u64>().ok();
                let seeds: Option<Vec<u64>> = axis.values.iter().map(number).collect();
                let problem = "seeds are whole numbers from 0 on".to_owned();
                seeds.ok_or_else(|| SweepError::Axis { word: word.clone(), problem })?
            }
            (None, count) => grid.counted(count.unwrap_or(1))?,
        };
        let runs = grid.axes.iter().try_fold(grid.seeds.len(), |runs, axis| runs.checked_mul(axis.values.len()));
        if runs.is_none_or(|runs| runs > RUNS_MOST) {
            return Err(SweepError::Grid(format!("the grid has more than {RUNS_MOST} runs")));
        }
        Ok(grid)
    }

    /// `count` seeds from the configuration's on.
    fn counted(&self, count: usize) -> Result<Vec<u64>, SweepError> {
        if !(1..=RUNS_MOST).contains(&count) {
            return Err(SweepError::Grid(format!("--seeds is {count}; it is from 1 to {RUNS_MOST}")));
        }
        let first = self.first()?.seed;
        let last = first.checked_add(count as u64 - 1);
        let last =
            last.ok_or_else(|| SweepError::Grid(format!("--seeds: there are no {count} seeds from {first} on")))?;
        Ok((first..=last).collect())
    }

    /// The configuration of the first point, but with the seed of the base: what holds for the sweep as a whole.
    pub fn first(&self) -> Result<Config, SweepError> {
        Ok(config::load_text(&self.origin, &self.text, &self.overrides(0, None))?.config)
    }

    /// Number of runs.
    pub fn len(&self) -> usize {
        self.points() * self.seeds.len()
    }

    /// True without runs, which no grid is that was read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn points(&self) -> usize {
        self.axes.iter().map(|axis| axis.values.len()).product()
    }

    /// The keys that vary, in the order in which they were typed.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// The seeds of every point.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// Run `run`, if there is one.
    pub fn point(&self, run: usize) -> Option<Point> {
        if run >= self.len() {
            return None;
        }
        let seed = self.seeds[run % self.seeds.len()];
        let mut rest = run / self.seeds.len();
        let mut settings: Vec<(String, String)> = Vec::with_capacity(self.axes.len());
        for axis in self.axes.iter().rev() {
            settings.push((axis.key.clone(), axis.values[rest % axis.values.len()].clone()));
            rest /= axis.values.len();
        }
        settings.reverse();
        Some(Point { run, settings, seed })
    }

    fn overrides(&self, run: usize, seed: Option<u64>) -> Vec<String> {
        let point = self.point(run);
        let swept = point.into_iter().flat_map(|point| point.settings).map(|(key, value)| format!("{key}={value}"));
        self.fixed.iter().cloned().chain(swept).chain(seed.map(|seed| format!("seed={seed}"))).collect()
    }

    /// The configuration of a point.
    ///
    /// # Errors
    /// Those of the configuration.
    pub fn config(&self, point: &Point) -> Result<Config, SweepError> {
        Ok(config::load_text(&self.origin, &self.text, &self.overrides(point.run, Some(point.seed)))?.config)
    }

    /// Looks at every point by the rules of the configuration and of what is to be run, before anything runs.
    ///
    /// # Errors
    /// The points that can't be run, with the reasons.
    pub fn check(&self, kind: RunKind) -> Result<(), SweepError> {
        let mut problems = Vec::new();
        for run in (0..self.len()).step_by(self.seeds.len()) {
            let Some(point) = self.point(run) else { continue };
            let checked = self
                .config(&point)
                .map_err(|error| error.to_string())
                .and_then(|config| measure::check(kind, &config).map_err(|problem| format!("error: {problem}")));
            if let Err(problem) = checked {
                problems.push(format!("{problem}\n  in {point}"));
            }
            if problems.len() == PROBLEMS_MOST {
                break;
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(SweepError::Points(problems)) }
    }

    /// In what another grid differs, in words; `None` if it is the same.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let axis = |axis: &Axis| format!("{}={}", axis.key, axis.values.join(","));
        let list = |grid: &Self| {
            let seeds: Vec<String> = grid.seeds.iter().map(u64::to_string).collect();
            let mut all: Vec<String> = grid.axes.iter().map(axis).collect();
            all.extend(grid.fixed.iter().filter(|word| !word.trim_start().starts_with(OF_THE_SWEEP)).cloned());
            all.push(format!("seeds {}", seeds.join(",")));
            all
        };
        if self.text != other.text {
            return Some(format!("the text of {} is another than that of {}", self.origin, other.origin));
        }
        let (ours, theirs) = (list(self), list(other));
        let only = |some: &[String], others: &[String]| {
            some.iter().filter(|one| !others.contains(one)).cloned().collect::<Vec<_>>().join(" ")
        };
        let (here, there) = (only(&ours, &theirs), only(&theirs, &ours));
        match (ours == theirs, here.is_empty() && there.is_empty()) {
            (true, _) => None,
            (false, true) => Some("the keys stand in another order".to_owned()),
            (false, false) => Some(format!("`{here}` here, `{there}` there")),
        }
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "run {}", self.run)?;
        self.settings.iter().try_for_each(|(key, value)| write!(f, " {key}={value}"))?;
        write!(f, " seed={}", self.seed)
    }
}
