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
//! every group above reads its own rows of it ([`Gathered`]). Where nothing is cut, whole signals are heard as they are.

use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use ndarray::{Array2, Axis, Slice};

use super::{Layer, LayerError, LayerSettings};
use crate::math::{Field, Real, values, values_mut};
use crate::network::{NetworkSpec, Parameters};
use crate::signal::{BadNumber, Content, Directive, Extract, Motion, Phase, Report, Signal, Stamp};

/// One group of neurons.
#[derive(Debug)]
pub struct Group<T> {
    layer: Layer<T>,
    /// Its number within the layer.
    group: usize,
    /// Its first unit within the layer.
    first: usize,
    /// The first phase of this batch; none before it has begun.
    since: Option<u64>,
}

/// What was heard from some of the groups on one side, in their order: the beginning of a whole current, or of a whole error.
///
/// Its version is the sum of the versions heard. Each of them only grows, so two sums of the same groups are equal only if everything
/// they were made of is.
#[derive(Debug)]
pub struct Gathered<T> {
    /// Errors lie one below the other; shares are added.
    side: Content,
    rows: Range<usize>,
    numbers: Arc<Field<T>>,
    heard: Option<(Stamp, Content)>,
    versions: u64,
}

impl<T: Real> Gathered<T> {
    /// Takes in what the next group said.
    pub fn hear(&mut self, signal: &Signal<T>) {
        let (stamp, said) = (signal.stamp, values(&signal.numbers));
        let first = self.heard.is_none();
        let batch = signal.numbers.ncols();
        self.versions += stamp.version;
        self.heard = Some(match self.heard {
            Some((newest, content)) if (newest.phase, newest.step) >= (stamp.phase, stamp.step) => (newest, content),
            _ => (stamp, signal.content),
        });
        let whole = match self.side {
            // A share is one of the current of the whole layer, of which this group has some rows.
            Content::Prediction => self.rows.clone(),
            _ => {
                let start = self.rows.end;
                self.rows.end += signal.numbers.nrows();
                start..self.rows.end
            }
        };
        let Some(numbers) = Arc::get_mut(&mut self.numbers) else { return };
        match self.side {
            Content::Prediction => {
                let share = &said[whole.start * batch..whole.end * batch];
                let sum = values_mut(numbers);
                if first {
                    sum.copy_from_slice(share);
                } else {
                    for (sum, &share) in sum.iter_mut().zip(share) {
                        *sum = *sum + share;
                    }
                }
            }
            _ => values_mut(numbers)[whole.start * batch..whole.end * batch].copy_from_slice(said),
        }
    }

    /// The next group above has said nothing yet: its errors are zero, as they all are for a layer that has heard nothing.
    pub fn hear_nothing(&mut self, units: usize) {
        let batch = self.numbers.ncols();
        let start = self.rows.end;
        self.rows.end += units;
        if let Some(numbers) = Arc::get_mut(&mut self.numbers) {
            values_mut(numbers)[start * batch..self.rows.end * batch].fill(T::zero());
        }
    }

    /// The whole, as one signal that answers `answers`; `None` if nothing was heard.
    fn whole(self, answers: u64) -> Option<Signal<T>> {
        let (stamp, content) = self.heard?;
        let stamp = Stamp { version: self.versions, answers, ..stamp };
        Some(Signal { stamp, content, numbers: self.numbers })
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
        let first = rows.start;
        Self { layer: Layer::part(network, layer, rows, own, settings, group == 0), group, first, since: None }
    }

    /// Its units within the layer.
    fn rows(&self) -> Range<usize> {
        self.first..self.first + self.layer.units
    }

    /// Begins to put together the current from the shares of the groups below, which are to be heard in their order.
    pub fn gather_current(&mut self) -> Gathered<T> {
        let heard = self.layer.incoming.as_mut().and_then(|incoming| incoming.current.take());
        let rows = self.rows();
        self.gather(Content::Prediction, rows.len(), rows, heard)
    }

