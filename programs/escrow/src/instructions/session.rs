//! Keys that may spend for their owner, capped in amount and time.

use crate::account::{Account, Key};
use crate::create::{self, Request};
use crate::error::{Error, Outcome};
use crate::need;
use crate::reader::Reader;
use crate::state::{load, Asset, Session, State};
use crate::sys::{self, Seed};

const SEED: &[u8] = b"session";
/// The longest that a session key may be valid.
const LONGEST_S: i64 = 90 * 24 * 3600;

/// 8 Authorize: `owner sw, session w, asset, system`; key, allowance, expiry.
///
/// On a session that exists: sets asset, allowance and expiry anew.
pub fn authorize(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 32 + 8 + 8)?;
    let [owner, account, asset, system] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let (key, allowance, expires_at_s) = (reader.key(), reader.u64(), reader.i64());
    owner.signed()?;
    create::check_system(system)?;
    let asset: &Asset = load(program, asset)?;
    need!(!key.is_zero(), OutOfBounds);
    need!(allowance > 0, ZeroAmount);
    let now_s = sys::now_s();
    need!(expires_at_s > now_s, SessionExpired);
    need!(expires_at_s - now_s <= LONGEST_S, OutOfBounds);
    if create::is_vacant(account) {
        create_for(program, owner, account, &key)?;
    }
    let session: &Session = load(program, account)?;
    need!(session.owner == owner.key && session.key == key, WrongAddress);
    session.mint.set(asset.mint);
    session.remaining.set(allowance);
    session.expires_at_s.set(expires_at_s);
    Ok(())
}

fn create_for(program: &Key, owner: &Account, account: &Account, key: &Key) -> Outcome {
    let seeds = [Seed::new(SEED), Seed::key(&owner.key), Seed::key(key)];
    let space = core::mem::size_of::<Session>() as u64;
    let bump = create::create(&Request { program, payer: owner, account, space, owner: program, seeds: &seeds })?;
    // SAFETY: just created with this length; nothing else refers to its data yet.
    unsafe {
        create::write_head(account, Session::TAG, bump, 0);
        let session = &mut *(account.data() as *mut Session);
        session.owner = owner.key;
        session.key = *key;
    }
    Ok(())
}

/// 9 Revoke: `owner sw, session w`. Ends the session at once; its rent goes back to the owner.
pub fn revoke(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    Reader::exactly(data, 0)?;
    let [owner, account] = *accounts else {
        return Err(Error::BadAccounts);
    };
    owner.signed()?;
    let session: &Session = load(program, account)?;
    need!(session.owner == owner.key, WrongAuthority);
    // SAFETY: the session's own bytes; zeroed, so that the account may change hands.
    unsafe { sys::zero(account.data(), core::mem::size_of::<Session>() as u64) };
    let rent = account.lamports.get();
    account.take_lamports(rent)?;
    owner.add_lamports(rent)?;
    account.len.set(0);
    account.owner.set(Key::ZERO);
    Ok(())
}

/// Who acts for a job's owner: nothing is spent yet.
pub struct Actor<'a> {
    session: Option<&'a Session>,
}

impl Actor<'_> {
    /// Count `amount` against the session's allowance; the owner himself has none.
    #[inline(always)]
    pub fn spend(&self, amount: u64) -> Outcome {
        if let Some(session) = self.session {
            need!(session.remaining.get() >= amount, SessionOverdrawn);
            session.remaining.set(session.remaining.get() - amount);
        }
        Ok(())
    }
}

/// Refuse unless `signer` signed and is `owner`, or a live session key of `owner` for `mint`.
#[inline(always)]
pub fn actor<'a>(
    program: &Key,
    signer: &Account,
    session: &[&'a Account],
    owner: &Key,
    mint: &Key,
) -> Outcome<Actor<'a>> {
    signer.signed()?;
    match *session {
        [] => {
            need!(signer.key == *owner, WrongAuthority);
            Ok(Actor { session: None })
        }
        [account] => {
            let session: &Session = load(program, account)?;
            need!(session.owner == *owner && session.key == signer.key, WrongAuthority);
            need!(session.mint.get() == *mint, WrongAsset);
            need!(sys::now_s() < session.expires_at_s.get(), SessionExpired);
            Ok(Actor { session: Some(session) })
        }
        _ => Err(Error::BadAccounts),
    }
}
