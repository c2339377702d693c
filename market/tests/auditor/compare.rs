//! Both books side by side: the same call goes to the market and to the second book, and then everything that can be
//! read of the one is held against the other.

use std::{borrow::Cow, collections::BTreeMap, fmt, panic};

use alloy_primitives::U256;
use market::{
    block::{BlockNumber, Round, Windows},
    command::{Accepted, Command, PostAssertion, PostBounty, RevealAssertion},
    commitment::{Commitment, Opening},
    event::Event,
    id::{AccountId, Guid},
    market::{Deployment, Market},
    nct::Nct,
    rejection::{Rejection, Revert},
    ruleset,
    settlement::{Fees, Rewards},
    verdict::ArtifactSet,
};

use crate::book::{self, Action, Answer, Book, Edition, NOBODY, Name, REGISTRY, Refusal, STAKING};
use crate::walk::{PEOPLE, World};

/// What the two books disagree on.
#[derive(Debug)]
pub(crate) struct Disagreement {
    about: String,
    market: String,
    book: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n   the market says {}\n     the book says {}", self.about, self.market, self.book)
    }
}

fn same<T: PartialEq + fmt::Debug>(about: impl FnOnce() -> String, market: T, book: T) -> Result<(), Disagreement> {
    if market == book {
        return Ok(());
    }
    Err(Disagreement { about: about(), market: format!("{market:?}"), book: format!("{book:?}") })
}

pub(crate) struct Sides {
    pub(crate) book: Book,
    pub(crate) market: Market,
    ids: BTreeMap<Name, AccountId>,
}

impl Sides {
    pub(crate) fn new(world: &World) -> Sides {
        let rules = ruleset::find(if world.edition == Edition::V100 { "1.0.0" } else { "1.6.1" }).expect("shipped").clone();
        let windows = (U256::from(world.windows.0), U256::from(world.windows.1));
        let deployment = Deployment {
            start: BlockNumber(world.start),
            windows: Windows::new(windows.0, windows.1),
            stake_duration: world.stake_duration,
            transfers_enabled: world.transfers_enabled,
            ..Deployment::of(&rules)
        };
        let mut market = Market::deploy(rules, deployment).recording();
        let mut book = Book::new(world.edition, world.start, windows, world.stake_duration, world.transfers_enabled);
        let mut ids = BTreeMap::from([(NOBODY, AccountId::NOBODY), (REGISTRY, AccountId::REGISTRY), (STAKING, AccountId::STAKING)]);
        for name in PEOPLE {
            let money = world.money(name);
            let id = market.fund(name, Nct::from_uint(money));
            book.open(name, market.address(id), money);
            ids.insert(name, id);
        }
        Sides { book, market, ids }
    }

    /// Lets both carry out the call at `block`, and compares.
    pub(crate) fn submit(&mut self, block: u64, who: Name, action: &Action) -> Result<Result<Answer, Refusal>, Disagreement> {
        self.market.advance_to(BlockNumber(block));
        self.book.now = block;
        let command = self.command(action);
        let ours = self.book.submit(who, action);
        let id = self.ids[who];
        let market = &mut self.market;
        let Ok(theirs) = panic::catch_unwind(panic::AssertUnwindSafe(|| market.submit(id, command))) else {
            return Err(Disagreement { about: "the answer".into(), market: "(it panicked)".into(), book: format!("{ours:?}") });
        };
        let verdict = match &theirs {
            Ok(Accepted::Done) => Ok(Answer::Done),
            Ok(Accepted::Asserted { index }) => Ok(Answer::Asserted(*index)),
            Ok(Accepted::Voted { quorum }) => Ok(Answer::Voted { quorum: *quorum }),
            Ok(Accepted::Settled { payout }) => Ok(Answer::Settled(payout.to_uint())),
            Err(rejection) => Err(self.refusal(rejection)),
        };
        same(|| format!("the answer (rejection: {:?})", theirs.err()), verdict, ours)?;
        let logged: Vec<String> = self.market.take_events().iter().filter_map(|event| self.log_line(event)).collect();
        let log = self.book.log.clone();
        same(|| "the events".into(), logged, log)?;
        self.compare_accounts()?;
        self.compare_registry()?;
        for position in 0..self.book.bounties.len() {
            self.compare_bounty(&self.book.bounties[position], who)?;
        }
        Ok(ours)
    }

