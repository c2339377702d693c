//! Vectors of BountyRegistry 1.6.1 and ArbiterStaking 1.2.1.

use alloy_primitives::{B256, U256};
use anyhow::{Context, Result, bail};
use market::{
    block::{BlockNumber, Windows},
    command::{Accepted, Command, PostAssertion, PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    event::Event,
    id::{AccountId, Guid},
    market::{Deployment, Market, named_address},
    nct::Nct,
    rejection::Rejection,
    ruleset::{BOUNTY_REGISTRY_1_6_1 as RULES, Edition},
    settlement::{self, Fees},
};
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    calls::{self, Labels, field, guid, hex, list, nct, number, revert, round_number, set, text, uint, wei},
    compare,
};

/// Everybody starts with two billion NCT.
const START_BALANCE: Nct = Nct::whole(2_000_000_000);

/// The accounts of these vectors are the hashes of their aliases.
struct World {
    market: Market,
    labels: Labels,
    /// Balances before the first operation.
    before: Vec<(String, AccountId, Nct)>,
}

impl World {
    fn new(start: u64, windows: Windows, fees: Fees, stake_duration: u64, transfers_enabled: bool) -> World {
        let deployer = named_address("polysim:O");
        let deployment =
            Deployment { deployer, start: BlockNumber(start), windows, fees, stake_duration, transfers_enabled, ..Deployment::of(&RULES) };
        let mut world =
            World { market: Market::deploy(RULES.clone(), deployment).recording(), labels: Labels::default(), before: Vec::new() };
        for (label, account) in
            [("@0", AccountId::NOBODY), ("@reg", AccountId::REGISTRY), ("@stk", AccountId::STAKING), ("@tok", AccountId::TOKEN)]
        {
            world.labels.name(label, account);
        }
        world
    }

    /// The account of an alias, opened and funded when it is first named.
    fn account(&mut self, alias: &str) -> Result<AccountId> {
        if let Ok(account) = self.labels.account(alias) {
            return Ok(account);
        }
        let account = self.market.fund(&format!("polysim:{alias}"), START_BALANCE);
        self.labels.name(alias, account);
        self.before.push((alias.to_owned(), account, START_BALANCE));
        Ok(account)
    }

    fn account_in(&mut self, object: &Value, key: &str) -> Result<AccountId> {
        let alias = text(field(object, key)?, key)?.to_owned();
        self.account(&alias)
    }

    /// Registers arbiters, then has them deposit; balances are counted from here.
    fn stake(&mut self, stakes: &[(String, Nct)]) -> Result<()> {
        let owner = self.account("O")?;
        for (alias, _) in stakes {
            let arbiter = self.account(alias)?;
            let block = U256::from(self.market.now().0);
            self.market.submit(owner, Command::AddArbiter { arbiter, block }).context("registering an arbiter")?;
        }
        for (alias, stake) in stakes.iter().filter(|(_, stake)| !stake.is_zero()) {
            let arbiter = self.account(alias)?;
            self.market.submit(arbiter, Command::Deposit(*stake)).context("depositing a stake")?;
        }
        for (_, account, before) in &mut self.before {
            *before = self.market.balance(*account);
        }
        self.market.take_events();
        Ok(())
    }
}

/// A market's life: every event, balance, quorum, round, draw and rejection.
pub(super) fn market(vector: &Value) -> Result<Outcome> {
    let config = field(vector, "cfg")?;
    let windows = Windows::blocks(number(config, "reveal")?, number(config, "vote")?);
    let fees = Fees { bounty: nct(field(config, "bounty_fee")?)?, assertion: nct(field(config, "assertion_fee")?)? };
    let mut world = World::new(number(vector, "start")?, windows, fees, number(config, "stake_duration")?, true);
    let stakes: Vec<(String, Nct)> = list(vector, "stakes")?
        .iter()
        .map(|stake| Ok((text(&stake[0], "an arbiter")?.to_owned(), nct(&stake[1])?)))
        .collect::<Result<_>>()?;
    world.stake(&stakes)?;
    let guids: Vec<Guid> = list(vector, "guids")?.iter().map(guid).collect::<Result<_>>()?;
    let mut last_calc = vec![Value::Null; guids.len()];

    let mut ops = Vec::new();
    for op in list(vector, "ops")? {
        world.market.advance_to(BlockNumber(number(op, "k")?));
        ops.push(play(&mut world, &guids, &mut last_calc, op)?);
    }
    let actual = json!({ "ops": ops, "final": final_state(&world, &guids) });
    Ok(compare(&json!({ "ops": field(vector, "ops")?, "final": field(vector, "final")? }), &actual))
}

