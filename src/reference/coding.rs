//! Predictive coding with a global clock: whole matrices, one loop (Algorithm 1).
//!
//! ```text
//! at every step, for all layers at once (Jacobi order):
//!   a_l = W_l x_{l−1} + b_l           l = 1 … L
//!   ε_l = x_l − f(a_l),  e_l = Π_l ε_l,  d_l = e_l ⊙ f'(a_l)           l < L
//!   e_L = λ (T − p(a_L)),  d_L = e_L ⊙ p'(a_L)
//!   x_l ← x_l + η_x (W_{l+1}ᵀ d_{l+1} − e_l)                            l < L
//! Gauss-Seidel order instead of Jacobi: l = L−1 … 1 one after another, e_l and d_l made anew once x_l has moved.
//!
//! at the end, for every phase that is read:  h_l += c_k d_l x_{l−1}ᵀ;  then one optimiser step with −h_l / B
//! ```
//!
//! Differs from Algorithm 1: the sign of its update and the place of λ (see `energy::loss`).

mod reports;

use ndarray::Array2;

use super::Order;
use super::contrast::Contrast;
use super::deviation::Deviation;
use super::feedback::Descent;
use super::looks::Looks;
use super::numerics::Imprecision;
use super::precision::Precisions;
use super::shares::sum_of_shares;
use crate::math::kernel::{Left, Shape, Start};
use crate::math::{Field, Real, values, values_mut};
use crate::network::{FeedbackKind, NetworkSpec, Weights};
use crate::rule::{Plan, PlannedPhase};
use crate::settling::{Limits, PhaseRecord, StopReason};
use crate::signal::{Motion, Origin, Reading, Report, Repose, Teaching, Versions};

/// The states of a predictive-coding network.
#[derive(Debug)]
pub(super) struct Coding<T> {
    network: NetworkSpec,
    rate: T,
    pub(super) order: Order,
    /// `x_0 … x_{L−1}`.
    pub(super) x: Vec<Field<T>>,
    target: Field<T>,
    /// `W_1 x_0 + b_1`, which does not change while the data are clamped.
    first: Field<T>,
    /// `a_1 … a_L` as heard, at index l − 1; likewise below.
    a: Vec<Field<T>>,
    e: Vec<Field<T>>,
    d: Vec<Field<T>>,
    /// `g_l − e_l` of the hidden layers, at index l.
    drive: Vec<Field<T>>,
    remembered: Option<Vec<Field<T>>>,
    /// What errors come down through.
    pub(super) descent: Descent<T>,
    /// Precisions of single units.
    pub(super) precisions: Precisions<T>,
    pub(super) imprecision: Imprecision,
    /// A phase in deviation variables, which leaves `x` and `a` at the free equilibrium.
    deviation: Option<Box<Deviation<T>>>,
}

impl<T: Real> Coding<T> {
    /// A network without a batch.
    pub(super) fn new(network: &NetworkSpec, rate: f64, order: Order, descent: Descent<T>) -> Self {
        let none = Vec::new;
        let precisions = Precisions::new(network);
        let (network, rate, target) = (network.clone(), T::of(rate), Array2::zeros((0, 0)));
        let (a, e, d, drive, first) = (none(), none(), none(), none(), Array2::zeros((0, 0)));
        Self {
            network,
            rate,
            order,
            x: none(),
            target,
            first,
            a,
            e,
            d,
            drive,
            remembered: None,
            descent,
            precisions,
            imprecision: Imprecision::default(),
            deviation: None,
        }
    }

    /// `x_0 … x_{L−1}`, then the current `a_L`.
    pub(super) fn states(&self) -> Vec<Field<T>> {
        match &self.deviation {
            Some(deviation) => deviation.states(),
            None => self.x.iter().chain(self.a.last()).cloned().collect(),
        }
    }

    /// A new batch.
    pub(super) fn present(&mut self, data: &Field<T>, target: &Field<T>, weights: &Weights<T>) {
        self.deviation = None;
        let widths = self.network.widths();
        let batch = data.ncols();
        assert_eq!(data.nrows(), widths[0], "data have one row per input");
        assert_eq!(target.dim(), (widths[self.network.depth()], batch), "targets have one row per output");
        let fields = |widths: &[usize]| widths.iter().map(|&n| Array2::zeros((n, batch))).collect::<Vec<Field<T>>>();
        if self.x.first().is_none_or(|x| x.ncols() != batch) {
            self.x = fields(&widths[..widths.len() - 1]);
            (self.a, self.e, self.d) = (fields(&widths[1..]), fields(&widths[1..]), fields(&widths[1..]));
            self.drive = fields(&widths[..widths.len() - 1]);
        }
        self.x[0].assign(data);
        self.target.clone_from(target);
        self.first = sum_of_shares(&self.network, 0, &weights[0], &self.x[0]);
        self.imprecision.present();
    }

