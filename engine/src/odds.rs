//! Probabilities as log-odds. The logarithm is `libm`'s, so that no result depends on the platform.

/// Distance from 0 and 1 below which a probability has no log-odds of its own.
pub const EDGE: f64 = 1e-12;

/// `log p / (1 - p)`.
pub fn logit(p: f64) -> f64 {
    libm::log(p / (1.0 - p))
}

/// The probability of these log-odds.
pub fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// `log(1 + exp(x))`, without overflow.
pub fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + libm::log1p(libm::exp(-x)) } else { libm::log1p(libm::exp(x)) }
}

/// The probability, moved away from 0 and 1 as far as [`EDGE`].
pub fn inside(p: f64) -> f64 {
    p.clamp(EDGE, 1.0 - EDGE)
}

/// The loss of saying `p` where the truth turns out to be `malicious`: minus the logarithm of its probability.
pub fn log_loss(p: f64, malicious: bool) -> f64 {
    let p = inside(p);
    -libm::log(if malicious { p } else { 1.0 - p })
}
