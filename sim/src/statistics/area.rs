//! The area under a figure over time: one number for how well something keeps up.

use thiserror::Error;

/// Why there is no area.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NoArea {
    /// An area needs a beginning and an end.
    #[error("there is only one period, and an area needs two")]
    OnePeriod,
    /// The figure has no value there.
    #[error("it is not defined in period {period}")]
    Undefined {
        /// Number of the first such period, from 1.
        period: usize,
    },
}

/// `AUT(f, N) = 1/(N-1) sum over k = 1 .. N-1 of (f(k) + f(k+1))/2` over N periods (Pendlebury et al. 2019): the mean of the
/// figure over time by the trapezoidal rule, in its own unit; of a figure between 0 and 1 it lies there, too.
///
/// # Errors
///
/// With fewer than two periods, or where the figure is not defined in one of them.
pub fn under_time(figures: &[Option<f64>]) -> Result<f64, NoArea> {
    if figures.len() < 2 {
        return Err(NoArea::OnePeriod);
    }
    let defined: Vec<f64> = figures.iter().zip(1..).map(|(f, period)| f.ok_or(NoArea::Undefined { period })).collect::<Result<_, _>>()?;
    Ok(defined.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).sum::<f64>() / (defined.len() - 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_count_half() {
        assert_eq!(under_time(&[Some(1.0), Some(0.5)]), Ok(0.75));
        assert_eq!(under_time(&[Some(1.0), Some(0.5), Some(0.0), Some(1.0)]), Ok((0.5 + 0.5 + 0.0 + 0.5) / 3.0));
        assert_eq!(under_time(&[Some(0.25); 9]), Ok(0.25));
    }

    #[test]
    fn where_there_is_none_the_reason_is_told() {
        assert_eq!((under_time(&[]), under_time(&[Some(1.0)])), (Err(NoArea::OnePeriod), Err(NoArea::OnePeriod)));
        let missing = under_time(&[Some(1.0), None, None]).unwrap_err();
        assert_eq!(missing.to_string(), "it is not defined in period 2");
    }
}