    fn id(&self, name: Name) -> AccountId {
        self.ids[name]
    }

    fn name(&self, id: AccountId) -> Name {
        self.ids.iter().find(|(_, known)| **known == id).map(|(name, _)| *name).expect("a known account")
    }

    fn refusal(&self, rejection: &Rejection) -> Refusal {
        match rejection.revert(self.market.rules().edition) {
            Revert::Message(message) => Refusal::Message(message),
            Revert::Empty => Refusal::Empty,
            Revert::InvalidOpcode => Refusal::InvalidOpcode,
        }
    }

    fn command(&self, action: &Action) -> Command {
        let id = |name: Name| self.ids[name];
        let nct = Nct::from_uint;
        let block = U256::from(self.book.now);
        match *action {
            Action::Post { guid, kind, amount, uri, artifacts, duration } => Command::PostBounty(Box::new(PostBounty {
                guid: Guid(guid),
                artifact_type: kind,
                amount: nct(amount),
                artifact_uri: uri.into(),
                artifacts,
                duration,
                bloom: None,
                metadata: None,
            })),
            Action::Assert { guid, ref bids, mask, promise } => {
                let opening = Opening { nonce: promise.nonce, verdicts: ArtifactSet::from_uint(promise.verdicts) };
                let commitment = match promise.sealed {
                    true => Commitment::envelope(opening),
                    false => Commitment::from_hash(Commitment::compute(self.market.address(id(promise.author)), opening)),
                };
                let bids = bids.iter().copied().map(nct).collect();
                Command::PostAssertion(PostAssertion { guid: Guid(guid), bids, mask: ArtifactSet::from_uint(mask), commitment })
            }
            Action::Reveal { guid, index, nonce, verdicts } => Command::RevealAssertion(RevealAssertion {
                guid: Guid(guid),
                index,
                opening: Opening { nonce, verdicts: ArtifactSet::from_uint(verdicts) },
                metadata: None,
            }),
            Action::Vote { guid, votes } => {
                Command::VoteOnBounty { guid: Guid(guid), votes: ArtifactSet::from_uint(votes), valid_bloom: true }
            }
            Action::Settle { guid } => Command::SettleBounty { guid: Guid(guid) },
            Action::AddArbiter(arbiter) => Command::AddArbiter { arbiter: id(arbiter), block },
            Action::RemoveArbiter(arbiter) => Command::RemoveArbiter { arbiter: id(arbiter), block },
            Action::SetBountyFee(fee) => Command::SetBountyFee(nct(fee)),
            Action::SetAssertionFee(fee) => Command::SetAssertionFee(nct(fee)),
            Action::SetWindows { reveal, vote } => Command::SetWindows(Windows::new(reveal, vote)),
            Action::SetFeeManager(account) => Command::SetFeeManager(id(account)),
            Action::SetWindowManager(account) => Command::SetWindowManager(id(account)),
            Action::AddArbiterManager(account) => Command::AddArbiterManager(id(account)),
            Action::RemoveArbiterManager(account) => Command::RemoveArbiterManager(id(account)),
            Action::AddDeprecator(account) => Command::AddDeprecator(id(account)),
            Action::RemoveDeprecator(account) => Command::RemoveDeprecator(id(account)),
            Action::Pause => Command::Pause,
            Action::Unpause => Command::Unpause,
            Action::AddPauser(account) => Command::AddPauser(id(account)),
            Action::RenouncePauser => Command::RenouncePauser,
            Action::TransferOwnership(account) => Command::TransferOwnership(id(account)),
            Action::RenounceOwnership => Command::RenounceOwnership,
            Action::Deprecate { rollover } => Command::Deprecate { rollover },
            Action::Undeprecate => Command::Undeprecate,
            Action::Deposit(value) => Command::Deposit(nct(value)),
            Action::Withdraw(value) => Command::Withdraw(nct(value)),
            Action::PauseStaking => Command::PauseStaking,
            Action::UnpauseStaking => Command::UnpauseStaking,
            Action::SetBountyRegistry(account) => Command::SetBountyRegistry(id(account)),
            Action::RecordBounty { arbiter, guid } => Command::RecordBounty { arbiter: id(arbiter), guid: Guid(guid), block },
            Action::ReceiveApproval { from, value } => {
                Command::ReceiveApproval { from: id(from), value: nct(value), token: AccountId::TOKEN }
            }
            Action::Transfer { to, value } => Command::Transfer { to: id(to), value: nct(value) },
            Action::TransferFrom { from, to, value } => Command::TransferFrom { from: id(from), to: id(to), value: nct(value) },
            Action::Approve { spender, value } => Command::Approve { spender: id(spender), value: nct(value) },
            Action::ApproveAndCall { spender, value } => Command::ApproveAndCall { spender: id(spender), value: nct(value) },
            Action::Mint { to, value } => Command::Mint { to: id(to), value: nct(value) },
            Action::EnableTransfers => Command::EnableTransfers,
        }
    }

