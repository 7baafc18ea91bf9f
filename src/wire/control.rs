//! What the coordinator and a worker tell each other, as bytes: a head in bincode, decoded under a limit, and behind it the
//! numbers, raw, in chunks.
//!
//! A head says what numbers follow it; how many that may be is worked out from the network's description ([`Order::numbers`],
//! [`Tiding::numbers`]), never from a length on the wire. bincode is used nowhere else; without the limit a head of fifty bytes
//! could ask it for gigabytes.

use std::sync::Arc;

use ndarray::Array2;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use super::bounds::Bounds;
use super::{WireError, numbers};
use crate::math::optimizer::OptimizerState;
use crate::math::{Field, Real, values};
use crate::network::{FeedbackState, Parameters};
use crate::signal::sighting::Sightings;
use crate::signal::{Directive, Extract, Phase, Report, Wanted};
use crate::transaction;

/// The longest head, in bytes: a network of some fifty thousand layers.
pub const HEAD_MOST: usize = 1 << 20;

/// Bytes of numbers in one chunk.
pub const CHUNK: usize = 1 << 16;

/// A head as bytes.
pub fn encode<H: Serialize>(head: &H) -> Vec<u8> {
    let options = bincode::config::standard();
    bincode::serde::encode_to_vec(head, options).expect("plain values can be written")
}

/// A head from bytes, all of them.
pub fn decode<H: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<H, WireError> {
    let unreadable = |problem: String| WireError::Unreadable { what, problem };
    if bytes.len() > HEAD_MOST {
        return Err(unreadable(format!("{} bytes are more than {HEAD_MOST}", bytes.len())));
    }
    let options = bincode::config::standard().with_limit::<HEAD_MOST>();
    let (head, used) =
        bincode::serde::decode_from_slice(bytes, options).map_err(|error| unreadable(error.to_string()))?;
    if used == bytes.len() { Ok(head) } else { Err(unreadable(format!("{} bytes too many", bytes.len() - used))) }
}

/// A directive without its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// [`Directive::Present`].
    Present {
        /// Samples in the batch.
        batch: usize,
        /// The data follow.
        data: bool,
        /// The target follows.
        target: bool,
    },
    /// [`Directive::Show`] of so many samples.
    Show(usize),
    /// [`Directive::Begin`].
    Begin(Phase),
    /// [`Directive::Continue`].
    Continue(u64),
    /// [`Directive::Recount`].
    Recount,
    /// [`Directive::Halt`].
    Halt,
    /// [`Directive::Number`].
    Number(u64),
    /// [`Directive::Remember`].
    Remember,
    /// [`Directive::Collect`].
    Collect(f64),
    /// [`Directive::Learn`].
    Learn,
    /// [`Directive::Transact`].
    Transact(transaction::Order),
    /// [`Directive::Extract`].
    Extract(Wanted),
    /// [`Directive::Install`].
    Install(Parcel),
}

/// An extract without its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Parcel {
    /// [`Extract::Weights`].
    Weights(Option<[Memory; 2]>),
    /// [`Extract::Estimate`].
    Estimate,
    /// [`Extract::State`] of so many samples.
    State(usize),
    /// [`Extract::Feedback`].
    Feedback(Option<Memory>),
    /// [`Extract::Precision`].
    Precision,
    /// [`Extract::Journal`], which does not travel: whoever decodes it is told so.
    Journal,
    /// [`Extract::Seen`], at most as much as [`Sightings::STEPS_MOST`] and [`Sightings::PASSINGS_MOST`] say, which fits into a head.
    Seen(Box<Sightings>),
    /// [`Extract::Answer`].
    Answer(transaction::Answer),
    /// [`Extract::Nothing`].
    Nothing,
}

/// The state of an optimiser without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    updates: u64,
    /// First and second moments follow.
    moments: [bool; 2],
}

/// What a worker tells the coordinator of one of its layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Tiding {
    /// A report.
    Report(Report),
    /// An extract, of this node.
    Extract(usize, Parcel),
    /// This layer could not do what it was told.
    Fault(usize, String),
    /// This layer lost a neighbour.
    LinkBroken(usize),
    /// The link above this layer is dead, with this worker at its other end; what the system says.
    Severed(usize, usize, String),
}