/// Plays one operation and answers with it as the vectors write it.
fn play(world: &mut World, guids: &[Guid], last_calc: &mut [Value], op: &Value) -> Result<Value> {
    let name = text(field(op, "op")?, "op")?;
    let bounty = || -> Result<(usize, Guid)> {
        let index = number(op, "b")? as usize;
        Ok((index, *guids.get(index).context("no such bounty")?))
    };
    // What the operation said is repeated; what came of it is ours.
    let mut answer: Map<String, Value> = op.as_object().context("an operation is not an object")?.clone();
    for result in ["ok", "err", "ev", "idx", "q", "calc", "assigned", "target", "hash", "r"] {
        if !(name == "reveal" && result == "idx") {
            answer.remove(result);
        }
    }
    if name == "round" {
        let round = world.market.current_round(bounty()?.1)?;
        answer.insert("r".into(), json!(round_number(round, Edition::V1_6_1)));
        return Ok(answer.into());
    }
    let sender = world.account_in(op, "by")?;
    let command = match name {
        "post" => Command::PostBounty(Box::new(PostBounty {
            guid: bounty()?.1,
            artifact_type: number(op, "type")?,
            amount: nct(field(op, "amount")?)?,
            artifact_uri: "u".into(),
            artifacts: number(op, "n")?,
            duration: number(op, "dur")?,
            bloom: None,
            metadata: None,
        })),
        "assert" => Command::PostAssertion(PostAssertion {
            guid: bounty()?.1,
            bids: list(op, "bid")?.iter().map(nct).collect::<Result<_>>()?,
            mask: set(field(op, "mask")?)?,
            commitment: Commitment::from_hash(B256::from(uint(field(op, "commit")?)?)),
        }),
        "reveal" => Command::RevealAssertion(RevealAssertion {
            guid: bounty()?.1,
            index: number(op, "idx")?,
            opening: Opening { nonce: uint(field(op, "nonce")?)?, verdicts: set(field(op, "verdicts")?)? },
            metadata: None,
        }),
        "vote" => Command::VoteOnBounty { guid: bounty()?.1, votes: set(field(op, "votes")?)?, valid_bloom: true },
        "settle" => Command::SettleBounty { guid: bounty()?.1 },
        "setBountyFee" => Command::SetBountyFee(nct(field(op, "v")?)?),
        "setAssertionFee" => Command::SetAssertionFee(nct(field(op, "v")?)?),
        "setWindows" => Command::SetWindows(Windows::new(uint(field(op, "reveal")?)?, uint(field(op, "vote")?)?)),
        "addArbiter" => Command::AddArbiter { arbiter: world.account_in(op, "who")?, block: uint(field(op, "k")?)? },
        "removeArbiter" => Command::RemoveArbiter { arbiter: world.account_in(op, "who")?, block: uint(field(op, "k")?)? },
        "pause" => Command::Pause,
        "unpause" => Command::Unpause,
        "deprecate" => Command::Deprecate { rollover: field(op, "rollover")?.as_bool().context("rollover is not true or false")? },
        "undeprecate" => Command::Undeprecate,
        "deposit" => Command::Deposit(nct(field(op, "v")?)?),
        "withdraw" => Command::Withdraw(nct(field(op, "v")?)?),
        _ => bail!("no operation `{}`", name.escape_debug()),
    };
    let mut assigned_before = None;
    if name == "settle" {
        let (index, guid) = bounty()?;
        assigned_before = world.market.bounty(guid).and_then(|bounty| bounty.assigned_arbiter);
        let calc = match world.market.rewards(guid) {
            Ok(rewards) => json!({
                "refund": wei(rewards.refund), "arb": wei(rewards.arbiter),
                "exp": rewards.experts.iter().map(|expert| wei(expert.payout)).collect::<Vec<_>>(),
            }),
            Err(rejection) => json!({ "err": error(&rejection) }),
        };
        if calc != last_calc[index] {
            answer.insert("calc".into(), calc.clone());
            last_calc[index] = calc;
        }
    }
    match world.market.submit(sender, command) {
        Ok(accepted) => {
            answer.insert("ok".into(), json!(true));
            let events = world.market.take_events();
            let logs: Vec<Value> = events.iter().filter_map(|event| log(event, &world.labels, guids)).collect();
            answer.insert("ev".into(), json!(logs));
            if let Accepted::Asserted { index } = accepted {
                answer.insert("idx".into(), json!(index));
            }
        }
        Err(rejection) => {
            answer.insert("ok".into(), json!(false));
            answer.insert("err".into(), json!(error(&rejection)));
        }
    }
    let accepted = answer["ok"] == json!(true);
    if name == "vote" && accepted {
        let tally = &world.market.bounty(bounty()?.1).context("voted on")?.tally;
        answer.insert(
            "q".into(),
            json!({ "mask": hex(tally.decided.to_uint()), "reached": tally.reached.is_some(), "block": tally.reached.unwrap_or(0) }),
        );
    }
    if name == "settle" && accepted {
        let guid = bounty()?.1;
        let assigned = world.market.bounty(guid).and_then(|bounty| bounty.assigned_arbiter);
        if let Some(arbiter) = assigned.filter(|_| assigned_before.is_none()) {
            let target = world.market.vote_end(guid)?;
            answer.insert("assigned".into(), world.labels.label(arbiter));
            answer.insert("target".into(), json!(target.0));
            answer.insert("hash".into(), json!(world.market.block_hash(target).to_string()));
        }
    }
    Ok(answer.into())
}

