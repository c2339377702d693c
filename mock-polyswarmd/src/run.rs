//! The run directory of a run over the wire: the same files as `sim replay --out` writes, made by playing everything that
//! was done once more.

use std::time::Duration;

use anyhow::{Context, Result};
use market::{id::AccountId, nct::Nct};
use sim::{
    execute::{Broken, Watcher, play_error},
    output::RunDirectory,
    progress::Progress,
    run::{NOBODY, Outcome, Run, Visitor},
    settings::{scenario_sha256, scenario_toml},
};

use crate::node::Node;

/// Plays everything that was done again, scores it, and writes it to `out`.
///
/// # Errors
///
/// If a file cannot be written, or an invariant is [`Broken`].
pub fn conclude(node: &Node, out: Option<RunDirectory>, command: String, elapsed: Duration, progress: Progress) -> Result<Run> {
    let (setup, recording) = (node.setup(), node.recording());
    let mut watcher = Watcher::new(setup);
    let mut journal = None;
    if let Some(out) = &out {
        watcher.bounties = Some(out.bounties()?);
        journal = Some(out.journal()?);
    }
    let bar = progress.phase("writing the run", "events", None);
    let chains = recording.play::<anyhow::Error>(&mut watcher, &mut |now, event, names| {
        bar.inc(1);
        match &mut journal {
            Some(journal) => journal.write(now, event, names).context("cannot write the journal"),
            None => Ok(()),
        }
    })?;
    bar.finish_and_clear();
    let journal = journal.map(|journal| journal.finish()).transpose().context("cannot write the journal")?;
    if let Some(bounties) = watcher.bounties.take() {
        bounties.finish()?;
    }
    let complete = chains.is_over();
    let world = chains.into_world();
    let seat = world.seat();
    let visitor = match seat {
        AccountId::NOBODY => Visitor { name: NOBODY.to_owned(), wallet: Nct::ZERO },
        account => Visitor { name: world.names()[account.0 as usize].clone(), wallet: recording.gifts(world.market().address(account)) },
    };
    let played = world.finish(complete).map_err(play_error)?;
    let corpus = format!("# Played over the wire on {}, sha256 {}.", setup.corpus.name(), hex::encode(setup.summary.sha256));
    let scenario = sim::text::plain(&corpus) + "\n\n" + &scenario_toml(&setup.scenario);
    let outcome = Outcome {
        setup,
        scenario_sha256: scenario_sha256(&setup.scenario),
        scenario_toml: &scenario,
        command,
        score: &watcher.score,
        decisions: watcher.decisions.clone().finish(),
        played: &played,
        nulls: Vec::new(),
        nulls_interrupted: false,
        journal,
        elapsed,
        jobs: 1,
        visitor: Some(visitor),
    };
    let run = outcome.run().map_err(Broken)?;
    if let Some(out) = out {
        out.finish(&run, &scenario)?;
    }
    Ok(run)
}
