//! Predictive coding with a global clock: whole matrices, one loop (Algorithm 1).
//!
//! ```text
//! at every step, for all layers at once (Jacobi order):
//!   a_l = W_l x_{l−1} + b_l           l = 1 … L
//!   ε_l = x_l − f(a_l),  e_l = Π_l ε_l,  d_l = e_l ⊙ f'(a_l)           l < L
//!   e_L = λ (T − p(a_L)),  d_L = e_L ⊙ p'(a_L)
//!   x_l ← x_l + η_x (W_{l+1}ᵀ d_{l+1} − e_l)                            l < L
//! at the end, for every phase that is read:  h_l += c_k d_l x_{l−1}ᵀ;  then one optimiser step with −h_l / B
//! ```
//!
//! Differs from Algorithm 1: the sign of its update and the place of λ (see `energy::loss`).

use ndarray::Array2;

use super::backprop::current;
use crate::energy::Score;
use crate::math::kernel::{Left, Shape, Start};
use crate::math::optimizer::{Optimizer, OptimizerSpec};
use crate::math::{Field, Real, extent, sum_of_squares, transpose_into, values, values_mut};
use crate::network::{NetworkSpec, Parameters, Weights};
use crate::settling::{Limits, Look, PhaseRecord, StopReason, Stopper};
use crate::signal::{BadNumber, Motion, Origin, Report, Repose, Versions};

/// A network, its states and its optimisers, all in one place.
#[derive(Debug)]
pub struct Synchronous<T> {
    network: NetworkSpec,
    rate: T,
    weights: Weights<T>,
    optimizers: Vec<[Optimizer<T>; 2]>,
    /// `x_0 … x_{L−1}`.
    x: Vec<Field<T>>,
    target: Field<T>,
    /// `a_1 … a_L`, at index l − 1; likewise below.
    a: Vec<Field<T>>,
    e: Vec<Field<T>>,
    d: Vec<Field<T>>,
    /// `g_l − e_l` of the hidden layers, at index l.
    drive: Vec<Field<T>>,
    sums: Weights<T>,
    terms: usize,
}

impl<T: Real> Synchronous<T> {
    /// A network with these weights.
    pub fn new(network: &NetworkSpec, weights: Weights<T>, rate: f64, optimizer: OptimizerSpec) -> Self {
        assert!(network.fits(&weights), "weights have the shapes of the network");
        let optimizers = weights
            .iter()
            .map(|p| [Optimizer::new(optimizer, p.weights.len()), Optimizer::new(optimizer, p.bias.len())])
            .collect();
        let sums = weights.iter().map(|p| Parameters::zeros(p.weights.nrows(), p.weights.ncols())).collect();
        Self {
            network: network.clone(),
            rate: T::of(rate),
            weights,
            optimizers,
            x: Vec::new(),
            target: Array2::zeros((0, 0)),
            a: Vec::new(),
            e: Vec::new(),
            d: Vec::new(),
            drive: Vec::new(),
            sums,
            terms: 0,
        }
    }

    /// The weights.
    pub fn weights(&self) -> &Weights<T> {
        &self.weights
    }

    /// The optimisers of weights and bias, `W_1`'s first.
    pub fn optimizers(&mut self) -> &mut [[Optimizer<T>; 2]] {
        &mut self.optimizers
    }

    /// Takes other weights.
    pub fn install(&mut self, weights: Weights<T>) {
        assert!(self.network.fits(&weights), "weights have the shapes of the network");
        self.weights = weights;
    }

    /// `x_0 … x_{L−1}`, then the current `a_L`.
    pub fn states(&self) -> Vec<Field<T>> {
        self.x.iter().chain(self.a.last()).cloned().collect()
    }

    /// A new batch.
    pub fn present(&mut self, data: &Field<T>, target: &Field<T>) {
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
        self.a[0] = current(&self.weights[0], &self.x[0]);
    }