/// A refusal as these vectors write it.
fn error(rejection: &Rejection) -> &'static str {
    match revert(rejection, Edition::V1_6_1) {
        ("invalid-opcode", _) => "!invalid",
        (_, message) => message,
    }
}

/// An event as these vectors write it, without what the operation says already; approvals are left out.
fn log(event: &Event, labels: &Labels, guids: &[Guid]) -> Option<Value> {
    let b = |guid: &Guid| guids.iter().position(|known| known == guid);
    let who = |account: &AccountId| labels.label(*account);
    let name = event.name();
    Some(match event {
        Event::Approval { .. } => return None,
        Event::Transfer { from, to, value } => json!([name, who(from), who(to), wei(*value)]),
        Event::NewBounty { guid, artifact_type, author, amount, expiration, .. } => {
            json!([name, b(guid), artifact_type, who(author), wei(*amount), expiration.0])
        }
        Event::NewAssertion { guid, author, index, mask, artifacts, .. } => {
            json!([name, b(guid), who(author), index, hex(mask.to_uint()), artifacts])
        }
        Event::RevealedAssertion { guid, author, index, opening, artifacts, .. } => {
            json!([name, b(guid), who(author), index, hex(opening.verdicts.to_uint()), artifacts])
        }
        Event::NewVote { guid, votes, artifacts, voter } => json!([name, b(guid), hex(votes.to_uint()), artifacts, who(voter)]),
        Event::QuorumReached { guid } => json!([name, b(guid)]),
        Event::SettledBounty { guid, settler, payout } => json!([name, b(guid), who(settler), wei(*payout)]),
        Event::AddedArbiter { arbiter, block } | Event::RemovedArbiter { arbiter, block } => {
            json!([name, who(arbiter), block.saturating_to::<u64>()])
        }
        Event::FeesUpdated(fees) => json!([name, wei(fees.bounty), wei(fees.assertion)]),
        Event::WindowsUpdated(windows) => json!([name, windows.reveal().saturating_to::<u64>(), windows.vote().saturating_to::<u64>()]),
        Event::Paused { by, .. } | Event::Unpaused { by, .. } => json!([name, who(by)]),
        Event::Deprecated { rollover } => json!([name, rollover]),
        Event::BountyRecorded { guid, block } => json!([name, b(guid), block.saturating_to::<u64>()]),
        Event::BountyVoteRecorded { arbiter } => json!([name, who(arbiter)]),
        Event::NewDeposit { from, value } => json!([name, who(from), wei(*value)]),
        Event::NewWithdrawal { to, value } => json!([name, who(to), wei(*value)]),
        _ => json!([name]),
    })
}

