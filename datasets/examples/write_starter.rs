//! Writes the starter corpus to a new folder: `cargo run -p datasets --example write_starter -- FOLDER`.
//!
//! For the day the generator changes; the shipped `README.md` is written by hand and not made here.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("name the folder to write, which must not exist")?;
    datasets::starter::write_starter(Path::new(&folder))?;
    Ok(())
}
