//! Hopfield and rate networks with a global clock: whole matrices, one loop.
//!
//! ```text
//! at every step, for all layers at once (Jacobi order), with s_l = ρ(x_l) (Hopfield) or x_l (rate):
//!   a_l = W_l s_{l−1} + b_l,   g_l = W_{l+1}ᵀ s_{l+1}   (g_L = 0)
//!   Hopfield   drive_l = ρ'(x_l) ⊙ (a_l + g_l) − x_l           rate   drive_l = f(a_l + γ g_l) − x_l
//!   output     drive_L += −β ∂𝓛/∂x_L  when nudged;             x_L = T  when clamped
//!   x_l ← x_l + η_x drive_l          l = 1 … L                  (clipped to [0, 1] with hard-sigmoid)
//! for every phase that is read:  h_l += c_k γ^{l−L} s_l s_{l−1}ᵀ
//! ```

use ndarray::Array2;

use super::coding::blank;
use super::contrast::Contrast;
use super::feedback::Descent;
use super::learner::Learner;
use super::looks::{Looks, note_bad};
use super::numerics::Imprecision;
use super::shares::{sum_of_groups, sum_of_shares};
use crate::energy::{Activation, EnergyKind, hopfield, rate, step};
use crate::math::kernel::{Left, Shape, Start};
use crate::math::{Field, Real, extent, values, values_mut};
use crate::network::{NetworkSpec, Weights};
use crate::rule::{Plan, PlannedPhase};
use crate::settling::{Limits, PhaseRecord};
use crate::signal::{BadNumber, Motion, Origin, Reading, Report, Teaching};

/// The states of a network whose output has a state of its own.
#[derive(Debug)]
pub(super) struct Recurrent<T> {
    network: NetworkSpec,
    rate: T,
    /// `x_0 … x_L`.
    pub(super) x: Vec<Field<T>>,
    /// `s_0 … s_L`.
    s: Vec<Field<T>>,
    /// `a_l` at index l; index 0 is not used. Likewise `drive`.
    a: Vec<Field<T>>,
    drive: Vec<Field<T>>,
    target: Field<T>,
    remembered: Option<Vec<Field<T>>>,
    /// What errors come down through.
    pub(super) descent: Descent<T>,
    /// `s_1 … s_L` as the layer below hears them, at their index.
    heard: Vec<Field<T>>,
    pub(super) imprecision: Imprecision,
}

impl<T: Real> Recurrent<T> {
    /// A network without a batch.
    pub(super) fn new(network: &NetworkSpec, rate: f64, descent: Descent<T>) -> Self {
        assert!(network.energy().has_output_state(), "predictive coding is `Synchronous`");
        let none = Vec::new;
        let (network, rate, target) = (network.clone(), T::of(rate), Array2::zeros((0, 0)));
        let (imprecision, heard) = (Imprecision::default(), none());
        let (x, s, a, drive) = (none(), none(), none(), none());
        Self { network, rate, x, s, a, drive, target, remembered: None, descent, heard, imprecision }
    }

    /// `x_0 … x_L`.
    pub(super) fn states(&self) -> Vec<Field<T>> {
        self.x.clone()
    }

    /// A new batch; states stay where they are if its size does.
    pub(super) fn present(&mut self, data: &Field<T>, target: &Field<T>) {
        let batch = data.ncols();
        if self.x.first().is_none_or(|x| x.ncols() != batch) {
            let fields = || self.network.widths().iter().map(|&n| Array2::zeros((n, batch))).collect::<Vec<Field<T>>>();
            (self.x, self.s, self.a, self.drive) = (fields(), fields(), fields(), fields());
        }
        self.x[0].assign(data);
        self.target.clone_from(target);
        self.imprecision.present();
    }

    /// Runs one phase to its end.
    pub(super) fn run_phase(
        &mut self,
        planned: &PlannedPhase,
        limits: Limits,
        learner: &mut Learner<'_, T>,
    ) -> PhaseRecord {
        let Motion::Relax { teaching, from } = planned.motion else {
            unreachable!("plans of networks whose output has a state relax in every phase");
        };
        self.imprecision.begin();
        self.begin(teaching, from);
        let continual = if let Reading::Continual(coefficient) = planned.reading { Some(coefficient) } else { None };
        if let Some(coefficient) = continual {
            learner.contrast.begin_drift(coefficient, &self.heard, &self.s);
        }
        let record = self.relax(teaching, limits, learner, continual);
        if planned.remember {
            self.remembered = Some(self.x.clone());
        }
        record
    }

    fn begin(&mut self, teaching: Teaching, from: Origin) {
        let depth = self.network.depth();
        for l in 1..=depth {
            match (from, &self.remembered) {
                (Origin::Zero, _) => self.x[l].fill(T::zero()),
                (Origin::Remembered, Some(remembered)) => self.x[l].assign(&remembered[l]),
                _ => {}
            }
        }
        if teaching == Teaching::Clamped {
            self.x[depth].assign(&self.target);
        }
        self.sources();
    }

    fn sources(&mut self) {
        for (l, (x, s)) in self.x.iter().zip(&mut self.s).enumerate() {
            match self.network.energy() {
                EnergyKind::Hopfield => self.network.activation(l).values_into(values(x), values_mut(s)),
                _ => s.assign(x),
            }
        }
    }