    /// An event as the second book writes it; `None` for what it does not write down.
    fn log_line(&self, event: &Event) -> Option<String> {
        let name = |id: AccountId| self.name(id);
        Some(match event {
            Event::Transfer { from, to, value } => format!("Transfer {} {} {}", name(*from), name(*to), value.to_uint()),
            Event::Approval { owner, spender, value } => format!("Approval {} {} {}", name(*owner), name(*spender), value.to_uint()),
            Event::NewBounty { guid, author, amount, expiration, .. } => {
                format!("NewBounty {} {} {} {}", guid.0, name(*author), amount.to_uint(), expiration.0)
            }
            Event::NewAssertion { guid, author, index, .. } => format!("NewAssertion {} {} {index}", guid.0, name(*author)),
            Event::RevealedAssertion { guid, author, index, opening, .. } => {
                format!("RevealedAssertion {} {} {index} {} {}", guid.0, name(*author), opening.nonce, opening.verdicts.to_uint())
            }
            Event::NewVote { guid, votes, voter, .. } => format!("NewVote {} {} {}", guid.0, votes.to_uint(), name(*voter)),
            Event::QuorumReached { guid } => format!("QuorumReached {}", guid.0),
            Event::SettledBounty { guid, settler, payout } => {
                format!("SettledBounty {} {} {}", guid.0, name(*settler), payout.to_uint())
            }
            Event::BountyRecorded { guid, block } => format!("BountyRecorded {} {block}", guid.0),
            Event::BountyVoteRecorded { arbiter } => format!("BountyVoteRecorded {}", name(*arbiter)),
            Event::NewDeposit { from, value } => format!("NewDeposit {} {}", name(*from), value.to_uint()),
            Event::NewWithdrawal { to, value } => format!("NewWithdrawal {} {}", name(*to), value.to_uint()),
            _ => return None,
        })
    }

