//! A group of neurons: a part of a layer with its own state, its own outgoing weights, and links to every group next door.
//!
//! ```text
//! hears   a share of its current from every group below, adds them in the order of the groups
//! says    its share of the current above, one block of rows for every group there
//! hears   an error from every group above, each a block of rows of d_{l+1}
//! says    its own rows of d_l to every group below
//! ```
//!
//! Inside is a [`Layer`] that knows nothing of all this: it hears a whole current and a whole error. A share is published once, and
//! every group above reads its own rows of it. With one group on every side nothing is added or copied.

use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use ndarray::{Array2, Axis, Slice};

use super::{Layer, LayerError, LayerSettings};
use crate::math::{Field, Real, values, values_mut};
use crate::network::{NetworkSpec, Parameters};
use crate::signal::{BadNumber, Content, Directive, Extract, Motion, Phase, Report, Signal, Stamp};

/// Where a group stands in its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The layer, 0 for the input.
    pub layer: usize,
    /// The group within it.
    pub group: usize,
    /// Its units within the layer.
    pub rows: Range<usize>,
}

/// One group of neurons.
#[derive(Debug)]
pub struct Group<T> {
    layer: Layer<T>,
    place: Place,
    below: Side<T>,
    above: Side<T>,
    above_rows: Vec<Range<usize>>,
}

/// What came last from every group on one side.
#[derive(Debug)]
struct Side<T> {
    heard: Vec<Option<Signal<T>>>,
    whole: Arc<Field<T>>,
    version: u64,
    /// Something came since the whole was put together.
    news: bool,
}

impl<T: Real> Side<T> {
    fn new(groups: usize) -> Self {
        Self {
            heard: (0..groups).map(|_| None).collect(),
            whole: Arc::new(Array2::zeros((0, 0))),
            version: 0,
            news: false,
        }
    }

    /// Takes in a signal.
    fn hear(&mut self, from: usize, signal: Signal<T>) {
        self.heard[from] = Some(signal);
        self.news = true;
    }

    /// The stamp of all of them together, as new as the newest, answering what all have answered; `None` without news, and before one
    /// has come from every group.
    fn stamp(&mut self) -> Option<(Stamp, Content)> {
        if !self.news || self.heard.iter().any(Option::is_none) {
            return None;
        }
        self.news = false;
        self.version += 1;
        let stamps = || self.heard.iter().flatten().map(|signal| signal.stamp);
        let answers = stamps().map(|stamp| stamp.answers).min()?;
        let newest = stamps().max_by_key(|stamp| (stamp.phase, stamp.step))?;
        let content = self.heard.iter().flatten().next()?.content;
        Some((Stamp { version: self.version, answers, ..newest }, content))
    }

    /// A buffer that nobody reads, of this shape.
    fn buffer(&mut self, shape: (usize, usize)) -> &mut Field<T> {
        if self.whole.dim() != shape || Arc::get_mut(&mut self.whole).is_none() {
            self.whole = Arc::new(Array2::zeros(shape));
        }
        Arc::get_mut(&mut self.whole).expect("made or checked above")
    }

    fn forget(&mut self) {
        self.heard.iter_mut().for_each(|heard| *heard = None);
        self.news = false;
    }
}

impl<T: Real> Group<T> {
    /// A group of a network. `parameters` are those of its whole layer; it takes its own columns, the first group the bias.
    pub fn new(
        network: &Arc<NetworkSpec>,
        layer: usize,
        group: usize,
        parameters: Option<&Parameters<T>>,
        settings: &Arc<LayerSettings>,
    ) -> Self {
        let rows = network.rows(layer, group);
        let own = parameters.map(|whole| columns(whole, &rows, group == 0));
        let groups = |layer: Option<usize>| layer.map_or(0, |layer| network.groups(layer));
        let above = Some(layer + 1).filter(|&above| above <= network.depth());
        let above_rows = (0..groups(above)).map(|group| network.rows(layer + 1, group)).collect::<Vec<Range<usize>>>();
        let place = Place { layer, group, rows: rows.clone() };
        let inner = Layer::part(network, layer, rows, own, settings, group == 0);
        Self {
            layer: inner,
            place,
            below: Side::new(groups(layer.checked_sub(1))),
            above: Side::new(above_rows.len()),
            above_rows,
        }
    }

    /// Where it stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Takes in a share of the current, from a group below; [`Group::take_in`] adds them up.
    pub fn hear_prediction(&mut self, from: usize, share: Signal<T>) {
        if self.below.heard.len() == 1 && share.numbers.nrows() == self.place.rows.len() {
            self.layer.hear_prediction(share);
        } else {
            self.below.hear(from, share);
        }
    }

