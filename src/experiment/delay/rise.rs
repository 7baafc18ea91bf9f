//! A layer's response to a switch, read off how far it is displaced from its rest.
//!
//! ```text
//! δ_l(t) = ‖x_l(t) − x̄_l‖₂     over units and batch, x̄_l the state at rest, t counted from the switch
//!
//! onset       first t with δ(t) > threshold · δ_end           rise 10/50/90    first t with δ(t) ≥ 10/50/90 % of δ_end
//! settling    from this t on |δ − δ_end| ≤ 5 % of δ_end       overshoot        (max δ − δ_end) / δ_end
//! ```
//!
//! Times are those of the layer's own steps: nothing is interpolated, for between two steps nothing happens. δ_end is the displacement at
//! the end of the run. Whether the layer had come to rest by then is not decided here: a layer that had not has no settling time.

/// How close to its end a displacement has to stay to count as settled.
pub const SETTLED_WITHIN: f64 = 0.05;

/// One layer's response; times in the unit of the samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rise {
    /// First time above threshold × the final displacement.
    pub onset: Option<f64>,
    /// First times at or above 10, 50 and 90 % of it.
    pub rise: [Option<f64>; 3],
    /// From when on it stays within 5 % of it.
    pub settling: Option<f64>,
    /// By how much the largest displacement exceeds the final one, as a share of it.
    pub overshoot: Option<f64>,
    /// The final displacement.
    pub displacement: f64,
}

/// Of `(time, displacement)` in the order of time; `at_rest`: the layer had come to rest at the end.
pub fn rise(trajectory: &[(f64, f64)], threshold: f64, at_rest: bool) -> Rise {
    let end = trajectory.last().map_or(0.0, |&(_, displacement)| displacement);
    if end == 0.0 || !end.is_finite() {
        return Rise { displacement: end, ..Rise::default() };
    }
    let first = |reached: &dyn Fn(f64) -> bool| {
        trajectory.iter().find(|&&(_, displacement)| reached(displacement)).map(|&(time, _)| time)
    };
    let largest = trajectory.iter().map(|&(_, displacement)| displacement).fold(0.0, f64::max);
    let is_near = |&(_, displacement): &(f64, f64)| (displacement - end).abs() <= SETTLED_WITHIN * end;
    let near = trajectory.iter().rev().take_while(|sample| is_near(sample)).last();
    Rise {
        onset: first(&|displacement| displacement > threshold * end),
        rise: [0.1, 0.5, 0.9].map(|share| first(&|displacement| displacement >= share * end)),
        settling: near.filter(|_| at_rest).map(|&(time, _)| time),
        overshoot: Some((largest - end) / end),
        displacement: end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Oracle: `δ(t) = 1 − e^{−t}` crosses a share p at −ln(1 − p), so at the next whole sample of a grid of hundredths.
    #[test]
    fn an_exponential_rises_where_its_logarithm_says() {
        let trajectory: Vec<(f64, f64)> =
            (0..=3000).map(|i| f64::from(i) / 100.0).map(|time| (time, -f64::exp_m1(-time))).collect();
        let found = rise(&trajectory, 0.01, true);
        let crosses = |share: f64| -f64::ln(1.0 - share);
        let is_next = |found: Option<f64>, share| {
            let late = found.expect("it crosses") - crosses(share);
            assert!((-1e-9..0.01).contains(&late), "{share}: late by {late}");
        };
        is_next(found.onset, 0.01);
        found.rise.into_iter().zip([0.1, 0.5, 0.9]).for_each(|(found, share)| is_next(found, share));
        is_next(found.settling, 0.95);
        assert_eq!(found.overshoot, Some(0.0));
        assert_eq!(rise(&trajectory, 0.01, false).settling, None, "who moves has not settled");
    }

    /// A damped oscillation overshoots by e^{−πζ/√(1−ζ²)} (any textbook of control).
    #[test]
    fn an_oscillation_overshoots_as_in_the_textbook() {
        let damping = 0.3_f64;
        let pulse = (1.0 - damping * damping).sqrt();
        let response = |t: f64| 1.0 - (-damping * t).exp() * ((pulse * t).cos() + damping / pulse * (pulse * t).sin());
        let trajectory: Vec<(f64, f64)> =
            (0..=60_000).map(|i| f64::from(i) / 1000.0).map(|time| (time, response(time))).collect();
        let found = rise(&trajectory, 0.01, true);
        let expected = (-std::f64::consts::PI * damping / pulse).exp();
        assert!((found.overshoot.expect("it moved") - expected).abs() < 1e-4, "{found:?}");
        let settling = found.settling.expect("it settles");
        assert!(trajectory.iter().filter(|(time, _)| *time >= settling).all(|(_, d)| (d - 1.0).abs() <= 0.0501));
        assert!(
            trajectory.iter().any(|(time, d)| *time < settling && *time > settling - 0.01 && (d - 1.0).abs() > 0.049)
        );
    }

    #[test]
    fn who_never_moved_has_no_times() {
        let still = rise(&[(0.0, 0.0), (1.0, 0.0)], 0.01, true);
        assert_eq!(still, Rise::default());
    }
}
