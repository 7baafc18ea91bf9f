//! Figure 2A: internal energy, supervised loss and their sum while the output is clamped, from the free phase on.
//!
//! ```text
//! I = Σ_{0<l<L} ½ Π_l ‖ε_l‖²,   λ𝓛 with λ = Π_L (clamped),   E = I + λ𝓛,   sums over the batch
//! ```
//!
//! At the free equilibrium I is zero and has no slope, so the first change of E is that of the loss, up to the step size.

use serde::Serialize;

use super::{Bench, ReproduceError, Verdict, within};
use crate::experiment::machine::{Machine, StepError};
use crate::math::{Field, Real};
use crate::network::NetworkSpec;
use crate::plot::{Axis, Figure, Series, Spread, Style};
use crate::rule::{FreePhase, Nudging, Plan, PlannedPhase, RuleName};
use crate::settling::Limits;
use crate::signal::{Motion, Origin, Teaching};

/// How things stand after some steps.
pub(super) struct Moment<T> {
    pub(super) internal: f64,
    /// λ𝓛.
    pub(super) supervised: f64,
    /// `x_0 … x_{L−1}` and `a_L`.
    pub(super) states: Vec<Field<T>>,
}

#[derive(Serialize)]
struct Row {
    seed: u64,
    step: u64,
    internal: f64,
    supervised: f64,
    total: f64,
}

/// The clamped plan: one forward wave, then λ = Π_L.
pub(super) fn clamped(network: &NetworkSpec) -> Plan {
    let plan = Plan::named(RuleName::PcClamped, network, 1.0, Nudging::OneSided, FreePhase::Forward);
    plan.ok().flatten().expect("predictive coding has a clamped plan")
}

/// The clamped phase step by step: phases of a single step, each from where the last one ended.
pub(super) fn trajectory<T: Real>(
    machine: &mut Machine<T>,
    network: &NetworkSpec,
    (data, target): (&Field<T>, &Field<T>),
    steps: u64,
) -> Result<Vec<Moment<T>>, StepError> {
    let output = network.precision(network.depth());
    machine.present(data, target)?;
    let free = machine.run_phase(&PlannedPhase::read(Motion::Forward, 0.0), Limits::steps(1))?;
    let supervised = output * free.score().map_or(f64::NAN, |score| score.loss);
    let mut moments = vec![Moment { internal: 0.0, supervised, states: machine.states()? }];
    let taught = Motion::Relax { teaching: Teaching::Clamped, from: Origin::Here };
    for _ in 0..steps {
        let record = machine.run_phase(&PlannedPhase::read(taught, 0.0), Limits::steps(1))?;
        if let Some((layer, bad)) = record.bad() {
            return Err(StepError::NotFinite { phase: 1, layer, bad });
        }
        let hidden = &record.reports[1..network.depth()];
        let internal = hidden.iter().map(|report| report.energy).sum();
        let supervised = output * record.score().map_or(f64::NAN, |score| score.loss);
        moments.push(Moment { internal, supervised, states: machine.states()? });
    }
    Ok(moments)
}

pub(super) fn run<T: Real>(bench: &mut Bench<'_>) -> Result<Vec<Verdict>, ReproduceError> {
    let (data, target) = bench.batch::<T>();
    let steps = bench.config.inference.max_infer_iters as u64;
    let mut rows = Vec::new();
    for seed in bench.seeds(10) {
        let mut machine = bench.machine(&bench.network, bench.weights::<T>(seed))?;
        let moments = trajectory(&mut machine, &bench.network, (&data, &target), steps)?;
        for (step, Moment { internal, supervised, .. }) in (0..).zip(moments) {
            rows.push(Row { seed, step, internal, supervised, total: internal + supervised });
        }
    }
    bench.table("fig2a-measured.csv", &rows)?;
    let spread = |of: fn(&Row) -> f64| -> Vec<(f64, Spread)> {
        let at = |step: u64| Spread::of(&rows.iter().filter(|row| row.step == step).map(of).collect::<Vec<_>>());
        (0..=steps).map(|step| (step as f64, at(step))).collect()
    };
    let [internal, supervised, total] =
        [spread(|row| row.internal), spread(|row| row.supervised), spread(|row| row.total)];
    let samples = data.ncols();
    let figure = Figure {
        title: format!("Fig. 2A: energies of the clamped phase, {samples} samples"),
        x: Axis::linear("inference step"),
        y: Axis::linear("energy, sum over the batch"),
        series: vec![
            Series::banded("total energy", &total, Style::Line),
            Series::banded("supervised loss", &supervised, Style::Dashed),
            Series::banded("internal energy", &internal, Style::Dashed),
        ],
    };
    figure.write(bench.folder, "fig2a")?;
    Ok(judge(bench, &[&internal, &supervised, &total]))
}

