//! Many protocols times many parameter draws: checked once, then evaluated on all cores without allocating.
//!
//! Each (draw, protocol) pair is one independent evaluation written to its own place, so results do not depend on
//! the number of threads. Platen protocols are evaluated [`lanes::WIDTH`] at a time.

use rayon::prelude::*;

use crate::lanes::{self, Lanes};
use crate::measured::{ELEMENTS, QUALITIES, Qualities, Ready};
use crate::parameters::{NAMES, Parameters};
use crate::protocol::{Layers, Measured, Model, Step, Structure};
use crate::scalar::{Dual, Scalar, Single};

/// Most stages of one protocol.
pub const MOST_STAGES: usize = 16;
/// Settings of one stage.
pub const STAGE_FIELDS: usize = 4;
/// Settings of the measurement.
pub const MEASURED_FIELDS: usize = 4;
/// Directions differentiated in one sweep.
const DIRECTIONS: usize = 4;
/// Pairs of draw and protocol that one task evaluates.
const TASK: usize = 32 * lanes::WIDTH;

/// Whether stages are platen stages or passes through rolls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Ramp and hold.
    Platen,
    /// Nip of two rolls.
    Roll,
}

impl Machine {
    /// Names of the settings of one stage, in order.
    #[must_use]
    pub fn stage_fields(self) -> [&'static str; STAGE_FIELDS] {
        match self {
            Self::Platen => ["pressure_mpa", "ramp_mpa_s", "dwell_s", "temperature_c"],
            Self::Roll => ["line_force_n_mm", "speed_mm_s", "passes", "temperature_c"],
        }
    }
}

/// Names of the settings of the measurement, in order.
pub const MEASURED_NAMES: [&str; MEASURED_FIELDS] = [
    "measure_at_mpa",
    "measure_at_c",
    "settle_s",
    "release_mpa_s",
];

/// Protocols in flat arrays, checked.
#[derive(Clone, Debug)]
pub struct Protocols {
    machine: Machine,
    stages: usize,
    /// Row per protocol: stage settings, stage by stage.
    settings: Vec<f64>,
    /// Row per protocol.
    measured: Vec<f64>,
}

impl Protocols {
    /// `settings` holds `count x stages x 4` values, `measured` `count x 4`; `limit_c` is the melting point.
    ///
    /// # Errors
    /// The first value of each setting that is not allowed, named with its protocol and stage.
    pub fn new(
        machine: Machine,
        stages: usize,
        settings: Vec<f64>,
        measured: Vec<f64>,
        limit_c: f64,
    ) -> Result<Self, String> {
        if stages == 0 || stages > MOST_STAGES {
            return Err(format!(
                "stages: {stages} are not allowed, give 1 to {MOST_STAGES}"
            ));
        }
        if settings.len() % (stages * STAGE_FIELDS) != 0
            || settings.len() / (stages * STAGE_FIELDS) * MEASURED_FIELDS != measured.len()
        {
            return Err(
                "stages and measurement do not have the same number of protocols".to_owned(),
            );
        }
        let (of_stage, of_measurement) = (
            machine.stage_fields().map(|name| Range::of(name, limit_c)),
            MEASURED_NAMES.map(|name| Range::of(name, limit_c)),
        );
        // Nearly always all is well: that is seen in one pass.
        if !(all_hold(&settings, &of_stage) && all_hold(&measured, &of_measurement)) {
            let mut wrong = refusals(&settings, &of_stage, |row| {
                format!("protocol {}, stage {}", row / stages, row % stages)
            });
            wrong.extend(refusals(&measured, &of_measurement, |row| {
                format!("protocol {row}")
            }));
            return Err(wrong.join("; "));
        }
        Ok(Self {
            machine,
            stages,
            settings,
            measured,
        })
    }

    /// Number of protocols.
    #[must_use]
    pub fn len(&self) -> usize {
        self.measured.len() / MEASURED_FIELDS
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.measured.is_empty()
    }

    /// Settings differentiated by [`gradients`]: all of all stages, then those of the measurement.
    #[must_use]
    pub fn variables(&self) -> usize {
        self.stages * STAGE_FIELDS + MEASURED_FIELDS
    }

    /// Settings of one protocol, stage by stage, then of its measurement.
    #[inline(always)]
    fn row(&self, index: usize) -> (&[f64], &[f64]) {
        let width = self.stages * STAGE_FIELDS;
        (
            &self.settings[index * width..(index + 1) * width],
            &self.measured[index * MEASURED_FIELDS..(index + 1) * MEASURED_FIELDS],
        )
    }