    /// Runs one phase to its end. A phase that is read at the first arrival is read here, into `contrast`.
    pub(super) fn run_phase(
        &mut self,
        planned: &PlannedPhase,
        limits: Limits,
        weights: &Weights<T>,
        contrast: &mut Contrast<T>,
    ) -> PhaseRecord {
        self.deviation = None;
        self.imprecision.begin();
        let record = match (planned.motion, planned.reading) {
            (Motion::Deviate { nudge }, _) => {
                assert!(self.order == Order::Jacobi, "deviation variables move all at once");
                let plain = self.network.feedback() == FeedbackKind::Tied && self.precisions.of(1).is_none();
                assert!(plain, "deviation variables have tied feedback and one given precision per layer");
                let start = Deviation::new(&self.network, nudge, &self.x, &self.a, &self.target);
                self.deviation.insert(Box::new(start)).relax(self.rate, self.imprecision, limits, weights)
            }
            (Motion::Forward, _) => {
                // At the free equilibrium every error is zero (Eq. 20); only the output has something to report.
                self.forward(weights);
                let mut bad = vec![None; self.network.depth() + 1];
                self.errors(0, T::zero());
                // No error is said in a wave: what is left is what limited precision makes of x − f(a).
                self.drive
                    .iter_mut()
                    .skip(1)
                    .zip(&self.e)
                    .for_each(|(drive, e)| drive.zip_mut_with(e, |g, &e| *g = -e));
                self.find_bad(0, &mut bad);
                let reason = if bad.iter().any(Option::is_some) { StopReason::Diverged } else { StopReason::Wave };
                PhaseRecord { reason, reports: self.reports(0, 0.0, limits.tolerance, &bad) }
            }
            (Motion::Relax { teaching, from }, reading) => {
                match (from, &self.remembered) {
                    (Origin::Zero, _) => self.x[1..].iter_mut().for_each(|x| x.fill(T::zero())),
                    (Origin::Remembered, Some(remembered)) => self.x.clone_from(remembered),
                    _ => {}
                }
                let nudge = match teaching {
                    Teaching::Free => 0.0,
                    Teaching::Nudged(nudge) => nudge,
                    Teaching::Clamped => self.network.precision(self.network.depth()),
                };
                match reading {
                    Reading::AtEnd => self.relax(nudge, limits, weights),
                    Reading::Continual(_) => unreachable!("plans of predictive coding learn at the end"),
                    Reading::FirstArrival(coefficient) => self.first_step(nudge, coefficient, weights, contrast),
                }
            }
        };
        if planned.remember {
            self.remembered = Some(self.x.clone());
        }
        record
    }

    fn forward(&mut self, weights: &Weights<T>) {
        self.a[0].assign(&self.first);
        self.imprecision.ascending(0, 0, &mut self.a[0]);
        for (l, parameters) in weights.iter().enumerate().skip(1) {
            let f = self.network.activation(l);
            f.values_into(values(&self.a[l - 1]), values_mut(&mut self.x[l]));
            self.imprecision.state(l, 0, &mut self.x[l]);
            self.a[l] = sum_of_shares(&self.network, l, parameters, &self.x[l]);
            self.imprecision.ascending(l, 0, &mut self.a[l]);
        }
    }

    /// Steps with η_x = 1 in which the error walks down one layer at a time; each layer's product is read as it passes.
    fn first_step(
        &mut self,
        nudge: f64,
        coefficient: f64,
        weights: &Weights<T>,
        contrast: &mut Contrast<T>,
    ) -> PhaseRecord {
        let depth = self.network.depth();
        let mut bad = vec![None; depth + 1];
        for l in (1..=depth).rev() {
            let step = (depth - l) as u64;
            self.predict(step, weights);
            self.errors(step, T::of(nudge));
            self.drives(weights);
            self.find_bad(step, &mut bad);
            contrast.add(l, coefficient, &self.d[l - 1], &self.x[l - 1]);
            if l > 1 {
                self.descend(step + 1, T::one());
            }
        }
        let reason = if bad.iter().any(Option::is_some) { StopReason::Diverged } else { StopReason::StepBudget };
        PhaseRecord { reason, reports: self.reports((depth - 1) as u64, nudge, 0.0, &bad) }
    }

    fn relax(&mut self, nudge: f64, limits: Limits, weights: &Weights<T>) -> PhaseRecord {
        let mut looks = Looks::new(limits, self.network.depth());
        let mut step = 0;
        loop {
            self.predict(step, weights);
            self.errors(step, T::of(nudge));
            self.drives(weights);
            self.find_bad(step, &mut looks.bad);
            if let Some(record) = looks.look(step, |bad| self.reports(step, nudge, limits.tolerance, bad)) {
                return record;
            }
            step += 1;
            match self.order {
                Order::Jacobi => self.descend(step, self.rate),
                Order::GaussSeidel => self.sweep(weights),
            }
        }
    }

    fn descend(&mut self, step: u64, rate: T) {
        for l in 1..self.network.depth() {
            descend(rate, &self.drive[l], &mut self.x[l]);
            self.imprecision.state(l, step, &mut self.x[l]);
        }
    }

    /// One step, layer after layer from the top: each hears the error of the layer above as it is after that one's move.
    fn sweep(&mut self, weights: &Weights<T>) {
        for l in (1..self.network.depth()).rev() {
            self.drive_of(l, weights);
            descend(self.rate, &self.drive[l], &mut self.x[l]);
            self.error_of(l);
        }
    }