    /// Runs one phase to its end.
    pub fn run_phase(&mut self, motion: Motion, limits: Limits) -> PhaseRecord {
        match motion {
            Motion::Forward => {
                self.forward();
                // At the free equilibrium every error is zero (Eq. 20); only the output has something to report.
                let mut bad = vec![None; self.network.depth() + 1];
                self.errors(T::zero());
                self.drives();
                self.find_bad(0, &mut bad);
                let reason = if bad.iter().any(Option::is_some) { StopReason::Diverged } else { StopReason::Wave };
                PhaseRecord { reason, reports: self.reports(0, 0.0, limits.tolerance, &bad) }
            }
            Motion::Relax { nudge, from } => {
                if from == Origin::Zero {
                    self.x[1..].iter_mut().for_each(|x| x.fill(T::zero()));
                }
                self.relax(nudge, limits)
            }
        }
    }

    fn forward(&mut self) {
        for l in 1..self.network.depth() {
            let f = self.network.activation(l);
            f.values_into(values(&self.a[l - 1]), values_mut(&mut self.x[l]));
            self.a[l] = current(&self.weights[l], &self.x[l]);
        }
    }

    fn relax(&mut self, nudge: f64, limits: Limits) -> PhaseRecord {
        let mut stopper = Stopper::new(limits);
        let mut bad = vec![None; self.network.depth() + 1];
        let (mut step, mut look_at) = (0, 0);
        loop {
            self.predict();
            self.errors(T::of(nudge));
            self.drives();
            self.find_bad(step, &mut bad);
            if step == look_at {
                let reports = self.reports(step, nudge, limits.tolerance, &bad);
                let record = PhaseRecord { reason: StopReason::StepBudget, reports };
                let finite = bad.iter().all(Option::is_none);
                let look = Look { step, residual: record.residual(), energy: record.energy(), finite };
                if let Some(reason) = stopper.look(look) {
                    return PhaseRecord { reason, ..record };
                }
                look_at = stopper.next_look(step).expect("a used budget ends the phase");
            }
            for l in 1..self.network.depth() {
                descend(self.rate, &self.drive[l], &mut self.x[l]);
            }
            step += 1;
        }
    }

    /// `a_l = W_l x_{l−1} + b_l` above the first layer, whose current does not change while the data are clamped.
    fn predict(&mut self) {
        for l in 2..=self.network.depth() {
            let (to, from) = self.weights[l - 1].weights.dim();
            let batch = self.target.ncols();
            let (weights, bias) = (values(&self.weights[l - 1].weights), &self.weights[l - 1].bias);
            let (x, a) = (values(&self.x[l - 1]), values_mut(&mut self.a[l - 1]));
            if batch == 1 {
                T::current_of_one(weights, bias, x, a);
            } else {
                let shape = Shape { rows: to, inner: from, cols: batch };
                T::product(shape, Left::Rows(weights), x, Start::Bias(bias), a);
            }
        }
    }

    fn errors(&mut self, nudge: T) {
        let depth = self.network.depth();
        for l in 1..depth {
            let (f, precision) = (self.network.activation(l), T::of(self.network.precision(l)));
            f.values_and_slopes_into(
                values(&self.a[l - 1]),
                values_mut(&mut self.e[l - 1]),
                values_mut(&mut self.d[l - 1]),
            );
            self.e[l - 1].zip_mut_with(&self.x[l], |e, &x| *e = precision * (x - *e));
            self.d[l - 1].zip_mut_with(&self.e[l - 1], |d, &e| *d = e * *d);
        }
        let (loss, output, top) = (self.network.loss(), self.network.activation(depth), depth - 1);
        loss.outputs_into(output, &self.a[top], &mut self.e[top]);
        self.e[top].zip_mut_with(&self.target, |p, &t| *p = nudge * (t - *p));
        let (e, d) = (&self.e[top], &mut self.d[top]);
        ndarray::Zip::from(d).and(e).and(&self.a[top]).for_each(|d, &e, &a| *d = e * loss.slope(output, a));
    }

    /// `W_{l+1}ᵀ d_{l+1} − e_l`.
    fn drives(&mut self) {
        for l in 1..self.network.depth() {
            let (to, from) = self.weights[l].weights.dim();
            let batch = self.target.ncols();
            let (weights, d) = (values(&self.weights[l].weights), values(&self.d[l]));
            let shape = Shape { rows: from, inner: to, cols: batch };
            T::product(shape, Left::Columns(weights), d, Start::Zero, values_mut(&mut self.drive[l]));
            self.drive[l].zip_mut_with(&self.e[l - 1], |g, &e| *g = *g - e);
        }
    }

