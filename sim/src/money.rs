//! Amounts of money as data.

use market::nct::{Nct, NctDelta};
use serde::{Deserialize, Serialize};

/// An amount: exact, and for reading.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Money {
    /// Wei, as a decimal number.
    pub wei: String,
    /// NCT.
    pub nct: f64,
}

impl From<Nct> for Money {
    fn from(amount: Nct) -> Money {
        Money { wei: amount.to_uint().to_string(), nct: exact(&amount.to_string()) }
    }
}

impl From<NctDelta> for Money {
    fn from(change: NctDelta) -> Money {
        Money { wei: change.wei_string(), nct: exact(&change.to_string()) }
    }
}

/// The float nearest to an amount as it is displayed.
fn exact(displayed: &str) -> f64 {
    displayed.trim_end_matches(" NCT").parse().expect("an amount displays as a decimal number")
}
