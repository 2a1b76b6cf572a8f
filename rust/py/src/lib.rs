//! `pressopt._core`: the one door between Python and the numerics. No arithmetic in here.

use pyo3::prelude::*;

mod boundary;
mod boundary_elements;
mod circuit;
mod gp;
mod physics;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    physics::register(module)?;
    boundary_elements::register(module)?;
    gp::register(module)?;
    circuit::register(module)?;
    Ok(())
}