    /// Begins to put together the error from the blocks of the groups above, which are to be heard in their order.
    pub fn gather_error(&mut self) -> Gathered<T> {
        let heard = self.layer.outgoing.as_mut().and_then(|outgoing| outgoing.passing.as_mut()?.heard.take());
        let units = self.layer.network.widths().get(self.layer.index + 1).copied().unwrap_or(0);
        self.gather(Content::Adjoint, units, 0..0, heard)
    }

    /// What was heard before is replaced in any case, so its numbers are written over if nobody else reads them.
    fn gather(&self, side: Content, units: usize, rows: Range<usize>, before: Option<Signal<T>>) -> Gathered<T> {
        let shape = (units, self.layer.batch);
        let mut numbers = before.map(|signal| signal.numbers).filter(|numbers| numbers.dim() == shape);
        if numbers.as_mut().is_none_or(|numbers| Arc::get_mut(numbers).is_none()) {
            numbers = Some(Arc::new(Array2::zeros(shape)));
        }
        Gathered { side, rows, numbers: numbers.unwrap_or_default(), heard: None, versions: 0 }
    }

    /// Hears the current that was put together.
    pub fn hear_gathered_current(&mut self, gathered: Gathered<T>) {
        if let Some(current) = gathered.whole(0) {
            self.layer.hear_prediction(current);
        }
    }

    /// Hears the error that was put together. Which of its own versions each block answers is not known: they count as the last one.
    pub fn hear_gathered_error(&mut self, gathered: Gathered<T>) {
        let answers = self.layer.outgoing.as_ref().map_or(0, |outgoing| outgoing.versions()[0]);
        if let Some(error) = gathered.whole(answers) {
            self.layer.hear_error(error);
        }
    }

    /// Takes in a directive. Data and targets are those of the whole layer, of which the group keeps its rows; weights that are
    /// installed are the group's own.
    pub fn hear_directive(&mut self, directive: Directive<T>) -> Result<Option<Extract<T>>, LayerError> {
        let directive = match directive {
            Directive::Present { batch, data, target } => {
                self.since = None;
                Directive::Present { batch, data: self.own(data), target: self.own(target) }
            }
            Directive::Show(data) => Directive::Show(self.own(Some(Arc::clone(&data))).unwrap_or(data)),
            Directive::Begin(Phase { motion: Motion::Deviate { .. }, .. }) if self.is_cut() => {
                let what = "deviation variables are those of whole layers; a network cut into groups has its states";
                return Err(self.layer.fault(what.into()));
            }
            Directive::Begin(phase) => {
                self.since.get_or_insert(phase.number);
                Directive::Begin(phase)
            }
            other => other,
        };
        self.layer.hear_directive(directive)
    }

    /// True if a signal belongs to this batch, and to no phase that has not come yet.
    pub fn may_hear(&self, stamp: Stamp) -> bool {
        let now = self.layer.phase().map_or(0, |phase| phase.number);
        self.since.is_some_and(|since| (since..=now).contains(&stamp.phase))
    }

    /// Neurons of a group of the layer above.
    pub fn units_above(&self, group: usize) -> usize {
        self.layer.network.rows(self.layer.index + 1, group).len()
    }

    /// True if its layer has other groups.
    pub fn is_part(&self) -> bool {
        self.layer.network.groups(self.layer.index) > 1
    }

    /// True if any layer of its network has more than one group.
    pub fn is_cut(&self) -> bool {
        self.layer.network.is_cut()
    }

    fn own(&self, numbers: Option<Arc<Field<T>>>) -> Option<Arc<Field<T>>> {
        numbers.map(|whole| {
            let rows = self.rows();
            let all = rows == (0..whole.nrows()) || rows.end > whole.nrows();
            if all { whole } else { Arc::new(whole.slice_axis(Axis(0), Slice::from(rows)).to_owned()) }
        })
    }

    /// The report of the present moment. Units are counted within the whole layer.
    pub fn report(&mut self) -> Report {
        let report = self.layer.report();
        let bad = report.bad.map(|bad| BadNumber { unit: bad.unit + self.first, ..bad });
        Report { bad, group: self.group, ..report }
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
