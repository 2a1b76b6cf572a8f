//! The face of `pressopt_core::circuit`.

use numpy::{
    Complex64, IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
};
use pressopt_core::circuit::complex::Complex;
use pressopt_core::circuit::{
    Circuit, CircuitError, Fit, Problem, Rise, Spectrum, check_consistency, distribution, fit,
    fit_many, profile, z_hit,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::boundary::refused;

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(circuit_parameters, module)?)?;
    module.add_function(wrap_pyfunction!(circuit_impedance, module)?)?;
    module.add_function(wrap_pyfunction!(circuit_jacobian, module)?)?;
    module.add_function(wrap_pyfunction!(circuit_fit, module)?)?;
    module.add_function(wrap_pyfunction!(circuit_fit_many, module)?)?;
    module.add_function(wrap_pyfunction!(circuit_profile, module)?)?;
    module.add_function(wrap_pyfunction!(spectrum_consistency, module)?)?;
    module.add_function(wrap_pyfunction!(spectrum_distribution, module)?)?;
    module.add_function(wrap_pyfunction!(spectrum_z_hit, module)?)?;
    Ok(())
}

fn copied(array: &PyReadonlyArray1<'_, f64>) -> Vec<f64> {
    array.as_array().to_vec()
}

fn complex_row(values: &[Complex]) -> Vec<Complex64> {
    values.iter().map(|z| Complex64::new(z.re, z.im)).collect()
}

fn matrix<'py, T: numpy::Element>(
    py: Python<'py>,
    data: Vec<T>,
    shape: [usize; 2],
) -> PyResult<Bound<'py, PyArray2<T>>> {
    data.into_pyarray(py).reshape(shape)
}

#[pyfunction]
fn circuit_parameters(circuit: &str) -> PyResult<Vec<(String, &'static str, bool)>> {
    let circuit = Circuit::parse(circuit).map_err(refused)?;
    Ok(circuit
        .parameters()
        .iter()
        .map(|p| (p.name.clone(), p.unit, p.exponent))
        .collect())
}

#[pyfunction]
fn circuit_impedance<'py>(
    py: Python<'py>,
    circuit: &str,
    values: PyReadonlyArray1<'py, f64>,
    frequency_hz: PyReadonlyArray1<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<Complex64>>> {
    let circuit = Circuit::parse(circuit).map_err(refused)?;
    let (values, frequency_hz) = (copied(&values), copied(&frequency_hz));
    let z = py
        .detach(|| circuit.impedance(&values, &frequency_hz))
        .map_err(refused)?;
    Ok(complex_row(&z).into_pyarray(py))
}

type ComplexRow<'py> = Bound<'py, PyArray1<Complex64>>;
type ComplexTable<'py> = Bound<'py, PyArray2<Complex64>>;

#[pyfunction]
fn circuit_jacobian<'py>(
    py: Python<'py>,
    circuit: &str,
    values: PyReadonlyArray1<'py, f64>,
    frequency_hz: PyReadonlyArray1<'py, f64>,
) -> PyResult<(ComplexRow<'py>, ComplexTable<'py>)> {
    let circuit = Circuit::parse(circuit).map_err(refused)?;
    let (values, frequency_hz) = (copied(&values), copied(&frequency_hz));
    let (z, slope) = py
        .detach(|| circuit.jacobian(&values, &frequency_hz))
        .map_err(refused)?;
    let shape = [frequency_hz.len(), values.len()];
    Ok((
        complex_row(&z).into_pyarray(py),
        matrix(py, complex_row(&slope), shape)?,
    ))
}

/// Circuit, bounds and priors to a checked problem.
fn problem(
    circuit: &str,
    lower: &PyReadonlyArray1<'_, f64>,
    upper: &PyReadonlyArray1<'_, f64>,
    prior_center: &PyReadonlyArray1<'_, f64>,
    prior_sd: &PyReadonlyArray1<'_, f64>,
) -> PyResult<Problem> {
    let mut problem = Problem::new(Circuit::parse(circuit).map_err(refused)?);
    let bounds = copied(lower).into_iter().zip(copied(upper));
    for (i, (low, high)) in bounds.enumerate() {
        if !(low.is_nan() && high.is_nan()) {
            problem.bound(i, low, high).map_err(refused)?;
        }
    }
    for (i, (center, sd)) in copied(prior_center)
        .into_iter()
        .zip(copied(prior_sd))
        .enumerate()
    {
        if !center.is_nan() {
            problem.prior(i, center, sd).map_err(refused)?;
        }
    }
    Ok(problem)
}

fn fit_to_dict<'py>(py: Python<'py>, fit: Fit) -> PyResult<Bound<'py, PyDict>> {
    let count = fit.values.len();
    let result = PyDict::new(py);
    result.set_item("values", fit.values.into_pyarray(py))?;
    result.set_item("model", complex_row(&fit.model).into_pyarray(py))?;
    result.set_item(
        "covariance_u",
        matrix(py, fit.covariance_u, [count, count])?,
    )?;
    result.set_item("chi2", fit.chi2)?;
    result.set_item("penalty", fit.penalty)?;
    result.set_item("at_bound", fit.at_bound)?;
    result.set_item("iterations", fit.iterations)?;
    result.set_item("converged", fit.converged)?;
    result.set_item("starts", fit.starts)?;
    Ok(result)
}

