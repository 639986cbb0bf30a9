//! Ways in which a deposit goes back to the buyer, and the end of the account.

use crate::account::{Account, Key};
use crate::create::rent_lamports;
use crate::error::{Error, Outcome};
use crate::instructions::balance;
use crate::instructions::job::check_not_final;
use crate::instructions::session::actor;
use crate::instructions::verdict::end;
use crate::money;
use crate::need;
use crate::reader::Reader;
use crate::state::{load, status, Job, CLOSED_JOB_TAG};
use crate::sys;

/// 13 Cancel: `actor s, job w, owner's balance w`, for a session also `session`. Before Assign.
pub fn cancel(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    Reader::exactly(data, 0)?;
    let [signer, account, balance, ref session @ ..] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let job: &Job = load(program, account)?;
    actor(program, signer, session, &job.owner, &job.mint)?;
    check_not_final(job)?;
    need!(job.status.get() == status::OPEN, WrongState);
    give_back(program, job, balance)?;
    end(job, status::CANCELLED);
    Ok(())
}

/// 19 Refund: `coordinator or node s, job w, owner's balance w`. At any time before a payment.
pub fn refund(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    Reader::exactly(data, 0)?;
    let [signer, account, balance] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let job: &Job = load(program, account)?;
    signer.signed()?;
    need!(signer.key == job.coordinator || signer.key == job.node.get(), WrongAuthority);
    check_not_final(job)?;
    give_back(program, job, balance)?;
    end(job, status::REFUNDED);
    Ok(())
}

/// 20 Reclaim: `job w, owner's balance w`. Anyone, once the deadline has passed with no undisputed claim.
pub fn reclaim(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    Reader::exactly(data, 0)?;
    let [account, balance] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let job: &Job = load(program, account)?;
    check_not_final(job)?;
    need!(job.status.get() != status::CLAIMED, WrongState);
    need!(sys::now_s() >= job.deadline_s.get(), TooEarly);
    give_back(program, job, balance)?;
    end(job, status::RECLAIMED);
    Ok(())
}

/// The whole deposit to the buyer's balance.
#[inline(always)]
fn give_back(program: &Key, job: &Job, balance: &Account) -> Outcome {
    let balance = balance::load_of(program, balance, &job.mint, &job.owner)?;
    job.used.set(0);
    money::add(&balance.available, job.deposit.get())
}

/// 21 Close: `job w, rent payer w`. Anyone, after the end.
///
/// Two bytes stay for ever, with their rent, so that the job's id cannot be used again.
pub fn close(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    const LEFT_BYTES: u64 = 2;
    Reader::exactly(data, 0)?;
    let [account, rent_payer] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let job: &Job = load(program, account)?;
    need!(job.status.get() >= status::SETTLED, WrongState);
    need!(job.rent_payer == rent_payer.key, WrongAddress);
    let kept = rent_lamports(LEFT_BYTES);
    need!(account.lamports.get() >= kept, VaultShort);
    let freed = account.lamports.get() - kept;
    account.take_lamports(freed)?;
    rent_payer.add_lamports(freed)?;
    // SAFETY: the job's own bytes; it is not read again.
    unsafe { *account.data() = CLOSED_JOB_TAG };
    account.len.set(LEFT_BYTES);
    Ok(())
}
