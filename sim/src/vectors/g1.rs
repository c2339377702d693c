//! Vectors of BountyRegistry 1.0.0 and its staking contract.

use alloy_primitives::{B256, U256};
use anyhow::{Context, Result, bail};
use market::{
    block::{BlockNumber, Windows},
    bloom::Bloom,
    command::{Command, PostAssertion, PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    event::Event,
    id::{AccountId, Guid},
    market::{Deployment, Market, named_address},
    nct::{Nct, NctDelta},
    rejection::Rejection,
    ruleset::{BOUNTY_REGISTRY_1_0_0 as RULES, Edition},
    settlement::{self, Rewards},
};
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    calls::{self, Labels, PLENTY, address, field, guid, hex, list, nct, number, revert, round_number, set, text, uint, wei},
    compare,
};

struct World {
    market: Market,
    labels: Labels,
    owner: AccountId,
}

impl World {
    /// A market whose accounts and addresses the vector lists; nobody has anything.
    fn new(accounts: &Value, start: u64, vote_window: u64, stake_duration: u64, transfers_enabled: bool) -> Result<World> {
        let deployer = accounts.get("O").map_or_else(|| Ok(named_address("owner")), address)?;
        let windows = Windows::blocks(RULES.reveal_window, vote_window);
        let deployment =
            Deployment { deployer, start: BlockNumber(start), windows, stake_duration, transfers_enabled, ..Deployment::of(&RULES) };
        let mut market = Market::deploy(RULES.clone(), deployment).recording();
        let owner = market.account(deployer);
        let mut labels = Labels::default();
        for (label, account) in
            [("0", AccountId::NOBODY), ("REG", AccountId::REGISTRY), ("STK", AccountId::STAKING), ("TOK", AccountId::TOKEN), ("O", owner)]
        {
            labels.name(label, account);
        }
        for (label, value) in accounts.as_object().context("`accounts` is not an object")? {
            labels.name(label, market.account(address(value)?));
        }
        Ok(World { market, labels, owner })
    }

    fn account(&mut self, label: &str) -> AccountId {
        self.labels.account(label).unwrap_or_else(|_| {
            let account = self.market.account(named_address(label));
            self.labels.name(label, account);
            account
        })
    }

    fn account_in(&mut self, object: &Value, key: &str) -> Result<AccountId> {
        let label = text(field(object, key)?, key)?.to_owned();
        Ok(self.account(&label))
    }

    /// Tops an account up to plenty, and lets `contract` pull exactly `value`, as was done before each step.
    fn allow(&mut self, account: AccountId, contract: AccountId, value: Option<Nct>) -> Result<()> {
        let value = value.unwrap_or(Nct::from_uint(U256::MAX));
        self.market.submit(account, Command::Approve { spender: contract, value }).context("approving")?;
        self.market.take_events();
        Ok(())
    }

    fn mint(&mut self, to: AccountId, value: Nct) -> Result<()> {
        self.market.submit(self.owner, Command::Mint { to, value }).context("minting")?;
        self.market.take_events();
        Ok(())
    }

    fn logs(&mut self, g: Option<Guid>) -> Value {
        let events = self.market.take_events();
        events.iter().map(|event| log(event, &self.labels, g)).collect()
    }
}

/// A refusal as these vectors write it in one text.
fn error(rejection: &Rejection) -> String {
    match revert(rejection, Edition::V1_0_0) {
        ("invalid-opcode", _) => "halt:InvalidFEOpcode".to_owned(),
        (_, message) => format!("revert:{message}"),
    }
}