    /// Takes in the error of a group above; [`Group::take_in`] puts them together.
    pub fn hear_error(&mut self, from: usize, error: Signal<T>) {
        if self.above.heard.len() == 1 {
            self.layer.hear_error(error);
        } else {
            self.above.hear(from, error);
        }
    }

    /// Makes one current of the shares and one error of the blocks, where there is news and something has come from every group.
    pub fn take_in(&mut self) {
        self.add_up_shares();
        self.put_together_errors();
    }

    fn add_up_shares(&mut self) {
        let Some((stamp, content)) = self.below.stamp() else { return };
        let shares: Vec<Arc<Field<T>>> =
            self.below.heard.iter().flatten().map(|signal| Arc::clone(&signal.numbers)).collect();
        let batch = shares[0].ncols();
        let range = self.place.rows.start * batch..self.place.rows.end * batch;
        let sum = values_mut(self.below.buffer((self.place.rows.len(), batch)));
        sum.copy_from_slice(&values(&shares[0])[range.clone()]);
        for share in &shares[1..] {
            for (sum, &share) in sum.iter_mut().zip(&values(share)[range.clone()]) {
                *sum = *sum + share;
            }
        }
        let numbers = Arc::clone(&self.below.whole);
        self.layer.hear_prediction(Signal { stamp, content, numbers });
    }

    fn put_together_errors(&mut self) {
        let Some((stamp, content)) = self.above.stamp() else { return };
        let blocks: Vec<Arc<Field<T>>> =
            self.above.heard.iter().flatten().map(|signal| Arc::clone(&signal.numbers)).collect();
        let batch = blocks[0].ncols();
        let units = self.above_rows.last().map_or(0, |rows| rows.end);
        let whole = values_mut(self.above.buffer((units, batch)));
        for (rows, block) in self.above_rows.iter().zip(&blocks) {
            whole[rows.start * batch..rows.end * batch].copy_from_slice(values(block));
        }
        let numbers = Arc::clone(&self.above.whole);
        self.layer.hear_error(Signal { stamp, content, numbers });
    }

    /// Takes in a directive. Data and targets are those of the whole layer, of which the group keeps its rows; weights that are
    /// installed are the group's own.
    pub fn hear_directive(&mut self, directive: Directive<T>) -> Result<Option<Extract<T>>, LayerError> {
        let directive = match directive {
            Directive::Present { batch, data, target } => {
                self.below.forget();
                self.above.forget();
                Directive::Present { batch, data: self.own(data), target: self.own(target) }
            }
            // Every step of a phase is made of signals of that phase.
            Directive::Begin(Phase { motion: Motion::Deviate { .. }, .. }) if self.is_cut() => {
                let what = "deviation variables are those of whole layers; a network cut into groups has its states";
                return Err(self.layer.fault(what.into()));
            }
            Directive::Begin(phase) => {
                self.below.forget();
                self.above.forget();
                Directive::Begin(phase)
            }
            other => other,
        };
        self.layer.hear_directive(directive)
    }

    fn is_cut(&self) -> bool {
        self.layer.network.groups_in_all() > self.layer.network.depth() + 1
    }

    fn own(&self, numbers: Option<Arc<Field<T>>>) -> Option<Arc<Field<T>>> {
        numbers.map(|whole| {
            let rows = self.place.rows.clone();
            let all = rows == (0..whole.nrows()) || rows.end > whole.nrows();
            if all { whole } else { Arc::new(whole.slice_axis(Axis(0), Slice::from(rows)).to_owned()) }
        })
    }

    /// The report of the present moment. Units are counted within the whole layer.
    pub fn report(&mut self) -> Report {
        let report = self.layer.report();
        let bad = report.bad.map(|bad| BadNumber { unit: bad.unit + self.place.rows.start, ..bad });
        Report { bad, group: self.place.group, ..report }
    }
}

/// To relax, to speak and to learn a group does as a layer does.
impl<T> Deref for Group<T> {
    type Target = Layer<T>;

    fn deref(&self) -> &Layer<T> {
        &self.layer
    }
}

impl<T> DerefMut for Group<T> {
    fn deref_mut(&mut self) -> &mut Layer<T> {
        &mut self.layer
    }
}

/// The columns of a group, and the bias if it is the first.
fn columns<T: Real>(whole: &Parameters<T>, rows: &Range<usize>, first: bool) -> Parameters<T> {
    let weights = whole.weights.slice_axis(Axis(1), Slice::from(rows.clone())).as_standard_layout().into_owned();
    let bias = if first { whole.bias.clone() } else { vec![T::zero(); whole.bias.len()] };
    Parameters { weights, bias }
}