fn final_state(world: &World, guids: &[Guid]) -> Value {
    let market = &world.market;
    let mut delta = Map::new();
    for (label, account, before) in &world.before {
        let change = market.balance(*account).minus(*before);
        if change != market::nct::NctDelta::ZERO {
            delta.insert(label.clone(), json!(change.wei_string()));
        }
    }
    let bounty = |guid: &Guid| {
        market.bounty(*guid).map(|bounty| {
            json!({
                "exp": bounty.expiration.0,
                "assigned": bounty.assigned_arbiter.map(|arbiter| world.labels.label(arbiter)),
                "reached": bounty.tally.reached.is_some(),
                "qblock": bounty.tally.reached.unwrap_or(0),
                "qmask": hex(bounty.tally.decided.to_uint()),
                "qvotes": bounty.tally.malicious.as_slice(),
                "nvotes": bounty.votes.len(),
                "nassert": bounty.assertions.len(),
                "voters": bounty.votes.iter().map(|vote| world.labels.label(vote.voter)).collect::<Vec<_>>(),
            })
        })
    };
    let responses: Map<String, Value> = world
        .labels
        .iter()
        .map(|(label, account)| (label.clone(), json!(market.staking().responses(account))))
        .filter(|(_, responses)| responses != &json!(0))
        .collect();
    json!({
        "delta": delta,
        "registry": wei(market.balance(AccountId::REGISTRY)),
        "bounties": guids.iter().map(bounty).collect::<Vec<_>>(),
        "num_bounties": market.staking().recorded_bounties(),
        "responses": responses,
    })
}

/// One call at its limits, after some setup.
pub(super) fn call(vector: &Value) -> Result<Outcome> {
    let base = text(field(vector, "base")?, "base")?;
    if vector["contract"] == json!("ERC20Relay") {
        return Ok(Outcome::Skipped("the ERC20 relay"));
    }
    let stake_duration = if base.starts_with("stakeDuration=100000") { 100_000 } else { RULES.stake_duration };
    let fees = Fees { bounty: RULES.bounty_fee, assertion: RULES.assertion_fee };
    let transfers_enabled = base != "no-transfers";
    let mut world = World::new(1000, Windows::blocks(10, 100), fees, stake_duration, transfers_enabled);
    let stake = if transfers_enabled { Nct::whole(10_000_000) } else { Nct::ZERO };
    let stakes: Vec<(String, Nct)> = (0..4).map(|arbiter| (format!("R{arbiter}"), stake)).collect();
    world.stake(&stakes)?;
    let mut play = |call: &Value| -> Result<_> {
        world.market.advance_to(BlockNumber(number(call, "k")?));
        let sender = world.account_in(call, "by")?;
        let arguments = list(call, "args")?;
        for label in arguments.iter().filter_map(Value::as_str).filter(|text| is_alias(text)) {
            world.account(label)?;
        }
        calls::call(&mut world.market, &world.labels, sender, text(field(call, "c")?, "c")?, text(field(call, "fn")?, "fn")?, arguments)
    };
    for call in list(vector, "setup")? {
        play(call)?.with_context(|| format!("setup {call}"))?;
    }
    let actual = match play(field(vector, "call")?)? {
        Ok(_) => json!({ "ok": true }),
        Err(rejection) => {
            let (kind, reason) = revert(&rejection, Edition::V1_6_1);
            json!({ "ok": false, "kind": kind, "reason": reason })
        }
    };
    Ok(compare(&json!({ "result": field(vector, "result")? }), &json!({ "result": actual })))
}

