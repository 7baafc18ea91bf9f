//! What the panels share: a plan run to its end with everything that can be seen of it, slopes, and exact gradients.

use ndarray::Axis;

use crate::energy::Loss;
use crate::experiment::machine::{Machine, StepError};
use crate::math::{Field, Real};
use crate::network::{NetworkSpec, Parameters, Weights};
use crate::reference::backprop;
use crate::rule::Plan;
use crate::settling::{Limits, PhaseRecord, StopReason};

/// A plan that was run.
pub(super) struct Ran<T> {
    /// One per phase.
    pub(super) records: Vec<PhaseRecord>,
    /// States at the end of every phase.
    pub(super) states: Vec<Vec<Field<T>>>,
    /// Of −∂𝓛/∂W, batch mean.
    pub(super) estimate: Weights<T>,
}

impl<T> Ran<T> {
    /// Steps of the last phase, and why it ended.
    pub(super) fn end(&self) -> (u64, StopReason) {
        self.records.last().map_or((0, StopReason::Wave), |record| (record.steps(), record.reason))
    }

    /// The reason of the phase that ended least well.
    pub(super) fn worst(&self) -> StopReason {
        let badness = |reason: &StopReason| match reason {
            StopReason::Wave => 0,
            StopReason::Settled => 1,
            StopReason::Plateau => 2,
            StopReason::StepBudget => 3,
            StopReason::SignalsLost | StopReason::EventBudget => 4,
            StopReason::Diverged => 5,
        };
        self.records.iter().map(|record| record.reason).max_by_key(badness).unwrap_or(StopReason::Wave)
    }
}

/// Runs all phases of a plan.
pub(super) fn run<T: Real>(
    machine: &mut Machine<T>,
    plan: &Plan,
    limits: Limits,
    (data, target): (&Field<T>, &Field<T>),
) -> Result<Ran<T>, StepError> {
    machine.present(data, target)?;
    let (mut records, mut states) = (Vec::new(), Vec::new());
    for (phase, planned) in plan.phases.iter().enumerate() {
        let record = machine.run_phase(planned, limits)?;
        if let Some((layer, bad)) = record.bad() {
            return Err(StepError::NotFinite { phase, layer, bad });
        }
        records.push(record);
        states.push(machine.states()?);
        if planned.coefficient != 0.0 {
            machine.collect(plan, phase)?;
        }
    }
    Ok(Ran { records, states, estimate: machine.estimate()? })
}

/// Until every residual is at most `share · nudge`: residuals of a nudged phase begin at the size of the nudge.
pub(super) fn settled(share: f64, nudge: f64, steps_max: u64) -> Limits {
    Limits { steps_max, tolerance: share * nudge, check_every: 10, plateau: 1e-9 }
}

/// Weights in double precision.
pub(super) fn wide<T: Real>(weights: &Weights<T>) -> Weights<f64> {
    let one = |p: &Parameters<T>| Parameters {
        weights: p.weights.mapv(Real::wide),
        bias: p.bias.iter().map(|b| b.wide()).collect(),
    };
    weights.iter().map(one).collect()
}

/// `∂𝓛/∂W` of the batch mean and `∂𝓛/∂x_l` of the batch sum for the hidden layers, given `δ_L = ∂𝓛/∂a_L`, by the chain rule:
/// `∂𝓛/∂x_l = W_{l+1}ᵀ δ_{l+1}`, `δ_l = f'(a_l) ⊙ ∂𝓛/∂x_l`, `∂𝓛/∂W_l = 1/B δ_l x_{l−1}ᵀ`.
pub(super) fn back(
    network: &NetworkSpec,
    weights: &Weights<f64>,
    data: &Field<f64>,
    top: Field<f64>,
) -> (Weights<f64>, Vec<Field<f64>>) {
    let currents = backprop::forward(network, weights, data);
    let (mut delta, batch) = (top, data.ncols() as f64);
    let (mut gradients, mut states) = (Vec::new(), Vec::new());
    for l in (1..=network.depth()).rev() {
        let below = match l {
            1 => data.clone(),
            _ => currents[l - 2].mapv(|a| network.activation(l - 1).value(a)),
        };
        let bias = delta.sum_axis(Axis(1)).mapv(|sum| sum / batch).to_vec();
        gradients.push(Parameters { weights: delta.dot(&below.t()) / batch, bias });
        if l > 1 {
            let of_state = weights[l - 1].weights.t().dot(&delta);
            delta = &of_state * &currents[l - 2].mapv(|a| network.activation(l - 1).value_and_slope(a).1);
            states.push(of_state.as_standard_layout().into_owned());
        }
    }
    gradients.reverse();
    states.reverse();
    (gradients, states)
}