    /// Steps and measurement, each setting asked from `setting` by its index (see [`Self::variables`]).
    #[inline(always)]
    fn steps<S: Scalar>(
        &self,
        setting: impl Fn(usize) -> S,
    ) -> ([Step<S>; MOST_STAGES], Measured<S>) {
        let zero = S::of(0.0);
        let nothing = Step {
            load: zero,
            rate: zero,
            span: zero,
            temperature_c: zero,
        };
        let mut steps = [nothing; MOST_STAGES];
        for (stage, step) in steps[..self.stages].iter_mut().enumerate() {
            let at = |field: usize| setting(stage * STAGE_FIELDS + field);
            *step = Step {
                load: at(0),
                rate: at(1),
                span: at(2),
                temperature_c: at(3),
            };
        }
        let at = |field: usize| setting(self.stages * STAGE_FIELDS + field);
        let measured = Measured {
            pressure_mpa: at(0),
            temperature_c: at(1),
            settle_s: at(2),
            release_mpa_s: at(3),
        };
        (steps, measured)
    }

    /// The cell after one protocol, `lift` turning each setting into a number to compute with.
    fn ready<S: Single>(
        &self,
        model: &Model<S>,
        index: usize,
        lift: impl Fn(usize, f64) -> S,
    ) -> Ready<S> {
        let (stages, last) = self.row(index);
        let (steps, measured) = self.steps(|at| {
            let value = stages.get(at).or_else(|| last.get(at - stages.len()));
            lift(at, value.copied().unwrap_or(f64::NAN))
        });
        match self.machine {
            Machine::Platen => model.pressed(&steps[..self.stages], &measured),
            Machine::Roll => model.rolled(&steps[..self.stages], &measured),
        }
    }
}

/// What a setting may be: from `least` to below `end`, and whole where it counts something.
#[derive(Clone, Copy)]
struct Range {
    name: &'static str,
    least: f64,
    end: f64,
    whole: bool,
}

impl Range {
    fn of(name: &'static str, limit_c: f64) -> Self {
        let (least, end) = match name {
            "temperature_c" | "measure_at_c" => (-200.0, limit_c),
            "dwell_s" | "measure_at_mpa" | "settle_s" => (0.0, f64::INFINITY),
            "passes" => (1.0, 1001.0),
            _ => (f64::from_bits(1), f64::INFINITY),
        };
        let whole = name == "passes";
        Self {
            name,
            least,
            end,
            whole,
        }
    }

    /// Whether `value` is allowed; NaN never is.
    #[inline(always)]
    fn holds(&self, value: f64) -> bool {
        (self.least <= value) & (value < self.end) & (!self.whole || value.fract() == 0.0)
    }

    /// What is allowed, in words.
    fn words(&self) -> String {
        match self.name {
            "temperature_c" | "measure_at_c" => format!(
                "-200 °C to below the melting point of the metal, {} °C",
                self.end
            ),
            "passes" => "a whole number from 1 to 1000".to_owned(),
            _ if self.least == 0.0 => "a finite number, zero or above".to_owned(),
            _ => "a finite number above zero".to_owned(),
        }
    }
}

/// Whether every row of `values` is allowed.
fn all_hold<const N: usize>(values: &[f64], ranges: &[Range; N]) -> bool {
    values.chunks_exact(N).all(|row| {
        let mut fine = true;
        for (value, range) in row.iter().zip(ranges) {
            fine &= range.holds(*value);
        }
        fine
    })
}

/// The first value of each setting that is not allowed, with its place.
fn refusals<const N: usize>(
    values: &[f64],
    ranges: &[Range; N],
    place: impl Fn(usize) -> String,
) -> Vec<String> {
    ranges
        .iter()
        .enumerate()
        .filter_map(|(field, range)| {
            let column = values.iter().skip(field).step_by(N);
            let (row, value) = column.enumerate().find(|(_, v)| !range.holds(**v))?;
            let (name, place, words) = (range.name, place(row), range.words());
            Some(format!(
                "{name}: {value} ({place}) is not allowed, give {words}"
            ))
        })
        .collect()
}

/// Parameter draws of one kind of cell, checked.
#[derive(Clone, Debug)]
pub struct Draws {
    structure: Structure,
    /// Row per draw.
    values: Vec<f64>,
}

impl Draws {
    /// `values` holds rows of `parameters::NAMES.len()` numbers.
    ///
    /// # Errors
    /// The first draw that is not allowed, with all its values that are not; draws with and without the same layer.
    pub fn new(structure: Structure, values: Vec<f64>) -> Result<Self, String> {
        let mut structure = structure;
        for (draw, row) in values.chunks(NAMES.len()).enumerate() {
            let p =
                Parameters::new(row).map_err(|wrong| format!("parameter draw {draw}: {wrong}"))?;
            let layers = Layers::of(&p);
            if draw > 0 && layers != structure.layers {
                return Err(format!(
                    "parameter draw {draw}: interlayer_um, collector_faces, back_faces or composite_um is zero here and \
                     not in the draws before (or the other way round): give all draws the same layers"
                ));
            }
            structure.layers = layers;
        }
        Ok(Self { structure, values })
    }

