//! What is written down of a step, and the evaluations at the end of an epoch.

use super::trainer::{Trainer, running};
use super::{Evaluation, Observer, TrainError};
use crate::data::dataset::{Dataset, Splits};
use crate::energy::Score;
use crate::experiment::assemble;
use crate::experiment::machine::{Closeness, Procedure, StepError, StepRecord};
use crate::experiment::workers::EVALUATION_BATCH;
use crate::math::Real;
use crate::run::RunError;
use crate::run::table::{LayerRow, MetricsRow};

impl<T: Real> Trainer<'_, T> {
    pub(super) fn record(
        &mut self,
        batch: usize,
        record: &StepRecord<T>,
        closeness: Option<(Vec<Closeness>, Closeness)>,
    ) -> Result<(), TrainError> {
        let (size, config) = (batch as f64, &self.config.record);
        let last = record.phases.last();
        if let Some(phase) = last {
            match self.ends.iter_mut().find(|(reason, _)| *reason == phase.reason) {
                Some((_, count)) => *count += 1,
                None => self.ends.push((phase.reason, 1)),
            }
        }
        let whole = closeness.as_ref().map(|(_, whole)| *whole);
        self.cosines.extend(whole.map(|whole| whole.cosine));
        let step = self.position.step;
        if (step - 1).is_multiple_of(config.every as u64) || whole.is_some() {
            let tolerance = self.config.inference.tolerance;
            let slowest = last
                .filter(|_| tolerance > 0.0)
                .map(|phase| phase.slowest(tolerance).iter().map(usize::to_string).collect::<Vec<_>>().join(" "));
            self.metrics.add(&MetricsRow {
                epoch: self.position.epoch,
                step,
                split: "train".to_owned(),
                loss: record.score.loss / size,
                accuracy: record.score.correct as f64 / size,
                energy: last.map(|phase| phase.energy() / size),
                n_infer_iters: last.map(|phase| phase.steps()),
                stop_reason: last.map(|phase| phase.reason.to_string()),
                residual: last.map(|phase| phase.residual()),
                slowest_layers: slowest,
                grad_cosine_similarity: whole.map(|whole| whole.cosine),
                grad_relative_distance: whole.map(|whole| whole.relative_distance),
                wall_s: self.position.wall_s,
            })?;
        }
        let every = config.layers_every as u64;
        let due = every > 0 && (step - 1).is_multiple_of(every);
        if let Some(phase) = last.filter(|_| due || whole.is_some()) {
            for report in &phase.reports {
                let of_layer = closeness.as_ref().and_then(|(layers, _)| layers.get(report.layer.checked_sub(1)?));
                self.layers.add(&LayerRow {
                    epoch: self.position.epoch,
                    step,
                    layer: report.layer,
                    n_infer_iters: report.step,
                    residual: report.residual,
                    unsettled: report.unsettled,
                    energy: report.energy / size,
                    staleness: report.staleness,
                    grad_cosine_similarity: of_layer.map(|of_layer| of_layer.cosine),
                    grad_relative_distance: of_layer.map(|of_layer| of_layer.relative_distance),
                })?;
            }
        }
        Ok(())
    }

    /// On the validation set, if there is one, and on the test set.
    pub(super) fn evaluate_all(&mut self) -> Result<(Option<Evaluation>, Evaluation), TrainError> {
        let has_validation = !self.splits.validation.is_empty();
        let validation = if has_validation { Some(self.evaluate(1, |splits| &splits.validation)?) } else { None };
        Ok((validation, self.evaluate(1 << 23, |splits| &splits.test)?))
    }

    pub(super) fn record_evaluations(
        &mut self,
        epoch: u64,
        (validation, test): (Option<Evaluation>, Evaluation),
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        let made = validation.map(|evaluation| ("validation", evaluation)).into_iter().chain([("test", test)]);
        for (split, evaluation) in made {
            observer.evaluated(epoch, split, evaluation);
            self.metrics.add(&MetricsRow {
                epoch,
                step: self.position.step,
                split: split.to_owned(),
                loss: evaluation.loss,
                accuracy: evaluation.accuracy,
                wall_s: self.position.wall_s,
                ..MetricsRow::default()
            })?;
        }
        Ok(())
    }

    /// Loss and accuracy on a set whose batches are numbered from `first` on.
    fn evaluate(&mut self, first: u64, set: fn(&Splits) -> &Dataset) -> Result<Evaluation, TrainError> {
        let count = set(&self.splits).len();
        let samples: Vec<usize> = (0..count).collect();
        let mut total = Score::default();
        // Far from the batches of training, so that an evaluation shifts none of their draws.
        running(&mut self.machine).count_batches_from((1 << 62) + (self.position.step << 20));
        for (part, samples) in (first..).zip(samples.chunks(EVALUATION_BATCH)) {
            self.number(part)?;
            let procedure = Procedure { plan: self.plan.as_ref(), limits: assemble::limits(self.config) };
            let (data, target) = set(&self.splits).batch::<T>(samples);
            let score = running(&mut self.machine).evaluate((&data, &target), &self.network, procedure);
            let score = score.map_err(|source| self.failed(source))?;
            total.loss += score.loss;
            total.correct += score.correct;
        }
        if !total.loss.is_finite() {
            return Err(self.failed(StepError::Loss(total.loss)));
        }
        Ok(Evaluation { loss: total.loss / count as f64, accuracy: total.correct as f64 / count as f64 })
    }
}