/// `∂𝓛/∂a_L` of the batch sum at the output of the feedforward network.
pub(super) fn output_delta(
    network: &NetworkSpec,
    weights: &Weights<f64>,
    data: &Field<f64>,
    target: &Field<f64>,
) -> Field<f64> {
    let output = network.activation(network.depth());
    let currents = backprop::forward(network, weights, data);
    let top = &currents[network.depth() - 1];
    let mut delta = top.clone();
    network.loss().outputs_into(output, top, &mut delta);
    delta -= target;
    if network.loss() == Loss::SquaredError {
        delta *= &top.mapv(|a| output.value_and_slope(a).1);
    }
    delta
}

/// Σ_l ‖a_l − b_l‖ over layers (appendix A.1.1).
pub(super) fn apart<T: Real>(a: &[Field<T>], b: &[Field<T>]) -> f64 {
    let norm = |(a, b): (&Field<T>, &Field<T>)| {
        a.iter().zip(b).map(|(a, b)| (a.wide() - b.wide()).powi(2)).sum::<f64>().sqrt()
    };
    a.iter().zip(b).map(norm).sum()
}

/// A straight line through points by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    /// Its slope.
    pub(super) slope: f64,
    /// Share of the variance of y that it explains, R².
    pub(super) explained: f64,
}

/// Fits `y = slope · x + c`.
pub(super) fn fit(points: &[(f64, f64)]) -> Line {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(x - mx, y - my)).sum::<f64>();
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    Line { slope: xy / xx, explained: xy * xy / (xx * yy) }
}

/// The same in the logarithms of both: the slope is the order of a power law.
pub(super) fn fit_log(points: &[(f64, f64)]) -> Line {
    fit(&points.iter().map(|(x, y)| (x.ln(), y.ln())).collect::<Vec<_>>())
}

/// `3 settled, 2 plateau`.
pub(super) fn counted(ends: impl Iterator<Item = StopReason>) -> String {
    let mut counts: Vec<(StopReason, usize)> = Vec::new();
    for end in ends {
        match counts.iter_mut().find(|(reason, _)| *reason == end) {
            Some((_, count)) => *count += 1,
            None => counts.push((end, 1)),
        }
    }
    counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::Activation;
    use crate::experiment::machine::closeness;
    use crate::math::random::{Purpose, Stream};
    use crate::network::Init;

    #[test]
    fn lines_and_powers_are_found() {
        let line = fit(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]);
        assert!((line.slope - 2.0).abs() < 1e-12 && (line.explained - 1.0).abs() < 1e-12);
        let power: Vec<(f64, f64)> = [0.1, 0.2, 0.4].map(|x: f64| (x, 7.0 * x.powf(1.5))).to_vec();
        assert!((fit_log(&power).slope - 1.5).abs() < 1e-12);
        assert!(fit(&[(0.0, 0.0), (1.0, 1.0), (2.0, 0.0), (3.0, 1.0)]).explained < 0.5);
    }

    #[test]
    fn the_chain_rule_here_is_that_of_the_reference_and_of_finite_differences() {
        for loss in [Loss::CrossEntropy, Loss::SquaredError] {
            let network = NetworkSpec::new(&[5, 6, 4, 3], Activation::Tanh, loss).expect("a network");
            let weights = network.initial_weights::<f64>(Init::TorchLinear, 4);
            let mut stream = Stream::new(4, Purpose::Trial, 1);
            let data = Field::from_shape_simple_fn((5, 2), || stream.normal());
            let target = Field::from_shape_fn((3, 2), |(row, sample)| f64::from(u8::from(row == sample)));
            let (gradient, states) = back(&network, &weights, &data, output_delta(&network, &weights, &data, &target));
            let exact = backprop::gradient(&network, &weights, &data, &target).parameters;
            let minus: Weights<f64> = gradient
                .iter()
                .map(|p| Parameters { weights: -&p.weights, bias: p.bias.iter().map(|b| -b).collect() })
                .collect();
            assert!(closeness(&minus, &exact).1.relative_distance < 1e-13);
            // Moving the state x_1 moves the loss as the bias of layer 2's current would, through W_2.
            let loss_at = |shift: f64| {
                let mut moved = weights.clone();
                (0..4).for_each(|row| moved[1].bias[row] += shift * weights[1].weights[[row, 2]]);
                backprop::gradient(&network, &moved, &data, &target).score.loss
            };
            let slope = (loss_at(1e-5) - loss_at(-1e-5)) / 2e-5;
            assert!((slope - states[0].row(2).sum()).abs() < 1e-8, "{slope} {}", states[0].row(2).sum());
        }
    }
}
