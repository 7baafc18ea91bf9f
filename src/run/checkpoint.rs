//! Checkpoints: everything a run needs to go on with the same bits.
//!
//! ```text
//! checkpoints/step-00000938/model.safetensors      "0.weight", "0.bias", "2.weight", …  as nn.Sequential(Linear, f, Linear, …)
//!                           optimizer.safetensors  "0.weight.first", "0.weight.second", …; "2.feedback", … if it is not tied; "state.0", …
//!                                                  where a free phase begins at the states of the batch before
//!                           state.json             step, epoch, batch, digests of the two files and of itself
//! ```
//!
//! Weights are `n_l × n_{l−1}`, row-major, as PyTorch stores them. Random numbers need no state: they are functions of seed and
//! position. A checkpoint is written beside its name, synced, and renamed, so it is there whole or not at all; on reading, the
//! digests decide, and the newest whole one wins.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use safetensors::tensor::TensorView;
use safetensors::{Dtype as StoredType, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

mod feedback;
mod precision;
mod states;

use super::atomic::{sync_folder, write_synced};
use super::{RunDirectory, RunError};
use crate::engine::crash;
use crate::engine::virtual_time::links::Tally;
use crate::math::optimizer::OptimizerState;
use crate::math::{Dtype, Field, Real};
use crate::network::{FeedbackState, NetworkSpec, Parameters, Weights};

/// Version of the format of `state.json`.
const FORMAT: u32 = 2;

/// The optimiser states of one connection: of the weights, of the bias.
pub type OptimizerPair<T> = [OptimizerState<T>; 2];

/// Weights and optimiser states of a whole network.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot<T> {
    /// `W_1, b_1` first.
    pub weights: Weights<T>,
    /// In the same order.
    pub optimizers: Vec<OptimizerPair<T>>,
    /// `B_2 … B_L`, or none if errors come down through the weights.
    pub feedback: Vec<FeedbackState<T>>,
    /// ln Π of the units of layers 1 … L − 1, or none if precisions are not learned.
    pub precisions: Vec<Vec<T>>,
    /// `x_0 … x_L` where free phases begin at the states of the batch before; otherwise none.
    pub states: Vec<Field<T>>,
}

/// Where in the training a checkpoint stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Training steps made.
    pub step: u64,
    /// The epoch the next step belongs to.
    pub epoch: u64,
    /// Batches of that epoch already made.
    pub batch: u64,
    /// Seconds of training so far.
    pub wall_s: f64,
    /// In virtual time: what has happened on every link, `(from, to)`, since the run began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<((usize, usize), Tally)>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct State {
    format: u32,
    position: Position,
    updates: Vec<[u64; 2]>,
    /// Updates of the feedback weights that learn; left out if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    feedback_updates: Vec<u64>,
    model_sha256: String,
    optimizer_sha256: String,
    /// Of this file with nothing in this place.
    state_sha256: String,
}

/// Writes a checkpoint and removes those beyond the newest `keep`.
pub fn write<T: Real>(
    run: &RunDirectory,
    snapshot: &Snapshot<T>,
    position: &Position,
    keep: usize,
) -> Result<PathBuf, RunError> {
    let folder = run.file("checkpoints");
    fs::create_dir_all(&folder).map_err(RunError::io("created", &folder))?;
    let name = format!("step-{:08}", position.step);
    let (path, temporary) = (folder.join(&name), folder.join(format!(".{name}.tmp")));
    remove_if_there(&temporary)?;
    if let Err(problem) = fill(&temporary, snapshot, position) {
        // Of no use, and on a full disk in the way.
        let _ = remove_if_there(&temporary);
        return Err(problem);
    }
    // A resumed run may come by a step that was already stored. It is put aside, where it still counts, not removed.
    let aside = folder.join(format!(".{name}.aside"));
    if path.exists() {
        remove_if_there(&aside)?;
        fs::rename(&path, &aside).map_err(RunError::io("renamed", &path))?;
    }
    crash::point("coordinator.checkpoint-aside");
    fs::rename(&temporary, &path).map_err(RunError::io("renamed", &path))?;
    crash::point("coordinator.checkpoint-renamed");
    sync_folder(&folder)?;
    crash::point("coordinator.checkpoint-durable");
    remove_if_there(&aside)?;
    // Later ones are left from before a resume that had to pass them over; they must not push out what is whole.
    let so_far = list(run.path())?.into_iter().rev().skip_while(|later| *later != path);
    for old in so_far.skip(keep) {
        remove_if_there(&old)?;
        crash::point("coordinator.checkpoint-pruned");
    }
    Ok(path)
}

