//! `asynapse sweep`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Failure, Typed, complain, say, say_json, show, signals, train};
use crate::experiment::sweep::{self, Crew, Folder, Grid, Metric, Row, RowStatus, RunKind, Sweep, SweepError};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A key takes one value, a list key=a,b,c, or a range key=lo..hi:n (equal steps) or key=lo..hi:nlog (equal ratios).
The first key varies slowest, the seed fastest. Rows come into FOLDER/index.csv in this order.

Examples:
  asynapse sweep tiny learning.nudge=1e-4..1:5log --seeds 3
  asynapse sweep mnist data.dir=FOLDER learning.rule=pc-nudge,backprop --run train --seeds 5 output.name=rules
  asynapse sweep mnist data.dir=FOLDER learning.rule=pc-nudge,backprop --run train --seeds 5 output.name=rules --resume
  asynapse sweep model.widths=[784,10],[784,64,10] --dry-run
  srun asynapse sweep … output.name=NAME --task-id slurm    one run of an array of jobs 0 … runs−1; then:
  asynapse sweep --folder runs/NAME --collect"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    typed: Typed,
    /// Seeds per point, from the configuration's on
    #[arg(long, value_name = "N")]
    seeds: Option<usize>,
    /// What a run is: one batch against the exact gradient, or a training run
    #[arg(long, value_name = "KIND", value_parser = ["compare", "train"])]
    run: Option<String>,
    /// Runs at a time, a process each; as many as there are cores if not given
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1024), conflicts_with = "task_id")]
    jobs: Option<u16>,
    /// A metric for the closing table (more by repeating it); index.csv has all
    #[arg(long, value_name = "METRIC")]
    metric: Vec<String>,
    /// Take the sweep from its folder instead of typing it again
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Go on with a sweep: make the runs that have no row, or failed
    #[arg(long)]
    resume: bool,
    /// Make this run only, counted from 0, and store its row; `slurm` reads SLURM_ARRAY_TASK_ID
    #[arg(long, value_name = "K|slurm")]
    task_id: Option<String>,
    /// Make no run; gather the rows there are into index.csv
    #[arg(long, conflicts_with_all = ["task_id", "resume", "jobs"])]
    collect: bool,
    /// Say how many runs there are, check all of them, and write nothing
    #[arg(long, conflicts_with_all = ["task_id", "collect"])]
    dry_run: bool,
    /// Print the rows as JSON
    #[arg(long)]
    json: bool,
}

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Self {
        Self::plain(error)
    }
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let (path, sweep) = swept(&arguments)?;
    if let Some(task) = &arguments.task_id {
        return one(&path, &sweep, task_number(task)?, arguments.resume);
    }
    sweep.grid.check(sweep.kind)?;
    if arguments.dry_run {
        say(dry(&sweep));
        return Ok(());
    }
    if arguments.collect {
        let folder = existing(&path, &sweep)?;
        let rows = folder.collect(&sweep.grid)?;
        return close(&folder, &sweep, &rows, &arguments);
    }
    let is_begun = arguments.resume || arguments.folder.is_some();
    let folder = if is_begun { existing(&path, &sweep)? } else { Folder::create(&path, &sweep)? };
    let cancel = signals::listen().map_err(|error| Failure::input(format!("signals can't be heard: {error}")))?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::input(format!("this program can't be found again: {error}")))?;
    let jobs = arguments.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let crew = Crew { program, jobs };
    let (runs, headline) = (sweep.grid.len(), sweep.kind.headline());
    complain(format_args!("sweep {}: {runs} runs, {jobs} at a time", path.display()));
    let mut told = |row: &Row, count: usize| complain(progress(row, count, runs, headline));
    let rows = sweep::run(&folder, &sweep, &crew, &cancel, &mut told)?;
    if cancel.is_cancelled() && rows.len() < runs {
        let (done, path) = (rows.len(), path.display());
        let message =
            format!("interrupted after {done} of {runs} runs; go on with: asynapse sweep --folder {path} --resume");
        return Err(Failure { code: 130, message });
    }
    close(&folder, &sweep, &rows, &arguments)
}