/// An event with all its arguments as these vectors write it; `g` is the guid written `G`.
fn log(event: &Event, labels: &Labels, g: Option<Guid>) -> Value {
    let id = |guid: &Guid| if Some(*guid) == g { json!("G") } else { json!(guid.0.to_string()) };
    let who = |account: &AccountId| labels.label(*account);
    let int = |number: U256| json!(number.to_string());
    let arguments = match event {
        Event::Transfer { from, to, value } => json!([who(from), who(to), wei(*value)]),
        Event::Approval { owner, spender, value } => json!([who(owner), who(spender), wei(*value)]),
        Event::NewBounty { guid, author, amount, artifact_uri, expiration, .. } => {
            json!([id(guid), who(author), wei(*amount), &**artifact_uri, expiration.0.to_string()])
        }
        Event::NewAssertion { guid, author, index, bids, mask, artifacts, commitment } => {
            json!([
                id(guid),
                who(author),
                index.to_string(),
                wei(bids[0]),
                int(mask.to_uint()),
                artifacts.to_string(),
                int((*commitment).into())
            ])
        }
        Event::RevealedAssertion { guid, author, index, opening, artifacts, metadata } => {
            json!([
                id(guid),
                who(author),
                index.to_string(),
                int(opening.nonce),
                int(opening.verdicts.to_uint()),
                artifacts.to_string(),
                metadata.as_deref().unwrap_or_default()
            ])
        }
        Event::NewVote { guid, votes, artifacts, voter } => json!([id(guid), int(votes.to_uint()), artifacts.to_string(), who(voter)]),
        Event::QuorumReached { guid } => json!([id(guid)]),
        Event::SettledBounty { guid, settler, payout } => json!([id(guid), who(settler), wei(*payout)]),
        Event::AddedArbiter { arbiter, block } | Event::RemovedArbiter { arbiter, block } => json!([who(arbiter), int(*block)]),
        Event::BountyRecorded { guid, block } => json!([id(guid), int(*block)]),
        Event::BountyVoteRecorded { arbiter } => json!([who(arbiter)]),
        Event::NewDeposit { from, value } => json!([who(from), wei(*value)]),
        Event::NewWithdrawal { to, value } => json!([who(to), wei(*value)]),
        Event::Paused { by, .. } | Event::Unpaused { by, .. } => json!([who(by)]),
        _ => json!([]),
    };
    json!([who(&event.contract()), event.name(), arguments])
}

/// A bounty's life: every event, round, quorum, draw, reward, balance and rejection.
pub(super) fn settlement(vector: &Value) -> Result<Outcome> {
    let (given, expected) = (field(vector, "in")?, field(vector, "out")?);
    let mut world = World::new(
        field(given, "accounts")?,
        number(given, "setup_block")?,
        number(given, "vote_window")?,
        number(given, "stake_duration")?,
        true,
    )?;
    let g = guid(field(given, "guid")?)?;
    let holders: Vec<(String, AccountId)> =
        world.labels.iter().filter(|(_, account)| *account != AccountId::NOBODY).map(|(label, account)| (label.clone(), account)).collect();
    for (_, holder) in holders.iter().filter(|(_, holder)| holder.0 > AccountId::TOKEN.0) {
        world.mint(*holder, PLENTY)?;
    }
    world.mint(AccountId::REGISTRY, nct(field(given, "prefund")?)?)?;
    let arbiters = list(given, "arbiters")?;
    for arbiter in arbiters {
        let arbiter = world.account_in(arbiter, "id")?;
        world.market.submit(world.owner, Command::AddArbiter { arbiter, block: U256::ZERO }).context("registering an arbiter")?;
    }
    for entry in arbiters {
        let arbiter = world.account_in(entry, "id")?;
        for deposit in list(entry, "deposits")? {
            world.allow(arbiter, AccountId::STAKING, None)?;
            world.market.submit(arbiter, Command::Deposit(nct(deposit)?)).context("depositing a stake")?;
        }
    }
    world.market.take_events();
    let before: Vec<Nct> = holders.iter().map(|(_, holder)| world.market.balance(*holder)).collect();

    let stranger = world.account("a stranger");
    let rewards_at = expected.get("rewards_at_step").and_then(Value::as_u64);
    let mut rewards = Value::Null;
    let mut steps = Vec::new();
    for (index, step) in list(given, "steps")?.iter().enumerate() {
        world.market.advance_to(BlockNumber(number(step, "b")?));
        if rewards_at == Some(index as u64) {
            rewards = rewards_json(world.market.calculate_bounty_rewards(stranger, g));
        }
        steps.push(play(&mut world, given, g, step)?);
    }
    let last_rewards = rewards_json(world.market.calculate_bounty_rewards(stranger, g));
    if rewards_at.is_none() {
        rewards = last_rewards.clone();
    }

    let bounty = world.market.bounty(g).context("no step posted the bounty")?;
    let deltas: Map<String, Value> = holders
        .iter()
        .zip(&before)
        .map(|((label, holder), &before)| (label.clone(), world.market.balance(*holder).minus(before)))
        .filter(|(_, delta)| *delta != NctDelta::ZERO)
        .map(|(label, delta)| (label, json!(delta.wei_string())))
        .collect();
    let assigned = bounty.assigned_arbiter.unwrap_or(AccountId::NOBODY);
    let mut actual = json!({
        "rewards_at_step": expected["rewards_at_step"],
        "expiration": bounty.expiration.0,
        "vote_end": world.market.vote_end(g)?.0,
        "quorum_reached": bounty.tally.reached.is_some(),
        "quorum_block": bounty.tally.reached.unwrap_or(0).to_string(),
        "quorum_mask": hex(bounty.tally.decided.to_uint()),
        "assigned": world.labels.label(assigned),
        "rewards": rewards,
        "quorum_votes": bounty.tally.malicious.as_slice(),
        "num_votes": bounty.votes.len(),
        "num_assertions": bounty.assertions.len(),
        "deltas": deltas,
        "registry_left": wei(world.market.balance(AccountId::REGISTRY)),
        "arbiter_count": world.market.arbiter_count(),
        "steps": steps,
    });
    if last_rewards != rewards {
        actual["rewards_final"] = last_rewards;
    }
    Ok(compare(expected, &actual))
}