/// Makes a folder with the files of a checkpoint, all of them on the disk. Nobody looks into it before it has its name.
fn fill<T: Real>(path: &Path, snapshot: &Snapshot<T>, position: &Position) -> Result<(), RunError> {
    fs::create_dir(path).map_err(RunError::io("created", path))?;
    crash::point("coordinator.checkpoint-begun");
    let model = model_bytes(&snapshot.weights).map_err(|problem| RunError::content(path, problem))?;
    let optimizer = optimizer_bytes(snapshot).map_err(|problem| RunError::content(path, problem))?;
    let mut state = State {
        format: FORMAT,
        position: position.clone(),
        updates: snapshot.optimizers.iter().map(|pair| pair.each_ref().map(|state| state.updates)).collect(),
        feedback_updates: feedback::updates(&snapshot.feedback),
        model_sha256: sha256(&model),
        optimizer_sha256: sha256(&optimizer),
        state_sha256: String::new(),
    };
    let text =
        |state: &State| serde_json::to_vec_pretty(state).map_err(|error| RunError::content(path, error.to_string()));
    state.state_sha256 = sha256(&text(&state)?);
    let state = text(&state)?;
    for (file, bytes) in [("model.safetensors", &model), ("optimizer.safetensors", &optimizer), ("state.json", &state)]
    {
        write_synced(&path.join(file), bytes)?;
        crash::point("coordinator.checkpoint-file");
    }
    sync_folder(path)
}

fn remove_if_there(path: &Path) -> Result<(), RunError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(RunError::io("removed", path)(error)),
        _ => Ok(()),
    }
}