/// What is to be swept, and the folder it belongs to.
fn swept(arguments: &Arguments) -> Result<(PathBuf, Sweep), Failure> {
    if let Some(folder) = &arguments.folder {
        let typed = !arguments.typed.words.is_empty() || arguments.seeds.is_some() || arguments.run.is_some();
        if typed {
            let what =
                "--folder takes the whole sweep from its folder; leave out configuration, keys, --seeds and --run";
            return Err(Failure::input(what));
        }
        let (opened, sweep) = Folder::open(folder)?;
        return Ok((opened.path().to_path_buf(), sweep));
    }
    let (target, words) = arguments.typed.split().map_err(Failure::input)?;
    let grid = Grid::read(target, &words, arguments.seeds)?;
    let kind = if arguments.run.as_deref() == Some("train") { RunKind::Train } else { RunKind::Compare };
    let first = grid.first()?;
    let comes_back = arguments.resume || arguments.collect || arguments.task_id.is_some();
    if first.output.name.is_empty() && comes_back {
        let what = "which sweep? --resume, --collect and --task-id need output.name=NAME, or --folder FOLDER";
        return Err(Failure::input(what));
    }
    let name = train::run_name(&first, &format!("{}-sweep", target.map_or("digits", |target| stem(target))));
    Ok((Path::new(&first.output.dir).join(name), Sweep::new(kind, grid)))
}

fn stem(target: &str) -> &str {
    Path::new(target).file_stem().and_then(|stem| stem.to_str()).unwrap_or(target)
}

fn existing(path: &Path, sweep: &Sweep) -> Result<Folder, Failure> {
    // Only a folder that is there can be gone on with.
    Folder::open(path)?;
    Ok(Folder::join(path, sweep)?)
}

fn task_number(task: &str) -> Result<usize, Failure> {
    const VARIABLE: &str = "SLURM_ARRAY_TASK_ID";
    let (text, source) = match task {
        "slurm" => (std::env::var(VARIABLE).unwrap_or_default(), VARIABLE),
        typed => (typed.to_owned(), "--task-id"),
    };
    let what = || Failure::input(format!("{source} is `{text}`, not the number of a run, counted from 0"));
    text.trim().parse().map_err(|_| what())
}

/// One run of an array of jobs.
fn one(path: &Path, sweep: &Sweep, run: usize, resume: bool) -> Result<(), Failure> {
    let folder = Folder::join(path, sweep)?;
    if let Some(row) = folder.row(run)?.filter(|row| row.status == RowStatus::Done) {
        if resume {
            complain(format_args!("run {} is done already", row.run));
            return Ok(());
        }
        return Err(Failure::input(format!(
            "run {run} of {} is done already; --resume passes it over",
            path.display()
        )));
    }
    if let Some(point) = sweep.grid.point(run) {
        complain(point);
    }
    let cancel = signals::listen().map_err(|error| Failure::input(format!("signals can't be heard: {error}")))?;
    match sweep::run_one(&folder, sweep, run, &cancel)? {
        None => Err(Failure { code: 130, message: format!("run {run} was interrupted") }),
        Some(row) if row.status == RowStatus::Failed => Err(Failure::input(row.reason).with_code(3)),
        Some(_) => Ok(()),
    }
}

fn dry(sweep: &Sweep) -> String {
    let grid = &sweep.grid;
    let mut lines = vec![format!("{} runs of `{}`, numbered 0 to {}", grid.len(), sweep.kind, grid.len() - 1)];
    lines.extend(
        grid.axes().iter().map(|axis| format!("{:>6} × {} = {}", axis.values.len(), axis.key, axis.values.join(", "))),
    );
    let seeds: Vec<String> = grid.seeds().iter().map(u64::to_string).collect();
    lines.push(format!("{:>6} × seed = {}", seeds.len(), seeds.join(", ")));
    lines.join("\n")
}

fn progress(row: &Row, count: usize, runs: usize, headline: &str) -> String {
    let settings: Vec<String> = row.settings.iter().map(|(key, value)| format!("{key}={value} ")).collect();
    let end = match row.status {
        RowStatus::Done => format!("{headline} {}", row.metric(headline).map(Metric::to_string).unwrap_or_default()),
        RowStatus::Failed => format!("failed: {}", row.reason),
    };
    format!("{count}/{runs}  run {}: {}seed={}: {end}", row.run, settings.concat(), row.seed)
}

