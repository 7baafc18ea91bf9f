//! What a user brings: the weights of a network and one batch, as other programs store them.
//!
//! ```text
//! weights   0.weight, 0.bias, 2.weight, …    the state dict of nn.Sequential(Linear, f, Linear, …): numbers ascend, gaps allowed
//!           W1, b1, W2, b2, …                the same by layer
//!           W_l is n_l × n_{l−1}, b_l is n_l
//! batch     x (B × n_0);  y (B × n_L), or B classes counted from 0, which become one-hot
//! ```
//!
//! A tensor that is not one of these is an error, never passed over: it may be a layer that the simulated network does not have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::tensors::{Bytes, Tensor, Tensors, listed};
use crate::math::{Field, Real};
use crate::network::{Parameters, Weights};
use crate::run::RunError;

/// Weights and a batch, in the precision they are read in.
#[derive(Clone, Debug)]
pub struct Given {
    /// The files of the weights and of the batch.
    pub files: [PathBuf; 2],
    /// `W_1, b_1` first.
    pub weights: Weights<f64>,
    /// What weights and bias are called in their file, in the same order.
    pub names: Vec<[String; 2]>,
    /// `n_0 × B`.
    pub data: Field<f64>,
    /// `n_L × B`.
    pub target: Field<f64>,
}

/// The same in the precision that computes.
#[derive(Clone, Debug)]
pub(super) struct Narrowed<T> {
    pub(super) weights: Weights<T>,
    pub(super) data: Field<T>,
    pub(super) target: Field<T>,
}

impl Given {
    /// Reads and checks both files.
    ///
    /// # Errors
    /// Names the file and the tensor: unreadable, names of both kinds or of none, a missing weight or bias, shapes that do not
    /// chain, numbers that are not finite or of another type, an empty batch, data or targets that do not fit the weights.
    pub fn read(weights_file: &Path, batch_file: &Path) -> Result<Self, RunError> {
        let bytes = Bytes::read(weights_file)?;
        let tensors = bytes.tensors()?;
        let names = connections(&tensors)?;
        let weights = names.iter().map(|pair| parameters(&tensors, pair)).collect::<Result<Vec<_>, _>>()?;
        for (index, pair) in weights.windows(2).enumerate() {
            let (below, above) = (pair[0].weights.nrows(), pair[1].weights.ncols());
            if below != above {
                let [lower, upper] = [&names[index][0], &names[index + 1][0]];
                let what = format!(
                    "tensor `{upper}` has {above} columns, but `{lower}` below it has {below} rows; they have to chain"
                );
                return Err(tensors.problem(what));
            }
        }
        let bytes = Bytes::read(batch_file)?;
        let tensors = bytes.tensors()?;
        let fits = (names[0][0].as_str(), weights[0].weights.ncols());
        let tops = (names[names.len() - 1][0].as_str(), weights[weights.len() - 1].weights.nrows());
        let (data, target) = batch_of(&tensors, fits, tops)?;
        let files = [weights_file, batch_file].map(Path::to_path_buf);
        Ok(Self { files, weights, names, data, target })
    }

    /// `n_0 … n_L`.
    pub fn widths(&self) -> Vec<usize> {
        let inputs = self.weights.first().map(|parameters| parameters.weights.ncols());
        inputs.into_iter().chain(self.weights.iter().map(|parameters| parameters.weights.nrows())).collect()
    }

    /// A complaint about the batch.
    pub(super) fn batch_problem(&self, problem: String) -> RunError {
        RunError::content(&self.files[1], problem)
    }

    /// Weights, data and target in the precision that computes; an error for a tensor that does not fit into it.
    pub(super) fn narrowed<T: Real>(&self) -> Result<Narrowed<T>, RunError> {
        let field = |file: &Path, name: &str, field: &Field<f64>| {
            let narrow = field.mapv(T::of);
            if narrow.iter().all(|number| number.is_finite()) {
                Ok(narrow)
            } else {
                let what = format!("tensor `{name}` holds numbers that f32 cannot hold; use dtype=f64");
                Err(RunError::content(file, what))
            }
        };
        let [of_weights, of_batch] = &self.files;
        let mut weights = Vec::with_capacity(self.weights.len());
        for (parameters, [weight, bias]) in self.weights.iter().zip(&self.names) {
            let column = Array2::from_shape_fn((parameters.bias.len(), 1), |(unit, _)| parameters.bias[unit]);
            let bias = field(of_weights, bias, &column)?.into_iter().collect();
            weights.push(Parameters { weights: field(of_weights, weight, &parameters.weights)?, bias });
        }
        let (data, target) = (field(of_batch, "x", &self.data)?, field(of_batch, "y", &self.target)?);
        Ok(Narrowed { weights, data, target })
    }
}

/// Which connection a tensor belongs to, and whether it is the bias.
fn place(name: &str) -> Option<(bool, usize, bool)> {
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| number.to_string() == text);
    if let Some((module, kind)) = name.split_once('.') {
        return match kind {
            "weight" => Some((true, number(module)?, false)),
            "bias" => Some((true, number(module)?, true)),
            _ => None,
        };
    }
    match name.split_at_checked(1)? {
        ("W", layer) => Some((false, number(layer)?, false)),
        ("b", layer) => Some((false, number(layer)?, true)),
        _ => None,
    }
}