    /// Moves the weights by what the Hebbian products have changed since the last time (Ernoult et al. 2020).
    pub(super) fn drift(&mut self, coefficient: f64, learner: &mut Learner<'_, T>) {
        let change = learner.contrast.drift(coefficient, &self.heard, &self.s);
        learner.update(&change);
        self.descent.learn(learner.weights, &change, learner.contrast.mean());
    }

    fn relax(
        &mut self,
        teaching: Teaching,
        limits: Limits,
        learner: &mut Learner<'_, T>,
        continual: Option<f64>,
    ) -> PhaseRecord {
        let depth = self.network.depth();
        let top = if teaching == Teaching::Clamped { depth - 1 } else { depth };
        let mut looks = Looks::new(limits, depth);
        let mut step_now = 0;
        loop {
            for l in 1..=depth {
                self.a[l] = sum_of_shares(&self.network, l - 1, &learner.weights[l - 1], &self.s[l - 1]);
                self.imprecision.ascending(l - 1, step_now, &mut self.a[l]);
            }
            self.heard.clone_from(&self.s);
            (1..=depth).for_each(|l| self.imprecision.descending(l, step_now, &mut self.heard[l]));
            (1..=top).for_each(|l| self.drive_of(l, teaching, learner.weights));
            for (l, bad) in looks.bad.iter_mut().enumerate().take(top + 1).skip(1) {
                note_bad(bad, step_now, &self.drive[l]);
            }
            if let Some(record) = looks.look(step_now, |bad| self.reports(step_now, teaching, limits.tolerance, bad)) {
                return record;
            }
            if let Some(coefficient) = continual {
                self.drift(coefficient, learner);
            }
            for l in 1..=top {
                step(self.rate, values(&self.drive[l]), values_mut(&mut self.x[l]));
                if self.clips(l) {
                    self.x[l].mapv_inplace(|x| x.max(T::zero()).min(T::one()));
                }
            }
            step_now += 1;
            (1..=top).for_each(|l| self.imprecision.state(l, step_now, &mut self.x[l]));
            self.sources();
        }
    }

    fn clips(&self, layer: usize) -> bool {
        self.network.energy() == EnergyKind::Hopfield && hopfield::clips(self.network.activation(layer))
    }

    fn drive_of(&mut self, l: usize, teaching: Teaching, weights: &Weights<T>) {
        let depth = self.network.depth();
        let batch = self.target.ncols();
        let feedback = (l < depth).then(|| {
            let b = self.descent.matrix(l + 1, weights);
            let (to, from) = b.dim();
            let mut g = Array2::zeros((from, batch));
            let left = Left::Columns(values(b));
            let shape = Shape { rows: from, inner: to, cols: batch };
            if batch == 1 {
                let (shape, w) = (Shape { rows: 1, inner: to, cols: from }, values(b));
                T::product(shape, Left::Rows(values(&self.heard[l + 1])), w, Start::Zero, values_mut(&mut g));
            } else {
                T::product(shape, left, values(&self.heard[l + 1]), Start::Zero, values_mut(&mut g));
            }
            g
        });
        let f = self.network.activation(l);
        let (x, a, out) = (values(&self.x[l]), values(&self.a[l]), values_mut(&mut self.drive[l]));
        let feedback = feedback.as_ref().map(|g| values(g));
        match self.network.energy() {
            EnergyKind::Hopfield => hopfield::drive(f, x, a, feedback, out),
            _ => rate::drive(f, T::of(self.network.feedback_gain()), x, a, feedback, out),
        }
        if let (true, Teaching::Nudged(nudge)) = (l == depth, teaching) {
            self.network.loss().pull(T::of(nudge), &self.x[l], &self.target, &mut self.drive[l]);
        }
        if self.clips(l) {
            hopfield::project(values(&self.x[l]), values_mut(&mut self.drive[l]));
        }
    }

    fn reports(&self, step: u64, teaching: Teaching, tolerance: f64, bad: &[Option<BadNumber>]) -> Vec<Report> {
        let depth = self.network.depth();
        let clamped = teaching == Teaching::Clamped;
        let nudge = if let Teaching::Nudged(nudge) = teaching { T::of(nudge).wide() } else { 0.0 };
        let report = |l: usize| {
            let mut report = Report { layer: l, step, bad: bad[l], ..blank() };
            let moves = l > 0 && !(l == depth && clamped);
            if l == depth {
                let score = self.network.loss().score(Activation::Identity, &self.x[l], &self.target);
                report.score = Some(score);
                report.energy = if clamped { 0.0 } else { nudge * score.loss };
            }
            if moves {
                report.residual = extent(values(&self.drive[l])).largest;
                report.unsettled = self.drive[l].iter().filter(|drive| drive.abs() > T::of(tolerance)).count();
            }
            if !self.network.descends_an_energy() {
                report.energy = 0.0;
            } else if l > 0 {
                let f = self.network.activation(l);
                let fields = (&self.x[l], &self.a[l]);
                report.energy += sum_of_groups(&self.network, l, fields, |x, a| hopfield::energy(f, x, a));
            }
            report
        };
        (0..=depth).map(report).collect()
    }

    /// Adds the Hebbian products of phase `index` of a plan to the contrast.
    pub(super) fn collect(&self, plan: &Plan, index: usize, contrast: &mut Contrast<T>) {
        let depth = self.network.depth();
        for l in 1..=depth {
            contrast.add(l, plan.coefficient(index, l, depth), &self.heard[l], &self.s[l - 1]);
        }
    }
}
