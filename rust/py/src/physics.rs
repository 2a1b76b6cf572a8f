//! The face of `pressopt_core::batch`: protocols and parameter draws in, outcomes out.

use numpy::{IntoPyArray, PyArray3, PyArrayMethods, PyReadonlyArray2, PyReadonlyArray3};
use pressopt_core::batch::{self, Machine, Protocols};
use pressopt_core::parameters;
use pressopt_core::protocol::{QUANTITIES, Structure};
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
    #[pyo3(signature = (*, lamination, rolled, formation, interfaces, melting_c))]
    fn new(
        lamination: bool,
        rolled: bool,
        formation: bool,
        interfaces: u32,
        melting_c: f64,
    ) -> Self {
        let machine = if rolled {
            Machine::Roll
        } else {
            Machine::Platen
        };
        let structure = Structure {
            lamination,
            formation,
            interfaces,
        };
        Self {
            structure,
            machine,
            melting_c,
        }
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
    let settings = stages.as_array().iter().copied().collect();
    let last = measured.as_array().iter().copied().collect();
    Protocols::new(kind.machine, shape[1], settings, last, kind.melting_c).map_err(refused)
}

fn shaped(
    values: Vec<f64>,
    shape: [usize; 3],
    py: Python<'_>,
) -> PyResult<Bound<'_, PyArray3<f64>>> {
    values.into_pyarray(py).reshape(shape)
}

/// Outcomes, shape (draws, n, quantities).
#[pyfunction]
#[pyo3(signature = (kind, parameters, stages, measured, *, threads=None))]
fn predict_outcomes<'py>(
    py: Python<'py>,
    kind: CellKind,
    parameters: PyReadonlyArray2<'py, f64>,
    stages: PyReadonlyArray3<'py, f64>,
    measured: PyReadonlyArray2<'py, f64>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let protocols = protocols(kind, &stages, &measured)?;
    let draws = parameters.as_array().shape()[0];
    let values: Vec<f64> = parameters.as_array().iter().copied().collect();
    let models = batch::models(kind.structure, &values).map_err(refused)?;
    if models.len() != draws {
        return Err(refused(format!(
            "parameters must have shape (draws, {})",
            parameters::NAMES.len()
        )));
    }
    let all = py.detach(|| on_threads(threads, || batch::outcomes(&models, &protocols)))?;
    shaped(all, [draws, protocols.len(), QUANTITIES.len()], py)
}

/// Exact derivatives by every setting, shape (n, quantities, stages x 4 + 4), for one parameter draw.
#[pyfunction]
fn outcome_gradients<'py>(
    py: Python<'py>,
    kind: CellKind,
    parameters: PyReadonlyArray2<'py, f64>,
    stages: PyReadonlyArray3<'py, f64>,
    measured: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let protocols = protocols(kind, &stages, &measured)?;
    let values: Vec<f64> = parameters.as_array().iter().copied().collect();
    let models = batch::models(kind.structure, &values).map_err(refused)?;
    let [model] = models.as_slice() else {
        return Err(refused("gradients take exactly one parameter draw"));
    };
    let all = py.detach(|| batch::gradients(model, &protocols));
    shaped(
        all,
        [protocols.len(), QUANTITIES.len(), protocols.variables()],
        py,
    )
}

/// Names of the parameters, in the order of the columns that `predict_outcomes` takes.
#[pyfunction]
fn physics_parameters() -> Vec<&'static str> {
    parameters::NAMES.to_vec()
}

/// Names of the outcomes, in the order of `predict_outcomes`.
#[pyfunction]
fn physics_quantities() -> Vec<&'static str> {
    QUANTITIES.to_vec()
}

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CellKind>()?;
    module.add_function(wrap_pyfunction!(predict_outcomes, module)?)?;
    module.add_function(wrap_pyfunction!(outcome_gradients, module)?)?;
    module.add_function(wrap_pyfunction!(physics_parameters, module)?)?;
    module.add_function(wrap_pyfunction!(physics_quantities, module)?)?;
    Ok(())
}
