//! Predictive coding in deviation variables with a global clock: `crate::energy::deviation` on whole matrices.
//!
//! ```text
//! u = 0, c = 0 at the free equilibrium x̄, ā;  at every step, for all layers at once:
//!   c_l = W_l u_{l−1}                                   l = 2 … L      (c_1 = 0: the data are clamped)
//!   e_l = Π_l (u_l − c_l secant(ā_l, λc_l)),  d_l = e_l f'(ā_l + λc_l)        l < L
//!   e_L = T − p(ā_L + λc_L),                  d_L = e_L p'(ā_L + λc_L)
//!   u_l ← u_l + η_x (W_{l+1}ᵀ d_{l+1} − e_l)            l < L
//! read:  h_l += c_k d_l (x̄_{l−1} + λ u_{l−1})ᵀ
//! ```

use ndarray::{Array2, Zip};

use super::coding::{blank, descend};
use super::contrast::Contrast;
use super::looks::{Looks, note_bad};
use super::numerics::Imprecision;
use crate::energy::Score;
use crate::math::kernel::{Left, Shape, Start};
use crate::math::{Field, Real, extent, sum_of_squares, values, values_mut};
use crate::network::{NetworkSpec, Weights};
use crate::rule::Plan;
use crate::settling::{Limits, PhaseRecord};
use crate::signal::{BadNumber, Report};

/// How far a network is from its free equilibrium, in units of λ. Index l − 1 holds what belongs to layer l, but for `x`.
#[derive(Debug)]
pub(super) struct Deviation<T> {
    network: NetworkSpec,
    nudge: T,
    target: Field<T>,
    /// `x̄_0 … x̄_{L−1}`.
    x: Vec<Field<T>>,
    /// `ā_1 … ā_L`.
    a: Vec<Field<T>>,
    u: Vec<Field<T>>,
    c: Vec<Field<T>>,
    e: Vec<Field<T>>,
    d: Vec<Field<T>>,
    drive: Vec<Field<T>>,
}

impl<T: Real> Deviation<T> {
    /// At the free equilibrium with states `x` and currents `a`.
    pub(super) fn new(network: &NetworkSpec, nudge: f64, x: &[Field<T>], a: &[Field<T>], target: &Field<T>) -> Self {
        let zeros: Vec<Field<T>> = a.iter().map(|a| Array2::zeros(a.dim())).collect();
        let hidden = zeros[..network.depth() - 1].to_vec();
        Self {
            network: network.clone(),
            nudge: T::of(nudge),
            target: target.clone(),
            x: x.to_vec(),
            a: a.to_vec(),
            u: hidden.clone(),
            c: zeros.clone(),
            e: zeros.clone(),
            d: zeros,
            drive: hidden,
        }
    }

    /// `x_0 … x_{L−1}` and `a_L`, where the network is.
    pub(super) fn states(&self) -> Vec<Field<T>> {
        let mut states: Vec<Field<T>> = self.x[..1].to_vec();
        states.extend(self.x[1..].iter().zip(&self.u).map(|(x, u)| self.along(x, u)));
        states.push(self.current(self.network.depth()));
        states
    }

    fn along(&self, from: &Field<T>, by: &Field<T>) -> Field<T> {
        Zip::from(from).and(by).map_collect(|&from, &by| from + self.nudge * by)
    }

    /// `ā_l + λ c_l`.
    fn current(&self, layer: usize) -> Field<T> {
        self.along(&self.a[layer - 1], &self.c[layer - 1])
    }

    /// Descends until `limits` say so.
    pub(super) fn relax(
        &mut self,
        rate: T,
        imprecision: Imprecision,
        limits: Limits,
        weights: &Weights<T>,
    ) -> PhaseRecord {
        let mut looks = Looks::new(limits, self.network.depth());
        let mut step = 0;
        loop {
            self.measure(step, imprecision, weights);
            self.find_bad(step, &mut looks.bad);
            if let Some(record) = looks.look(step, |bad| self.reports(step, limits.tolerance, bad)) {
                return record;
            }
            step += 1;
            for (l, (drive, u)) in (1..).zip(self.drive.iter().zip(&mut self.u)) {
                descend(rate, drive, u);
                imprecision.state(l, step, u);
            }
        }
    }

