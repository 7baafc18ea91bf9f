//! What a machine hands out for a checkpoint, and takes in to go on from one.

use super::{Machine, StepError};
use crate::engine::EngineError;
use crate::math::Real;
use crate::network::Parameters;
use crate::run::checkpoint::Snapshot;
use crate::signal::{Extract, Wanted};

impl<T: Real> Machine<T> {
    /// Weights, optimiser states, and whatever else has been learnt.
    pub fn snapshot(&mut self) -> Result<Snapshot<T>, StepError> {
        let of = |optimizers: &[[crate::math::optimizer::Optimizer<T>; 2]]| {
            optimizers.iter().map(|pair| pair.each_ref().map(|optimizer| optimizer.state().clone())).collect()
        };
        Ok(match self {
            Self::Reference(reference) => Snapshot {
                optimizers: of(reference.optimizers()),
                weights: reference.weights().clone(),
                feedback: reference.feedback(),
                precisions: reference.precisions(),
                states: Vec::new(),
            },
            Self::Backprop(baseline) => Snapshot {
                optimizers: of(baseline.optimizers()),
                weights: baseline.weights().clone(),
                feedback: Vec::new(),
                precisions: Vec::new(),
                states: Vec::new(),
            },
            Self::Actors(_) | Self::Virtual(_) | Self::Apart(_) => {
                let mut snapshot = Snapshot {
                    weights: Vec::new(),
                    optimizers: Vec::new(),
                    feedback: Vec::new(),
                    precisions: Vec::new(),
                    states: Vec::new(),
                };
                for extract in self.extract(Wanted::Weights)? {
                    if let Extract::Weights(parameters, Some(states)) = extract {
                        snapshot.weights.push(parameters);
                        snapshot.optimizers.push(states);
                    }
                }
                for extract in self.extract(Wanted::Precision)? {
                    if let Extract::Precision(logarithms) = extract {
                        snapshot.precisions.push(logarithms);
                    }
                }
                for extract in self.extract(Wanted::Feedback)? {
                    if let Extract::Feedback(state) = extract {
                        snapshot.feedback.push(state);
                    }
                }
                snapshot
            }
        })
    }

    /// What has been installed are the weights of this training step.
    pub fn stand_at(&mut self, step: u64) {
        if let Self::Actors(engine) = self {
            engine.stand_at(step);
        }
    }

    /// All layers hand out the weights of one and the same step until [`Machine::written`]; which one, where they count.
    pub fn store(&mut self) -> Result<Option<u64>, StepError> {
        Ok(if let Self::Actors(engine) = self { engine.store()? } else { None })
    }

    /// The snapshot that was taken is on the disk.
    pub fn written(&mut self) -> Result<(), StepError> {
        if let Self::Actors(engine) = self {
            engine.written()?;
        }
        Ok(())
    }

    /// Goes on from a snapshot; false if its optimiser states do not fit.
    pub fn install(&mut self, snapshot: Snapshot<T>) -> Result<bool, StepError> {
        let restore = |optimizers: &mut [[crate::math::optimizer::Optimizer<T>; 2]], states: Vec<_>| {
            let pairs = optimizers.iter_mut().flatten().zip(states.into_iter().flatten());
            pairs.fold(true, |fits, (optimizer, state)| optimizer.restore(state) && fits)
        };
        Ok(match self {
            Self::Reference(reference) => {
                reference.install(snapshot.weights);
                let fits = restore(reference.optimizers(), snapshot.optimizers);
                let fits = reference.install_precisions(snapshot.precisions) && fits;
                let fits = reference.install_states(snapshot.states) && fits;
                reference.install_feedback(snapshot.feedback) && fits
            }
            Self::Backprop(baseline) => {
                baseline.install(snapshot.weights);
                restore(baseline.optimizers(), snapshot.optimizers)
            }
            Self::Actors(_) | Self::Virtual(_) | Self::Apart(_) => {
                let pairs = snapshot.weights.into_iter().zip(snapshot.optimizers);
                let extracts =
                    pairs.map(|(weights, states): (Parameters<T>, _)| Extract::Weights(weights, Some(states)));
                // Layer 0 has no feedback weights and no precisions: nothing comes down to the data.
                let feedback = std::iter::once(Extract::Nothing)
                    .chain(snapshot.feedback.into_iter().map(Extract::Feedback))
                    .collect();
                let precisions = std::iter::once(Extract::Nothing)
                    .chain(snapshot.precisions.into_iter().map(Extract::Precision))
                    .collect();
                let states = snapshot.states.into_iter().map(Extract::State).collect();
                let parts: [Vec<Extract<T>>; 4] = [extracts.collect(), feedback, precisions, states];
                let installed = parts.into_iter().try_for_each(|part| match self {
                    Self::Actors(engine) => engine.install(part),
                    Self::Virtual(network) => network.install(part),
                    Self::Apart(network) => network.install(part),
                    Self::Reference(_) | Self::Backprop(_) => Ok(()),
                });
                match installed {
                    Ok(()) => true,
                    Err(EngineError::Layer(_)) => false,
                    Err(other) => return Err(other.into()),
                }
            }
        })
    }
}