/// The closing table, or JSON; and the exit code.
fn close(folder: &Folder, sweep: &Sweep, rows: &[Row], arguments: &Arguments) -> Result<(), Failure> {
    let default = [sweep.kind.headline().to_owned()];
    let metrics = if arguments.metric.is_empty() { &default[..] } else { &arguments.metric };
    let known: Vec<&str> = rows.iter().flat_map(|row| &row.metrics).map(|(name, _)| name.as_str()).collect();
    if let Some(unknown) = metrics.iter().find(|metric| !known.is_empty() && !known.contains(&metric.as_str())) {
        let mut names = known.clone();
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(*name));
        return Err(Failure::input(format!(
            "--metric {unknown}: there is none of this name; there are {}",
            names.join(", ")
        )));
    }
    if arguments.json {
        say_json(&rows)?;
    } else {
        say(table(sweep, rows, metrics));
        say(format_args!("\n{}", folder.path().join("index.csv").display()));
    }
    let failed = rows.iter().filter(|row| row.status == RowStatus::Failed).count();
    let missing = sweep.grid.len() - rows.len();
    if failed + missing == 0 {
        return Ok(());
    }
    let counted = [(failed, "failed"), (missing, "have no row yet")].into_iter().filter(|(count, _)| *count > 0);
    let counted: Vec<String> = counted.map(|(count, what)| format!("{count} {what}")).collect();
    let (runs, path) = (sweep.grid.len(), folder.path().display());
    let message = format!("of {runs} runs {}; asynapse sweep --folder {path} --resume makes them", counted.join(", "));
    Err(Failure::input(message).with_code(3))
}

/// Mean ± standard deviation over seeds, a line per point.
fn table(sweep: &Sweep, rows: &[Row], metrics: &[String]) -> String {
    let mut points: BTreeMap<usize, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        points.entry(row.run / sweep.grid.seeds().len()).or_default().push(row);
    }
    let line = |rows: &Vec<&Row>| {
        let settings = rows[0].settings.iter().map(|(_, value)| value.clone());
        let done = rows.iter().filter(|row| row.status == RowStatus::Done).count();
        let mut cells: Vec<String> = settings.chain([format!("{done}/{}", sweep.grid.seeds().len())]).collect();
        cells.extend(metrics.iter().map(|metric| summary(rows.iter().filter_map(|row| row.metric(metric)))));
        cells
    };
    let lines: Vec<Vec<String>> = points.values().map(line).collect();
    let keys = sweep.grid.axes().iter().map(|axis| axis.key.as_str());
    let head: Vec<&str> = keys.chain(["done"]).chain(metrics.iter().map(String::as_str)).collect();
    show::columns(&head, &lines)
}

/// `mean ± s`, with s the standard deviation of a sample (n − 1); the words of a metric that is no number.
fn summary<'r>(metrics: impl Iterator<Item = &'r Metric>) -> String {
    let metrics: Vec<&Metric> = metrics.collect();
    let numbers: Vec<f64> = metrics.iter().filter_map(|metric| metric.value()).collect();
    if numbers.is_empty() {
        let mut words: Vec<String> = metrics.iter().map(ToString::to_string).filter(|word| !word.is_empty()).collect();
        words.dedup();
        return if words.is_empty() { "-".to_owned() } else { words.join(" | ") };
    }
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    if numbers.len() == 1 {
        return decimal(mean);
    }
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    format!("{} ± {}", decimal(mean), decimal((squares / (numbers.len() - 1) as f64).sqrt()))
}

/// Seven decimals for what is about one, one for counts, else four digits and an exponent.
fn decimal(number: f64) -> String {
    match number.abs() {
        size if (1e-3..100.0).contains(&size) => format!("{number:.7}"),
        size if size == 0.0 || (100.0..1e9).contains(&size) => format!("{number:.1}"),
        _ => format!("{number:.3e}"),
    }
}