    /// Everything that follows from `u`: changes of the currents going up, errors, then drives.
    fn measure(&mut self, step: u64, imprecision: Imprecision, weights: &Weights<T>) {
        let (depth, batch) = (self.network.depth(), self.target.ncols());
        for l in 2..=depth {
            let w = &weights[l - 1].weights;
            let (to, from) = w.dim();
            let (u, c) = (values(&self.u[l - 2]), values_mut(&mut self.c[l - 1]));
            if batch == 1 {
                T::current_of_one(values(w), &vec![T::zero(); to], u, c);
            } else {
                let shape = Shape { rows: to, inner: from, cols: batch };
                T::product(shape, Left::Rows(values(w)), u, Start::Zero, c);
            }
        }
        // c_1 is zero, but what is heard of it need not be.
        self.c[0].fill(T::zero());
        (1..=depth).for_each(|l| imprecision.ascending(l - 1, step, &mut self.c[l - 1]));
        self.errors();
        (1..=depth).for_each(|l| imprecision.descending(l, step, &mut self.d[l - 1]));
        for (((above, drive), e), d) in weights[1..].iter().zip(&mut self.drive).zip(&self.e).zip(&self.d[1..]) {
            let w = &above.weights;
            let shape = Shape { rows: w.ncols(), inner: w.nrows(), cols: batch };
            T::product(shape, Left::Columns(values(w)), values(d), Start::Zero, values_mut(drive));
            drive.zip_mut_with(e, |g, &e| *g = *g - e);
        }
    }

    fn errors(&mut self) {
        let (depth, nudge) = (self.network.depth(), self.nudge);
        for l in 1..depth {
            let (f, precision) = (self.network.activation(l), T::of(self.network.precision(l)));
            let (a, c) = (&self.a[l - 1], &self.c[l - 1]);
            let increment = Zip::from(a).and(c).map_collect(|&a, &c| c * f.secant(a, nudge * c));
            let e = Zip::from(&self.u[l - 1]).and(&increment).map_collect(|&u, &increment| precision * (u - increment));
            self.d[l - 1] = Zip::from(&e).and(&self.current(l)).map_collect(|&e, &a| e * f.value_and_slope(a).1);
            self.e[l - 1] = e;
        }
        let (loss, output, a) = (self.network.loss(), self.network.activation(depth), self.current(depth));
        let mut said = Array2::zeros(a.dim());
        loss.outputs_into(output, &a, &mut said);
        let e = Zip::from(&self.target).and(&said).map_collect(|&t, &p| t - p);
        self.d[depth - 1] = Zip::from(&e).and(&a).map_collect(|&e, &a| e * loss.slope(output, a));
        self.e[depth - 1] = e;
    }

    fn find_bad(&self, step: u64, bad: &mut [Option<BadNumber>]) {
        for (l, slot) in bad.iter_mut().enumerate().skip(1) {
            note_bad(slot, step, self.drive.get(l - 1).unwrap_or(&self.e[l - 1]));
        }
    }

    fn reports(&self, step: u64, tolerance: f64, bad: &[Option<BadNumber>]) -> Vec<Report> {
        let (depth, tolerance) = (self.network.depth(), T::of(tolerance));
        let mut reports: Vec<Report> =
            (0..=depth).map(|layer| Report { layer, step, bad: bad[layer], ..blank() }).collect();
        for (l, report) in reports.iter_mut().enumerate().take(depth).skip(1) {
            let (drive, e) = (&self.drive[l - 1], &self.e[l - 1]);
            report.residual = extent(values(drive)).largest;
            report.unsettled = drive.iter().filter(|drive| drive.abs() > tolerance).count();
            report.energy = 0.5 * sum_of_squares(values(e)) / T::of(self.network.precision(l)).wide();
        }
        let (loss, output) = (self.network.loss(), self.network.activation(depth));
        let currents = (&self.a[depth - 1], &self.c[depth - 1]);
        reports[depth].score = Some(self.score());
        reports[depth].energy = loss.rise(output, self.nudge, currents, &self.target);
        reports
    }

    fn score(&self) -> Score {
        let depth = self.network.depth();
        self.network.loss().score(self.network.activation(depth), &self.current(depth), &self.target)
    }

    /// Adds the Hebbian products of phase `index` of a plan to the contrast.
    pub(super) fn collect(&self, plan: &Plan, index: usize, contrast: &mut Contrast<T>) {
        let depth = self.network.depth();
        for ((l, d), x) in (1..=depth).zip(&self.d).zip(self.states()) {
            contrast.add(l, plan.coefficient(index, l, depth), d, &x);
        }
    }
}
