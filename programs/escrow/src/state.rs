//! The program's accounts. First byte a tag, second a version; all fields from the first day.
//!
//! Times are seconds since 1970, amounts base units. `Cell`s, because the same account may stand in
//! two slots of one instruction (a buyer who is also the node), and both must see one value.

use core::cell::Cell;

use crate::account::{Account, Key};
use crate::error::Outcome;
use crate::need;

/// The layout version of every account.
pub const VERSION: u8 = 1;

/// A type of account.
pub trait State {
    const TAG: u8;
}

/// Read `account` as a `T`: owned by this program, of exactly its length, tag and version.
#[inline(always)]
pub fn load<'a, T: State>(program: &Key, account: &'a Account) -> Outcome<&'a T> {
    need!(account.owner.get() == *program, WrongAccount);
    need!(account.len.get() == core::mem::size_of::<T>() as u64, WrongAccount);
    // SAFETY: length checked; the data is 8-aligned; every bit pattern is a `T`.
    let tag_version = unsafe { *(account.data() as *const u16) };
    need!(tag_version == u16::from_le_bytes([T::TAG, VERSION]), WrongAccount);
    Ok(unsafe { &*(account.data() as *const T) })
}

/// Who may do what, and the bounds. Seeds: `config`.
#[repr(C)]
pub struct Config {
    pub tag: u8,
    pub version: u8,
    pub bump: u8,
    pub paused: Cell<u8>,
    pub fee_bps: Cell<u16>,
    pub reserved: [u8; 2],
    /// Admin, coordinator, arbiter, in the order of [`Role`](crate::instructions::config).
    pub authorities: [Authority; 3],
    pub fee_owner: Cell<Key>,
    pub review_window_s: Cell<i64>,
    pub longest_job_s: Cell<i64>,
}

/// A key and the one proposed to follow it (zeros: none).
#[repr(C)]
pub struct Authority {
    pub key: Cell<Key>,
    pub next: Cell<Key>,
}

impl Config {
    #[inline(always)]
    pub fn admin(&self) -> Key {
        self.authorities[0].key.get()
    }

    #[inline(always)]
    pub fn coordinator(&self) -> Key {
        self.authorities[1].key.get()
    }

    #[inline(always)]
    pub fn arbiter(&self) -> Key {
        self.authorities[2].key.get()
    }
}

impl State for Config {
    const TAG: u8 = 1;
}

/// One thing to pay with. Seeds: `asset`, mint (zeros: SOL).
///
/// SOL itself lies in this account above its rent; tokens lie in the vault of seeds `vault`, mint.
#[repr(C)]
pub struct Asset {
    pub tag: u8,
    pub version: u8,
    pub bump: u8,
    pub vault_bump: u8,
    pub enabled: Cell<u8>,
    pub decimals: u8,
    pub reserved: [u8; 2],
    pub mint: Key,
    /// The only token account in which this asset lies (zeros: SOL lies here).
    pub vault: Key,
    /// The sum of all balances and of the deposits of all jobs that have not ended.
    pub owed: Cell<u64>,
}

impl State for Asset {
    const TAG: u8 = 2;
}

/// What a person can withdraw or spend. Seeds: `balance`, mint, owner.
#[repr(C)]
pub struct Balance {
    pub tag: u8,
    pub version: u8,
    pub bump: u8,
    pub reserved: [u8; 5],
    pub mint: Key,
    pub owner: Key,
    pub available: Cell<u64>,
}

impl State for Balance {
    const TAG: u8 = 3;
}

/// A key that may spend for its owner, within limits. Seeds: `session`, owner, key.
#[repr(C)]
pub struct Session {
    pub tag: u8,
    pub version: u8,
    pub bump: u8,
    pub reserved: [u8; 5],
    pub owner: Key,
    pub key: Key,
    pub mint: Cell<Key>,
    pub remaining: Cell<u64>,
    pub expires_at_s: Cell<i64>,
}

impl State for Session {
    const TAG: u8 = 4;
}

/// A job's money. Seeds: `job`, owner, job id.
#[repr(C)]
pub struct Job {
    pub tag: u8,
    pub version: u8,
    pub bump: u8,
    pub status: Cell<u8>,
    /// Snapshot, as are the keys and the window below: what was agreed when the job was opened.
    pub fee_bps: u16,
    pub reserved: [u8; 2],
    pub owner: Key,
    pub job_id: [u64; 2],
    pub mint: Key,
    pub node: Cell<Key>,
    pub terms_hash: Key,
    pub result_hash: Cell<Key>,
    pub rent_payer: Key,
    pub coordinator: Key,
    pub arbiter: Key,
    pub fee_owner: Key,
    pub deposit: Cell<u64>,
    /// What was paid for or, while a claim stands, what is claimed.
    pub used: Cell<u64>,
    pub review_window_s: i64,
    pub run_s: i64,
    pub opened_at_s: i64,
    /// From here on anyone may send the deposit back to the buyer: first for want of a node, then,
    /// from the first Assign, for want of a verdict.
    pub deadline_s: Cell<i64>,
    pub review_ends_at_s: Cell<i64>,
    pub ended_at_s: Cell<i64>,
}

impl State for Job {
    const TAG: u8 = 5;
}

/// What is left of a closed job, so that its id is never used again.
pub const CLOSED_JOB_TAG: u8 = 6;

/// Where a job stands; from `SETTLED` on it has ended.
pub mod status {
    pub const OPEN: u8 = 1;
    pub const ASSIGNED: u8 = 2;
    pub const CLAIMED: u8 = 3;
    pub const DISPUTED: u8 = 4;
    pub const SETTLED: u8 = 5;
    pub const FINALIZED: u8 = 6;
    pub const RESOLVED: u8 = 7;
    pub const REFUNDED: u8 = 8;
    pub const CANCELLED: u8 = 9;
    pub const RECLAIMED: u8 = 10;
}

const _: () = {
    assert!(core::mem::size_of::<Config>() == 248);
    assert!(core::mem::size_of::<Asset>() == 80);
    assert!(core::mem::size_of::<Balance>() == 80);
    assert!(core::mem::size_of::<Session>() == 120);
    assert!(core::mem::size_of::<Job>() == 376);
};
