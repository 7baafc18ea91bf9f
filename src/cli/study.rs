//! `asynapse study`.

use std::io::IsTerminal;
use std::path::PathBuf;

use super::{Failure, Typed, complain, folder, say, show};
use crate::config::{self, Text};
use crate::experiment::study::{self, Finding, Request, STUDIES, Study, StudyError};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "One line per finding; where theory says what has to be found, the line ends in `holds` or `does not hold`. Curves that the
program can't honour are left out with its reason. Figures (SVG, PNG, the CSV that drew them), everything measured with its seed
(NAME-measured.csv), a page (NAME.md) and study.json go into a new folder.

Without a configuration a study runs with a preset of its own (study, study-training, study-border) on the embedded digits. A setting
that the study does not read, or sets itself, is refused.

Examples:
  asynapse study list
  asynapse study delay
  asynapse study delay loss noise data.dir=FOLDER --seeds 10     MNIST
  asynapse study border --out figures
  asynapse study training data.dir=FOLDER data.train=0 data.test=0 learning.epochs=1
  asynapse study all --quick"
)]
pub(super) struct Arguments {
    /// `list`, `all`, or names of studies; then a configuration and key=value as everywhere
    #[arg(value_name = "STUDY|CONFIG|PRESET|key=value", required = true)]
    words: Vec<String>,
    /// A smaller network, fewer seeds and amounts
    #[arg(long)]
    quick: bool,
    /// Seeds, counted up from the configuration's [default: 5; for training 3; quick: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: Option<u64>,
    /// Trials at a time; as many as there are cores if not given
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// The folder to make [default: output.dir/DATE-study-NAME]
    #[arg(long, visible_alias = "output", value_name = "DIR")]
    out: Option<PathBuf>,
    /// Exit with 1 if anything does not hold
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let (studies, words) = named(&arguments.words)?;
    if studies.is_empty() {
        let rows: Vec<(&str, String)> = STUDIES.iter().map(|study| (study.name, study.summary.to_owned())).collect();
        say(show::pairs(&rows));
        return Ok(());
    }
    let typed = Typed { words };
    let (target, typed) = typed.split().map_err(Failure::input)?;
    readable(&studies, &typed)?;
    let requests = studies
        .iter()
        .map(|study| Ok((*study, request(study, target, &typed, &arguments)?)))
        .collect::<Result<Vec<(&'static Study, Request)>, Failure>>()?;
    // What is wrong with any configuration is said before anything runs; the folder has that of the first.
    let loaded = requests
        .iter()
        .map(|(_, request)| config::load_text(&request.text.origin, &request.text.text, &request.typed))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::plain)?;
    let name = if let [study] = studies[..] { study.name } else { "several" };
    let Some(first) = loaded.first() else { return Ok(()) };
    let run = folder::create(arguments.out.as_deref(), first, &typed, &format!("study-{name}"))?;
    complain(format_args!("seeds from {} on, into {}", first.config.seed, run.path().display()));
    let on_terminal = std::io::stderr().is_terminal();
    let progress = |line: &str| {
        if on_terminal {
            complain(line);
        }
    };
    let mut records = Vec::new();
    for (study, request) in &requests {
        let record = study::run(study, request, &run, &progress).map_err(failed)?;
        record.outcome.findings.iter().for_each(say);
        record.outcome.left_out.iter().for_each(|left| say(format_args!("{}: {left}", study.name)));
        complain(format_args!("{}: {:.1} s", study.name, record.seconds));
        records.push(record);
    }
    study::write(&records, &run).map_err(Failure::input)?;
    let findings = || records.iter().flat_map(|record| &record.outcome.findings);
    let judged = findings().filter(|finding| finding.holds.is_some()).count();
    let against: Vec<&Finding> = findings().filter(|finding| finding.holds == Some(false)).collect();
    if arguments.strict && !against.is_empty() {
        return Err(Failure { code: 1, message: format!("{} of {judged} do not hold", against.len()) });
    }
    Ok(())
}

/// The studies in front, then everything else; no study stands for the list.
fn named(words: &[String]) -> Result<(Vec<&'static Study>, Vec<String>), Failure> {
    let (mut studies, mut rest) = (Vec::new(), words);
    while let Some((word, others)) = rest.split_first() {
        match (word.as_str(), study::find(word)) {
            ("list", _) if studies.is_empty() && others.is_empty() => return Ok((studies, Vec::new())),
            ("all", _) if studies.is_empty() => {
                return Ok((STUDIES.iter().collect(), others.to_vec()));
            }
            (_, Some(study)) if studies.iter().any(|known: &&Study| known.name == study.name) => {
                return Err(Failure::input(format!("{word} is named twice")));
            }
            (_, Some(study)) => studies.push(study),
            _ => break,
        }
        rest = others;
    }
    if studies.is_empty() {
        let names: Vec<&str> = STUDIES.iter().map(|study| study.name).collect();
        let word = words.first().map_or("", String::as_str);
        let what = format!("`{word}` is no study; there are list, all, {}", names.join(", "));
        return Err(Failure::input(what));
    }
    Ok((studies, rest.to_vec()))
}

fn key(word: &str) -> &str {
    word.split_once('=').map_or(word, |(key, _)| key.trim())
}

/// Every key that was typed is read by one of the studies, and set by none that reads it.
fn readable(studies: &[&'static Study], typed: &[String]) -> Result<(), Failure> {
    for word in typed.iter().filter(|word| !key(word).starts_with("output.")) {
        let key = key(word);
        if let Some(study) = studies.iter().find(|study| study.sets(key)) {
            return Err(Failure::input(format!("{key}: {} sets it itself; leave it out", study.name)));
        }
        if !studies.iter().any(|study| study.reads(key)) {
            let names: Vec<&str> = studies.iter().map(|study| study.name).collect();
            // A name that is wrong gets the nearest one.
            config::load(None, std::slice::from_ref(word)).map_err(Failure::plain)?;
            return Err(Failure::input(format!("{key}: {} does not read it; leave it out", names.join(", "))));
        }
    }
    Ok(())
}

fn request(
    study: &'static Study,
    target: Option<&str>,
    typed: &[String],
    arguments: &Arguments,
) -> Result<Request, Failure> {
    // The chain of the border is no network for data, and no other network is its chain.
    let target = if study.preset == "study-border" { None } else { target };
    let text: Text = config::text_of(Some(target.unwrap_or(study.preset))).map_err(Failure::plain)?;
    let own = |word: &&String| study.reads(key(word)) || key(word).starts_with("output.");
    let jobs = arguments.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let typed = typed.iter().filter(own).cloned().collect();
    Ok(Request { text, typed, quick: arguments.quick, seeds: arguments.seeds.map(|seeds| seeds as usize), jobs })
}

fn failed(error: StudyError) -> Failure {
    let is_plain = matches!(error, StudyError::Config(_));
    if is_plain { Failure::plain(error) } else { Failure::input(error) }
}
