//! The face of `pressopt_core::batch` and `spectrum`: protocols and parameter draws in, qualities and elements out.

use numpy::ndarray::Dimension;
use numpy::{
    IntoPyArray, PyArray3, PyArray4, PyArrayMethods, PyReadonlyArray, PyReadonlyArray1,
    PyReadonlyArray2, PyReadonlyArray3,
};
use pressopt_core::batch::{self, Draws, Machine, Protocols};
use pressopt_core::compaction::{self, Law};
use pressopt_core::measured::{ELEMENTS, QUALITIES};
use pressopt_core::parameters;
use pressopt_core::protocol::{Layers, Structure};
use pressopt_core::spectrum;
use pyo3::prelude::*;

use crate::boundary::{on_threads, refused};

/// What kind of cell is pressed, by what; decides which parameters and settings mean what.
#[pyclass(frozen, from_py_object, module = "pressopt._core")]
#[derive(Clone, Copy)]
struct CellKind {
    structure: Structure,
    machine: Machine,
    melting_c: f64,
}

#[pymethods]
impl CellKind {
    #[new]
    #[pyo3(signature = (
        *, lamination, rolled, formation, interfaces, melting_c, compaction="heckel", composite_compaction="heckel"
    ))]
    fn new(
        lamination: bool,
        rolled: bool,
        formation: bool,
        interfaces: u32,
        melting_c: f64,
        compaction: &str,
        composite_compaction: &str,
    ) -> PyResult<Self> {
        let machine = if rolled {
            Machine::Roll
        } else {
            Machine::Platen
        };
        let structure = Structure {
            lamination,
            formation,
            interfaces,
            law: law("compaction", compaction)?,
            composite_law: law("composite_compaction", composite_compaction)?,
            layers: Layers::default(), // what the parameters say
        };
        Ok(Self {
            structure,
            machine,
            melting_c,
        })
    }
}

/// A law of compaction by its name.
fn law(setting: &str, name: &str) -> PyResult<Law> {
    match name {
        "heckel" => Ok(Law::Heckel),
        "kawakita" => Ok(Law::Kawakita),
        "panelli-ambrosio" => Ok(Law::PanelliAmbrosio),
        _ => Err(refused(format!(
            "{setting}: {name} is not allowed, give heckel, kawakita or panelli-ambrosio"
        ))),
    }
}

fn protocols(
    kind: CellKind,
    stages: &PyReadonlyArray3<'_, f64>,
    measured: &PyReadonlyArray2<'_, f64>,
) -> PyResult<Protocols> {
    let shape = stages.as_array().shape().to_vec();
    if shape[2] != batch::STAGE_FIELDS
        || measured.as_array().shape() != [shape[0], batch::MEASURED_FIELDS]
    {
        return Err(refused(format!(
            "stages must have shape (n, s, {}) and measured (n, {})",
            batch::STAGE_FIELDS,
            batch::MEASURED_FIELDS
        )));
    }
    // Copied: without the GIL another thread may write into the NumPy buffer.
    let settings = copied(stages);
    let last = copied(measured);
    Protocols::new(kind.machine, shape[1], settings, last, kind.melting_c).map_err(refused)
}

fn draws(kind: CellKind, values: &PyReadonlyArray2<'_, f64>) -> PyResult<Draws> {
    if values.as_array().shape()[1] != parameters::NAMES.len() {
        return Err(refused(format!(
            "parameters must have shape (draws, {})",
            parameters::NAMES.len()
        )));
    }
    // Copied, as the settings are.
    Draws::new(kind.structure, copied(values)).map_err(refused)
}

/// All numbers of an array, row by row: as one piece where they lie so.
fn copied<D: Dimension>(values: &PyReadonlyArray<'_, f64, D>) -> Vec<f64> {
    match values.as_slice() {
        Ok(piece) => piece.to_vec(),
        Err(_) => values.as_array().iter().copied().collect(),
    }
}

/// Draws and protocols of one call, both checked.
fn asked(
    kind: CellKind,
    parameters: &PyReadonlyArray2<'_, f64>,
    stages: &PyReadonlyArray3<'_, f64>,
    measured: &PyReadonlyArray2<'_, f64>,
) -> PyResult<(Draws, Protocols)> {
    Ok((draws(kind, parameters)?, protocols(kind, stages, measured)?))
}

/// One of the core's answers to draws and protocols, flat.
type Report = fn(&Draws, &Protocols) -> Vec<f64>;

/// Numbers of every draw and protocol, shape (numbers, draws, n), by one of the core's reports.
fn reported<'py>(
    py: Python<'py>,
    asked: (Draws, Protocols),
    threads: Option<usize>,
    (numbers, report): (usize, Report),
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let (draws, protocols) = asked;
    let all = py.detach(|| on_threads(threads, || report(&draws, &protocols)))?;
    all.into_pyarray(py)
        .reshape([numbers, draws.len(), protocols.len()])
}

