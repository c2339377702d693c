//! One boolean for each artifact, as a JSON list: masks, verdicts, votes, quorum masks. Artifact 0 comes first.

use std::fmt;

use market::verdict::ArtifactSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Artifacts of a bounty, at most (BountyRegistry).
pub const ARTIFACTS_MAXIMUM: usize = 256;

/// A set of artifacts together with how many there are: `[true,false,true]` is artifacts 0 and 2 of three.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    set: ArtifactSet,
    count: usize,
}

/// More booleans than a bounty can have artifacts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a list of {count} booleans is longer than the {ARTIFACTS_MAXIMUM} artifacts a bounty can have")]
pub struct TooManyFlags {
    count: usize,
}

impl Flags {
    /// The members of `set` among the first `count` artifacts (at most 256).
    ///
    /// The contracts keep bits beyond a bounty's artifacts; a list has no place for them, so they are left out.
    pub fn new(set: ArtifactSet, count: usize) -> Flags {
        let count = count.min(ARTIFACTS_MAXIMUM);
        Flags { set: ArtifactSet::from_uint(set.to_uint() & ArtifactSet::first(count).to_uint()), count }
    }

    /// The set of a list.
    ///
    /// # Errors
    ///
    /// For a list of more than 256.
    pub fn from_bools(list: &[bool]) -> Result<Flags, TooManyFlags> {
        if list.len() > ARTIFACTS_MAXIMUM {
            return Err(TooManyFlags { count: list.len() });
        }
        Ok(Flags { set: ArtifactSet::collect(list.len(), |artifact| list[artifact]), count: list.len() })
    }

    /// The artifacts marked true: what calldata carries as an integer, bit n for artifact n.
    pub fn set(self) -> ArtifactSet {
        self.set
    }

    /// The length of the list.
    pub fn count(self) -> usize {
        self.count
    }

    /// The list, artifact 0 first.
    pub fn bools(self) -> impl ExactSizeIterator<Item = bool> {
        (0..self.count).map(move |artifact| self.set.contains(artifact))
    }
}

impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.bools())
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Flags, D::Error> {
        match Verdicts::deserialize(deserializer)? {
            Verdicts::Revealed(flags) => Ok(flags),
            Verdicts::Unrevealed { .. } => Err(de::Error::custom("null where a boolean belongs")),
        }
    }
}

/// The verdicts of a listed assertion: `[true,false]`, or `[null,null]` as long as they are not revealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdicts {
    /// One null for each artifact.
    Unrevealed {
        /// Number of artifacts.
        count: usize,
    },
    /// True for malicious.
    Revealed(Flags),
}

impl Serialize for Verdicts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Verdicts::Unrevealed { count } => serializer.collect_seq(std::iter::repeat_n((), *count)),
            Verdicts::Revealed(flags) => flags.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Verdicts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Verdicts, D::Error> {
        struct List;
        impl<'de> de::Visitor<'de> for List {
            type Value = Verdicts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {ARTIFACTS_MAXIMUM} booleans, or as many nulls")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Verdicts, A::Error> {
                let (mut flags, mut nulls) = (Flags::default(), 0);
                while let Some(flag) = list.next_element::<Option<bool>>()? {
                    let artifact = flags.count + nulls;
                    if artifact == ARTIFACTS_MAXIMUM {
                        return Err(de::Error::invalid_length(artifact + 1, &self));
                    }
                    match flag {
                        Some(_) if nulls > 0 => return Err(de::Error::custom("a boolean after a null")),
                        None if flags.count > 0 => return Err(de::Error::custom("a null after a boolean")),
                        None => nulls += 1,
                        Some(member) => {
                            flags.count += 1;
                            if member {
                                flags.set.insert(artifact);
                            }
                        }
                    }
                }
                Ok(if nulls > 0 { Verdicts::Unrevealed { count: nulls } } else { Verdicts::Revealed(flags) })
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    #[test]
    fn bit_n_is_artifact_n() {
        let flags = Flags::from_bools(&[true, false, true, true]).unwrap();
        assert_eq!(flags.set().to_uint(), U256::from(0b1101));
        assert_eq!(serde_json::to_string(&flags).unwrap(), "[true,false,true,true]");
        assert_eq!(serde_json::from_str::<Flags>("[true,false,true,true]").unwrap(), flags);
        assert_eq!(Flags::new(ArtifactSet::from_uint(U256::MAX), 2), Flags::from_bools(&[true, true]).unwrap());
    }

    #[test]
    fn nulls_stand_for_verdicts_that_are_not_revealed() {
        let read = |json: &str| serde_json::from_str::<Verdicts>(json);
        assert_eq!(read("[null,null]").unwrap(), Verdicts::Unrevealed { count: 2 });
        assert_eq!(serde_json::to_string(&Verdicts::Unrevealed { count: 2 }).unwrap(), "[null,null]");
        assert_eq!(read("[]").unwrap(), Verdicts::Revealed(Flags::default()));
        for json in ["[null,true]", "[true,null]", "[1]", "[\"true\"]", "{}", "true", "null"] {
            assert!(read(json).is_err(), "{json}");
        }
        assert!(serde_json::from_str::<Flags>("[null]").is_err());
    }

    #[test]
    fn a_list_has_at_most_256_entries() {
        let full = vec![true; 256];
        let json = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<Flags>(&json).unwrap().set(), ArtifactSet::first(256));
        let long = vec![true; 257];
        assert!(Flags::from_bools(&long).is_err());
        assert!(serde_json::from_str::<Flags>(&serde_json::to_string(&long).unwrap()).is_err());
    }
}