/// `A0`, `E12`, `O`: an account's alias, as opposed to any other text argument.
fn is_alias(text: &str) -> bool {
    text.strip_prefix(|first: char| first.is_ascii_uppercase()).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Deposits and withdrawals, with the whole state of every arbiter after each operation.
pub(super) fn staking(vector: &Value) -> Result<Outcome> {
    let windows = Windows::blocks(number(vector, "reveal")?, number(vector, "vote")?);
    let fees = Fees { bounty: RULES.bounty_fee, assertion: RULES.assertion_fee };
    let mut world = World::new(number(vector, "start")?, windows, fees, number(vector, "stake_duration")?, true);
    let arbiters: Vec<(String, Nct)> =
        list(vector, "arbiters")?.iter().map(|alias| Ok((text(alias, "an arbiter")?.to_owned(), Nct::ZERO))).collect::<Result<_>>()?;
    world.stake(&arbiters)?;
    let operations = list(vector, "ops")?;
    // Bounties to vote on stand ready: posted at the start for one block.
    let ambassador = world.account("A0")?;
    let bounties = operations.iter().filter_map(|op| op.get("bounty")?.as_u64()).max().map_or(0, |last| last + 1);
    for bounty in 0..bounties {
        let post = PostBounty { guid: Guid(u128::from(bounty)), duration: 1, ..PostBounty::one_artifact() };
        world.market.submit(ambassador, Command::PostBounty(Box::new(post))).context("posting a bounty to vote on")?;
    }
    let owner = world.account("O")?;
    let mut states = Vec::new();
    for op in operations {
        world.market.advance_to(BlockNumber(number(op, "k")?));
        let name = text(field(op, "op")?, "op")?;
        let sender = if op.get("by").is_some() { world.account_in(op, "by")? } else { owner };
        let value = || nct(field(op, "v")?);
        let command = match name {
            "view" => None,
            "deposit" => Some(Command::Deposit(value()?)),
            "withdraw" => Some(Command::Withdraw(value()?)),
            "approveAndCall" => Some(Command::ApproveAndCall { spender: AccountId::STAKING, value: value()? }),
            "vote" => Some(Command::VoteOnBounty { guid: Guid(number(op, "bounty")?.into()), votes: set(&json!(0))?, valid_bloom: true }),
            "deprecate" => Some(Command::Deprecate { rollover: op["rollover"] == json!(true) }),
            "undeprecate" => Some(Command::Undeprecate),
            "pause" => Some(Command::PauseStaking),
            "unpause" => Some(Command::UnpauseStaking),
            "addArbiter" => Some(Command::AddArbiter { arbiter: world.account_in(op, "who")?, block: U256::ZERO }),
            "removeArbiter" => Some(Command::RemoveArbiter { arbiter: world.account_in(op, "who")?, block: U256::ZERO }),
            _ => bail!("no operation `{}`", name.escape_debug()),
        };
        let result = command.map_or(Ok(Accepted::Done), |command| world.market.submit(sender, command));
        if name == "approveAndCall" {
            // The next deposit is allowed without limit again.
            let unlimited = Nct::from_uint(U256::MAX);
            world.market.submit(sender, Command::Approve { spender: AccountId::STAKING, value: unlimited }).context("approving")?;
        }
        let mut answer = Map::from_iter([("ok".to_owned(), json!(result.is_ok()))]);
        if let Err(rejection) = &result {
            answer.insert("err".into(), json!(error(rejection)));
        }
        let watched = field(op, "st")?.as_object().context("`st` is not an object")?.keys();
        let mut state = Map::new();
        for alias in watched {
            let account = world.account(alias)?;
            let staking = world.market.staking();
            let deposits: Vec<Value> =
                staking.deposits(account).iter().map(|deposit| json!([deposit.block.0, wei(deposit.value)])).collect();
            state.insert(
                alias.clone(),
                json!({
                    "bal": wei(staking.balance(account)), "wd": wei(world.market.withdrawable_stake(account)),
                    "elig": staking.is_eligible(&RULES, account),
                    "resp": [staking.responses(account), staking.recorded_bounties()], "dep": deposits,
                }),
            );
        }
        answer.insert("st".into(), state.into());
        states.push(Value::from(answer));
    }
    let expected: Vec<Value> = operations
        .iter()
        .map(|op| ["ok", "err", "st"].iter().filter_map(|&key| Some((key.to_owned(), op.get(key)?.clone()))).collect::<Map<_, _>>().into())
        .collect();
    Ok(compare(&json!({ "ops": expected }), &json!({ "ops": states })))
}

/// The draw of an arbiter.
pub(super) fn draw(vector: &Value) -> Result<Outcome> {
    let (target, now) = (number(vector, "target")?, number(vector, "block")?);
    let aliases: Vec<&str> = list(vector, "voters")?.iter().map(|voter| text(&voter[0], "a voter")).collect::<Result<_>>()?;
    let voters: Vec<(AccountId, Nct)> = list(vector, "voters")?
        .iter()
        .enumerate()
        .map(|(index, voter)| Ok((AccountId(index as u32), nct(&voter[1])?)))
        .collect::<Result<_>>()?;
    let sum: Nct = voters.iter().map(|&(_, stake)| stake).sum();
    let chosen = if now > target + RULES.draw_blocks {
        field(vector, "settler")?.clone()
    } else {
        let hash = B256::from(uint(field(vector, "blockhash")?)?);
        match settlement::draw_arbiter(&RULES, &voters, hash, BlockNumber(now)) {
            Ok(chosen) => chosen.map_or(Value::Null, |arbiter| json!(aliases[arbiter.0 as usize])),
            Err(rejection) => json!(error(&rejection)),
        }
    };
    Ok(compare(&json!({ "sum": vector["sum"], "chosen": vector["chosen"] }), &json!({ "sum": wei(sum), "chosen": chosen })))
}
