//! The face of `pressopt_core::boundary_elements`.

use numpy::{IntoPyArray, PyArray2, PyArrayMethods, PyReadonlyArray2};
use pressopt_core::boundary_elements::{Boundary, Contact, Grid, Spots};
use pressopt_core::contact::{elastic_share, persson_share};
use pyo3::prelude::*;

use crate::boundary::{on_threads, refused};

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(rough_contact, module)?)?;
    module.add_function(wrap_pyfunction!(spot_currents, module)?)?;
    module.add_function(wrap_pyfunction!(elastic_contact_share, module)?)?;
    Ok(())
}

/// Pressures, gaps, shares in contact and flowing, iterations, convolutions, residual.
type PressedArrays<'py> = (
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray2<f64>>,
    f64,
    f64,
    usize,
    usize,
    f64,
);

#[pyfunction]
#[pyo3(signature = (
    heights_um, pixel_um, pressure_mpa, modulus_mpa, *,
    hardness_mpa=None, periodic=true, tolerance=1e-8, most_steps=2000, threads=None
))]
#[expect(clippy::too_many_arguments, reason = "keywords on the side of Python")]
fn rough_contact<'py>(
    py: Python<'py>,
    heights_um: PyReadonlyArray2<'py, f64>,
    pixel_um: f64,
    pressure_mpa: f64,
    modulus_mpa: f64,
    hardness_mpa: Option<f64>,
    periodic: bool,
    tolerance: f64,
    most_steps: usize,
    threads: Option<usize>,
) -> PyResult<PressedArrays<'py>> {
    let (grid, heights) = on_grid(&heights_um, pixel_um)?;
    let shape = grid.shape();
    let boundary = if periodic {
        Boundary::Periodic
    } else {
        Boundary::Free
    };
    let pressed = py
        .detach(|| {
            on_threads(threads, || {
                Contact::new(grid, boundary, heights, modulus_mpa, hardness_mpa)?.press(
                    pressure_mpa,
                    tolerance,
                    most_steps,
                )
            })
        })?
        .map_err(refused)?;
    Ok((
        pressed.pressure_mpa.into_pyarray(py).reshape(shape)?,
        pressed.gap_um.into_pyarray(py).reshape(shape)?,
        pressed.share,
        pressed.flowing,
        pressed.iterations,
        pressed.convolutions,
        pressed.residual,
    ))
}

#[pyfunction]
#[pyo3(signature = (
    touches, pixel_um, conductivity_s_cm, *,
    thickness_um=None, interface_ohm_cm2=0.0, tolerance=1e-6, most_steps=2000, threads=None
))]
#[expect(clippy::too_many_arguments, reason = "keywords on the side of Python")]
fn spot_currents<'py>(
    py: Python<'py>,
    touches: PyReadonlyArray2<'py, bool>,
    pixel_um: f64,
    conductivity_s_cm: f64,
    thickness_um: Option<f64>,
    interface_ohm_cm2: f64,
    tolerance: f64,
    most_steps: usize,
    threads: Option<usize>,
) -> PyResult<(Bound<'py, PyArray2<f64>>, f64, usize)> {
    let (grid, flags) = on_grid(&touches, pixel_um)?;
    let currents = py
        .detach(|| {
            on_threads(threads, || {
                Spots::new(
                    grid,
                    flags,
                    conductivity_s_cm,
                    thickness_um,
                    interface_ohm_cm2,
                )?
                .spread(tolerance, most_steps)
            })
        })?
        .map_err(refused)?;
    Ok((
        currents.relative.into_pyarray(py).reshape(grid.shape())?,
        currents.resistance_ohm_cm2,
        currents.iterations,
    ))
}

fn on_grid<T: numpy::Element + Copy>(
    field: &PyReadonlyArray2<'_, T>,
    pixel_um: f64,
) -> PyResult<(Grid, Vec<T>)> {
    let field = field.as_array();
    let grid = Grid::new(field.nrows(), field.ncols(), pixel_um).map_err(refused)?;
    Ok((grid, field.iter().copied().collect()))
}

#[pyfunction]
fn elastic_contact_share(
    pressure_mpa: f64,
    modulus_mpa: f64,
    rms_slope: f64,
    corrected: bool,
) -> f64 {
    let load = pressure_mpa / (modulus_mpa * rms_slope);
    if corrected {
        elastic_share(load)
    } else {
        persson_share(load)
    }
}
