//! What befalls signals and clocks in the studies of fidelity: one thing at a time, in growing amounts.
//!
//! ```text
//! delay        every signal is D under way                                              D
//! jitter       delays of mean 12 τ from a gamma law, nobody overtakes                    standard deviation / mean
//! loss         every signal is lost with probability p; sent again 4 τ after it was      1/(1 − p), how often a signal
//!              not acknowledged, without which a lost forward wave would end the batch    is sent until it arrives
//! rate-spread  every layer has a period of its own, log-uniform in [1/√r, √r]            r, the widest ratio of two
//! threshold    a layer speaks only if some number moved by more than that                the threshold
//! staleness    every signal is from 0 to B under way, in any order, the newer kept:      B
//!              none is older than B when it arrives
//! precision    signals rounded to fixed point within ±8                                  bits
//! noise        Gaussian noise on every number said                                       standard deviation
//! ```
//!
//! The bound B is the one of partial asynchronism (Tsitsiklis, Bertsekas & Athans 1986). There is no key for it: it follows from the law
//! of delays, uniform from 0 to B with overtaking, and ages are measured beside it. The mean is far below
//! B/2, since what was overtaken is dropped; ages that are all B are the study `delay`. Layers take the same number of steps in every
//! trial, so what is late is late at the end, too; what settling does about it is the study `equilibrium`.

use crate::math::random::{Purpose, Stream};

/// One kind of disturbance.
#[derive(Debug)]
pub struct Disturbance {
    /// Above the figure.
    pub title: &'static str,
    /// Name of the horizontal axis, with the unit.
    pub label: &'static str,
    /// The unit, for sentences.
    pub unit: &'static str,
    /// The horizontal axis is logarithmic.
    pub log: bool,
    /// Growing amounts.
    pub values: &'static [f64],
    /// Fewer.
    pub quick: &'static [f64],
    /// Settings that make an amount, with this seed, below this output layer.
    pub words: fn(f64, u64, usize) -> Vec<String>,
}

const VIRTUAL: &str = "schedule.mode=virtual-time";
const REFERENCE: &str = "schedule.mode=reference";

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}

/// `delay`.
pub const DELAY: Disturbance = Disturbance {
    title: "Delay of every signal",
    label: "delay of a signal D (τ)",
    unit: " τ",
    log: false,
    values: &[0.0, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 40.0, 48.0, 64.0],
    quick: &[0.0, 2.0, 16.0],
    words: |delay, _, _| words([VIRTUAL, &format!("links.delay={delay}")]),
};

/// A gamma law with this mean and ratio of standard deviation and mean.
pub(super) fn gamma(mean: f64, ratio: f64) -> String {
    if ratio == 0.0 {
        return format!("links.delay={mean:?}");
    }
    format!("links.delay={{ law = \"gamma\", mean = {mean:?}, shape = {} }}", 1.0 / (ratio * ratio))
}

/// `jitter`.
pub const JITTER: Disturbance = Disturbance {
    title: "Jitter: delays of mean 12 τ from a gamma law, in order",
    label: "standard deviation of the delay / mean",
    unit: " times the mean",
    log: false,
    values: &[0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0],
    quick: &[0.0, 1.0, 3.0],
    words: |ratio, _, _| words([VIRTUAL, &gamma(12.0, ratio)]),
};

/// `loss`.
pub const LOSS: Disturbance = Disturbance {
    title: "Loss: every signal with probability p, sent again after 4 τ",
    label: "1/(1 − p), p the probability of loss",
    unit: " sendings per arrival",
    log: true,
    values: &[1.0, 1.25, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0],
    quick: &[1.0, 2.0, 10.0],
    words: |sendings, _, _| words([VIRTUAL, "links.resend=4.0", &format!("links.loss={:?}", 1.0 - 1.0 / sendings)]),
};

/// `rate-spread`.
pub const RATE_SPREAD: Disturbance = Disturbance {
    title: "Spread of the layers' rates",
    label: "widest ratio of two periods r",
    unit: "",
    log: true,
    values: &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0],
    quick: &[1.0, 4.0, 32.0],
    words: |ratio, seed, depth| {
        let mut stream = Stream::at(seed, Purpose::Trial, [7, 0, 0]);
        let period = |stream: &mut Stream| libm::pow(ratio, stream.unit() - 0.5);
        let periods = (0..=depth).map(|layer| format!("clocks.\"{layer}\".period={}", period(&mut stream)));
        words([VIRTUAL]).into_iter().chain(periods).collect()
    },
};

/// `threshold`.
pub const THRESHOLD: Disturbance = Disturbance {
    title: "Speaking only of what changed",
    label: "threshold of send-on-change",
    unit: "",
    log: true,
    values: &[1e-7, 1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
    quick: &[1e-6, 1e-3, 1e-1],
    words: |threshold, _, _| words([VIRTUAL, &format!("links.threshold={threshold:e}")]),
};

/// `staleness`.
pub const STALENESS: Disturbance = Disturbance {
    title: "Bounded staleness: signals from 0 to B under way, in any order",
    label: "staleness bound B (τ)",
    unit: " τ",
    log: false,
    values: &[0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0],
    quick: &[0.0, 4.0, 32.0],
    words: |bound, _, _| {
        let delay = format!("links.delay={{ law = \"uniform\", low = 0.0, high = {bound:?} }}");
        words([VIRTUAL, "links.reorder=true", &delay])
    },
};

/// `precision`.
pub const PRECISION: Disturbance = Disturbance {
    title: "Precision of signals: fixed point within ±8",
    label: "bits of every number said",
    unit: " bits",
    log: false,
    values: &[24.0, 22.0, 20.0, 18.0, 16.0, 14.0, 12.0, 10.0, 8.0, 6.0],
    quick: &[24.0, 16.0, 8.0],
    words: |bits, _, _| words([REFERENCE, &format!("numerics.messages=fixed:{bits}")]),
};

/// `noise`.
pub const NOISE: Disturbance = Disturbance {
    title: "Noise on every number said",
    label: "standard deviation of the noise",
    unit: "",
    log: true,
    values: &[1e-7, 1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1],
    quick: &[1e-6, 1e-3, 1e-1],
    words: |deviation, _, _| words([REFERENCE, &format!("numerics.message_noise={deviation:e}")]),
};