fn rewards_json(rewards: std::result::Result<std::borrow::Cow<'_, Rewards>, Rejection>) -> Value {
    match rewards {
        Ok(rewards) => json!({
            "refund": wei(rewards.refund), "arbiter": wei(rewards.arbiter),
            "experts": rewards.experts.iter().map(|expert| wei(expert.payout)).collect::<Vec<_>>(),
        }),
        Err(rejection) => json!({ "err": error(&rejection) }),
    }
}

fn play(world: &mut World, given: &Value, g: Guid, step: &Value) -> Result<Value> {
    let name = text(field(step, "op")?, "op")?;
    let sender = world.account_in(step, "who")?;
    let mut spender = AccountId::REGISTRY;
    let mut price = Some(Nct::ZERO);
    let command = match name {
        "post" => {
            let words: Vec<U256> = list(given, "bloom")?.iter().map(uint).collect::<Result<_>>()?;
            let amount = nct(field(given, "amount")?)?;
            price = amount.checked_add(RULES.bounty_fee);
            Command::PostBounty(Box::new(PostBounty {
                guid: g,
                artifact_type: 0,
                amount,
                artifact_uri: text(field(given, "uri")?, "uri")?.into(),
                artifacts: number(given, "n")?,
                duration: number(given, "duration")?,
                bloom: Some(Box::new(Bloom(words.try_into().ok().context("a bloom filter has eight words")?))),
                metadata: None,
            }))
        }
        "assert" => {
            let bid = nct(field(step, "bid")?)?;
            price = bid.checked_add(RULES.assertion_fee);
            let commitment = Commitment::from_hash(B256::from(uint(field(step, "commit")?)?));
            Command::PostAssertion(PostAssertion {
                guid: g,
                bids: [bid].into_iter().collect(),
                mask: set(field(step, "mask")?)?,
                commitment,
            })
        }
        "reveal" => Command::RevealAssertion(RevealAssertion {
            guid: g,
            index: number(step, "idx")?,
            opening: Opening { nonce: uint(field(step, "nonce")?)?, verdicts: set(field(step, "verdicts")?)? },
            metadata: Some(text(field(step, "meta")?, "meta")?.into()),
        }),
        "vote" => Command::VoteOnBounty { guid: g, votes: set(field(step, "votes")?)?, valid_bloom: step["bloom"] == json!(true) },
        "settle" => Command::SettleBounty { guid: g },
        // The block that these calls carry is the block they were made in.
        "addArbiter" => Command::AddArbiter { arbiter: world.account_in(step, "arg")?, block: uint(field(step, "b")?)? },
        "removeArbiter" => Command::RemoveArbiter { arbiter: world.account_in(step, "arg")?, block: uint(field(step, "b")?)? },
        "deposit" => {
            spender = AccountId::STAKING;
            price = Some(nct(field(step, "value")?)?);
            Command::Deposit(nct(field(step, "value")?)?)
        }
        "withdraw" => Command::Withdraw(nct(field(step, "value")?)?),
        _ => bail!("no operation `{}`", name.escape_debug()),
    };
    if matches!(name, "post" | "assert" | "deposit") {
        world.allow(sender, spender, price)?;
    }
    let mut answer = Map::new();
    match world.market.submit(sender, command) {
        Ok(_) => {
            answer.insert("ok".into(), json!(true));
            answer.insert("ev".into(), world.logs(Some(g)));
        }
        Err(rejection) => {
            answer.insert("ok".into(), json!(false));
            answer.insert("err".into(), json!(error(&rejection)));
        }
    }
    answer.insert("round".into(), json!(round_number(world.market.current_round(g)?, Edition::V1_0_0)));
    let bounty = world.market.bounty(g).context("no step posted the bounty")?;
    if name == "vote" {
        answer.insert("qmask".into(), hex(bounty.tally.decided.to_uint()));
        answer.insert("quorum".into(), json!(bounty.tally.reached.is_some()));
    }
    if name == "settle" {
        answer.insert("assigned".into(), world.labels.label(bounty.assigned_arbiter.unwrap_or(AccountId::NOBODY)));
    }
    Ok(answer.into())
}

