//! The algorithms that are audited, as settings: what makes each of them what it is, and what it wants besides.

/// One algorithm.
#[derive(Clone, Copy, Debug)]
pub struct Algorithm {
    /// What `--algorithms` calls it.
    pub name: &'static str,
    /// In words.
    pub meaning: &'static str,
    /// `key=value` that make it this algorithm; a user can't change these keys.
    pub identity: &'static [&'static str],
    /// `key=value` it wants; a user can.
    pub wants: &'static [&'static str],
}

/// The network and the budget that are audited unless something else is typed: small, since everything that is said is kept.
pub const SMALL: [&str; 6] = [
    "model.widths=[784,32,16,10]",
    "data.batch_size=8",
    "data.train=64",
    "data.test=8",
    "inference.activity_lr=0.2",
    "inference.max_infer_iters=100",
];

const CODING: &[&str] = &["model.act_fn=tanh", "inference.free_phase=forward"];
const HOPFIELD: &[&str] = &[
    "model.act_fn=sigmoid",
    "model.output_act_fn=sigmoid",
    "model.loss=squared-error",
    "inference.free_phase=relax",
    "model.init=xavier",
];
const RATE: &[&str] = &[
    "model.act_fn=sigmoid",
    "model.output_act_fn=sigmoid",
    "model.loss=squared-error",
    "inference.free_phase=relax",
    "model.init=xavier",
    "model.feedback_gain=0.05",
];
const CONTINUAL: &[&str] = &[
    "model.act_fn=sigmoid",
    "model.output_act_fn=sigmoid",
    "model.loss=squared-error",
    "inference.free_phase=relax",
    "model.init=xavier",
    "learning.nudge=0.1",
    "learning.optimizer=sgd",
    "learning.param_lr=1e-5",
];

const TIED: &str = "model.feedback=tied";
const AT_END: &str = "learning.update=at-end";
const PREDICTIVE: &str = "model.energy=predictive-coding";

/// All of them, in the order of the report.
pub const ALGORITHMS: [Algorithm; 12] = [
    Algorithm {
        name: "pc-nudge",
        meaning: "predictive coding, nudged",
        identity: &["learning.rule=pc-nudge", PREDICTIVE, TIED, AT_END],
        wants: CODING,
    },
    Algorithm {
        name: "pc-symmetric",
        meaning: "predictive coding, nudged to both sides",
        identity: &["learning.rule=pc-nudge", "learning.nudging=symmetric", PREDICTIVE, TIED, AT_END],
        wants: CODING,
    },
    Algorithm {
        name: "pc-clamped",
        meaning: "predictive coding, clamped",
        identity: &["learning.rule=pc-clamped", PREDICTIVE, TIED, AT_END],
        wants: CODING,
    },
    Algorithm {
        name: "first-step",
        meaning: "predictive coding, read at the first arrival",
        identity: &["learning.rule=first-step", PREDICTIVE, TIED, AT_END],
        wants: CODING,
    },
    Algorithm {
        name: "pc-random",
        meaning: "pc-nudge with fixed random feedback",
        identity: &["learning.rule=pc-nudge", PREDICTIVE, "model.feedback=random", AT_END],
        wants: CODING,
    },
    Algorithm {
        name: "pc-sign-symmetric",
        meaning: "pc-nudge with feedback of the weights' signs",
        identity: &["learning.rule=pc-nudge", PREDICTIVE, "model.feedback=sign-symmetric", AT_END],
        wants: CODING,
    },
    Algorithm {
        name: "pc-kolen-pollack",
        meaning: "pc-nudge with feedback that learns",
        identity: &["learning.rule=pc-nudge", PREDICTIVE, "model.feedback=kolen-pollack", AT_END],
        wants: &[
            "model.act_fn=tanh",
            "inference.free_phase=forward",
            "learning.optimizer=sgd",
            "learning.param_lr=0.05",
            "learning.weight_decay=1e-3",
        ],
    },
    Algorithm {
        name: "ep",
        meaning: "equilibrium propagation",
        identity: &["learning.rule=ep", "model.energy=hopfield", TIED, AT_END],
        wants: HOPFIELD,
    },
    Algorithm {
        name: "ep-continual",
        meaning: "continual equilibrium propagation",
        identity: &["learning.rule=ep", "model.energy=hopfield", TIED, "learning.update=continual"],
        wants: CONTINUAL,
    },
    Algorithm {
        name: "chl",
        meaning: "contrastive Hebbian learning",
        identity: &["learning.rule=chl", "model.energy=hopfield", TIED, AT_END],
        wants: HOPFIELD,
    },
    Algorithm {
        name: "chl-weak",
        meaning: "contrastive Hebbian learning, rate network with weak feedback",
        identity: &["learning.rule=chl", "model.energy=rate", TIED, AT_END],
        wants: RATE,
    },
    Algorithm { name: "backprop", meaning: "backpropagation", identity: &["learning.rule=backprop"], wants: &[] },
];

/// The algorithm of this name.
pub fn find(name: &str) -> Option<&'static Algorithm> {
    ALGORITHMS.iter().find(|algorithm| algorithm.name == name)
}

impl Algorithm {
    /// All overrides, the last of a key winning: the small network if no configuration was named, what it wants, what was typed, what it is.
    pub fn overrides(&self, small: bool, typed: &[String]) -> Vec<String> {
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<String>>();
        [if small { own(&SMALL) } else { Vec::new() }, own(self.wants), typed.to_vec(), own(self.identity)].concat()
    }
}
