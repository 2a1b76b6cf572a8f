//! Profile likelihood: how far one parameter may go while all others follow, before the sum of squares says no.
//!
//! Where the sum of squares is no parabola (an arc half hidden, an exponent at its bound), the covariance is wrong and
//! this is right (Venzon and Moolgavkar, J. R. Stat. Soc. C 37 (1988) 87). Where several minima are as good as each
//! other (an arc at the level of the noise may be any of several), the interval spans them all.
//!
//! *Arcs that may not be there.* Without its resistance an arc's time constant and exponent mean nothing, so the fit is
//! free to put the arc where chance has made most of it: noise alone lowers the sum of squares by more than a
//! chi-square of one says (Davies, Biometrika 64 (1977) 247 and 74 (1987) 33). Where an arc could be left out at a cost
//! that chance may ask, the rise is therefore that for all its parameters and its place, and the interval spans every
//! place it may have.

use super::chain;
use super::descent::{Reach, Work, descend};
use super::fit::{Problem, to_u};
use super::search;
use super::{CircuitError, Spectrum, linear};

/// No end of an interval is sought further than this from the best value (a factor of a billion).
const FURTHEST: f64 = 20.7;
/// An end is found when the root of the rise is this close to that asked, relative.
const CLOSE: f64 = 0.01;
const MOST_STEPS: usize = 24;
/// What an arc is made smaller by to see what the spectrum is without it.
const ABSENT: f64 = 1e-12;
/// How often the interval may begin anew from a better minimum found on the way.
const MOST_RESTARTS: usize = 3;

/// How far the sum of squares may rise.
#[derive(Debug, Clone, PartialEq)]
pub struct Rise {
    /// For one parameter of a circuit whose members are all there.
    pub one: f64,
    /// For 1, 2, 3, ... numbers that chance may choose at once, at the level of the interval: for an arc that may not
    /// be there. Empty: arcs are taken to be there.
    pub chosen: Vec<f64>,
    /// The same at a stricter level: an arc is there when leaving it out costs more.
    pub established: Vec<f64>,
}

impl Rise {
    fn check(&self) -> Result<(), CircuitError> {
        let all = [self.one]
            .into_iter()
            .chain(self.chosen.iter().copied())
            .chain(self.established.iter().copied());
        match all.into_iter().find(|r| !(r.is_finite() && *r > 0.0)) {
            Some(bad) => Err(CircuitError::Data(format!(
                "a rise of {bad} of the sum of squares is not positive"
            ))),
            None => Ok(()),
        }
    }
}

/// The interval of natural values of parameter `index` within which the sum of squares, all other parameters fitted
/// anew, lies no more than `rise` above its minimum. An end that is not reached is the bound, or a factor 10⁹ away.
///
/// `values` (p,) are the natural values of a fit. Other minima are sought from `starts` starts and count when they lie
/// within the rise too; 0 when the parameters were given start values, so that arcs cannot change names.
///
/// # Errors
/// No such parameter, values that do not belong to the problem, or a rise that is not positive.
pub fn profile(
    problem: &Problem,
    spectrum: &Spectrum,
    values: &[f64],
    index: usize,
    rise: &Rise,
    starts: usize,
) -> Result<(f64, f64), CircuitError> {
    let parameters = problem.circuit.parameters();
    if index >= parameters.len() || values.len() != parameters.len() {
        return Err(CircuitError::Data(format!(
            "parameter {index} and {} values: the circuit has {}",
            values.len(),
            parameters.len()
        )));
    }
    rise.check()?;
    if let Some(bad) = values.iter().find(|v| !(v.is_finite() && **v > 0.0)) {
        return Err(CircuitError::Data(format!(
            "value {bad} is not positive and finite"
        )));
    }
    if problem.fixed[index] {
        return Ok((values[index], values[index]));
    }
    let mut u: Vec<f64> = values
        .iter()
        .zip(parameters)
        .map(|(&value, p)| to_u(value, p.exponent))
        .collect();
    let mut side = Side {
        problem: problem.clone(),
        spectrum,
        index,
        rise: rise.one,
        work: Work::new(problem, spectrum.len()),
    };
    if starts > 0
        && let Some(more) = side.doubtful(&u, rise)
    {
        side.rise = more;
    }
    let rise = side.rise;
    let (mut minimum, mut ends) = side.around(&mut u, f64::INFINITY);
    if starts > 0 {
        for mut other in search::minima(
            problem,
            spectrum,
            &u,
            minimum + rise,
            starts,
            &mut side.work,
        ) {
            let (least, found) = side.around(&mut other, minimum);
            if least < minimum - 0.5 * rise {
                ends = found; // the fit was no minimum at all
            } else {
                ends = [ends[0].min(found[0]), ends[1].max(found[1])];
            }
            minimum = minimum.min(least);
        }
    }
    let natural = |x: f64| {
        if parameters[index].exponent {
            x
        } else {
            x.exp()
        }
    };
    Ok((natural(ends[0]), natural(ends[1])))
}

struct Side<'a> {
    problem: Problem,
    spectrum: &'a Spectrum,
    index: usize,
    rise: f64,
    work: Work,
}

