//! A network in words, as it is sent to another process: what [`NetworkSpec`] is made of, before anybody has checked it.

use serde::{Deserialize, Serialize};

use super::{Feedback, Grouping, NetworkError, NetworkSpec};
use crate::energy::{Activation, EnergyKind, Loss};

/// The parts of a [`NetworkSpec`]; turning it into one checks them all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    widths: Vec<usize>,
    activation: Activation,
    output: Activation,
    loss: Loss,
    energy: EnergyKind,
    precision: Vec<f64>,
    feedback_gain: f64,
    grouping: Grouping,
    feedback: Feedback,
    units: Vec<Vec<f64>>,
    precision_rate: f64,
}

impl From<NetworkSpec> for Description {
    fn from(spec: NetworkSpec) -> Self {
        let NetworkSpec { widths, activation, output, loss, energy, precision, feedback_gain, grouping, .. } = spec;
        let NetworkSpec { feedback, units, precision_rate, .. } = spec;
        Self {
            widths,
            activation,
            output,
            loss,
            energy,
            precision,
            feedback_gain,
            grouping,
            feedback,
            units,
            precision_rate,
        }
    }
}

impl TryFrom<Description> for NetworkSpec {
    type Error = NetworkError;

    fn try_from(words: Description) -> Result<Self, NetworkError> {
        let network = Self::new(&words.widths, words.activation, words.loss)?;
        let network = if words.units.is_empty() {
            network.with_precision(&words.precision)?
        } else {
            network.with_unit_precision(&words.units)?
        };
        // An energy whose output has a state takes the hidden activation there, whatever was said before.
        let output = if words.energy.has_output_state() { Activation::Identity } else { words.output };
        let network =
            network.with_output(output)?.with_energy(words.energy)?.with_feedback_gain(words.feedback_gain)?;
        let rate = words.precision_rate;
        if !(rate >= 0.0 && rate.is_finite()) {
            return Err(NetworkError(format!("the rate of the precisions is {rate}, not a number from zero")));
        }
        Ok(network.with_learned_precision(rate)?.with_feedback(words.feedback).with_groups(words.grouping))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{FeedbackKind, Init};

    #[test]
    fn precisions_of_units_survive_as_well() {
        let units = [vec![0.5, 1.0, 2.0, 4.0], vec![3.0, 3.0]];
        let network = NetworkSpec::new(&[3, 4, 2], Activation::Tanh, Loss::SquaredError);
        let network = network.and_then(|n| n.with_unit_precision(&units)).expect("a network");
        let back = NetworkSpec::try_from(Description::from(network.clone())).expect("the same network");
        // Not compared as a whole: the number that stands for no unit in particular is NaN.
        assert_eq!(back.unit_precision::<f64>(1), network.unit_precision::<f64>(1));
        assert_eq!(back.precision(2), 3.0);
    }

    #[test]
    fn a_network_survives_its_description_and_a_wrong_one_is_refused() {
        let plain = NetworkSpec::new(&[3, 4, 2], Activation::Tanh, Loss::SquaredError).expect("a network");
        let rich = plain.clone().with_output(Activation::Sigmoid).and_then(|n| n.with_precision(&[0.5, 2.0]));
        let hopfield = plain.clone().with_energy(EnergyKind::Hopfield);
        let rate = plain.with_energy(EnergyKind::Rate).and_then(|n| n.with_feedback_gain(0.25));
        let learning = NetworkSpec::new(&[3, 4, 2], Activation::Tanh, Loss::SquaredError)
            .and_then(|n| n.with_learned_precision(0.5))
            .map(|n| n.with_feedback(Feedback { kind: FeedbackKind::Random, init: Init::He, seed: 3 }));
        let cut = rich.clone().map(|n| n.with_groups(Grouping::Count(3)));
        for network in [rich, hopfield, rate, learning, cut] {
            let network = network.expect("a network");
            let words = Description::from(network.clone());
            assert_eq!(NetworkSpec::try_from(words.clone()), Ok(network));
            assert!(NetworkSpec::try_from(Description { widths: vec![3, 0, 2], ..words.clone() }).is_err());
            assert!(NetworkSpec::try_from(Description { precision: vec![f64::NAN, 1.0], ..words }).is_err());
        }
    }
}