impl Order {
    /// A directive as head and bytes.
    pub fn of<T: Real>(directive: &Directive<T>) -> (Self, Vec<u8>) {
        let none = Vec::new();
        match directive {
            Directive::Present { batch, data, target } => {
                let head = Self::Present { batch: *batch, data: data.is_some(), target: target.is_some() };
                let parts = [data, target].into_iter().flatten();
                (head, parts.flat_map(|field| numbers::bytes(values(field)).into_owned()).collect())
            }
            Directive::Show(data) => (Self::Show(data.ncols()), numbers::bytes(values(data)).into_owned()),
            Directive::Begin(phase) => (Self::Begin(*phase), none),
            Directive::Continue(step) => (Self::Continue(*step), none),
            Directive::Recount => (Self::Recount, none),
            Directive::Halt => (Self::Halt, none),
            Directive::Number(batch) => (Self::Number(*batch), none),
            Directive::Remember => (Self::Remember, none),
            Directive::Collect { coefficient } => (Self::Collect(*coefficient), none),
            Directive::Learn => (Self::Learn, none),
            Directive::Transact(order) => (Self::Transact(*order), none),
            Directive::Extract(wanted) => (Self::Extract(*wanted), none),
            Directive::Install(extract) => {
                let (parcel, bytes) = Parcel::of(extract);
                (Self::Install(parcel), bytes)
            }
        }
    }

    /// How many numbers follow, for this node: a layer, or a group where layers are cut.
    pub fn numbers(&self, node: usize, bounds: Bounds<'_>) -> Result<usize, WireError> {
        let width = bounds.width(node)?;
        match self {
            Self::Present { batch, data, target } => {
                Ok(width * bounds.batch(*batch)? * (usize::from(*data) + usize::from(*target)))
            }
            Self::Show(batch) => Ok(width * bounds.batch(*batch)?),
            Self::Install(parcel) => parcel.numbers(node, bounds),
            _ => Ok(0),
        }
    }

    /// The directive; `numbers` are as many as [`Order::numbers`] says.
    pub fn with<T: Real>(self, numbers: Vec<T>, node: usize, bounds: Bounds<'_>) -> Result<Directive<T>, WireError> {
        let mut rest = Rest(numbers.into_iter());
        Ok(match self {
            Self::Present { batch, data, target } => {
                let shape = (bounds.width(node)?, bounds.batch(batch)?);
                let mut field =
                    |there: bool| if there { rest.field(shape).map(|f| Some(Arc::new(f))) } else { Ok(None) };
                Directive::Present { batch, data: field(data)?, target: field(target)? }
            }
            Self::Show(batch) => {
                let shape = (bounds.width(node)?, bounds.batch(batch)?);
                Directive::Show(Arc::new(rest.field(shape)?))
            }
            Self::Begin(phase) => Directive::Begin(phase),
            Self::Continue(step) => Directive::Continue(step),
            Self::Recount => Directive::Recount,
            Self::Halt => Directive::Halt,
            Self::Number(batch) => Directive::Number(batch),
            Self::Remember => Directive::Remember,
            Self::Collect(coefficient) => Directive::Collect { coefficient },
            Self::Learn => Directive::Learn,
            Self::Transact(order) => Directive::Transact(order),
            Self::Extract(wanted) => Directive::Extract(wanted),
            Self::Install(parcel) => Directive::Install(Box::new(parcel.unpack(&mut rest, node, bounds)?)),
        })
    }
}

impl Parcel {
    /// An extract as head and bytes.
    pub fn of<T: Real>(extract: &Extract<T>) -> (Self, Vec<u8>) {
        let mut out = Vec::new();
        let mut put = |numbers: &[T]| out.extend_from_slice(&numbers::bytes(numbers));
        let head = match extract {
            Extract::Weights(parameters, states) => {
                put(values(&parameters.weights));
                put(&parameters.bias);
                Self::Weights(states.as_ref().map(|states| states.each_ref().map(|state| memory(state, &mut put))))
            }
            Extract::Estimate(parameters) => {
                put(values(&parameters.weights));
                put(&parameters.bias);
                Self::Estimate
            }
            Extract::State(state) => {
                put(values(state));
                Self::State(state.ncols())
            }
            Extract::Feedback(FeedbackState { matrix, optimizer }) => {
                put(values(matrix));
                Self::Feedback(optimizer.as_ref().map(|state| memory(state, &mut put)))
            }
            Extract::Precision(logarithms) => {
                put(logarithms);
                Self::Precision
            }
            Extract::Journal(_) => Self::Journal,
            Extract::Seen(seen) => Self::Seen(seen.clone()),
            Extract::Answer(answer) => Self::Answer(*answer),
            Extract::Nothing => Self::Nothing,
        };
        (head, out)
    }

    fn numbers(&self, node: usize, bounds: Bounds<'_>) -> Result<usize, WireError> {
        Ok(match self {
            Self::Weights(memory) => {
                let (to, from) = bounds.weights(node)?;
                let [of_weights, of_bias] = memory.as_ref().map_or([0, 0], |both| both.each_ref().map(Memory::count));
                to * from * (1 + of_weights) + to * (1 + of_bias)
            }
            Self::Estimate => {
                let (to, from) = bounds.weights(node)?;
                to * from + to
            }
            Self::State(batch) => bounds.own(node)? * bounds.batch(*batch)?,
            Self::Feedback(memory) => {
                let (to, from) = bounds.weights(node)?;
                to * from * (1 + memory.as_ref().map_or(0, Memory::count))
            }
            Self::Precision => bounds.width(node)?,
            Self::Journal => return Err(untold()),
            Self::Seen(_) | Self::Answer(_) | Self::Nothing => 0,
        })
    }