    fn find_bad(&self, step: u64, bad: &mut [Option<BadNumber>]) {
        let depth = self.network.depth();
        for (l, slot) in bad.iter_mut().enumerate().skip(1).filter(|(_, slot)| slot.is_none()) {
            let numbers = values(if l < depth { &self.drive[l] } else { &self.e[l - 1] });
            if !extent(numbers).finite {
                let at = numbers.iter().position(|number| !number.is_finite());
                *slot = at.map(|at| BadNumber { step, unit: at / self.target.ncols() });
            }
        }
    }

    fn reports(&self, step: u64, nudge: f64, tolerance: f64, bad: &[Option<BadNumber>]) -> Vec<Report> {
        let depth = self.network.depth();
        let tolerance = T::of(tolerance);
        (0..=depth)
            .map(|l| {
                let mut report = Report { layer: l, step, bad: bad[l], ..blank() };
                if l == depth {
                    let score = self.score();
                    report.score = Some(score);
                    report.energy = T::of(nudge).wide() * score.loss;
                } else if l > 0 {
                    report.residual = extent(values(&self.drive[l])).largest;
                    report.unsettled = self.drive[l].iter().filter(|drive| drive.abs() > tolerance).count();
                    report.energy = 0.5 * sum_of_squares(values(&self.e[l - 1])) / self.network.precision(l);
                }
                report
            })
            .collect()
    }

    fn score(&self) -> Score {
        let depth = self.network.depth();
        self.network.loss().score(self.network.activation(depth), &self.a[depth - 1], &self.target)
    }

    /// Adds `coefficient · d_l x_{l−1}ᵀ` to the estimate, for all layers.
    pub fn collect(&mut self, coefficient: f64) {
        for l in 1..=self.network.depth() {
            let (to, from) = self.weights[l - 1].weights.dim();
            let batch = self.target.ncols();
            let scaled = self.d[l - 1].mapv(|d| T::of(coefficient) * d);
            let mut transposed = vec![T::zero(); from * batch];
            transpose_into(values(&self.x[l - 1]), from, batch, &mut transposed);
            let sum = &mut self.sums[l - 1];
            if self.terms == 0 {
                *sum = Parameters::zeros(to, from);
            }
            let shape = Shape { rows: to, inner: batch, cols: from };
            let out = values_mut(&mut sum.weights);
            T::product(shape, Left::Rows(values(&scaled)), &transposed, Start::Held, out);
            for (slot, row) in sum.bias.iter_mut().zip(scaled.rows()) {
                *slot = row.iter().fold(*slot, |sum, &d| sum + d);
            }
        }
        self.terms += 1;
    }

    /// The estimate of −∂𝓛/∂W collected so far, batch mean.
    pub fn estimate(&self) -> Weights<T> {
        let mean = T::of(1.0 / self.target.ncols() as f64);
        let scaled = |p: &Parameters<T>| Parameters {
            weights: p.weights.mapv(|h| mean * h),
            bias: p.bias.iter().map(|&h| mean * h).collect(),
        };
        self.sums.iter().map(scaled).collect()
    }

    /// Updates all weights from what was collected, and forgets it.
    pub fn learn(&mut self) {
        let mean = T::of(1.0 / self.target.ncols() as f64);
        for ((parameters, sum), [of_weights, of_bias]) in
            self.weights.iter_mut().zip(&self.sums).zip(&mut self.optimizers)
        {
            of_weights.update(values_mut(&mut parameters.weights), values(&sum.weights), mean);
            of_bias.update(&mut parameters.bias, &sum.bias, mean);
        }
        self.terms = 0;
    }
}

/// `x ← x + η·drive`, magnitudes below the flush limit to zero.
fn descend<T: Real>(rate: T, drive: &Field<T>, state: &mut Field<T>) {
    let (drive, state) = (values(drive), values_mut(state));
    pulp::Arch::new().dispatch(|| {
        for (x, &drive) in state.iter_mut().zip(drive) {
            let moved = *x + rate * drive;
            *x = if moved.abs() < T::FLUSH { T::zero() } else { moved };
        }
    });
}

fn blank() -> Report {
    Report {
        layer: 0,
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
