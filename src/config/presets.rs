//! The configurations that come with the program, compiled in from `configs/*.toml`.
//!
//! A preset is an ordinary configuration file: copy it, change it, run the copy. Its first line is its summary. A
//! new preset is a file there and a line here.

use super::diagnostic::Diagnostic;
use super::diagnostic::quoted;
use super::kind::comma_list;
use super::suggest::nearest;

/// A configuration that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// The text of its file.
    pub text: &'static str,
}

/// The preset that runs when no other is named.
pub(super) const DEFAULT: &Preset = &Preset {
    name: "digits",
    summary: "784-128-64-10 on the digits of the embedded generator: every key at its default.",
    text: include_str!("../../configs/digits.toml"),
};

const PRESETS: &[Preset] = &[
    *DEFAULT,
    Preset {
        name: "mnist",
        summary: "784-128-64-10 on MNIST with PC-Nudge and momentum, five epochs.",
        text: include_str!("../../configs/mnist.toml"),
    },
    Preset {
        name: "mnist-paper",
        summary: "The training run of the paper's Figure 3, as in its appendix A.1.",
        text: include_str!("../../configs/mnist-paper.toml"),
    },
    Preset {
        name: "authors-mnist",
        summary: "The settings of the authors' published program: images in [-1, 1], squared error, λ = 1e-4, layers one after another.",
        text: include_str!("../../configs/authors-mnist.toml"),
    },
    Preset {
        name: "ep-mnist",
        summary: "784-256-10 on MNIST by equilibrium propagation, symmetric nudging, fifteen epochs.",
        text: include_str!("../../configs/ep-mnist.toml"),
    },
    Preset {
        name: "chl-mnist",
        summary: "784-256-10 on MNIST by contrastive Hebbian learning with weak feedback, ten epochs.",
        text: include_str!("../../configs/chl-mnist.toml"),
    },
    Preset {
        name: "wb-mnist",
        summary: "784-128-64-10 on MNIST by predictive coding with weak feedback, five epochs.",
        text: include_str!("../../configs/wb-mnist.toml"),
    },
    Preset {
        name: "prospective",
        summary: "784-128-64-10 on the embedded digits by prospective configuration: clamped, run to equilibrium, five epochs.",
        text: include_str!("../../configs/prospective.toml"),
    },
    Preset {
        name: "delay",
        summary: "Ten layers of weights with links of 2.5 periods, in virtual time: for `asynapse delay`.",
        text: include_str!("../../configs/delay.toml"),
    },
    Preset {
        name: "study",
        summary: "Two hidden layers of tanh, batches of 32, 100 steps, double precision: what `asynapse study` measures one batch with.",
        text: include_str!("../../configs/study.toml"),
    },
    Preset {
        name: "study-training",
        summary: "784-64-32-10 on 2,000 samples, two epochs: the short trainings of `asynapse study training`.",
        text: include_str!("../../configs/study-training.toml"),
    },
    Preset {
        name: "study-border",
        summary: "A chain of nine linear layers of one neuron, both ends clamped: the largest stable step under delay, for `asynapse study border`.",
        text: include_str!("../../configs/study-border.toml"),
    },
    Preset {
        name: "delay-wall",
        summary: "Eight layers of weights with links of 5 ms, free-running on the wall clock: for `asynapse delay`.",
        text: include_str!("../../configs/delay-wall.toml"),
    },
    Preset {
        name: "tiny",
        summary: "784-32-10 with tanh on a few digits: trains in seconds.",
        text: include_str!("../../configs/tiny.toml"),
    },
];

/// The presets, the default one first.
pub fn presets() -> &'static [Preset] {
    PRESETS
}

/// The preset of this name.
pub(super) fn find_preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// The problem of a name that is neither a preset nor a file.
pub(super) fn unknown_preset(name: &str) -> Diagnostic {
    let problem = Diagnostic::error(format!("{} is neither a preset nor a file", quoted(name)));
    with_offer(problem, name)
}

/// The same problem, with the preset that may have been meant and the list of all.
pub(super) fn with_offer(problem: Diagnostic, name: &str) -> Diagnostic {
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let problem = match nearest(name, names.iter().copied()) {
        Some(near) => problem.help(format!("did you mean the preset `{near}`?")),
        None => problem,
    };
    problem.help(format!("presets: {}; anything else is the path of a .toml file", comma_list(&names)))
}
