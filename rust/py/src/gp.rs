//! The face of `pressopt_core`: Gaussian processes and acquisition.

use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pressopt_core::acquisition::{
    self, Acquisition, Constraint, Front, Goal, LinearRelation, Search, hypervolume as area, normal,
};
use pressopt_core::gp::{Classifier, Gp, GpError, Parameters, Priors, Training};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::boundary::{Signals, refused};

type Matrix<'py> = Bound<'py, PyArray2<f64>>;
type Vector<'py> = Bound<'py, PyArray1<f64>>;

/// Rows copied out, in row-major order whatever the layout was.
fn rows(array: &PyReadonlyArray2<'_, f64>) -> (Vec<f64>, usize, usize) {
    let view = array.as_array();
    (view.iter().copied().collect(), view.nrows(), view.ncols())
}

fn values(array: &PyReadonlyArray1<'_, f64>) -> Vec<f64> {
    array.as_array().iter().copied().collect()
}

fn matrix<'py>(
    py: Python<'py>,
    data: Vec<f64>,
    rows: usize,
    columns: usize,
) -> PyResult<Matrix<'py>> {
    data.into_pyarray(py).reshape([rows, columns])
}

fn training(
    x: &PyReadonlyArray2<'_, f64>,
    residuals: &PyReadonlyArray2<'_, f64>,
    log_weights: Option<&PyReadonlyArray1<'_, f64>>,
    noise: &PyReadonlyArray1<'_, f64>,
    alike: Option<&PyReadonlyArray2<'_, f64>>,
) -> PyResult<Training> {
    let (x, _, d) = rows(x);
    let (flat, members, n) = rows(residuals);
    let residuals: Vec<Vec<f64>> = if n == 0 {
        Vec::new()
    } else {
        flat.chunks_exact(n).map(<[f64]>::to_vec).collect()
    };
    let log_weights = log_weights.map_or_else(|| vec![0.0; members], values);
    let training = Training::new(x, d, residuals, log_weights, values(noise)).map_err(refused)?;
    match alike {
        Some(alike) => training.with_alike(&rows(alike).0).map_err(refused),
        None => Ok(training),
    }
}

/// A fitted Gaussian process on an ensemble of prior means.
#[pyclass(frozen, module = "pressopt._core")]
struct GaussianProcess {
    inner: Gp,
}

impl GaussianProcess {
    fn check(&self, columns: usize) -> PyResult<()> {
        if columns == self.inner.dimension() {
            return Ok(());
        }
        Err(refused(GpError::Shape(format!(
            "points have {columns} columns: give {}",
            self.inner.dimension()
        ))))
    }
}

#[pymethods]
impl GaussianProcess {
    #[staticmethod]
    #[pyo3(signature = (x, residuals, noise, *, log_weights=None, length_scale=None, signal=None, fitted_noise=None, mean_variance=None, alike=None, shared=None, warm=None))]
    #[allow(clippy::too_many_arguments)]
    fn fit(
        py: Python<'_>,
        x: PyReadonlyArray2<'_, f64>,
        residuals: PyReadonlyArray2<'_, f64>,
        noise: PyReadonlyArray1<'_, f64>,
        log_weights: Option<PyReadonlyArray1<'_, f64>>,
        length_scale: Option<(f64, f64)>,
        signal: Option<(f64, f64)>,
        fitted_noise: Option<(f64, f64)>,
        mean_variance: Option<f64>,
        alike: Option<PyReadonlyArray2<'_, f64>>,
        shared: Option<(f64, f64)>,
        warm: Option<&Self>,
    ) -> PyResult<Self> {
        let training = training(&x, &residuals, log_weights.as_ref(), &noise, alike.as_ref())?;
        let defaults = Priors::for_dimension(x.shape()[1]);
        let priors = Priors {
            length_scale: length_scale.unwrap_or(defaults.length_scale),
            signal: signal.unwrap_or(defaults.signal),
            noise: fitted_noise.unwrap_or(defaults.noise),
            shared: shared.unwrap_or(defaults.shared),
            mean_variance: mean_variance.unwrap_or(defaults.mean_variance),
        }
        .checked()
        .map_err(refused)?;
        if let Some(warm) = warm {
            warm.check(x.shape()[1])?;
        }
        let signals = Signals::default();
        let fitted = py.detach(|| {
            Gp::fit_while(&training, &priors, warm.map(|gp| &gp.inner), &|| {
                signals.quiet()
            })
        });
        signals.raised()?;
        Ok(Self {
            inner: fitted.expect("a fit that nobody stopped has an end"),
        })
    }