/// All checkpoints of a run, oldest first; also one that stands aside because it was about to be replaced.
pub fn list(run: &Path) -> Result<Vec<PathBuf>, RunError> {
    let folder = run.join("checkpoints");
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(RunError::io("listed", &folder))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(RunError::io("listed", &folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("step-") {
            paths.push(path);
        } else if let Some(replaced) = name.strip_prefix('.').and_then(|name| name.strip_suffix(".aside")) {
            paths.push(path.with_file_name(replaced));
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// A whole checkpoint.
#[derive(Debug)]
pub struct Found<T> {
    /// Its folder.
    pub path: PathBuf,
    /// What it holds.
    pub snapshot: Snapshot<T>,
    /// Where it stands.
    pub position: Position,
    /// What was wrong with newer ones.
    pub passed_over: Vec<RunError>,
}

/// The newest whole checkpoint of a run.
pub fn newest<T: Real>(run: &Path, network: &NetworkSpec) -> Result<Found<T>, RunError> {
    let mut passed_over = Vec::new();
    for path in list(run)?.into_iter().rev() {
        // If a death came while it was replaced by a newer one of the same step, the older one stands beside it.
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let aside = path.with_file_name(format!(".{name}.aside"));
        for path in [Some(path), aside.exists().then_some(aside)].into_iter().flatten() {
            match read(&path, network) {
                Ok((snapshot, position)) => return Ok(Found { path, snapshot, position, passed_over }),
                Err(problem) => passed_over.push(problem),
            }
        }
    }
    Err(match passed_over.into_iter().next() {
        Some(problem) => problem,
        None => RunError::content(run, "has no checkpoint to resume from"),
    })
}

/// Reads one checkpoint and holds it against the network.
pub fn read<T: Real>(path: &Path, network: &NetworkSpec) -> Result<(Snapshot<T>, Position), RunError> {
    let state_path = path.join("state.json");
    let text = fs::read_to_string(&state_path).map_err(RunError::io("read", &state_path))?;
    let state = parse_state(&text).map_err(|problem| RunError::content(&state_path, problem))?;
    let model_path = path.join("model.safetensors");
    let model = read_checked(&model_path, &state.model_sha256)?;
    let weights = parse_model(&model, network).map_err(|problem| RunError::content(&model_path, problem))?;
    let optimizer_path = path.join("optimizer.safetensors");
    let bytes = read_checked(&optimizer_path, &state.optimizer_sha256)?;
    let snapshot = parse_rest(weights, &bytes, (&state.updates, &state.feedback_updates), network)
        .map_err(|problem| RunError::content(&optimizer_path, problem))?;
    Ok((snapshot, state.position))
}

/// What `state.json` says, if it is as it was written.
pub(crate) fn parse_state(text: &str) -> Result<State, String> {
    let state: State = serde_json::from_str(text).map_err(|error| {
        format!("is damaged: {} bytes with SHA-256 {} are no state: {error}", text.len(), sha256(text.as_bytes()))
    })?;
    if state.format != FORMAT {
        return Err(format!("has format {}, this program reads {FORMAT}", state.format));
    }
    let actual = sha256(text.replacen(&state.state_sha256, "", 1).as_bytes());
    if actual != state.state_sha256 {
        return Err(format!("is damaged: its text has SHA-256 {actual}, {} stands in it", state.state_sha256));
    }
    Ok(state)
}

/// What `optimizer.safetensors` holds beside these weights; updates of the weights and of the feedback weights are told.
pub(crate) fn parse_rest<T: Real>(
    weights: Weights<T>,
    bytes: &[u8],
    (updates, feedback_updates): (&[[u64; 2]], &[u64]),
    network: &NetworkSpec,
) -> Result<Snapshot<T>, String> {
    let optimizers = parse_optimizer(bytes, updates, network.depth())?;
    let feedback = feedback::parse(bytes, feedback_updates, network)?;
    let precisions = precision::parse(bytes, network)?;
    let states = states::parse(bytes, network)?;
    Ok(Snapshot { weights, optimizers, feedback, precisions, states })
}

/// Reads weights alone, from any file with the names of an `nn.Sequential` state dict.
pub fn read_model<T: Real>(path: &Path, network: &NetworkSpec) -> Result<Weights<T>, RunError> {
    let bytes = fs::read(path).map_err(RunError::io("read", path))?;
    parse_model(&bytes, network).map_err(|problem| RunError::content(path, problem))
}

fn read_checked(path: &Path, expected: &str) -> Result<Vec<u8>, RunError> {
    let bytes = fs::read(path).map_err(RunError::io("read", path))?;
    let actual = sha256(&bytes);
    if actual == expected {
        return Ok(bytes);
    }
    let length = bytes.len();
    Err(RunError::content(path, format!("is damaged: SHA-256 {actual} of {length} bytes, {expected} was written")))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of layer `l`'s weights in `nn.Sequential(Linear, f, Linear, f, …)`: every other module is an activation.
fn module(connection: usize) -> usize {
    2 * connection
}

fn stored_type<T: Real>() -> StoredType {
    match T::DTYPE {
        Dtype::F32 => StoredType::F32,
        Dtype::F64 => StoredType::F64,
    }
}

type Entry = (String, Vec<usize>, Vec<u8>);

fn serialize<T: Real>(entries: &[Entry]) -> Result<Vec<u8>, String> {
    let views: Result<Vec<_>, _> = entries
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(stored_type::<T>(), shape.clone(), bytes)?)))
        .collect::<Result<_, safetensors::SafeTensorError>>()
        .map_err(|error| error.to_string());
    safetensors::serialize(views?, None::<HashMap<String, String>>).map_err(|error| error.to_string())
}

fn bytes_of<T: Real>(numbers: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut bytes = Vec::new();
    numbers.into_iter().for_each(|number| number.write_le(&mut bytes));
    bytes
}

fn model_bytes<T: Real>(weights: &Weights<T>) -> Result<Vec<u8>, String> {
    let mut entries = Vec::new();
    for (index, parameters) in weights.iter().enumerate() {
        let (name, shape) = (module(index), parameters.weights.shape().to_vec());
        entries.push((format!("{name}.weight"), shape, bytes_of(parameters.weights.iter().copied())));
        entries.push((format!("{name}.bias"), vec![parameters.bias.len()], bytes_of(parameters.bias.iter().copied())));
    }
    serialize::<T>(&entries)
}

fn optimizer_bytes<T: Real>(snapshot: &Snapshot<T>) -> Result<Vec<u8>, String> {
    let mut entries = Vec::new();
    for (index, pair) in snapshot.optimizers.iter().enumerate() {
        for (tensor, state) in ["weight", "bias"].into_iter().zip(pair) {
            for (moment, numbers) in [("first", &state.first), ("second", &state.second)] {
                let name = format!("{}.{tensor}.{moment}", module(index));
                entries.push((name, vec![numbers.len()], bytes_of(numbers.iter().copied())));
            }
        }
    }
    feedback::entries(&snapshot.feedback, &mut entries);
    precision::entries(&snapshot.precisions, &mut entries);
    states::entries(&snapshot.states, &mut entries);
    serialize::<T>(&entries)
}

fn tensor<T: Real>(tensors: &SafeTensors<'_>, name: &str) -> Result<(Vec<usize>, Vec<T>), String> {
    let view = tensors.tensor(name).map_err(|_| {
        let mut held: Vec<&str> = tensors.names().into_iter().collect();
        held.sort_unstable();
        format!("has no tensor `{name}`; it has {}", held.join(", "))
    })?;
    if view.dtype() != stored_type::<T>() {
        return Err(format!("tensor `{name}` holds {:?}, the run computes in {:?}", view.dtype(), stored_type::<T>()));
    }
    let numbers = view.data().chunks_exact(size_of::<T>()).filter_map(T::read_le).collect();
    Ok((view.shape().to_vec(), numbers))
}

/// What `model.safetensors` holds, held against the network.
pub(crate) fn parse_model<T: Real>(bytes: &[u8], network: &NetworkSpec) -> Result<Weights<T>, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("is not a safetensors file: {error}"))?;
    let mut weights = Vec::with_capacity(network.depth());
    for (index, pair) in network.widths().windows(2).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        let expect = |name: &str, shape: &[usize]| {
            let (stored, numbers) = tensor::<T>(&tensors, name)?;
            if stored == shape {
                Ok(numbers)
            } else {
                Err(format!("tensor `{name}` has shape {stored:?}, the network {network} needs {shape:?}"))
            }
        };
        let matrix = expect(&format!("{}.weight", module(index)), &[to, from])?;
        let bias = expect(&format!("{}.bias", module(index)), &[to])?;
        let matrix = Array2::from_shape_vec((to, from), matrix).map_err(|error| error.to_string())?;
        weights.push(Parameters { weights: matrix, bias });
    }
    Ok(weights)
}

fn parse_optimizer<T: Real>(bytes: &[u8], updates: &[[u64; 2]], depth: usize) -> Result<Vec<OptimizerPair<T>>, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| format!("is not a safetensors file: {error}"))?;
    if updates.len() != depth {
        return Err(format!("counts updates of {} connections, the network has {depth}", updates.len()));
    }
    let state = |index: usize, name: &str, updates: u64| {
        let moment = |moment| tensor::<T>(&tensors, &format!("{}.{name}.{moment}", module(index)));
        Ok::<_, String>(OptimizerState { updates, first: moment("first")?.1, second: moment("second")?.1 })
    };
    let pair = |(index, updates): (usize, &[u64; 2])| {
        Ok([state(index, "weight", updates[0])?, state(index, "bias", updates[1])?])
    };
    updates.iter().enumerate().map(pair).collect()
}
