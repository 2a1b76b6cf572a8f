//! What a process is fitted to: observations, parameters of the kernel and beliefs about them, all checked.

use std::fmt;

/// Why data or parameters were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpError {
    /// There is nothing to learn from.
    Empty,
    /// Lengths that do not belong together.
    Shape(String),
    /// A number that is not finite.
    NotFinite(&'static str),
    /// A variance, length scale or spread that is not positive (noise may be zero).
    NotPositive(&'static str),
}

impl fmt::Display for GpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "no observations: give at least one"),
            Self::Shape(what) => write!(f, "{what}"),
            Self::NotFinite(what) => write!(
                f,
                "{what} holds a number that is not finite: leave that observation out"
            ),
            Self::NotPositive(what) => write!(f, "{what} must be positive: check its sign"),
        }
    }
}

impl std::error::Error for GpError {}

/// Kernel parameters on the scale of the observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// One length scale per column, in units of the cube.
    pub length_scales: Vec<f64>,
    /// Variance of the process.
    pub signal_variance: f64,
    /// Fitted variance of the noise, on top of what is given per point.
    pub noise_variance: f64,
    /// `b²`: variance of what observations of alike circumstances share; zero without any.
    pub shared_variance: f64,
}

impl Parameters {
    /// Whether these can be the parameters of a kernel of `d` columns.
    pub(super) fn check(&self, mean_variance: f64, d: usize) -> Result<(), GpError> {
        if self.length_scales.len() != d {
            return Err(GpError::Shape(format!(
                "{} length scales for {d} columns",
                self.length_scales.len()
            )));
        }
        let positive = |v: f64| v > 0.0 && v.is_finite();
        if !self.length_scales.iter().all(|l| positive(*l)) {
            return Err(GpError::NotPositive("length scale"));
        }
        if !positive(self.signal_variance) {
            return Err(GpError::NotPositive("signal variance"));
        }
        if !positive(self.noise_variance) {
            return Err(GpError::NotPositive("noise variance"));
        }
        if !(mean_variance >= 0.0 && mean_variance.is_finite()) {
            return Err(GpError::NotPositive("variance of the mean"));
        }
        if !(self.shared_variance >= 0.0 && self.shared_variance.is_finite()) {
            return Err(GpError::NotPositive("shared variance"));
        }
        Ok(())
    }
}

/// Beliefs about the parameters: (centre, spread) of a normal density of their logarithms.
#[derive(Clone, Debug, PartialEq)]
pub struct Priors {
    /// Length scales.
    pub length_scale: (f64, f64),
    /// Signal variance.
    pub signal: (f64, f64),
    /// Fitted noise variance.
    pub noise: (f64, f64),
    /// Variance that alike circumstances share.
    pub shared: (f64, f64),
    /// `τ²`; zero when the mean is known.
    pub mean_variance: f64,
}

impl Priors {
    /// Beliefs for observations scaled to unit variance.
    ///
    /// Length scales: the mode of the log-normal (√2 + ½ ln d, √3) of Hvarfner, Hellsten and Nardi, ICML 2024, so that
    /// the complexity of the model does not grow with dimension. Noise: centred on 1 % of the variance with a factor
    /// e² of spread (assumed): small priors cost real experiments dearly, and 2 to 25 % is what they show.
    #[must_use]
    pub fn for_dimension(d: usize) -> Self {
        let spread = 3.0_f64.sqrt();
        Self {
            length_scale: (
                2.0_f64.sqrt() + 0.5 * (d.max(1) as f64).ln() - spread * spread,
                spread,
            ),
            signal: (0.0, 1.5),
            noise: (0.01_f64.ln(), 2.0),
            shared: (0.01_f64.ln(), 2.0),
            mean_variance: 1.0,
        }
    }

    /// The same, checked.
    ///
    /// # Errors
    /// A number that is not finite, a spread that is not positive, a negative variance.
    pub fn checked(self) -> Result<Self, GpError> {
        let pairs = [self.length_scale, self.signal, self.noise, self.shared];
        if pairs
            .iter()
            .any(|(centre, spread)| !centre.is_finite() || !spread.is_finite())
        {
            return Err(GpError::NotFinite("a prior"));
        }
        if pairs.iter().any(|(_, spread)| *spread <= 0.0) {
            return Err(GpError::NotPositive("the spread of a prior"));
        }
        if !(self.mean_variance >= 0.0 && self.mean_variance.is_finite()) {
            return Err(GpError::NotPositive("variance of the mean"));
        }
        Ok(self)
    }
}

/// Checked observations.
#[derive(Clone, Debug)]
pub struct Training {
    pub(super) x: Vec<f64>,
    pub(super) d: usize,
    pub(super) residuals: Vec<Vec<f64>>,
    pub(super) log_weights: Vec<f64>,
    pub(super) noise: Vec<f64>,
    /// `S`, packed lower half.
    pub(super) alike: Option<Vec<f64>>,
}

impl Training {
    /// Checks once, so that nothing below has to.
    ///
    /// `x` is n × d, row-major; `residuals` has one row of n per member; `noise` holds n variances.
    ///
    /// # Errors
    /// No observation, shapes that do not fit, numbers that are not finite, negative variances.
    pub fn new(
        x: Vec<f64>,
        d: usize,
        residuals: Vec<Vec<f64>>,
        log_weights: Vec<f64>,
        noise: Vec<f64>,
    ) -> Result<Self, GpError> {
        let n = noise.len();
        if n == 0 || d == 0 || residuals.is_empty() {
            return Err(GpError::Empty);
        }
        if x.len() != n * d
            || residuals.iter().any(|r| r.len() != n)
            || log_weights.len() != residuals.len()
        {
            return Err(GpError::Shape(format!(
                "{} coordinates in {d} columns, {n} noise variances, {} members of {} values and {} weights do not belong together",
                x.len(),
                residuals.len(),
                residuals[0].len(),
                log_weights.len()
            )));
        }
        let finite = |values: &[f64]| values.iter().all(|v| v.is_finite());
        if !finite(&x) {
            return Err(GpError::NotFinite("x"));
        }
        if !residuals.iter().all(|r| finite(r)) {
            return Err(GpError::NotFinite("y"));
        }
        if !finite(&log_weights) {
            return Err(GpError::NotFinite("weights"));
        }
        if !finite(&noise) {
            return Err(GpError::NotFinite("noise"));
        }
        if noise.iter().any(|v| *v < 0.0) {
            return Err(GpError::NotPositive("noise variance"));
        }
        Ok(Self {
            x,
            d,
            residuals,
            log_weights,
            noise,
            alike: None,
        })
    }

    /// The same with circumstances: `alike` is n × n, row-major, symmetric, 1 on the diagonal; its lower half is read.
    ///
    /// # Errors
    /// Another size, or a number outside of 0 to 1.
    pub fn with_alike(mut self, alike: &[f64]) -> Result<Self, GpError> {
        let n = self.noise.len();
        if alike.len() != n * n {
            return Err(GpError::Shape(format!(
                "{} likenesses for {n} observations: give {n} rows of {n}",
                alike.len()
            )));
        }
        if !alike.iter().all(|v| (0.0..=1.0).contains(v)) {
            return Err(GpError::NotFinite("a likeness outside of 0 to 1"));
        }
        self.alike = Some(
            (0..n)
                .flat_map(|a| alike[a * n..=a * n + a].iter().copied())
                .collect(),
        );
        Ok(self)
    }
}