/// The names of weight and bias of every connection, lowest first.
fn connections(tensors: &Tensors<'_>) -> Result<Vec<[String; 2]>, RunError> {
    const EXPECTED: &str = "expected are `0.weight`, `0.bias`, `2.weight`, … or `W1`, `b1`, `W2`, …";
    let names = tensors.names();
    let unknown: Vec<&str> = names.iter().copied().filter(|name| place(name).is_none()).collect();
    if !unknown.is_empty() || names.is_empty() {
        let what = if names.is_empty() {
            "no tensors".to_owned()
        } else {
            format!("tensors of other names: {}", listed(&unknown))
        };
        return Err(tensors.problem(format!("holds {what}; {EXPECTED}")));
    }
    let mut found: BTreeMap<usize, [Option<String>; 2]> = BTreeMap::new();
    let mut kinds: [Option<&str>; 2] = [None, None];
    for name in &names {
        let Some((sequential, number, is_bias)) = place(name) else { continue };
        kinds[usize::from(sequential)] = Some(name);
        found.entry(number).or_default()[usize::from(is_bias)] = Some((*name).to_owned());
    }
    if let [Some(layer), Some(module)] = kinds {
        return Err(tensors.problem(format!("mixes two ways of naming: `{layer}` and `{module}`; {EXPECTED}")));
    }
    let sequential = kinds[1].is_some();
    let called = |number: usize, is_bias: bool| match (sequential, is_bias) {
        (true, false) => format!("{number}.weight"),
        (true, true) => format!("{number}.bias"),
        (false, false) => format!("W{number}"),
        (false, true) => format!("b{number}"),
    };
    let mut connections = Vec::with_capacity(found.len());
    for (index, (number, pair)) in found.into_iter().enumerate() {
        if !sequential && number != index + 1 {
            let missing = called(index + 1, false);
            return Err(tensors.problem(format!("has no tensor `{missing}`; layers are counted from 1 without gaps")));
        }
        connections.push(match pair {
            [Some(weight), Some(bias)] => [weight, bias],
            [Some(weight), None] => {
                let bias = called(number, true);
                let what = format!("has no tensor `{bias}` for `{weight}`; a layer without a bias has one of zeros");
                return Err(tensors.problem(what));
            }
            _ => {
                let (weight, bias) = (called(number, false), called(number, true));
                return Err(tensors.problem(format!("has no tensor `{weight}` for `{bias}`")));
            }
        });
    }
    Ok(connections)
}

fn parameters(tensors: &Tensors<'_>, [weight, bias]: &[String; 2]) -> Result<Parameters<f64>, RunError> {
    let weights = matrix(tensors, weight, "(outputs, inputs), as in nn.Linear")?;
    let Tensor { shape, numbers } = tensors.floats(bias)?;
    if shape != [weights.nrows()] {
        let rows = weights.nrows();
        return Err(tensors.problem(format!("tensor `{bias}` has shape {shape:?}, `{weight}` needs [{rows}]")));
    }
    Ok(Parameters { weights, bias: numbers })
}

/// A tensor with two axes and at least one number.
fn matrix(tensors: &Tensors<'_>, name: &str, axes: &str) -> Result<Field<f64>, RunError> {
    let Tensor { shape, numbers } = tensors.floats(name)?;
    let &[rows, columns] = shape.as_slice() else {
        return Err(tensors.problem(format!("tensor `{name}` has shape {shape:?}; it has to be a matrix {axes}")));
    };
    if numbers.is_empty() {
        return Err(tensors.problem(format!("tensor `{name}` is empty: its shape is {shape:?}")));
    }
    Array2::from_shape_vec((rows, columns), numbers)
        .map_err(|error| tensors.problem(format!("tensor `{name}` of shape {shape:?}: {error}")))
}

/// Data and target, feature-major.
fn batch_of(
    tensors: &Tensors<'_>,
    (lowest, inputs): (&str, usize),
    (highest, outputs): (&str, usize),
) -> Result<(Field<f64>, Field<f64>), RunError> {
    let names = tensors.names();
    let unknown: Vec<&str> = names.into_iter().filter(|name| !matches!(*name, "x" | "y")).collect();
    if !unknown.is_empty() {
        return Err(tensors.problem(format!("holds tensors of other names than `x` and `y`: {}", listed(&unknown))));
    }
    let x = matrix(tensors, "x", "(samples, inputs)")?;
    let (samples, columns) = x.dim();
    if columns != inputs {
        return Err(tensors.problem(format!("tensor `x` has {columns} columns, `{lowest}` takes {inputs} inputs")));
    }
    let target = match tensors.integers("y")? {
        Some(classes) => one_hot(tensors, &classes, (samples, outputs))?,
        None => {
            let y = matrix(tensors, "y", "(samples, outputs)")?;
            if y.dim() != (samples, outputs) {
                let (shape, needed) = (y.shape().to_vec(), [samples, outputs]);
                let what =
                    format!("tensor `y` has shape {shape:?}; {samples} samples of `x` and `{highest}` need {needed:?}");
                return Err(tensors.problem(what));
            }
            y.t().as_standard_layout().into_owned()
        }
    };
    Ok((x.t().as_standard_layout().into_owned(), target))
}

fn one_hot(
    tensors: &Tensors<'_>,
    Tensor { shape, numbers: classes }: &Tensor<i64>,
    (samples, outputs): (usize, usize),
) -> Result<Field<f64>, RunError> {
    if *shape != [samples] {
        let what =
            format!("tensor `y` holds whole numbers, so classes, and has shape {shape:?}; `x` needs [{samples}]");
        return Err(tensors.problem(what));
    }
    let mut target = Array2::zeros((outputs, samples));
    for (sample, &class) in classes.iter().enumerate() {
        let unit = usize::try_from(class).ok().filter(|&unit| unit < outputs).ok_or_else(|| {
            tensors
                .problem(format!("tensor `y` holds class {class} at [{sample}]; there are {outputs}, counted from 0"))
        })?;
        target[[unit, sample]] = 1.0;
    }
    Ok(target)
}