#[pyfunction]
#[pyo3(signature = (circuit, frequency_hz, re_ohm, im_ohm, weight_re, weight_im, *, initial, lower, upper, prior_center, prior_sd, starts))]
#[allow(clippy::too_many_arguments)]
fn circuit_fit<'py>(
    py: Python<'py>,
    circuit: &str,
    frequency_hz: PyReadonlyArray1<'py, f64>,
    re_ohm: PyReadonlyArray1<'py, f64>,
    im_ohm: PyReadonlyArray1<'py, f64>,
    weight_re: PyReadonlyArray1<'py, f64>,
    weight_im: PyReadonlyArray1<'py, f64>,
    initial: PyReadonlyArray1<'py, f64>,
    lower: PyReadonlyArray1<'py, f64>,
    upper: PyReadonlyArray1<'py, f64>,
    prior_center: PyReadonlyArray1<'py, f64>,
    prior_sd: PyReadonlyArray1<'py, f64>,
    starts: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let problem = problem(circuit, &lower, &upper, &prior_center, &prior_sd)?;
    let spectrum = Spectrum::new(
        &copied(&frequency_hz),
        &copied(&re_ohm),
        &copied(&im_ohm),
        &copied(&weight_re),
        &copied(&weight_im),
    )
    .map_err(refused)?;
    let initial = copied(&initial);
    let found = py
        .detach(|| fit(&problem, &spectrum, &initial, starts))
        .map_err(refused)?;
    fit_to_dict(py, found)
}

/// Spectra that stand one after the other: `ends` (m,) are the indices one past the last point of each.
fn spectra(
    ends: &PyReadonlyArray1<'_, usize>,
    columns: [&PyReadonlyArray1<'_, f64>; 5],
) -> PyResult<Vec<Result<Spectrum, CircuitError>>> {
    let columns = columns.map(copied);
    let ends = ends.as_array();
    let mut first = 0;
    let mut found = Vec::with_capacity(ends.len());
    for &end in ends {
        let rows: Option<Vec<&[f64]>> = columns.iter().map(|c| c.get(first..end)).collect();
        let Some([frequency, re, im, weight_re, weight_im]) = rows.as_deref() else {
            let message = format!(
                "points {first} to {end} of {} do not exist",
                columns[0].len()
            );
            return Err(refused(CircuitError::Data(message)));
        };
        found.push(Spectrum::new(frequency, re, im, weight_re, weight_im));
        first = end;
    }
    Ok(found)
}

#[pyfunction]
#[pyo3(signature = (circuit, ends, frequency_hz, re_ohm, im_ohm, weight_re, weight_im, *, lower, upper, starts))]
#[allow(clippy::too_many_arguments)]
fn circuit_fit_many<'py>(
    py: Python<'py>,
    circuit: &str,
    ends: PyReadonlyArray1<'py, usize>,
    frequency_hz: PyReadonlyArray1<'py, f64>,
    re_ohm: PyReadonlyArray1<'py, f64>,
    im_ohm: PyReadonlyArray1<'py, f64>,
    weight_re: PyReadonlyArray1<'py, f64>,
    weight_im: PyReadonlyArray1<'py, f64>,
    lower: PyReadonlyArray1<'py, f64>,
    upper: PyReadonlyArray1<'py, f64>,
    starts: usize,
) -> PyResult<Vec<Py<PyAny>>> {
    let empty = Vec::new().into_pyarray(py);
    let none = empty.readonly();
    let problem = problem(circuit, &lower, &upper, &none, &none)?;
    let spectra = spectra(
        &ends,
        [&frequency_hz, &re_ohm, &im_ohm, &weight_re, &weight_im],
    )?;
    let fits = py.detach(|| fit_many(&problem, &spectra, starts));
    fits.into_iter()
        .map(|fit| match fit {
            Ok(fit) => Ok(fit_to_dict(py, fit)?.into_any().unbind()),
            Err(error) => Ok(error.to_string().into_pyobject(py)?.into_any().unbind()),
        })
        .collect()
}

