//! Many protocols times many parameter draws: checked once, then evaluated on all cores without allocating.
//!
//! Each (draw, protocol) pair is one independent evaluation written to its own place, so results do not depend on
//! the number of threads.

use rayon::prelude::*;

use crate::parameters::Parameters;
use crate::protocol::{Measured, Model, Outcome, QUANTITIES, Step, Structure};
use crate::scalar::{Dual, Scalar};

/// Most stages of one protocol.
pub const MOST_STAGES: usize = 16;
/// Settings of one stage.
pub const STAGE_FIELDS: usize = 4;
/// Settings of the measurement.
pub const MEASURED_FIELDS: usize = 4;
/// Directions differentiated in one sweep.
const LANES: usize = 4;

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
        let mut wrong: Vec<String> = Vec::new();
        for (field, name) in machine.stage_fields().iter().enumerate() {
            let bad = settings.iter().enumerate().find(|(i, v)| {
                i % STAGE_FIELDS == field
                    && !match *name {
                        "temperature_c" => (-200.0..limit_c).contains(*v),
                        "dwell_s" => v.is_finite() && **v >= 0.0,
                        "passes" => (1.0..=1000.0).contains(*v) && v.fract() == 0.0,
                        _ => v.is_finite() && **v > 0.0,
                    }
            });
            if let Some((i, value)) = bad {
                let stage = i / STAGE_FIELDS;
                wrong.push(format!(
                    "{name}: {value} (protocol {}, stage {}) is not allowed, give {}",
                    stage / stages,
                    stage % stages,
                    allowed(name, limit_c)
                ));
            }
        }
        for (field, name) in MEASURED_NAMES.iter().enumerate() {
            let bad = measured.iter().enumerate().find(|(i, v)| {
                i % MEASURED_FIELDS == field
                    && !match *name {
                        "measure_at_c" => (-200.0..limit_c).contains(*v),
                        "release_mpa_s" => v.is_finite() && **v > 0.0,
                        _ => v.is_finite() && **v >= 0.0,
                    }
            });
            if let Some((i, value)) = bad {
                wrong.push(format!(
                    "{name}: {value} (protocol {}) is not allowed, give {}",
                    i / MEASURED_FIELDS,
                    allowed(name, limit_c)
                ));
            }
        }
        if wrong.is_empty() {
            Ok(Self {
                machine,
                stages,
                settings,
                measured,
            })
        } else {
            Err(wrong.join("; "))
        }
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

    /// Evaluates one protocol; `lift` turns the setting with the given index into a number to compute with.
    fn evaluate<S: Scalar>(
        &self,
        model: &Model,
        index: usize,
        lift: impl Fn(usize, f64) -> S,
    ) -> Outcome<S> {
        let width = self.stages * STAGE_FIELDS;
        let row = &self.settings[index * width..(index + 1) * width];
        let nothing = Step {
            load: S::of(0.0),
            rate: S::of(0.0),
            span: S::of(0.0),
            temperature_c: S::of(0.0),
        };
        let mut steps = [nothing; MOST_STAGES];
        for (stage, step) in steps[..self.stages].iter_mut().enumerate() {
            let at = |field: usize| {
                lift(
                    stage * STAGE_FIELDS + field,
                    row[stage * STAGE_FIELDS + field],
                )
            };
            *step = Step {
                load: at(0),
                rate: at(1),
                span: at(2),
                temperature_c: at(3),
            };
        }
        let last = &self.measured[index * MEASURED_FIELDS..(index + 1) * MEASURED_FIELDS];
        let at = |field: usize| lift(width + field, last[field]);
        let measured = Measured {
            pressure_mpa: at(0),
            temperature_c: at(1),
            settle_s: at(2),
            release_mpa_s: at(3),
        };
        match self.machine {
            Machine::Platen => model.pressed(&steps[..self.stages], &measured),
            Machine::Roll => model.rolled(&steps[..self.stages], &measured),
        }
    }
}

fn allowed(name: &str, limit_c: f64) -> String {
    match name {
        "temperature_c" | "measure_at_c" => {
            format!("-200 °C to below the melting point of the metal, {limit_c} °C")
        }
        "dwell_s" | "measure_at_mpa" | "settle_s" => "a finite number, zero or above".to_owned(),
        "passes" => "a whole number from 1 to 1000".to_owned(),
        _ => "a finite number above zero".to_owned(),
    }
}

/// One model per row of `values` (rows of `parameters::NAMES.len()` numbers).
///
/// # Errors
/// The first draw that is not allowed, with all its values that are not.
pub fn models(structure: Structure, values: &[f64]) -> Result<Vec<Model>, String> {
    values
        .chunks(crate::parameters::NAMES.len())
        .enumerate()
        .map(|(draw, row)| {
            let p =
                Parameters::new(row).map_err(|wrong| format!("parameter draw {draw}: {wrong}"))?;
            Ok(Model::new(structure, p))
        })
        .collect()
}

/// Outcomes for every draw and protocol: flat, draw by draw, protocol by protocol, quantity by quantity.
#[must_use]
pub fn outcomes(models: &[Model], protocols: &Protocols) -> Vec<f64> {
    let count = protocols.len();
    let mut all = vec![0.0; models.len() * count * QUANTITIES.len()];
    all.par_chunks_mut(QUANTITIES.len())
        .with_min_len(64)
        .enumerate()
        .for_each(|(i, place)| {
            place.copy_from_slice(&protocols.evaluate(
                &models[i / count],
                i % count,
                |_, value| value,
            ));
        });
    all
}

/// Exact derivatives of every outcome by every setting: flat, protocol by quantity by variable.
#[must_use]
pub fn gradients(model: &Model, protocols: &Protocols) -> Vec<f64> {
    let variables = protocols.variables();
    let mut all = vec![0.0; protocols.len() * QUANTITIES.len() * variables];
    all.par_chunks_mut(QUANTITIES.len() * variables)
        .with_min_len(16)
        .enumerate()
        .for_each(|(i, place)| {
            for first in (0..variables).step_by(LANES) {
                let lanes = LANES.min(variables - first);
                let outcome = protocols.evaluate(model, i, |at, value| {
                    if (first..first + lanes).contains(&at) {
                        Dual::<LANES>::variable(value, at - first)
                    } else {
                        Dual::of(value)
                    }
                });
                for (row, dual) in place.chunks_mut(variables).zip(&outcome) {
                    row[first..first + lanes].copy_from_slice(&dual.slope[..lanes]);
                }
            }
        });
    all
}
