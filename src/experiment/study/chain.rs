//! The largest stable step of a linear chain under delay, in closed form, and what general theory guarantees.
//!
//! Layers of one neuron, all weights w, ends clamped, n states between them, every signal B steps old. The modes of the chain couple
//! neighbours by c = 2 cos(kπ/(n + 1)), k = 1 … n, and each follows
//!
//! ```text
//! x(t+1) = x(t) + η ( −x(t) + w c x(t−B) − w² x(t−2B) )       bare errors: the own curvature comes back after a round trip
//! x(t+1) = x(t) + η ( −(1 + w²) x(t) + w c x(t−B) )           states, and errors with an echo
//! ```
//!
//! With x(t) = zᵗ this is z − 1 = η D(z). A small η is stable; it stops being so at the least η > 0 for which a root is z = e^{iθ},
//! that is Im((z − 1) D̄) = 0 and η = Re((z − 1) D̄)/|D|².
//!
//! **Partial asynchronism** (Tsitsiklis, Bertsekas & Athans 1986; Bertsekas & Tsitsiklis 1989, section 7.5): whatever the ages, if none is
//! above S steps, descent converges for η small enough. With the constants of a quadratic energy: every number a layer uses is at most
//! S steps old, so with the moves s, |∇ᵢ stale − ∇ᵢ| ≤ Σⱼ |Hᵢⱼ| η Σ_{τ<S} |sⱼ(t−1−τ)|, hence
//!
//! ```text
//! E(t+1) ≤ E(t) − η ‖s‖² (1 − Λη/2) + Λη² ‖s(t)‖ Σ_{τ<S} ‖s(t−1−τ)‖    summed over t:    η < 2 / (Λ (1 + 2S))
//! ```
//!
//! where Λ is the largest eigenvalue of |H|, which for a chain is that of H: 1 + w² + 2w cos(π/(n + 1)). S = B for states and echoes, 2B
//! for bare errors. Choi, Choi & Seok 2023 (gradients that are a whole S steps old, strongly convex): η ≤ 3/(10 Λ S).

use std::f64::consts::PI;

use crate::signal::Message;

/// Points of θ at which signs are compared; the factors of e^{iθ·2B} turn round B times.
const GRID: usize = 4000;

/// A chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chain {
    /// Every weight.
    pub weight: f64,
    /// Free states, one less than there are weights.
    pub states: usize,
    /// Age of every signal in steps.
    pub delay: u32,
    /// What goes down.
    pub message: Message,
}

impl Chain {
    fn coupling(&self, mode: usize) -> f64 {
        2.0 * libm::cos(mode as f64 * PI / (self.states + 1) as f64)
    }

    /// D(e^{iθ}).
    fn drive(&self, mode: usize, theta: f64) -> [f64; 2] {
        let (w, c, delay) = (self.weight, self.coupling(mode), f64::from(self.delay));
        let back = |steps: f64| [libm::cos(theta * steps), -libm::sin(theta * steps)];
        let [once, twice] = [back(delay), back(2.0 * delay)];
        let (own, round) = if self.message == Message::Error { (-1.0, -w * w) } else { (-1.0 - w * w, 0.0) };
        [own + w * c * once[0] + round * twice[0], w * c * once[1] + round * twice[1]]
    }

    /// (z − 1) D̄ and |D|².
    fn product(&self, mode: usize, theta: f64) -> ([f64; 2], f64) {
        let [re, im] = self.drive(mode, theta);
        let (across, up) = (libm::cos(theta) - 1.0, libm::sin(theta));
        ([across * re + up * im, up * re - across * im], re * re + im * im)
    }

    /// The least step at which some mode no longer decays.
    pub fn border(&self) -> f64 {
        let mut least = f64::INFINITY;
        for mode in 1..=self.states {
            let crossing = |theta: f64| self.product(mode, theta).0[1];
            let mut take = |theta: f64| {
                let ([real, _], size) = self.product(mode, theta);
                let step = real / size;
                if step > 0.0 && step.is_finite() {
                    least = least.min(step);
                }
            };
            // z = −1 is always a real point.
            take(PI);
            let at = |index: usize| PI * (index as f64 - 0.5) / GRID as f64;
            for index in 1..GRID {
                let (mut low, mut high) = (at(index), at(index + 1));
                if crossing(low) * crossing(high) > 0.0 {
                    continue;
                }
                for _ in 0..60 {
                    let middle = 0.5 * (low + high);
                    if crossing(low) * crossing(middle) <= 0.0 { high = middle } else { low = middle }
                }
                take(0.5 * (low + high));
            }
        }
        least
    }

    /// Λ.
    pub fn curvature(&self) -> f64 {
        1.0 + self.weight * self.weight + self.weight * self.coupling(1)
    }

    /// S: the oldest number a layer uses, in steps.
    pub fn staleness(&self) -> u32 {
        if self.message == Message::Error { 2 * self.delay } else { self.delay }
    }

    /// A step below this converges whatever the ages up to S are.
    pub fn guaranteed(&self) -> f64 {
        2.0 / (self.curvature() * (1.0 + 2.0 * f64::from(self.staleness())))
    }

    /// The bound of Choi, Choi & Seok; `None` without delay.
    pub fn choi(&self) -> Option<f64> {
        let staleness = f64::from(self.staleness());
        (staleness > 0.0).then(|| 3.0 / (10.0 * self.curvature() * staleness))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(weight: f64, delay: u32, message: Message) -> Chain {
        Chain { weight, states: 7, delay, message }
    }

    /// Without delay descent is stable up to 2/Λ, and guaranteed as far.
    #[test]
    fn without_delay_the_border_is_that_of_gradient_descent() {
        for weight in [0.3, 0.5, 1.0, 2.0] {
            for message in [Message::ErrorEcho, Message::Error, Message::State] {
                let chain = chain(weight, 0, message);
                let least = 2.0 / (1.0 + weight * weight + 2.0 * weight * (PI / 8.0).cos());
                assert!((chain.border() / least - 1.0).abs() < 1e-9, "{} {least}", chain.border());
                assert!((chain.guaranteed() / least - 1.0).abs() < 1e-12);
            }
        }
    }

    /// The recurrence itself, run: below the border every mode decays, above it one grows.
    #[test]
    fn modes_decay_below_the_border_and_grow_above_it() {
        for message in [Message::ErrorEcho, Message::Error] {
            for (weight, delay) in [(1.0, 1), (2.0, 3), (0.5, 4), (1.0, 7)] {
                let chain = chain(weight, delay, message);
                assert!(chain.guaranteed() <= chain.border());
                for (factor, grows) in [(0.97, false), (1.03, true)] {
                    let step = factor * chain.border();
                    let largest = (1..=7).map(|mode| growth(&chain, mode, step)).fold(0.0, f64::max);
                    assert_eq!(largest > 1.0, grows, "{chain:?} at {factor}: {largest}");
                }
            }
        }
    }

    /// Size of a mode after many steps over its size before.
    fn growth(chain: &Chain, mode: usize, step: f64) -> f64 {
        let (w, c, lag) = (chain.weight, chain.coupling(mode), chain.delay as usize);
        let steps = 6000;
        let mut x = vec![1.0; 2 * lag + 1];
        for t in 2 * lag..2 * lag + steps {
            let drive = match chain.message {
                Message::Error => -x[t] + w * c * x[t - lag] - w * w * x[t - 2 * lag],
                _ => -(1.0 + w * w) * x[t] + w * c * x[t - lag],
            };
            x.push(x[t] + step * drive);
        }
        let peak = |from: usize| x[from..from + 200].iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        peak(steps - 200) / peak(1000)
    }
}