#[pyfunction]
#[pyo3(signature = (circuit, frequency_hz, re_ohm, im_ohm, weight_re, weight_im, *, values, lower, upper, index, rise, rise_chosen, rise_established, starts))]
#[allow(clippy::too_many_arguments)]
fn circuit_profile<'py>(
    py: Python<'py>,
    circuit: &str,
    frequency_hz: PyReadonlyArray1<'py, f64>,
    re_ohm: PyReadonlyArray1<'py, f64>,
    im_ohm: PyReadonlyArray1<'py, f64>,
    weight_re: PyReadonlyArray1<'py, f64>,
    weight_im: PyReadonlyArray1<'py, f64>,
    values: PyReadonlyArray1<'py, f64>,
    lower: PyReadonlyArray1<'py, f64>,
    upper: PyReadonlyArray1<'py, f64>,
    index: usize,
    rise: f64,
    rise_chosen: Vec<f64>,
    rise_established: Vec<f64>,
    starts: usize,
) -> PyResult<(f64, f64)> {
    let empty = Vec::new().into_pyarray(py);
    let none = empty.readonly();
    let problem = problem(circuit, &lower, &upper, &none, &none)?;
    let spectrum = Spectrum::new(
        &copied(&frequency_hz),
        &copied(&re_ohm),
        &copied(&im_ohm),
        &copied(&weight_re),
        &copied(&weight_im),
    )
    .map_err(refused)?;
    let values = copied(&values);
    let rise = Rise {
        one: rise,
        chosen: rise_chosen,
        established: rise_established,
    };
    py.detach(|| profile(&problem, &spectrum, &values, index, &rise, starts))
        .map_err(refused)
}

#[pyfunction]
#[pyo3(signature = (frequency_hz, re_ohm, im_ohm, weight, *, noise))]
fn spectrum_distribution<'py>(
    py: Python<'py>,
    frequency_hz: PyReadonlyArray1<'py, f64>,
    re_ohm: PyReadonlyArray1<'py, f64>,
    im_ohm: PyReadonlyArray1<'py, f64>,
    weight: PyReadonlyArray1<'py, f64>,
    noise: Option<f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let weight = copied(&weight);
    let spectrum = Spectrum::new(
        &copied(&frequency_hz),
        &copied(&re_ohm),
        &copied(&im_ohm),
        &weight,
        &weight,
    )
    .map_err(refused)?;
    let found = py
        .detach(|| distribution(&spectrum, noise))
        .map_err(refused)?;
    let peaks: Vec<(f64, f64, f64)> = found
        .peaks
        .iter()
        .map(|p| (p.tau_s, p.resistance_ohm, p.capacitance_f))
        .collect();
    let result = PyDict::new(py);
    result.set_item("tau_s", found.tau_s.into_pyarray(py))?;
    result.set_item("gamma_ohm", found.gamma_ohm.into_pyarray(py))?;
    result.set_item("series_ohm", found.series_ohm)?;
    result.set_item("inductance_h", found.inductance_h)?;
    result.set_item("elastance_per_f", found.elastance_per_f)?;
    result.set_item("smoothing", found.lambda)?;
    result.set_item("chi2", found.chi2)?;
    result.set_item("model", complex_row(&found.model).into_pyarray(py))?;
    result.set_item("peaks", peaks)?;
    Ok(result)
}

#[pyfunction]
#[pyo3(signature = (frequency_hz, re_ohm, im_ohm, *, per_decade, clocks))]
fn spectrum_consistency<'py>(
    py: Python<'py>,
    frequency_hz: PyReadonlyArray1<'py, f64>,
    re_ohm: PyReadonlyArray1<'py, f64>,
    im_ohm: PyReadonlyArray1<'py, f64>,
    per_decade: f64,
    clocks: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyDict>> {
    let ones = vec![1.0; frequency_hz.as_array().len()];
    let spectrum = Spectrum::new(
        &copied(&frequency_hz),
        &copied(&re_ohm),
        &copied(&im_ohm),
        &ones,
        &ones,
    )
    .map_err(refused)?;
    let clocks: Vec<Vec<f64>> = clocks
        .as_array()
        .rows()
        .into_iter()
        .map(|r| r.to_vec())
        .collect();
    let found = py
        .detach(|| check_consistency(&spectrum, per_decade, &clocks))
        .map_err(refused)?;
    let result = PyDict::new(py);
    result.set_item("elements", found.elements)?;
    result.set_item("residual_re", found.residual_re.into_pyarray(py))?;
    result.set_item("residual_im", found.residual_im.into_pyarray(py))?;
    result.set_item("noise", found.noise)?;
    result.set_item("drift", found.drift)?;
    result.set_item("slip", found.slip)?;
    Ok(result)
}

#[pyfunction]
#[pyo3(signature = (frequency_hz, re_ohm, im_ohm, *, window))]
fn spectrum_z_hit<'py>(
    py: Python<'py>,
    frequency_hz: PyReadonlyArray1<'py, f64>,
    re_ohm: PyReadonlyArray1<'py, f64>,
    im_ohm: PyReadonlyArray1<'py, f64>,
    window: usize,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let ones = vec![1.0; frequency_hz.as_array().len()];
    let spectrum = Spectrum::new(
        &copied(&frequency_hz),
        &copied(&re_ohm),
        &copied(&im_ohm),
        &ones,
        &ones,
    )
    .map_err(refused)?;
    let residual = py.detach(|| z_hit(&spectrum, window)).map_err(refused)?;
    Ok(residual.into_pyarray(py))
}