/// One call at its limits, after some setup.
pub(super) fn call(vector: &Value) -> Result<Outcome> {
    let config = field(vector, "cfg")?;
    let transfers_enabled = config["transfers_enabled"] != json!(false);
    let mut world =
        World::new(field(vector, "accounts")?, 1, number(config, "vote_window")?, number(config, "stake_duration")?, transfers_enabled)?;
    let mut play = |call: &Value| -> Result<_> {
        world.market.advance_to(BlockNumber(number(call, "b")?));
        world.market.take_events();
        let sender = world.account_in(call, "from")?;
        let arguments = list(call, "args")?;
        for label in arguments.iter().filter_map(Value::as_str).filter_map(|text| text.strip_prefix('@')) {
            world.account(label);
        }
        let played =
            calls::call(&mut world.market, &world.labels, sender, text(field(call, "c")?, "c")?, text(field(call, "f")?, "f")?, arguments)?;
        Ok(played.map(|returned| (returned, world.logs(None))))
    };
    for call in list(vector, "setup")? {
        play(call)?.with_context(|| format!("setup {call}"))?;
    }
    let expected = field(vector, "expect")?;
    let actual = match play(field(vector, "call")?)? {
        Ok((returned, logs)) => {
            let mut answer = json!({ "ok": true });
            if expected.get("ev").is_some() {
                answer["ev"] = logs;
            }
            if expected.get("ret").is_some() {
                answer["ret"] = returned;
            }
            answer
        }
        Err(rejection) => match revert(&rejection, Edition::V1_0_0) {
            // A halt is a halt, whatever the machine calls it.
            ("invalid-opcode", _) if expected["kind"] == json!("halt") => expected.clone(),
            ("invalid-opcode", _) => json!({ "ok": false, "kind": "halt" }),
            (_, reason) => json!({ "ok": false, "kind": "revert", "reason": reason }),
        },
    };
    Ok(compare(&json!({ "expect": expected }), &json!({ "expect": actual })))
}

