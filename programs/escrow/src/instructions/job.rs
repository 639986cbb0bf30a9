//! A job from its opening until a verdict is due.

use crate::account::{Account, Key};
use crate::create::{self, Request};
use crate::error::{Error, Outcome};
use crate::instructions::asset::check_takes_money;
use crate::instructions::balance;
use crate::instructions::config::check_signer;
use crate::instructions::session::actor;
use crate::money;
use crate::need;
use crate::reader::Reader;
use crate::state::{load, status, Asset, Balance, Config, Job, State};
use crate::sys::{self, Seed};

const SEED: &[u8] = b"job";

/// 10 Open: `actor s, payer sw, config, asset, balance w, job w, system`, for a session also `session w`;
/// job id, amount, terms hash, run seconds.
///
/// The payer bears the rent, and gets it back by Close. Until a node is assigned the deadline is the
/// longest job's: nobody's money waits for ever.
pub fn open(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 16 + 8 + 32 + 8)?;
    let [signer, payer, config, asset, balance, account, system, ref session @ ..] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let (job_id, amount, terms_hash) = (reader.job_id(), reader.u64(), reader.key());
    let run_s = reader.i64();
    payer.signed()?;
    create::check_system(system)?;
    let config: &Config = load(program, config)?;
    let asset: &Asset = load(program, asset)?;
    check_takes_money(config, asset)?;
    let balance: &Balance = load(program, balance)?;
    need!(balance.mint == asset.mint, WrongAsset);
    let actor = actor(program, signer, session, &balance.owner, &asset.mint)?;
    need!(amount > 0, ZeroAmount);
    need!(run_s > 0 && run_s <= config.longest_job_s.get(), OutOfBounds);
    actor.spend(amount)?;
    money::spend(&balance.available, amount)?;

    let seeds = [Seed::new(SEED), Seed::key(&balance.owner), Seed::of(&job_id)];
    let space = core::mem::size_of::<Job>() as u64;
    let bump = create::create(&Request { program, payer, account, space, owner: program, seeds: &seeds })?;
    let now_s = sys::now_s();
    // SAFETY: just created with this length; nothing else refers to its data yet.
    unsafe {
        create::write_head(account, Job::TAG, bump, status::OPEN);
        let job = &mut *(account.data() as *mut Job);
        job.fee_bps = config.fee_bps.get();
        job.owner = balance.owner;
        job.job_id = job_id;
        job.mint = asset.mint;
        job.terms_hash = terms_hash;
        job.rent_payer = payer.key;
        job.coordinator = config.coordinator();
        job.arbiter = config.arbiter();
        job.fee_owner = config.fee_owner.get();
        job.deposit.set(amount);
        job.review_window_s = config.review_window_s.get();
        job.run_s = run_s;
        job.opened_at_s = now_s;
        job.deadline_s.set(now_s + config.longest_job_s.get());
    }
    Ok(())
}

/// 11 TopUp: `actor s, config, asset, balance w, job w`, for a session also `session w`; amount.
///
/// Before any verdict. Extends no deadline.
pub fn top_up(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 8)?;
    let [signer, config, asset, balance_account, account, ref session @ ..] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let amount = reader.u64();
    let config: &Config = load(program, config)?;
    let asset: &Asset = load(program, asset)?;
    check_takes_money(config, asset)?;
    let job: &Job = load(program, account)?;
    need!(job.mint == asset.mint, WrongAsset);
    let balance = balance::load_of(program, balance_account, &job.mint, &job.owner)?;
    let actor = actor(program, signer, session, &job.owner, &job.mint)?;
    check_not_final(job)?;
    need!(matches!(job.status.get(), status::OPEN | status::ASSIGNED), WrongState);
    need!(amount > 0, ZeroAmount);
    actor.spend(amount)?;
    money::spend(&balance.available, amount)?;
    money::add(&job.deposit, amount)
}

/// 12 Assign: `coordinator sw, job w, node's balance w, fee owner's balance w, system`; node.
///
/// Again after a lost lease, until a claim stands; the deadline is set by the first. Creates the two
/// balances if need be, so that a verdict never has to.
pub fn assign(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 32)?;
    let [coordinator, account, node_balance, fee_balance, system] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let node = reader.key();
    let job: &Job = load(program, account)?;
    check_signer(coordinator, &job.coordinator)?;
    create::check_system(system)?;
    check_not_final(job)?;
    need!(matches!(job.status.get(), status::OPEN | status::ASSIGNED), WrongState);
    need!(!node.is_zero(), OutOfBounds);
    let now_s = sys::now_s();
    need!(now_s < job.deadline_s.get(), TooLate);
    balance::ensure(program, coordinator, node_balance, &job.mint, &node)?;
    balance::ensure(program, coordinator, fee_balance, &job.mint, &job.fee_owner)?;
    if job.status.get() == status::OPEN {
        job.status.set(status::ASSIGNED);
        job.deadline_s.set(now_s + job.run_s);
    }
    job.node.set(node);
    Ok(())
}

/// A job ends once: refuse everything afterwards with an error of its own, so that a client that
/// repeats a verdict can tell "done already" from "not possible".
#[inline(always)]
pub fn check_not_final(job: &Job) -> Outcome {
    need!(job.status.get() < status::SETTLED, AlreadyFinal);
    Ok(())
}