    fn compare_accounts(&self) -> Result<(), Disagreement> {
        let (market, book) = (&self.market, &self.book);
        let mut held = U256::ZERO;
        for name in PEOPLE.into_iter().chain([REGISTRY, STAKING]) {
            let id = self.id(name);
            let balance = market.balance(id).to_uint();
            held += balance;
            same(|| format!("the balance of {name}"), balance, book.balance(name))?;
            for contract in [REGISTRY, STAKING] {
                let allowance = market.ledger().allowance(id, self.id(contract)).to_uint();
                same(|| format!("what {contract} may pull from {name}"), allowance, book.allowance(name, contract))?;
            }
            same(|| format!("whether {name} is an arbiter"), market.is_arbiter(id), Ok(book.is_arbiter(name)))?;
            let staking = market.staking();
            let deposits: Vec<_> = staking.deposits(id).iter().map(|deposit| (deposit.block.0, deposit.value.to_uint())).collect();
            same(|| format!("deposits of {name}"), deposits, book.deposits.get(name).cloned().unwrap_or_default())?;
            same(|| format!("the stake of {name}"), staking.balance(id).to_uint(), book.stake(name))?;
            same(|| format!("responses of {name}"), staking.responses(id), book.responses(name))?;
            same(|| format!("whether {name} is eligible"), staking.is_eligible(market.rules(), id), book.is_eligible(name))?;
            // Where windows overflow, the contract's view reverts; the market's has no way to say so.
            if let Ok(withdrawable) = book.withdrawable(name) {
                same(|| format!("what {name} may withdraw"), market.withdrawable_stake(id).to_uint(), withdrawable)?;
            }
        }
        same(|| "the supply".into(), market.ledger().supply().to_uint(), book.supply())?;
        same(|| "the sum of all balances (recounted) and the supply".into(), market.ledger().recount().to_uint(), book.supply())?;
        same(|| "the sum of all accounts known here and the supply".into(), held, book.supply())
    }

    fn compare_registry(&self) -> Result<(), Disagreement> {
        let (market, book) = (&self.market, &self.book);
        same(|| "the number of arbiters".into(), market.arbiter_count(), book.arbiter_count())?;
        same(|| "recorded bounties".into(), market.staking().recorded_bounties(), book.recorded())?;
        let fees = Fees { bounty: Nct::from_uint(book.bounty_fee), assertion: Nct::from_uint(book.assertion_fee) };
        same(|| "fees".into(), market.fees(), fees)?;
        same(|| "windows".into(), market.windows(), Windows::new(book.reveal_window, book.vote_window))?;
        for page in 0..=book.bounties.len() / 25 + 1 {
            let guids = market.bounty_guids(U256::from(page)).expect("a small page").iter().map(|guid| guid.0).collect();
            same(|| format!("page {page} of guids"), guids, book.page(page))?;
        }
        let candidates = market.arbiter_candidates().map(|list| list.into_iter().map(|id| self.name(id)).collect());
        same(|| "the arbiter candidates".into(), candidates.map_err(|rejection| self.refusal(&rejection)), book.candidates())?;
        let active = market.active_arbiters().map_err(|rejection| self.refusal(&rejection));
        same(|| "the active arbiters".into(), active, book.candidates().map(|_| ()))?;
        let round = market.current_round(Guid(u128::MAX - 1)).map(|_| ()).map_err(|rejection| self.refusal(&rejection));
        same(|| "the round of an unknown bounty".into(), round, book.bounty(u128::MAX - 1).map(|_| ()))
    }