    fn unpack<T: Real>(self, rest: &mut Rest<T>, node: usize, bounds: Bounds<'_>) -> Result<Extract<T>, WireError> {
        Ok(match self {
            Self::Weights(memory) => {
                let (to, from) = bounds.weights(node)?;
                let parameters = rest.parameters((to, from))?;
                let states = match memory {
                    None => None,
                    Some([of_weights, of_bias]) => Some([rest.state(of_weights, to * from)?, rest.state(of_bias, to)?]),
                };
                Extract::Weights(parameters, states)
            }
            Self::Estimate => Extract::Estimate(rest.parameters(bounds.weights(node)?)?),
            Self::State(batch) => Extract::State(rest.field((bounds.own(node)?, bounds.batch(batch)?))?),
            Self::Feedback(memory) => {
                let (to, from) = bounds.weights(node)?;
                let matrix = rest.field((to, from))?;
                let optimizer = memory.map(|memory| rest.state(memory, to * from)).transpose()?;
                Extract::Feedback(FeedbackState { matrix, optimizer })
            }
            Self::Precision => Extract::Precision(rest.take(bounds.width(node)?)?),
            Self::Journal => return Err(untold()),
            Self::Seen(seen) => Extract::Seen(seen),
            Self::Answer(answer) => Extract::Answer(answer),
            Self::Nothing => Extract::Nothing,
        })
    }
}

/// Journals stay in the process they are written in.
fn untold() -> WireError {
    WireError::Unreadable { what: "a journal", problem: "it stays in the process it is written in".to_owned() }
}

impl Memory {
    /// How many moments follow.
    fn count(&self) -> usize {
        self.moments.iter().filter(|there| **there).count()
    }
}

/// The head of an optimiser's state, whose numbers are put behind what is there.
fn memory<T: Real>(state: &OptimizerState<T>, put: &mut impl FnMut(&[T])) -> Memory {
    let moments = [&state.first, &state.second].map(|moment| {
        put(moment);
        !moment.is_empty()
    });
    Memory { updates: state.updates, moments }
}

impl Tiding {
    /// How many numbers follow.
    pub fn numbers(&self, bounds: Bounds<'_>) -> Result<usize, WireError> {
        match self {
            Self::Extract(node, parcel) => parcel.numbers(*node, bounds),
            Self::Report(Report { layer, .. }) | Self::Fault(layer, _) | Self::LinkBroken(layer) => {
                bounds.layer(*layer).map(|_| 0)
            }
            Self::Severed(lower, ..) => bounds.layer(lower.saturating_add(1)).map(|_| 0),
        }
    }

    /// The extract whose head this is; `numbers` are as many as [`Tiding::numbers`] says. The others are complete without.
    pub fn with<T: Real>(self, numbers: Vec<T>, bounds: Bounds<'_>) -> Result<(Self, Extract<T>), WireError> {
        match &self {
            Self::Extract(node, parcel) => {
                let extract = parcel.clone().unpack(&mut Rest(numbers.into_iter()), *node, bounds)?;
                Ok((self, extract))
            }
            _ => Ok((self, Extract::Nothing)),
        }
    }
}

/// Numbers not yet used.
struct Rest<T>(std::vec::IntoIter<T>);

impl<T: Real> Rest<T> {
    fn take(&mut self, count: usize) -> Result<Vec<T>, WireError> {
        let taken: Vec<T> = self.0.by_ref().take(count).collect();
        if taken.len() == count { Ok(taken) } else { Err(WireError::field("numbers", taken.len(), count)) }
    }

    fn field(&mut self, shape: (usize, usize)) -> Result<Field<T>, WireError> {
        let taken = self.take(shape.0 * shape.1)?;
        Array2::from_shape_vec(shape, taken)
            .map_err(|error| WireError::Unreadable { what: "a field", problem: error.to_string() })
    }

    fn parameters(&mut self, (to, from): (usize, usize)) -> Result<Parameters<T>, WireError> {
        Ok(Parameters { weights: self.field((to, from))?, bias: self.take(to)? })
    }

    fn state(&mut self, memory: Memory, size: usize) -> Result<OptimizerState<T>, WireError> {
        let [first, second] = memory.moments.map(|there| if there { size } else { 0 });
        Ok(OptimizerState { updates: memory.updates, first: self.take(first)?, second: self.take(second)? })
    }
}