fn judge(bench: &Bench<'_>, [internal, supervised, total]: &[&Vec<(f64, Spread)>; 3]) -> Vec<Verdict> {
    let means = |curve: &[(f64, Spread)]| curve.iter().map(|(_, spread)| spread.mean).collect::<Vec<f64>>();
    let (i, s, t) = (means(internal), means(supervised), means(total));
    let last = i.len() - 1;
    let rate = bench.config.inference.activity_lr;
    let slope = (t[1] - t[0]) / (s[1] - s[0]);
    // Falling and rising mean at every step, not only from beginning to end.
    let falls = |curve: &[f64]| curve.windows(2).all(|pair| pair[1] < pair[0]);
    let rises = i.windows(2).all(|pair| pair[1] > pair[0]);
    let agrees = rises && i[0] == 0.0 && falls(&s) && falls(&t) && (slope - 1.0).abs() <= rate;
    let mut verdicts = vec![Verdict::paper(
        "fig2a",
        "internal energy rises from 0, supervised loss and total energy fall, and at first the total falls as the loss does",
        format!(
            "internal {:.3} → {:.3}, loss {:.1} → {:.1}, total {:.1} → {:.1}, ratio of the first changes {slope:.3} \
             (1 up to the step size {rate})",
            i[0], i[last], s[0], s[last], t[0], t[last]
        ),
        agrees,
    )];
    if bench.is_papers {
        let ends = [internal, supervised, total].map(|curve| curve[last].1);
        let agrees = ends.iter().zip([9.9, 126.6, 136.5]).all(|(end, expected)| within(*end, expected));
        let shown = ends.map(|end| format!("{:.1} ± {:.1}", end.mean, end.deviation));
        let says = "internal 9.9, loss 126.6, total 136.5 after 50 steps (one seed), within two deviations";
        verdicts.push(Verdict::theory("fig2a", says, shown.join(", "), agrees));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ScheduleMode};
    use crate::experiment::assemble;
    use crate::experiment::reproduce::measure;

    /// Fifty phases of one step are one phase of fifty steps, bit for bit, by actors and by the synchronous program.
    #[test]
    fn a_trajectory_ends_where_one_long_phase_does() {
        let mut config = Config::default();
        config.data.train = 40;
        config.data.test = 1;
        config.model.widths = vec![784, 9, 7, 10];
        let network = assemble::network(&config).expect("a network");
        let splits = assemble::data(&config, &network).expect("digits");
        let (data, target) = splits.train.batch::<f32>(&(0..20).collect::<Vec<_>>());
        for mode in [ScheduleMode::Reference, ScheduleMode::LockStep] {
            let machine = || {
                let weights = network.initial_weights::<f32>(config.model.init, 3);
                assemble::machine_in(&config, &network, weights, mode).expect("a machine")
            };
            let moments = trajectory(&mut machine(), &network, (&data, &target), 50).expect("moments");
            let once =
                measure::run(&mut machine(), &clamped(&network), Limits::steps(50), (&data, &target)).expect("run");
            assert!(moments[50].states == once.states[1], "{mode:?}: the same bits");
            assert!(moments[49].states != once.states[1], "{mode:?}: and not by standing still");
            let last = once.records.last().expect("a record");
            let total = moments[50].internal + moments[50].supervised;
            assert!((total - last.energy()).abs() < 1e-9 * total, "{total} {}", last.energy());
        }
    }
}
