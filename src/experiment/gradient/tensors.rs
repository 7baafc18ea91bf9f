//! Safetensors files: named tensors in and out, every complaint with the file and the tensor.
//!
//! The library checks a header before anything is sized from it: its length against the file's, every shape against its bytes. So
//! what is kept here is never larger than the file. Next: `given`, which knows what the names mean.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype as Stored, SafeTensorError, SafeTensors};

use crate::math::{Dtype, Real};
use crate::run::RunError;
use crate::run::atomic::write_atomic;

/// The bytes of a file and where they are from.
pub(super) struct Bytes {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Bytes {
    /// A whole file. Devices and pipes, which may have no end, are refused.
    pub(super) fn read(path: &Path) -> Result<Self, RunError> {
        let is_file = fs::metadata(path).map_err(RunError::io("read", path))?.is_file();
        if !is_file {
            return Err(RunError::content(path, "is not a file"));
        }
        Ok(Self { path: path.to_path_buf(), bytes: fs::read(path).map_err(RunError::io("read", path))? })
    }

    /// The tensors in it.
    pub(super) fn tensors(&self) -> Result<Tensors<'_>, RunError> {
        let held = SafeTensors::deserialize(&self.bytes).map_err(|error| {
            RunError::content(&self.path, format!("is not a safetensors file that can be read: {error}"))
        })?;
        Ok(Tensors { path: &self.path, held })
    }
}

/// The tensors of a file.
pub(super) struct Tensors<'b> {
    path: &'b Path,
    held: SafeTensors<'b>,
}

/// One tensor's numbers, row-major: `f64`, which holds every `f32` exactly, or `i64`.
#[derive(Debug)]
pub(super) struct Tensor<N> {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Vec<N>,
}

impl Tensors<'_> {
    /// All names, in the order of the alphabet.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names = self.held.names();
        names.sort_unstable();
        names
    }

    /// A complaint about this file.
    pub(super) fn problem(&self, problem: impl Into<String>) -> RunError {
        RunError::content(self.path, problem)
    }

    fn view(&self, name: &str) -> Result<TensorView<'_>, RunError> {
        self.held
            .tensor(name)
            .map_err(|_| self.problem(format!("has no tensor `{name}`; it has {}", listed(&self.names()))))
    }

    /// A tensor of finite F32 or F64 numbers.
    pub(super) fn floats(&self, name: &str) -> Result<Tensor<f64>, RunError> {
        let view = self.view(name)?;
        let numbers: Vec<f64> = match view.dtype() {
            Stored::F32 => {
                view.data().as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
            }
            Stored::F64 => view.data().as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
            other => {
                let what = format!("tensor `{name}` holds {other:?}; F32 or F64 can be read (in PyTorch: .float())");
                return Err(self.problem(what));
            }
        };
        let shape = view.shape().to_vec();
        if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
            let (number, place) = (numbers[at], index(at, &shape));
            return Err(
                self.problem(format!("tensor `{name}` holds {number} at {place}; every number has to be finite"))
            );
        }
        Ok(Tensor { shape, numbers })
    }

    /// A tensor of whole numbers (I64, I32 or U8); `None` if it holds another kind.
    pub(super) fn integers(&self, name: &str) -> Result<Option<Tensor<i64>>, RunError> {
        let view = self.view(name)?;
        let data = view.data();
        let numbers = match view.dtype() {
            Stored::I64 => data.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
            Stored::I32 => data.as_chunks().0.iter().map(|bytes| i64::from(i32::from_le_bytes(*bytes))).collect(),
            Stored::U8 => data.iter().map(|&byte| i64::from(byte)).collect(),
            _ => return Ok(None),
        };
        Ok(Some(Tensor { shape: view.shape().to_vec(), numbers }))
    }
}

/// `[2, 5]` for the number at a place of a row-major tensor of this shape.
fn index(mut at: usize, shape: &[usize]) -> String {
    let mut place: Vec<String> = Vec::with_capacity(shape.len());
    for &length in shape.iter().rev() {
        place.push((at % length.max(1)).to_string());
        at /= length.max(1);
    }
    place.reverse();
    format!("[{}]", place.join(", "))
}

/// Names in backticks; of very many the first few.
pub(super) fn listed(names: &[&str]) -> String {
    const MOST: usize = 12;
    let shown: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count > MOST => format!("{} and {} more", shown.join(", "), count - MOST),
        _ => shown.join(", "),
    }
}

/// A tensor to be written: name, shape, numbers row by row.
pub(super) struct Written<T> {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Vec<T>,
}

/// Writes a file whole or not at all, with one entry `asynapse` in its metadata.
///
/// One entry, because the library writes several in the order of a hash map, and equal results should be equal files.
pub(super) fn write<T: Real>(path: &Path, tensors: &[Written<T>], about: &str) -> Result<(), RunError> {
    let kind = match T::DTYPE {
        Dtype::F32 => Stored::F32,
        Dtype::F64 => Stored::F64,
    };
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| {
            let mut bytes = Vec::with_capacity(tensor.numbers.len() * size_of::<T>());
            tensor.numbers.iter().for_each(|number| number.write_le(&mut bytes));
            bytes
        })
        .collect();
    let unwritten = |error: SafeTensorError| RunError::content(path, format!("could not be made: {error}"));
    let views: Vec<(&str, TensorView<'_>)> = tensors
        .iter()
        .zip(&bytes)
        .map(|(tensor, bytes)| Ok((tensor.name.as_str(), TensorView::new(kind, tensor.shape.clone(), bytes)?)))
        .collect::<Result<_, _>>()
        .map_err(unwritten)?;
    let metadata = HashMap::from([("asynapse".to_owned(), about.to_owned())]);
    write_atomic(path, &safetensors::serialize(views, Some(metadata)).map_err(unwritten)?)
}