    /// Number of draws.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / NAMES.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    #[inline(always)]
    fn row(&self, draw: usize) -> &[f64] {
        &self.values[draw * NAMES.len()..(draw + 1) * NAMES.len()]
    }

    /// One draw in each lane.
    #[inline(always)]
    fn lanes(&self, draw: [usize; lanes::WIDTH]) -> Model<Lanes> {
        let rows: [_; lanes::WIDTH] = std::array::from_fn(|lane| self.row(draw[lane]));
        let p = Parameters::from_index(|k| Lanes(std::array::from_fn(|lane| rows[lane][k])));
        Model::new(self.structure, p)
    }

    /// One draw, `lift` turning each parameter into a number to compute with.
    fn model<S: Scalar>(&self, draw: usize, lift: impl Fn(usize, f64) -> S) -> Model<S> {
        let row = self.row(draw);
        let p = Parameters::from_index(|index| lift(index, row[index]));
        Model::new(self.structure, p)
    }
}

/// What is written of a cell that is ready: `N` numbers.
trait Report<const N: usize>: Copy + Send + Sync {
    fn of<S: Scalar>(self, model: &Model<S>, ready: &Ready<S>) -> [S; N];
}

#[derive(Clone, Copy)]
struct OfQualities;
impl Report<{ QUALITIES.len() }> for OfQualities {
    #[inline(always)]
    fn of<S: Scalar>(self, model: &Model<S>, ready: &Ready<S>) -> Qualities<S> {
        model.qualities(ready)
    }
}

#[derive(Clone, Copy)]
struct OfElements;
impl Report<{ ELEMENTS.len() }> for OfElements {
    #[inline(always)]
    fn of<S: Scalar>(self, model: &Model<S>, ready: &Ready<S>) -> [S; ELEMENTS.len()] {
        model.elements(ready)
    }
}

/// Reports of the pairs `first..` into `places`, one column per number; nothing is allocated.
fn fill<const N: usize>(
    draws: &Draws,
    protocols: &Protocols,
    first: usize,
    places: &mut [&mut [f64]; N],
    report: impl Report<N>,
) {
    let count = protocols.len();
    let here = places[0].len();
    if protocols.machine == Machine::Roll {
        // The nip is found by iteration, one at a time.
        for i in 0..here {
            let (draw, index) = ((first + i) / count, (first + i) % count);
            let model = draws.model(draw, |_, value| value);
            let found = report.of(&model, &protocols.ready(&model, index, |_, value| value));
            for (place, value) in places.iter_mut().zip(found) {
                place[i] = value;
            }
        }
        return;
    }
    // Compiled for the vector units of this machine; the arithmetic is the same on all.
    pulp::Arch::new().dispatch(OnLanes {
        draws,
        protocols,
        first,
        places,
        report,
    });
}

/// Arguments of [`fill`], to be inlined as a whole where vector units are known.
struct OnLanes<'a, 'b, const N: usize, R> {
    draws: &'a Draws,
    protocols: &'a Protocols,
    first: usize,
    places: &'a mut [&'b mut [f64]; N],
    report: R,
}

impl<const N: usize, R: Report<N>> pulp::WithSimd for OnLanes<'_, '_, N, R> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        fill_lanes(
            self.draws,
            self.protocols,
            self.first,
            self.places,
            self.report,
        );
    }
}

/// [`fill`] for platen protocols, [`lanes::WIDTH`] at a time.
#[inline(always)]
fn fill_lanes<const N: usize>(
    draws: &Draws,
    protocols: &Protocols,
    first: usize,
    places: &mut [&mut [f64]; N],
    report: impl Report<N>,
) {
    let count = protocols.len();
    let here = places[0].len();
    let mut prepared = draws.lanes(std::array::from_fn(|_| first / count));
    let mut of_draw = Some(first / count);
    for start in (0..here).step_by(lanes::WIDTH) {
        // A last group that is not full repeats its last pair.
        let pair = |lane: usize| first + (start + lane).min(here - 1);
        let (lowest, highest) = (pair(0) / count, pair(lanes::WIDTH - 1) / count);
        if lowest != highest || of_draw != Some(lowest) {
            prepared = draws.lanes(std::array::from_fn(|lane| pair(lane) / count));
            of_draw = (lowest == highest).then_some(lowest);
        }
        let model = &prepared;
        let rows: [_; lanes::WIDTH] = std::array::from_fn(|lane| protocols.row(pair(lane) % count));
        let (steps, measured) = protocols.steps(|at| {
            let width = rows[0].0.len();
            Lanes(std::array::from_fn(|lane| {
                if at < width {
                    rows[lane].0[at]
                } else {
                    rows[lane].1[at - width]
                }
            }))
        });
        let ready = model.pressed(&steps[..protocols.stages], &measured);
        let found = report.of(model, &ready);
        let used = lanes::WIDTH.min(here - start);
        for (place, value) in places.iter_mut().zip(&found) {
            place[start..start + used].copy_from_slice(&value.0[..used]);
        }
    }
}