    #[staticmethod]
    #[pyo3(signature = (x, residuals, noise, *, length_scales, signal_variance, noise_variance, mean_variance, log_weights=None, alike=None, shared_variance=0.0))]
    #[allow(clippy::too_many_arguments)]
    fn with_parameters(
        py: Python<'_>,
        x: PyReadonlyArray2<'_, f64>,
        residuals: PyReadonlyArray2<'_, f64>,
        noise: PyReadonlyArray1<'_, f64>,
        length_scales: Vec<f64>,
        signal_variance: f64,
        noise_variance: f64,
        mean_variance: f64,
        log_weights: Option<PyReadonlyArray1<'_, f64>>,
        alike: Option<PyReadonlyArray2<'_, f64>>,
        shared_variance: f64,
    ) -> PyResult<Self> {
        let training = training(&x, &residuals, log_weights.as_ref(), &noise, alike.as_ref())?;
        let parameters = Parameters {
            length_scales,
            signal_variance,
            noise_variance,
            shared_variance,
        };
        let inner = py
            .detach(|| Gp::with_parameters(&training, parameters, mean_variance))
            .map_err(refused)?;
        Ok(Self { inner })
    }

    fn grown(
        &self,
        py: Python<'_>,
        point: PyReadonlyArray1<'_, f64>,
        residuals: PyReadonlyArray1<'_, f64>,
        noise: f64,
    ) -> PyResult<Self> {
        let (point, residuals) = (values(&point), values(&residuals));
        let mut inner = self.inner.clone();
        py.detach(|| inner.grow(&point, &residuals, noise))
            .map_err(refused)?;
        Ok(Self { inner })
    }

    fn predict<'py>(
        &self,
        py: Python<'py>,
        points: PyReadonlyArray2<'py, f64>,
    ) -> PyResult<(Matrix<'py>, Vector<'py>)> {
        let (points, count, d) = rows(&points);
        self.check(d)?;
        let (means, variances) = py.detach(|| self.inner.predict_members(&points));
        let members = self.inner.weights().len();
        Ok((
            matrix(py, means, count, members)?,
            variances.into_pyarray(py),
        ))
    }

    fn predict_with_gradient<'py>(
        &self,
        py: Python<'py>,
        point: PyReadonlyArray1<'py, f64>,
    ) -> PyResult<(f64, f64, Vector<'py>, Vector<'py>)> {
        let point = values(&point);
        self.check(point.len())?;
        let p = py.detach(|| self.inner.predict_with_gradient(&point, None));
        Ok((
            p.mean,
            p.variance,
            p.mean_gradient.into_pyarray(py),
            p.variance_gradient.into_pyarray(py),
        ))
    }

    fn leave_one_out<'py>(&self, py: Python<'py>) -> Vector<'py> {
        py.detach(|| self.inner.leave_one_out()).into_pyarray(py)
    }

    #[getter]
    fn log_evidence(&self) -> f64 {
        self.inner.log_evidence()
    }

    #[getter]
    fn weights<'py>(&self, py: Python<'py>) -> Vector<'py> {
        self.inner.weights().to_vec().into_pyarray(py)
    }

    #[getter]
    fn length_scales<'py>(&self, py: Python<'py>) -> Vector<'py> {
        self.inner
            .parameters()
            .length_scales
            .clone()
            .into_pyarray(py)
    }

    #[getter]
    fn signal_variance(&self) -> f64 {
        self.inner.parameters().signal_variance
    }

    #[getter]
    fn noise_variance(&self) -> f64 {
        self.inner.parameters().noise_variance
    }

    #[getter]
    fn shared_variance(&self) -> f64 {
        self.inner.parameters().shared_variance
    }

    fn with_members(&self, members: Vec<usize>) -> PyResult<Self> {
        let inner = self.inner.with_members(&members).map_err(refused)?;
        Ok(Self { inner })
    }

    #[getter]
    fn observations(&self) -> usize {
        self.inner.observations()
    }
}

/// A fitted classifier of success and failure.
#[pyclass(frozen, module = "pressopt._core")]
struct SuccessClassifier {
    inner: Classifier,
}

#[pymethods]
impl SuccessClassifier {
    #[staticmethod]
    #[pyo3(signature = (x, success, *, mean=None))]
    fn fit(
        py: Python<'_>,
        x: PyReadonlyArray2<'_, f64>,
        success: Vec<bool>,
        mean: Option<PyReadonlyArray1<'_, f64>>,
    ) -> PyResult<Self> {
        let (x, _, d) = rows(&x);
        let mean = mean.as_ref().map(values);
        let inner = py
            .detach(|| match mean {
                Some(mean) => Classifier::fit_with_mean(x, d, &success, &mean),
                None => Classifier::fit(x, d, &success),
            })
            .map_err(refused)?;
        Ok(Self { inner })
    }