/// Deposits, withdrawals and votes, with the state of the watched arbiters after each step.
pub(super) fn staking(vector: &Value) -> Result<Outcome> {
    let config = field(vector, "cfg")?;
    let template = field(config, "bounty")?;
    let steps = list(vector, "steps")?;
    let start = steps.iter().filter_map(|step| step["b"].as_u64()).min().unwrap_or(1);
    let mut world = World::new(field(vector, "accounts")?, start, number(config, "vote_window")?, number(config, "stake_duration")?, true)?;
    let holders: Vec<AccountId> = world.labels.iter().map(|(_, account)| account).filter(|account| account.0 > 3).collect();
    for holder in holders {
        world.mint(holder, Nct::whole(1_000_000_000))?;
    }
    for arbiter in list(vector, "arbiters")? {
        let arbiter = world.account(text(arbiter, "an arbiter")?);
        world.market.submit(world.owner, Command::AddArbiter { arbiter, block: U256::ZERO }).context("registering an arbiter")?;
    }
    let out = list(field(vector, "out")?, "steps")?;
    let mut answers = Vec::new();
    for (step, expected) in steps.iter().zip(out) {
        world.market.advance_to(BlockNumber(number(step, "b")?));
        world.market.take_events();
        let name = text(field(step, "op")?, "op")?;
        let mut g = None;
        let result = if name == "query" {
            Ok(())
        } else {
            let sender = world.account_in(step, "who")?;
            let value = || nct(field(step, "value")?);
            if step.get("guid").is_some() {
                g = Some(guid(field(step, "guid")?)?);
            }
            let command = match name {
                "deposit" => {
                    world.allow(sender, AccountId::STAKING, Some(value()?))?;
                    Command::Deposit(value()?)
                }
                "withdraw" => Command::Withdraw(value()?),
                "approve_and_call" => Command::ApproveAndCall { spender: AccountId::STAKING, value: value()? },
                "post" => {
                    world.allow(sender, AccountId::REGISTRY, None)?;
                    Command::PostBounty(Box::new(PostBounty {
                        guid: g.context("a post without a guid")?,
                        amount: nct(field(template, "amount")?)?,
                        artifacts: number(template, "n")?,
                        duration: number(template, "duration")?,
                        ..PostBounty::one_artifact()
                    }))
                }
                "vote" => Command::VoteOnBounty { guid: g.context("a vote without a guid")?, votes: set(&json!(1))?, valid_bloom: true },
                "addArbiter" => Command::AddArbiter { arbiter: world.account_in(step, "arg")?, block: uint(field(step, "b")?)? },
                "removeArbiter" => Command::RemoveArbiter { arbiter: world.account_in(step, "arg")?, block: uint(field(step, "b")?)? },
                _ => bail!("no operation `{}`", name.escape_debug()),
            };
            world.market.submit(sender, command).map(|_| ())
        };
        let mut answer = Map::from_iter([("ok".to_owned(), json!(result.is_ok()))]);
        if let Err(rejection) = &result {
            answer.insert("err".into(), json!(error(rejection)));
        }
        let logs = world.logs(None);
        if expected.get("ev").is_some() {
            answer.insert("ev".into(), logs);
        }
        if let Some(watched) = expected.get("state") {
            let mut state = Map::new();
            for label in watched.as_object().context("`state` is not an object")?.keys() {
                let account = world.account(label);
                let staking = world.market.staking();
                let deposits: Vec<Value> =
                    staking.deposits(account).iter().map(|deposit| json!([deposit.block.0, wei(deposit.value)])).collect();
                state.insert(
                    label.clone(),
                    json!({
                        "balance": wei(staking.balance(account)), "withdrawable": wei(world.market.withdrawable_stake(account)),
                        "eligible": staking.is_eligible(&RULES, account),
                        "responses": staking.responses(account).to_string(), "bounties": staking.recorded_bounties().to_string(),
                        "deposits": deposits,
                    }),
                );
            }
            answer.insert("state".into(), state.into());
        }
        answers.push(Value::from(answer));
    }
    Ok(compare(&json!({ "steps": out }), &json!({ "steps": answers })))
}

/// The draw of an arbiter.
pub(super) fn draw(vector: &Value) -> Result<Outcome> {
    let stakes = list(vector, "stakes")?;
    let voters: Vec<(AccountId, Nct)> =
        stakes.iter().enumerate().map(|(index, stake)| Ok((AccountId(index as u32), nct(stake)?))).collect::<Result<_>>()?;
    let hash = B256::from(uint(field(vector, "hash_seen")?)?);
    let drawn = settlement::draw_arbiter(&RULES, &voters, hash, BlockNumber(number(vector, "call_block")?));
    let picked = match drawn {
        Ok(arbiter) => arbiter.map_or(Value::Null, |arbiter| json!(arbiter.0)),
        Err(rejection) => json!(error(&rejection)),
    };
    Ok(compare(&json!({ "picked_index": vector["picked_index"] }), &json!({ "picked_index": picked })))
}

/// The list of arbiter candidates after a series of posts.
pub(super) fn candidates(vector: &Value) -> Result<Outcome> {
    let mut market = Market::new(RULES.clone());
    let mut labels = Labels::default();
    for (index, author) in list(vector, "authors")?.iter().enumerate() {
        let author = text(author, "an author")?;
        let account = market.fund(author, Nct::whole(1000));
        labels.name(author, account);
        let post = PostBounty { guid: Guid(index as u128), ..PostBounty::one_artifact() };
        market.submit(account, Command::PostBounty(Box::new(post))).context("posting a bounty")?;
    }
    let candidates: Vec<Value> = market.arbiter_candidates()?.into_iter().map(|author| labels.label(author)).collect();
    Ok(compare(&json!({ "candidates": vector["candidates"] }), &json!({ "candidates": candidates })))
}
