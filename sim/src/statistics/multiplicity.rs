//! Many p-values of unrelated questions, adjusted for how many there are. For strategies on the same bounties,
//! [`super::many`] knows more, because it sees how they go together.

/// p-values adjusted so that the chance of any false rejection stays below the level (Holm 1979), in the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut highest: f64 = 0.0;
    let count = p.len();
    adjusted(p, rising(p).into_iter().enumerate(), |rank, p| {
        highest = highest.max((count - rank) as f64 * p).min(1.0);
        highest
    })
}

/// p-values adjusted so that the expected share of false ones among the rejections stays below the level
/// (Benjamini & Hochberg 1995), in the order given; for questions that are independent or go the same way.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut lowest: f64 = 1.0;
    let count = p.len();
    adjusted(p, rising(p).into_iter().enumerate().rev(), |rank, p| {
        lowest = lowest.min(count as f64 / (rank + 1) as f64 * p);
        lowest
    })
}

/// Places in rising order of p.
fn rising(p: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..p.len()).collect();
    places.sort_by(|&one, &other| p[one].total_cmp(&p[other]));
    places
}

fn adjusted(p: &[f64], ranked: impl Iterator<Item = (usize, usize)>, mut adjust: impl FnMut(usize, f64) -> f64) -> Vec<f64> {
    let mut adjusted = vec![0.0; p.len()];
    ranked.for_each(|(rank, place)| adjusted[place] = adjust(rank, p[place]));
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_question_needs_no_adjustment() {
        assert_eq!((holm(&[0.03]), benjamini_hochberg(&[0.03])), (vec![0.03], vec![0.03]));
        assert!(holm(&[]).is_empty() && benjamini_hochberg(&[]).is_empty());
    }

    #[test]
    fn holm_is_never_below_benjamini_and_hochberg() {
        let p = [0.9, 0.001, 0.04, 0.04, 0.3];
        let (holm, bh) = (holm(&p), benjamini_hochberg(&p));
        assert!(holm.iter().zip(&bh).zip(&p).all(|((holm, bh), p)| holm >= bh && bh >= p && *holm <= 1.0));
        assert_eq!(holm[2], holm[3]);
    }
}
