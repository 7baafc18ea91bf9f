//! Reads run directories the way other programs do: csv, JSON and safetensors by their usual readers, nothing of our own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value as Json;

/// A run directory.
#[derive(Clone)]
pub(super) struct Run {
    path: PathBuf,
}

/// A table: the names of its columns, and rows of as many cells.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// A tensor of a safetensors file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) kind: safetensors::Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Vec<f64>,
}

impl Run {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        let path = self.file(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(super) fn meta(&self) -> Json {
        serde_json::from_str(&self.text("meta.json")).expect("meta.json is JSON")
    }

    /// What `meta.json` says the run has come to.
    pub(super) fn status(&self) -> String {
        self.meta()["status"].as_str().expect("a status").to_owned()
    }

    pub(super) fn table(&self, name: &str) -> Table {
        let mut reader = csv::Reader::from_path(self.file(name)).expect("a table");
        let columns = reader.headers().expect("names of columns").iter().map(str::to_owned).collect();
        let cells = |row: csv::StringRecord| row.iter().map(str::to_owned).collect();
        let rows = reader.records().map(|row| cells(row.expect("as many cells as columns"))).collect();
        Table { columns, rows }
    }

    /// `metrics.csv` without the only column that depends on the machine's speed.
    pub(super) fn timeless_metrics(&self) -> Table {
        let mut table = self.table("metrics.csv");
        let time = table.column("wall_s");
        table.columns.remove(time);
        table.rows.iter_mut().for_each(|row| drop(row.remove(time)));
        table
    }

    /// The names of the checkpoints, oldest first.
    pub(super) fn checkpoints(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.file("checkpoints")) else { return Vec::new() };
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// A file of the newest checkpoint.
    pub(super) fn newest(&self, file: &str) -> PathBuf {
        let name = self.checkpoints().pop().expect("a checkpoint");
        self.file("checkpoints").join(name).join(file)
    }

    /// Everything that a later step depends on, bit for bit: weights and optimiser states of the newest checkpoint.
    pub(super) fn learnt(&self) -> [Vec<u8>; 2] {
        ["model.safetensors", "optimizer.safetensors"]
            .map(|file| fs::read(self.newest(file)).expect("a checkpoint's file"))
    }

    /// Where in the training the newest checkpoint stands: step, epoch, batch.
    pub(super) fn position(&self) -> [u64; 3] {
        let state = fs::read(self.newest("state.json")).expect("the state");
        let state: Json = serde_json::from_slice(&state).expect("JSON");
        ["step", "epoch", "batch"].map(|name| state["position"][name].as_u64().expect("a count"))
    }

    /// Every file with its content. The lock has none, and the log may grow.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path, &mut files);
        files.retain(|path, _| path.file_name().is_some_and(|name| name != ".lock" && name != "run.log"));
        files
    }

    /// A copy beside it.
    pub(super) fn copy(&self, name: &str) -> Self {
        let copy = Self { path: self.path.with_file_name(name) };
        let mut files = BTreeMap::new();
        collect(&self.path, &mut files);
        for (path, content) in files {
            let to = copy.path.join(path.strip_prefix(&self.path).expect("a file of the run"));
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            fs::write(to, content).expect("copy a file");
        }
        copy
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.insert(path.clone(), fs::read(&path).expect("a file"));
        }
    }
}

impl Table {
    /// The number of the column of this name.
    pub(super) fn column(&self, name: &str) -> usize {
        let found = self.columns.iter().position(|column| column == name);
        found.unwrap_or_else(|| panic!("no column {name} among {:?}", self.columns))
    }

    /// The cells of a column in the rows of one split; of all rows for an empty split.
    pub(super) fn cells(&self, name: &str, split: &str) -> Vec<&str> {
        let column = self.column(name);
        let is_wanted = |row: &&Vec<String>| split.is_empty() || row[self.column("split")] == split;
        self.rows.iter().filter(is_wanted).map(|row| row[column].as_str()).collect()
    }

    /// The same as numbers.
    pub(super) fn numbers(&self, name: &str, split: &str) -> Vec<f64> {
        self.cells(name, split).iter().map(|cell| cell.parse().unwrap_or_else(|_| panic!("{name}: `{cell}`"))).collect()
    }
}

/// All tensors of a safetensors file.
pub(super) fn tensors(path: &Path) -> BTreeMap<String, Tensor> {
    let bytes = fs::read(path).expect("a safetensors file");
    let file = SafeTensors::deserialize(&bytes).expect("the safetensors format");
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let numbers = match view.dtype() {
            safetensors::Dtype::F32 => numbers(view.data(), |bytes: [u8; 4]| f64::from(f32::from_le_bytes(bytes))),
            safetensors::Dtype::F64 => numbers(view.data(), f64::from_le_bytes),
            other => panic!("{name} holds {other:?}"),
        };
        tensors.insert(name, Tensor { kind: view.dtype(), shape: view.shape().to_vec(), numbers });
    }
    tensors
}

fn numbers<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
}