/// Qualities, shape (qualities, draws, n).
#[pyfunction]
#[pyo3(signature = (kind, parameters, stages, measured, *, threads=None))]
fn predict_qualities<'py>(
    py: Python<'py>,
    kind: CellKind,
    parameters: PyReadonlyArray2<'py, f64>,
    stages: PyReadonlyArray3<'py, f64>,
    measured: PyReadonlyArray2<'py, f64>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let asked = asked(kind, &parameters, &stages, &measured)?;
    reported(py, asked, threads, (QUALITIES.len(), batch::qualities))
}

/// Elements behind them, shape (elements, draws, n).
#[pyfunction]
#[pyo3(signature = (kind, parameters, stages, measured, *, threads=None))]
fn predict_elements<'py>(
    py: Python<'py>,
    kind: CellKind,
    parameters: PyReadonlyArray2<'py, f64>,
    stages: PyReadonlyArray3<'py, f64>,
    measured: PyReadonlyArray2<'py, f64>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let asked = asked(kind, &parameters, &stages, &measured)?;
    reported(py, asked, threads, (ELEMENTS.len(), batch::elements))
}

/// Spectra from elements of shape (elements, draws, n): real and imaginary part of the cell, then of one interface,
/// shape (4, draws, n, frequencies), Ω cm².
#[pyfunction]
fn element_spectra<'py>(
    py: Python<'py>,
    kind: CellKind,
    elements: PyReadonlyArray3<'py, f64>,
    frequency_hz: PyReadonlyArray1<'py, f64>,
) -> PyResult<Bound<'py, PyArray4<f64>>> {
    let shape = elements.as_array().shape().to_vec();
    if shape[0] != ELEMENTS.len() {
        return Err(refused(format!(
            "elements must have shape ({}, draws, n)",
            ELEMENTS.len()
        )));
    }
    let (columns, frequency) = (copied(&elements), copied(&frequency_hz));
    let interfaces = kind.structure.interfaces;
    let parts = py.detach(|| spectrum::spectra(&columns, interfaces, &frequency).concat());
    parts
        .into_pyarray(py)
        .reshape([4, shape[1], shape[2], frequency.len()])
}

/// Exact derivatives by every setting, shape (n, qualities, stages x 4 + 4), for one parameter draw.
#[pyfunction]
fn setting_gradients<'py>(
    py: Python<'py>,
    kind: CellKind,
    parameters: PyReadonlyArray2<'py, f64>,
    stages: PyReadonlyArray3<'py, f64>,
    measured: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let (draws, protocols) = asked(kind, &parameters, &stages, &measured)?;
    if draws.len() != 1 {
        return Err(refused("gradients take exactly one parameter draw"));
    }
    let all = py.detach(|| batch::setting_gradients(&draws, &protocols));
    all.into_pyarray(py)
        .reshape([protocols.len(), QUALITIES.len(), protocols.variables()])
}

/// Exact derivatives by the parameters with the indices `by`, shape (draws, n, qualities, len(by)).
#[pyfunction]
fn parameter_gradients<'py>(
    py: Python<'py>,
    kind: CellKind,
    parameters: PyReadonlyArray2<'py, f64>,
    stages: PyReadonlyArray3<'py, f64>,
    measured: PyReadonlyArray2<'py, f64>,
    by: Vec<usize>,
) -> PyResult<Bound<'py, PyArray4<f64>>> {
    let (draws, protocols) = asked(kind, &parameters, &stages, &measured)?;
    let all = py.detach(|| batch::parameter_gradients(&draws, &protocols, &by));
    all.into_pyarray(py)
        .reshape([draws.len(), protocols.len(), QUALITIES.len(), by.len()])
}

/// How many times more pressure a powder takes with this share of hard particles in its solid.
#[pyfunction]
fn hardened_by(hard_share: f64) -> f64 {
    compaction::hardened_by(hard_share)
}

/// Names of the parameters, in the order of the columns that `predict_qualities` takes.
#[pyfunction]
fn physics_parameters() -> Vec<&'static str> {
    parameters::NAMES.to_vec()
}

/// Names of the qualities, in the order of `predict_qualities`.
#[pyfunction]
fn physics_qualities() -> Vec<&'static str> {
    QUALITIES.to_vec()
}

/// Names of the elements, in the order of `predict_elements`.
#[pyfunction]
fn physics_elements() -> Vec<&'static str> {
    ELEMENTS.to_vec()
}

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CellKind>()?;
    module.add_function(wrap_pyfunction!(predict_qualities, module)?)?;
    module.add_function(wrap_pyfunction!(predict_elements, module)?)?;
    module.add_function(wrap_pyfunction!(element_spectra, module)?)?;
    module.add_function(wrap_pyfunction!(setting_gradients, module)?)?;
    module.add_function(wrap_pyfunction!(parameter_gradients, module)?)?;
    module.add_function(wrap_pyfunction!(hardened_by, module)?)?;
    module.add_function(wrap_pyfunction!(physics_parameters, module)?)?;
    module.add_function(wrap_pyfunction!(physics_qualities, module)?)?;
    module.add_function(wrap_pyfunction!(physics_elements, module)?)?;
    Ok(())
}
