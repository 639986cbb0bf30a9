//! Ways in which a job is paid.

use crate::account::{Account, Key};
use crate::error::{Error, Outcome};
use crate::instructions::balance;
use crate::instructions::config::check_signer;
use crate::instructions::job::check_not_final;
use crate::instructions::session::actor;
use crate::money;
use crate::need;
use crate::reader::Reader;
use crate::state::{load, status, Job};
use crate::sys;

/// 14 Settle: `coordinator s, actor s, job w, owner's, node's, fee owner's balance w`, for a session
/// also `session`; used, result hash.
///
/// Coordinator and buyer agree, so it is paid at once.
pub fn settle(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 8 + 32)?;
    let [coordinator, signer, account, owner, node, fee, ref session @ ..] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let (used, result_hash) = (reader.u64(), reader.key());
    let job: &Job = load(program, account)?;
    check_signer(coordinator, &job.coordinator)?;
    actor(program, signer, session, &job.owner, &job.mint)?;
    check_not_final(job)?;
    need!(job.status.get() != status::OPEN, WrongState);
    job.result_hash.set(result_hash);
    pay(program, job, used, &[owner, node, fee])?;
    end(job, status::SETTLED);
    Ok(())
}

/// 15 Claim: `coordinator s, job w`; used, result hash. Starts the review window.
pub fn claim(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 8 + 32)?;
    let [coordinator, account] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let (used, result_hash) = (reader.u64(), reader.key());
    let job: &Job = load(program, account)?;
    check_signer(coordinator, &job.coordinator)?;
    check_not_final(job)?;
    need!(job.status.get() == status::ASSIGNED, WrongState);
    let now_s = sys::now_s();
    need!(now_s < job.deadline_s.get(), TooLate);
    need!(used <= job.deposit.get(), UsedTooMuch);
    job.used.set(used);
    job.result_hash.set(result_hash);
    job.review_ends_at_s.set(now_s + job.review_window_s);
    job.status.set(status::CLAIMED);
    Ok(())
}

/// 16 Dispute: `actor s, job w`, for a session also `session`. Inside the window.
///
/// Leaves the arbiter at least as long as the buyer had before the deposit can be reclaimed.
pub fn dispute(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    Reader::exactly(data, 0)?;
    let [signer, account, ref session @ ..] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let job: &Job = load(program, account)?;
    actor(program, signer, session, &job.owner, &job.mint)?;
    check_not_final(job)?;
    need!(job.status.get() == status::CLAIMED, WrongState);
    let now_s = sys::now_s();
    need!(now_s < job.review_ends_at_s.get(), TooLate);
    let resolve_by_s = now_s + job.review_window_s;
    if resolve_by_s > job.deadline_s.get() {
        job.deadline_s.set(resolve_by_s);
    }
    job.status.set(status::DISPUTED);
    Ok(())
}

/// 17 Resolve: `arbiter s, job w, owner's, node's, fee owner's balance w`; used.
pub fn resolve(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 8)?;
    let [arbiter, account, owner, node, fee] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let used = reader.u64();
    let job: &Job = load(program, account)?;
    check_signer(arbiter, &job.arbiter)?;
    check_not_final(job)?;
    need!(job.status.get() == status::DISPUTED, WrongState);
    need!(used <= job.used.get(), UsedTooMuch);
    pay(program, job, used, &[owner, node, fee])?;
    end(job, status::RESOLVED);
    Ok(())
}

/// 18 Finalize: `job w, owner's, node's, fee owner's balance w`. Anyone, after an undisputed window.
pub fn finalize(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    Reader::exactly(data, 0)?;
    let [account, owner, node, fee] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let job: &Job = load(program, account)?;
    check_not_final(job)?;
    need!(job.status.get() == status::CLAIMED, WrongState);
    need!(sys::now_s() >= job.review_ends_at_s.get(), TooEarly);
    pay(program, job, job.used.get(), &[owner, node, fee])?;
    end(job, status::FINALIZED);
    Ok(())
}

/// Divide the deposit: the fee, rounded down, to the fee owner; the rest of `used` to the node; what
/// was not used back to the buyer. Nothing leaves the vault, so what is owed in all stays the same.
#[inline(always)]
fn pay(program: &Key, job: &Job, used: u64, balances: &[&Account; 3]) -> Outcome {
    let deposit = job.deposit.get();
    need!(used <= deposit, UsedTooMuch);
    let owner = balance::load_of(program, balances[0], &job.mint, &job.owner)?;
    let node = balance::load_of(program, balances[1], &job.mint, &job.node.get())?;
    let platform = balance::load_of(program, balances[2], &job.mint, &job.fee_owner)?;
    let fee = money::fee_of(used, job.fee_bps);
    money::add(&platform.available, fee)?;
    money::add(&node.available, used - fee)?;
    money::add(&owner.available, deposit - used)?;
    job.used.set(used);
    Ok(())
}

/// The verdict stands from here on.
#[inline(always)]
pub fn end(job: &Job, status: u8) {
    job.status.set(status);
    job.ended_at_s.set(sys::now_s());
}