    /// `a_l = W_l x_{l−1} + b_l`, as heard.
    fn predict(&mut self, step: u64, weights: &Weights<T>) {
        self.a[0].assign(&self.first);
        self.imprecision.ascending(0, step, &mut self.a[0]);
        for l in 2..=self.network.depth() {
            if self.network.groups(l - 1) > 1 {
                self.a[l - 1] = sum_of_shares(&self.network, l - 1, &weights[l - 1], &self.x[l - 1]);
                continue;
            }
            let (to, from) = weights[l - 1].weights.dim();
            let batch = self.target.ncols();
            let (weights, bias) = (values(&weights[l - 1].weights), &weights[l - 1].bias);
            let (x, a) = (values(&self.x[l - 1]), values_mut(&mut self.a[l - 1]));
            if batch == 1 {
                T::current_of_one(weights, bias, x, a);
            } else {
                let shape = Shape { rows: to, inner: from, cols: batch };
                T::product(shape, Left::Rows(weights), x, Start::Bias(bias), a);
            }
            self.imprecision.ascending(l - 1, step, &mut self.a[l - 1]);
        }
    }

    /// `e_l`, and `d_l` as heard.
    fn errors(&mut self, step: u64, nudge: T) {
        let depth = self.network.depth();
        (1..depth).for_each(|l| self.error_of(l));
        let (loss, output, top) = (self.network.loss(), self.network.activation(depth), depth - 1);
        loss.outputs_into(output, &self.a[top], &mut self.e[top]);
        self.e[top].zip_mut_with(&self.target, |p, &t| *p = nudge * (t - *p));
        let (e, d) = (&self.e[top], &mut self.d[top]);
        ndarray::Zip::from(d).and(e).and(&self.a[top]).for_each(|d, &e, &a| *d = e * loss.slope(output, a));
        (1..=depth).for_each(|l| self.imprecision.descending(l, step, &mut self.d[l - 1]));
    }

    /// `e_l` and `d_l` of a hidden layer.
    fn error_of(&mut self, l: usize) {
        let (f, precision) = (self.network.activation(l), T::of(self.network.precision(l)));
        let (a, e, d) = (&self.a[l - 1], &mut self.e[l - 1], &mut self.d[l - 1]);
        f.values_and_slopes_into(values(a), values_mut(e), values_mut(d));
        match self.precisions.of(l) {
            Some(units) => {
                for ((mut e, x), &precision) in e.rows_mut().into_iter().zip(self.x[l].rows()).zip(units) {
                    e.zip_mut_with(&x, |e, &x| *e = precision * (x - *e));
                }
            }
            None => e.zip_mut_with(&self.x[l], |e, &x| *e = precision * (x - *e)),
        }
        d.zip_mut_with(e, |d, &e| *d = e * *d);
    }

    fn drives(&mut self, weights: &Weights<T>) {
        (1..self.network.depth()).for_each(|l| self.drive_of(l, weights));
    }

    /// `B_{l+1}ᵀ d_{l+1} − e_l`.
    fn drive_of(&mut self, l: usize, weights: &Weights<T>) {
        let (to, from) = weights[l].weights.dim();
        let batch = self.target.ncols();
        let (weights, d) = (values(self.descent.matrix(l + 1, weights)), values(&self.d[l]));
        let shape = Shape { rows: from, inner: to, cols: batch };
        T::product(shape, Left::Columns(weights), d, Start::Zero, values_mut(&mut self.drive[l]));
        self.drive[l].zip_mut_with(&self.e[l - 1], |g, &e| *g = *g - e);
    }

    /// Learns the precisions of single units, where they are learned.
    pub(super) fn learn_precisions(&mut self) {
        self.precisions.learn(&self.e);
    }

    /// Adds the Hebbian products of phase `index` of a plan to the contrast.
    pub(super) fn collect(&self, plan: &Plan, index: usize, contrast: &mut Contrast<T>) {
        if let Some(deviation) = &self.deviation {
            return deviation.collect(plan, index, contrast);
        }
        let depth = self.network.depth();
        for l in 1..=depth {
            contrast.add(l, plan.coefficient(index, l, depth), &self.d[l - 1], &self.x[l - 1]);
        }
    }
}

/// `x ← x + η·drive`, magnitudes below the flush limit to zero.
pub(super) fn descend<T: Real>(rate: T, drive: &Field<T>, state: &mut Field<T>) {
    let (drive, state) = (values(drive), values_mut(state));
    pulp::Arch::new().dispatch(|| {
        for (x, &drive) in state.iter_mut().zip(drive) {
            let moved = *x + rate * drive;
            *x = if moved.abs() < T::FLUSH { T::zero() } else { moved };
        }
    });
}

pub(super) fn blank() -> Report {
    Report {
        layer: 0,
        group: 0,
        phase: 0,
        step: 0,
        residual: 0.0,
        unsettled: 0,
        energy: 0.0,
        score: None,
        bad: None,
        spoken: Versions::default(),
        heard: Versions::default(),
        repose: Repose::Exhausted,
        staleness: 0,
    }
}
