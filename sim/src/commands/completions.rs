//! `sim completions` and `sim man`: what packagers and shells need, from the command line's own definition.
//!
//! Both are made by the program that was built, so they cannot be about another one; a build script would have to compile all
//! of the commands a second time to say the same.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, Command, ValueEnum as _};
use clap_complete::Shell;

use crate::{
    exit::{Exit, OrExit as _},
    text,
};

const COMPLETIONS: &str = "\
Examples:
  source <(sim completions bash)             in ~/.bashrc
  sim completions zsh > ~/.zfunc/_sim        in a folder of zsh's $fpath
  sim completions fish > ~/.config/fish/completions/sim.fish
  sim completions --out target/completions   for packagers: all shells";

const PAGES: &str = "\
Examples:
  sim man | man -l -                         read the first page
  sim man --out target/man                   for packagers: a page for each
                                             command";

/// Print what a shell needs to complete commands, flags and their values
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS)]
pub struct CompletionsArgs {
    /// Shell
    #[arg(value_enum, required_unless_present = "out")]
    pub shell: Option<Shell>,
    /// Write a file to this folder, for each shell if none is named
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Print the manual page, or write all of them
#[derive(Debug, Args)]
#[command(after_help = PAGES)]
pub struct ManArgs {
    /// Write a page for the program and for each of its commands to this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl CompletionsArgs {
    /// Runs the command for a program.
    ///
    /// # Errors
    ///
    /// If something cannot be written.
    pub fn run(self, program: Command, out: &mut dyn Write) -> Result<Exit> {
        let shells = self.shell.map_or_else(|| Shell::value_variants().to_vec(), |shell| vec![shell]);
        match &self.out {
            Some(folder) => completions_to(&program, &shells, folder).or_exit(Exit::Usage)?,
            None => shells.into_iter().try_for_each(|shell| out.write_all(&completions(&program, shell)))?,
        }
        Ok(Exit::Success)
    }
}

impl ManArgs {
    /// Runs the command for a program.
    ///
    /// # Errors
    ///
    /// If something cannot be written.
    pub fn run(self, program: Command, out: &mut dyn Write) -> Result<Exit> {
        match &self.out {
            Some(folder) => pages_to(&program, folder).or_exit(Exit::Usage)?,
            None => out.write_all(&page(&program)?)?,
        }
        Ok(Exit::Success)
    }
}

/// What a shell needs to complete the words of a program.
pub fn completions(program: &Command, shell: Shell) -> Vec<u8> {
    let (mut program, mut script) = (program.clone(), Vec::new());
    let name = program.get_name().to_owned();
    clap_complete::generate(shell, &mut program, name, &mut script);
    script
}

/// The manual page of a program.
///
/// # Errors
///
/// If it cannot be written to memory.
pub fn page(program: &Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(program.clone()).render(&mut page).context("cannot write the manual page")?;
    Ok(page)
}

fn made(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", text::shown(folder)))
}

fn completions_to(program: &Command, shells: &[Shell], folder: &Path) -> Result<()> {
    made(folder)?;
    let name = program.get_name().to_owned();
    for &shell in shells {
        let written = clap_complete::generate_to(shell, &mut program.clone(), name.clone(), folder);
        written.with_context(|| format!("cannot write completions to {}", text::shown(folder)))?;
    }
    Ok(())
}

fn pages_to(program: &Command, folder: &Path) -> Result<()> {
    made(folder)?;
    clap_mangen::generate_to(program.clone(), folder).with_context(|| format!("cannot write manual pages to {}", text::shown(folder)))
}