    #[pyo3(signature = (points, *, mean=None))]
    fn log_probability<'py>(
        &self,
        py: Python<'py>,
        points: PyReadonlyArray2<'py, f64>,
        mean: Option<PyReadonlyArray1<'py, f64>>,
    ) -> PyResult<Vector<'py>> {
        let (points, count, d) = rows(&points);
        let mean = mean.as_ref().map(values);
        if let Some(mean) = &mean
            && mean.len() != count
        {
            return Err(refused(GpError::Shape(format!(
                "{} prior means for {count} points: give one for each",
                mean.len()
            ))));
        }
        if d != self.inner.dimension() {
            return Err(refused(GpError::Shape(format!(
                "points have {d} columns: give {}",
                self.inner.dimension()
            ))));
        }
        let found: Vec<f64> = py.detach(|| {
            points
                .chunks_exact(d)
                .enumerate()
                .map(|(row, p)| match &mean {
                    Some(mean) => self.inner.log_probability_with_mean(p, mean[row], None),
                    None => self.inner.log_probability(p, None),
                })
                .collect()
        });
        Ok(found.into_pyarray(py))
    }

    #[getter]
    fn log_evidence(&self) -> f64 {
        self.inner.log_evidence()
    }

    #[staticmethod]
    fn prior_variance() -> f64 {
        Classifier::prior_variance()
    }
}

#[pyfunction]
#[pyo3(signature = (x, residuals, noise, *, length_scales, signal_variance, noise_variance, mean_variance, log_weights=None, alike=None, shared_variance=0.0))]
#[allow(clippy::too_many_arguments)]
fn gp_log_evidence<'py>(
    py: Python<'py>,
    x: PyReadonlyArray2<'py, f64>,
    residuals: PyReadonlyArray2<'py, f64>,
    noise: PyReadonlyArray1<'py, f64>,
    length_scales: Vec<f64>,
    signal_variance: f64,
    noise_variance: f64,
    mean_variance: f64,
    log_weights: Option<PyReadonlyArray1<'py, f64>>,
    alike: Option<PyReadonlyArray2<'py, f64>>,
    shared_variance: f64,
) -> PyResult<(f64, Vector<'py>)> {
    let training = training(&x, &residuals, log_weights.as_ref(), &noise, alike.as_ref())?;
    let parameters = Parameters {
        length_scales,
        signal_variance,
        noise_variance,
        shared_variance,
    };
    let (value, gradient) = py
        .detach(|| pressopt_core::gp::log_evidence(&training, &parameters, mean_variance))
        .map_err(refused)?;
    Ok((value, gradient.into_pyarray(py)))
}

/// (terms of (column, factor, low, high, on a log scale), bound).
type RelationArguments = (Vec<(usize, f64, f64, f64, bool)>, f64);
/// (pairs, reference).
type FrontArguments = (Vec<[f64; 2]>, [f64; 2]);
/// (caution, least log probabilities).
type AnswerArguments = (f64, Vec<f64>);

#[pyfunction]
#[pyo3(signature = (candidates, objectives, *, best=None, rival=None, front=None, answer=None, constraints=vec![], success=None, free, relations=vec![], starts=4, iterations=30))]
#[allow(clippy::too_many_arguments)]
fn search_acquisition<'py>(
    py: Python<'py>,
    candidates: PyReadonlyArray2<'py, f64>,
    objectives: Vec<Bound<'py, GaussianProcess>>,
    best: Option<f64>,
    rival: Option<PyReadonlyArray1<'py, f64>>,
    front: Option<FrontArguments>,
    answer: Option<AnswerArguments>,
    constraints: Vec<(Bound<'py, GaussianProcess>, f64, f64)>,
    success: Option<Bound<'py, SuccessClassifier>>,
    free: Vec<bool>,
    relations: Vec<RelationArguments>,
    starts: usize,
    iterations: usize,
) -> PyResult<(Matrix<'py>, Vector<'py>)> {
    let rival = match (&rival, objectives.first()) {
        (Some(point), Some(model)) => model.get().inner.contrast(&values(point)),
        _ => None,
    };
    let (goal, needed) = match (best, front, answer) {
        (Some(best), None, None) => (Goal::Improvement { best, rival }, 1),
        (None, Some((pairs, reference)), None) => {
            (Goal::Hypervolume(Front::new(&pairs, reference)), 2)
        }
        (None, None, Some((caution, log_probabilities))) => (
            Goal::Answer {
                caution,
                log_probabilities,
            },
            1,
        ),
        _ => {
            return Err(PyValueError::new_err(
                "give exactly one of best, front and answer",
            ));
        }
    };
    let (candidates, count, d) = rows(&candidates);
    let acquisition = Acquisition {
        objectives: objectives.iter().map(|model| &model.get().inner).collect(),
        goal,
        constraints: constraints
            .iter()
            .map(|(model, low, high)| Constraint {
                model: &model.get().inner,
                low: *low,
                high: *high,
            })
            .collect(),
        success: success.as_ref().map(|model| &model.get().inner),
    };
    let columns_fit = acquisition
        .objectives
        .iter()
        .all(|model| model.dimension() == d)
        && acquisition
            .constraints
            .iter()
            .all(|constraint| constraint.model.dimension() == d)
        && acquisition
            .success
            .is_none_or(|model| model.dimension() == d)
        && relations
            .iter()
            .all(|(terms, _)| terms.iter().all(|term| term.0 < d))
        && free.len() == d;
    if !columns_fit || count == 0 || acquisition.objectives.len() < needed {
        return Err(refused(GpError::Shape(format!(
            "{count} candidates of {d} columns, {} models and {} free columns do not belong together",
            acquisition.objectives.len(),
            free.len()
        ))));
    }
    let relations = relations
        .into_iter()
        .map(|(terms, bound)| LinearRelation { terms, bound })
        .collect();
    let search = Search {
        candidates,
        free,
        relations,
        starts,
        iterations,
    };
    let found = py.detach(|| search.run(&acquisition));
    let worth: Vec<f64> = found.iter().map(|f| f.value).collect();
    let points: Vec<f64> = found.into_iter().flat_map(|f| f.point).collect();
    Ok((matrix(py, points, worth.len(), d)?, worth.into_pyarray(py)))
}

