//! The corpora that come with this program, by name.

use std::{
    env, fs,
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

/// What to call a corpus in a command: a shipped one by its name, which is the same on every machine.
pub fn name_of(path: &Path) -> &Path {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let is_shipped = |name: &&Path| !name.exists() && real(path).is_some_and(|path| real(&find(Some(name))) == Some(path));
    path.file_name().map(Path::new).filter(is_shipped).unwrap_or(path)
}

/// Where they are: beside the source that this program was built from, unless the environment says otherwise.
fn folder() -> PathBuf {
    let built_from = concat!(env!("CARGO_MANIFEST_DIR"), "/../datasets/corpora");
    env::var_os(FOLDER_VARIABLE).map_or_else(|| PathBuf::from(built_from), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shipped_corpus_has_a_name_and_another_a_path() {
        let shipped = find(Some(Path::new(DEFAULT)));
        assert!(shipped.is_dir() && shipped.components().count() > 1);
        assert_eq!(name_of(&shipped), Path::new(DEFAULT));
        assert_eq!(name_of(&fs::canonicalize(&shipped).unwrap()), Path::new(DEFAULT));
        let own = tempfile::tempdir().unwrap();
        let own = own.path().join(DEFAULT);
        fs::create_dir(&own).unwrap();
        assert_eq!(name_of(&own), own);
        assert_eq!(name_of(Path::new("/nowhere/panel")), Path::new("/nowhere/panel"));
    }
}