    fn compare_bounty(&self, bounty: &book::Bounty, who: Name) -> Result<(), Disagreement> {
        let (market, book) = (&self.market, &self.book);
        let guid = Guid(bounty.guid);
        let about = |what: &str| format!("{what} of bounty {}", bounty.guid);
        let theirs = market.bounty(guid).expect("a bounty of the second book");

        let round = market.current_round(guid).map(|round| match (round, book.edition) {
            (Round::Assertion, _) => 0,
            (Round::Reveal, _) => 1,
            (Round::Vote, _) => 2,
            (Round::Quorum, _) | (Round::Settle, Edition::V100) => 3,
            (Round::Settle, Edition::V161) => 4,
        });
        same(|| about("the round"), round.map_err(|rejection| self.refusal(&rejection)), book.round(bounty))?;
        let end = market.vote_end(guid).map(|end| U256::from(end.0)).map_err(|rejection| self.refusal(&rejection));
        let block_numbers_end = U256::from(u64::MAX);
        same(|| about("the end of voting"), end, book.vote_end(bounty).map(|end| end.min(block_numbers_end)))?;

        let tally = book.tally(bounty).expect("every vote was accepted");
        same(|| about("the votes"), theirs.tally.votes, bounty.votes.len() as u64)?;
        let malicious = theirs.tally.malicious.iter().map(|&count| u64::from(count)).collect();
        same(|| about("the malicious votes"), malicious, tally.malicious)?;
        same(|| about("the decided artifacts"), theirs.tally.decided.to_uint(), tally.decided)?;
        same(|| about("the quorum block"), theirs.tally.reached, tally.reached)?;
        let voters = market.voters(guid).expect("it exists").into_iter().map(|id| self.name(id)).collect();
        same(|| about("the voters"), voters, bounty.votes.iter().map(|vote| vote.voter).collect::<Vec<_>>())?;

        let assertions = bounty.assertions.len();
        same(|| about("the number of assertions"), market.number_of_assertions(guid), Ok(assertions))?;
        for (index, assertion) in bounty.assertions.iter().enumerate() {
            let bids = market.bids(guid, index as u64).map(|bids| bids.iter().map(|bid| bid.to_uint()).collect());
            same(|| about("the bids"), bids, Ok(assertion.bids.clone()))?;
            let opening =
                theirs.assertions[index].revealed().map_or((U256::ZERO, U256::ZERO), |open| (open.nonce, open.verdicts.to_uint()));
            same(|| about("an opening"), opening, (assertion.nonce, assertion.verdicts))?;
            same(|| about("a mask"), theirs.assertions[index].mask.to_uint(), assertion.mask)?;
            let author = market.address(self.id(assertion.author));
            same(|| about("a commitment"), theirs.assertions[index].commitment.hash(author), assertion.commitment)?;
        }
        for (index, refusal) in [(assertions, Refusal::InvalidOpcode), (assertions + 1, Refusal::Empty)] {
            if book.edition == Edition::V161 {
                let bids = market.bids(guid, index as u64).map_err(|rejection| self.refusal(&rejection));
                same(|| about("bids beyond the assertions"), bids.map(|_| ()), Err(refusal))?;
            }
        }

        same(|| about("the assigned arbiter"), theirs.assigned_arbiter.map(|id| self.name(id)), bounty.assigned)?;
        for name in PEOPLE {
            let id = self.id(name);
            let known = (theirs.has_asserted(id), theirs.has_voted(id), theirs.has_settled(id));
            let asserted = bounty.assertions.iter().any(|assertion| assertion.author == name);
            let voted = bounty.votes.iter().any(|vote| vote.voter == name);
            same(|| about(&format!("what {name} has done")), known, (asserted, voted, bounty.settlers.contains(&name)))?;
        }

        let plain = |rewards: Cow<'_, Rewards>| book::Rewards {
            refund: rewards.refund.to_uint(),
            experts: rewards.experts.iter().map(|expert| expert.payout.to_uint()).collect(),
            arbiter: rewards.arbiter.to_uint(),
        };
        let rewards = market.rewards(guid).map(plain).map_err(|rejection| self.refusal(&rejection));
        same(|| about("the rewards"), rewards, book.rewards(bounty))?;
        if book.edition == Edition::V100 {
            let theirs = market.calculate_bounty_rewards(self.id(who), guid).map(plain).map_err(|rejection| self.refusal(&rejection));
            let ours = book.check_settleable(who, bounty).and_then(|()| book.rewards(bounty));
            same(|| about(&format!("the rewards as {who} sees them")), theirs, ours)?;
            let drawn = market.weighted_random_arbiter(guid).map(|drawn| drawn.map(|id| self.name(id)));
            same(|| about("the draw"), drawn.map_err(|rejection| self.refusal(&rejection)), book.draw(bounty))?;
        }
        Ok(())
    }
}
