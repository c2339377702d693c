//! The corpora that come with this program, by name.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Name of the corpus that is played where none is named.
pub const DEFAULT: &str = "panel";
/// Environment variable that names another folder of shipped corpora.
pub const FOLDER_VARIABLE: &str = "SIM_CORPORA";

/// The path of a corpus: as named, or the shipped corpus of that name where no such path exists.
pub fn find(named: Option<&Path>) -> PathBuf {
    let name = named.unwrap_or(Path::new(DEFAULT));
    if named.is_some() && name.exists() {
        return name.to_owned();
    }
    let shipped = folder().join(name);
    // Only plain names are looked up: `../x` is a path that does not exist.
    let plain = name.components().count() == 1 && name.file_name().is_some();
    if plain && shipped.exists() { shipped } else { name.to_owned() }
}

/// Where they are: beside the source that this program was built from, unless the environment says otherwise.
fn folder() -> PathBuf {
    let built_from = concat!(env!("CARGO_MANIFEST_DIR"), "/../datasets/corpora");
    env::var_os(FOLDER_VARIABLE).map_or_else(|| PathBuf::from(built_from), PathBuf::from)
}
