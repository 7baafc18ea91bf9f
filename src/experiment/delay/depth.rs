//! Networks of growing depth: when a wave arrives at the far end, and what is left of it there.
//!
//! ```text
//! arrival at the farthest hidden layer, L − 1 hops away      s = slope · (L − 1) + …          slope in closed form (⌊D/P⌋ + 1) P
//! its displacement when all has come to rest                 ln ‖x − x̄‖ = log slope · (L − 1) + …
//! ```
//!
//! Both lines are fitted by least squares. A network of depth L has the configured input and output and L − 1 hidden layers as wide as
//! the first of the configuration; its weights are drawn anew from the seed.

use serde::Serialize;

use super::{DelayError, Direction, Request, Row, measure};
use crate::config::{Config, Groups, Precision};
use crate::math::Real;

/// The farthest hidden layer of one network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Far {
    /// Layers of weights of the network.
    pub depth: usize,
    /// What was measured there.
    #[serde(flatten)]
    pub row: Row,
}

/// A straight line `y = slope · x + intercept`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// Per hop.
    pub slope: f64,
    /// At no hop.
    pub intercept: f64,
    /// Share of the variance that the line explains.
    pub r_squared: f64,
}

/// One direction of a sweep.
#[derive(Clone, Debug, Serialize)]
pub struct Sweep {
    /// Which way the waves ran.
    pub direction: Direction,
    /// One per depth.
    pub far: Vec<Far>,
    /// Arrival over hops.
    pub arrival: Option<Fit>,
    /// Closed form over hops.
    pub closed_form: Option<Fit>,
    /// Onset over hops.
    pub onset: Option<Fit>,
    /// Natural logarithm of the displacement over hops.
    pub log_displacement: Option<Fit>,
}

/// Runs the networks, one after another, shallow ones first.
///
/// # Errors
/// As for one network; and settings of single layers, which have no meaning at another depth.
pub fn sweep<T: Real>(request: &Request, direction: Direction, say: &mut dyn FnMut(&str)) -> Result<Sweep, DelayError> {
    let mut far = Vec::new();
    for &depth in &request.depths {
        let request = Request { config: at_depth(&request.config, depth)?, ..request.clone() };
        let wave = measure::<T>(&request, direction, 0)?;
        let row = wave.rows.iter().rfind(|row| row.hops < depth).cloned();
        let row = row.expect("a network with a hidden layer has a row for it");
        say(&format!("{}: depth {depth}: arrival {}", direction.name(), shown(row.arrival)));
        far.push(Far { depth, row });
    }
    let over_hops = |value: &dyn Fn(&Row) -> Option<f64>| {
        let points: Vec<(f64, f64)> =
            far.iter().filter_map(|far| Some((far.row.hops as f64, value(&far.row)?))).collect();
        fit(&points)
    };
    Ok(Sweep {
        direction,
        arrival: over_hops(&|row| row.arrival),
        closed_form: over_hops(&|row| row.closed_form),
        onset: over_hops(&|row| row.onset),
        log_displacement: over_hops(&|row| (row.displacement > 0.0).then(|| row.displacement.ln())),
        far,
    })
}

fn shown(time: Option<f64>) -> String {
    time.map_or("none".to_owned(), |time| time.to_string())
}

/// The same configuration at another depth.
fn at_depth(config: &Config, depth: usize) -> Result<Config, DelayError> {
    let unfit = |what: &str| {
        Err(DelayError::Unfit(format!("{what} has no meaning at another depth; leave it out, or --depths")))
    };
    if config.model.groups != Groups::Count(1) {
        return unfit("model.groups");
    }
    if !config.clocks.of_layer.is_empty() {
        return unfit("clocks.\"LAYER\"");
    }
    if !config.links.of_link.is_empty() {
        return unfit("links.\"FROM->TO\"");
    }
    if !matches!(config.model.precision, Precision::Uniform(_)) {
        return unfit("a model.precision per layer");
    }
    let widths = &config.model.widths;
    let [input, hidden, .., output] = widths[..] else {
        return Err(DelayError::Unfit("model.widths: a wave needs a hidden layer to run through".to_owned()));
    };
    let mut config = config.clone();
    config.model.widths = std::iter::once(input).chain(vec![hidden; depth - 1]).chain([output]).collect();
    Ok(config)
}

/// Least squares; `None` for fewer than two places.
pub fn fit(points: &[(f64, f64)]) -> Option<Fit> {
    let count = points.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let across = points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
    if points.len() < 2 || across == 0.0 {
        return None;
    }
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / across;
    let intercept = y - slope * x;
    let left = points.iter().map(|p| (p.1 - slope * p.0 - intercept).powi(2)).sum::<f64>();
    let all = points.iter().map(|p| (p.1 - y).powi(2)).sum::<f64>();
    let r_squared = if all == 0.0 { 1.0 } else { 1.0 - left / all };
    Some(Fit { slope, intercept, r_squared })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out by hand: through (0, 1), (1, 3), (2, 5) goes 2x + 1; through (0, 0), (1, 1), (2, 0) nothing does, and the best is
    /// level at 1/3.
    #[test]
    fn lines_by_hand() {
        let exact = fit(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]).expect("a line");
        assert_eq!((exact.slope, exact.intercept, exact.r_squared), (2.0, 1.0, 1.0));
        let level = fit(&[(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)]).expect("a line");
        assert!(
            level.slope.abs() < 1e-15 && (level.intercept - 1.0 / 3.0).abs() < 1e-15 && level.r_squared.abs() < 1e-15
        );
        assert_eq!(fit(&[(1.0, 2.0)]), None);
        assert_eq!(fit(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }
}