impl Side<'_> {
    /// The rise to take where an arc may not be there: then any arc may be it, in any place. None when the parameter
    /// belongs to no arc or leaving out any arc costs more than chance asks.
    fn doubtful(&mut self, u: &[f64], rise: &Rise) -> Option<f64> {
        let problem = self.problem.clone();
        let arcs: Vec<(Vec<usize>, Vec<f64>)> = chain::arcs(&problem)
            .into_iter()
            .map(|node| {
                let mut without = u.to_vec();
                chain::magnify(&problem, node, ABSENT, &mut without);
                (chain::parameters(&problem, node), without)
            })
            .collect();
        if !arcs.iter().any(|(own, _)| own.contains(&self.index)) {
            return None;
        }
        let reach = Reach::ROUGH;
        let least = descend(&self.problem, self.spectrum, u, reach, &mut self.work).total();
        let mut wanted = None::<f64>;
        for (own, without) in arcs {
            let mut allowed = without.clone();
            problem.clamp(&mut allowed);
            let free = own.iter().filter(|&&p| !problem.fixed[p]).count();
            // One more than its own: whether it is there at all.
            let (Some(chosen), Some(established)) =
                (rise.chosen.get(free), rise.established.get(free))
            else {
                continue;
            };
            if free < own.len() || allowed != without {
                continue; // a bound says that it is there
            }
            for &p in &own {
                self.problem.fixed[p] = true;
            }
            let rest = descend(
                &self.problem,
                self.spectrum,
                &without,
                reach,
                &mut self.work,
            );
            for &p in &own {
                self.problem.fixed[p] = false;
            }
            if rest.total() - least < *established {
                wanted = Some(wanted.map_or(*chosen, |w| w.max(*chosen)));
            }
        }
        wanted
    }

    /// The interval around a minimum, and the sum of squares there; `u` moves to it, and to a lower one met on the way.
    /// The rise counts from the lower of this minimum and `other`.
    fn around(&mut self, u: &mut Vec<f64>, other: f64) -> (f64, [f64; 2]) {
        let (index, rise) = (self.index, self.rise);
        let mut ends = [u[index]; 2];
        let mut least = f64::INFINITY;
        for _ in 0..=MOST_RESTARTS {
            let best = descend(&self.problem, self.spectrum, u, Reach::FULL, &mut self.work);
            self.work.evaluate(&self.problem, self.spectrum, &best.u);
            self.work
                .differentiate(&self.problem, self.spectrum, &best.u);
            let p = u.len();
            let variance = linear::inverse(&self.work.hessian, p)[index * p + index];
            least = best.total();
            *u = best.u;
            // What of the rise is left above this minimum.
            let left = (rise - (least - other).max(0.0)).max(1e-3 * rise);
            self.rise = left;
            let guess = (left * variance).sqrt().clamp(1e-9, 3.0);
            let mut better = None;
            for (end, sign) in ends.iter_mut().zip([-1.0, 1.0]) {
                match self.end(u, least, sign * guess) {
                    Ok(found) => *end = found,
                    Err(lower) => better = Some(lower),
                }
            }
            self.rise = rise;
            match better {
                Some(lower) => *u = lower,
                None => break,
            }
        }
        (least, ends)
    }

    /// u of the parameter where the rise is reached, from a first step; `Err` holds a place lower than the minimum.
    fn end(&mut self, u: &[f64], least: f64, first: f64) -> Result<f64, Vec<f64>> {
        let at = u[self.index];
        let bound = if first < 0.0 {
            (self.problem.lower[self.index] - at).max(-FURTHEST)
        } else {
            (self.problem.upper[self.index] - at).min(FURTHEST)
        };
        // Below the rise wanted, and above it: distance and root of the relative rise.
        let (mut inner, mut outer) = ((0.0, 0.0), None::<(f64, f64)>);
        let mut distance = first;
        let mut from = u.to_vec();
        for _ in 0..MOST_STEPS {
            let capped = if distance.abs() < bound.abs() {
                distance
            } else {
                bound
            };
            let (total, place) = self.held(&from, at + capped);
            if total < least - 1e-3 * self.rise {
                return Err(place);
            }
            let root = ((total - least).max(0.0) / self.rise).sqrt();
            if (root - 1.0).abs() < CLOSE || (root < 1.0 && capped == bound) {
                return Ok(at + capped);
            }
            if root < 1.0 {
                inner = (capped, root);
                from = place;
            } else {
                outer = Some((capped, root));
            }
            distance = match outer {
                None => capped * (1.0 / root.max(0.1)).clamp(1.2, 2.5),
                Some((far, above)) => {
                    let share = (1.0 - inner.1) / (above - inner.1);
                    inner.0 + (far - inner.0) * share.clamp(0.05, 0.95)
                }
            };
        }
        Ok(at + distance)
    }

    /// Sum of squares with the parameter held, all others fitted, and where.
    fn held(&mut self, from: &[f64], value: f64) -> (f64, Vec<f64>) {
        let i = self.index;
        let (lower, upper) = (self.problem.lower[i], self.problem.upper[i]);
        let mut start = from.to_vec();
        start[i] = value;
        (self.problem.lower[i], self.problem.upper[i]) = (value, value);
        self.problem.fixed[i] = true;
        let reach = Reach {
            fall: 1e-6,
            ..Reach::FULL
        };
        let end = descend(&self.problem, self.spectrum, &start, reach, &mut self.work);
        (self.problem.lower[i], self.problem.upper[i]) = (lower, upper);
        self.problem.fixed[i] = false;
        (end.total(), end.u)
    }
}