/// Reports of all pairs on all cores: flat, number by number, draw by draw, protocol by protocol.
fn all<const N: usize>(draws: &Draws, protocols: &Protocols, report: impl Report<N>) -> Vec<f64> {
    let total = draws.len() * protocols.len();
    let mut values = vec![0.0; N * total];
    if total == 0 {
        return values;
    }
    let mut columns: Vec<_> = values
        .chunks_mut(total)
        .map(|column| column.chunks_mut(TASK))
        .collect();
    let mut tasks: Vec<[&mut [f64]; N]> = (0..total.div_ceil(TASK))
        .map(|_| std::array::from_fn(|k| columns[k].next().unwrap_or_default()))
        .collect();
    tasks
        .par_iter_mut()
        .enumerate()
        .for_each(|(task, places)| fill(draws, protocols, task * TASK, places, report));
    values
}

/// Qualities of the pairs `first..` (flat: draw by draw, protocol by protocol) into one column each.
///
/// For callers who stream: nothing is allocated here.
pub fn qualities_into(
    draws: &Draws,
    protocols: &Protocols,
    first: usize,
    places: &mut [&mut [f64]; QUALITIES.len()],
) {
    fill(draws, protocols, first, places, OfQualities);
}

/// Qualities for every draw and protocol: flat, quality by quality, draw by draw, protocol by protocol.
#[must_use]
pub fn qualities(draws: &Draws, protocols: &Protocols) -> Vec<f64> {
    all(draws, protocols, OfQualities)
}

/// Elements for every draw and protocol: flat, element by element, draw by draw, protocol by protocol.
#[must_use]
pub fn elements(draws: &Draws, protocols: &Protocols) -> Vec<f64> {
    all(draws, protocols, OfElements)
}

/// Exact derivatives of every quality of draw 0 by every setting: flat, protocol by quality by variable.
#[must_use]
pub fn setting_gradients(draws: &Draws, protocols: &Protocols) -> Vec<f64> {
    let variables = protocols.variables();
    let model = draws.model(0, |_, value| Dual::<DIRECTIONS>::of(value));
    let mut found = vec![0.0; protocols.len() * QUALITIES.len() * variables];
    found
        .par_chunks_mut(QUALITIES.len() * variables)
        .with_min_len(16)
        .enumerate()
        .for_each(|(i, place)| {
            for first in (0..variables).step_by(DIRECTIONS) {
                let ready = protocols.ready(&model, i, |at, value| {
                    Dual::variable(value, at.wrapping_sub(first))
                });
                store(place, variables, first, &model.qualities(&ready));
            }
        });
    found
}

/// Exact derivatives of every quality by the parameters `by` (indices): flat, draw by protocol by quality by parameter.
#[must_use]
pub fn parameter_gradients(draws: &Draws, protocols: &Protocols, by: &[usize]) -> Vec<f64> {
    let count = protocols.len();
    let mut found = vec![0.0; draws.len() * count * QUALITIES.len() * by.len()];
    if found.is_empty() {
        return found;
    }
    found
        .par_chunks_mut(QUALITIES.len() * by.len())
        .with_min_len(16)
        .enumerate()
        .for_each(|(i, place)| {
            for first in (0..by.len()).step_by(DIRECTIONS) {
                let here = &by[first..by.len().min(first + DIRECTIONS)];
                let model = draws.model(i / count, |index, value| {
                    match here.iter().position(|wanted| *wanted == index) {
                        Some(direction) => Dual::<DIRECTIONS>::variable(value, direction),
                        None => Dual::of(value),
                    }
                });
                let ready = protocols.ready(&model, i % count, |_, value| Dual::of(value));
                store(place, by.len(), first, &model.qualities(&ready));
            }
        });
    found
}

/// Slopes of one sweep into rows of `width`, from column `first` on.
fn store(place: &mut [f64], width: usize, first: usize, found: &Qualities<Dual<DIRECTIONS>>) {
    let used = DIRECTIONS.min(width - first);
    for (row, dual) in place.chunks_mut(width).zip(found) {
        row[first..first + used].copy_from_slice(&dual.slope[..used]);
    }
}