#[pyfunction]
fn log_expected_improvement<'py>(
    py: Python<'py>,
    means: PyReadonlyArray2<'py, f64>,
    log_weights: PyReadonlyArray1<'py, f64>,
    variances: PyReadonlyArray2<'py, f64>,
    best: f64,
) -> PyResult<Vector<'py>> {
    let (means, count, members) = rows(&means);
    let (variances, other_count, other_members) = rows(&variances);
    let log_weights = values(&log_weights);
    if (count, members) != (other_count, other_members)
        || log_weights.len() != members
        || members == 0
    {
        return Err(refused(GpError::Shape(
            "means, variances and weights do not belong together".into(),
        )));
    }
    let found: Vec<f64> = py.detach(|| {
        means
            .chunks_exact(members)
            .zip(variances.chunks_exact(members))
            .map(|(means, variances)| {
                acquisition::log_improvement_of_mixture(means, &log_weights, variances, best)
            })
            .collect()
    });
    Ok(found.into_pyarray(py))
}

#[pyfunction]
fn log_hypervolume_gain<'py>(
    py: Python<'py>,
    means: PyReadonlyArray2<'py, f64>,
    variances: PyReadonlyArray2<'py, f64>,
    front: FrontArguments,
) -> PyResult<Vector<'py>> {
    let (means, count, columns) = rows(&means);
    let (variances, other_count, other_columns) = rows(&variances);
    if (count, columns) != (other_count, other_columns) || columns != 2 {
        return Err(refused(GpError::Shape(
            "means and variances need two columns each".into(),
        )));
    }
    let front = Front::new(&front.0, front.1);
    let found: Vec<f64> = py.detach(|| {
        means
            .chunks_exact(2)
            .zip(variances.chunks_exact(2))
            .map(|(m, v)| front.log_gain([m[0], m[1]], [v[0].sqrt(), v[1].sqrt()]).0)
            .collect()
    });
    Ok(found.into_pyarray(py))
}

#[pyfunction]
fn hypervolume(pairs: Vec<[f64; 2]>, reference: [f64; 2]) -> f64 {
    area(&pairs, reference)
}

#[pyfunction]
fn log_normal_cdf<'py>(py: Python<'py>, z: PyReadonlyArray1<'py, f64>) -> Vector<'py> {
    let found: Vec<f64> = values(&z).into_iter().map(normal::log_cdf).collect();
    found.into_pyarray(py)
}

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<GaussianProcess>()?;
    module.add_class::<SuccessClassifier>()?;
    module.add_function(wrap_pyfunction!(gp_log_evidence, module)?)?;
    module.add_function(wrap_pyfunction!(search_acquisition, module)?)?;
    module.add_function(wrap_pyfunction!(log_expected_improvement, module)?)?;
    module.add_function(wrap_pyfunction!(log_hypervolume_gain, module)?)?;
    module.add_function(wrap_pyfunction!(hypervolume, module)?)?;
    module.add_function(wrap_pyfunction!(log_normal_cdf, module)?)?;
    Ok(())
}
