//! Creating the program's accounts, at addresses that strangers may have funded beforehand.

use crate::account::{Account, Key};
use crate::address::{self, Joined};
use crate::error::Outcome;
use crate::need;
use crate::state::VERSION;
use crate::sys::{self, Seed, Signer};

/// Lamports per byte and bytes per account that the cluster asks for (`Rent` sysvar since genesis).
const LAMPORTS_PER_BYTE: u64 = 6960;
const ACCOUNT_OVERHEAD_BYTES: u64 = 128;

const SYSTEM_CREATE: u8 = 0;
const SYSTEM_ASSIGN: u8 = 1;
const SYSTEM_TRANSFER: u8 = 2;
const SYSTEM_ALLOCATE: u8 = 8;

/// The least an account of `space` bytes must hold.
#[inline(always)]
pub const fn rent_lamports(space: u64) -> u64 {
    // Wrapping, because an overflow check needs a 128-bit product, which the target lacks; no account
    // is as large as that.
    (ACCOUNT_OVERHEAD_BYTES + space).wrapping_mul(LAMPORTS_PER_BYTE)
}

/// Nobody has created this account yet (it may hold lamports).
#[inline(always)]
pub fn is_vacant(account: &Account) -> bool {
    account.owner.get().is_zero() && account.len.get() == 0
}

/// Refuse anything but the System program.
#[inline(always)]
pub fn check_system(account: &Account) -> Outcome {
    need!(account.key.is_zero(), WrongProgram);
    Ok(())
}

/// Move lamports out of a wallet that signed.
#[inline(always)]
pub fn transfer_lamports(from: &Account, to: &Account, lamports: u64) {
    let mut data = [0u8; 12];
    data[0] = SYSTEM_TRANSFER;
    data[4..].copy_from_slice(&lamports.to_le_bytes());
    sys::invoke(&Key::ZERO, [(from, true, true), (to, true, false)], &data, &[]);
}

/// Create `account` at the canonical address of `seeds`, which is refused to be anywhere else; its bump.
///
/// An address that holds lamports cannot be "created"; it is topped up, allocated and assigned instead, so
/// that nobody can block it with dust.
#[inline(never)]
pub fn create(request: &Request) -> Outcome<u8> {
    let Request { program, payer, account, space, owner, seeds } = *request;
    need!(is_vacant(account), AlreadyExists);
    // Else somebody's own wallet, signing for itself, could be made into one of the program's accounts.
    need!(account.signer == 0, WrongAddress);
    let bump = address::canonical_bump(program, &account.key, seeds)?;
    let with_bump = Joined::new(seeds, Seed::of(&bump));
    let signer = [Signer::new(with_bump.seeds())];
    let rent = rent_lamports(space);
    let held = account.lamports.get();
    if held == 0 {
        let mut data = [0u8; 52];
        data[0] = SYSTEM_CREATE;
        data[4..12].copy_from_slice(&rent.to_le_bytes());
        data[12..20].copy_from_slice(&space.to_le_bytes());
        data[20..].copy_from_slice(owner.bytes());
        sys::invoke(&Key::ZERO, [(payer, true, true), (account, true, true)], &data, &signer);
        return Ok(bump);
    }
    if held < rent {
        transfer_lamports(payer, account, rent - held);
    }
    let mut data = [0u8; 12];
    data[0] = SYSTEM_ALLOCATE;
    data[4..].copy_from_slice(&space.to_le_bytes());
    sys::invoke(&Key::ZERO, [(account, true, true)], &data, &signer);
    let mut data = [0u8; 36];
    data[0] = SYSTEM_ASSIGN;
    data[4..].copy_from_slice(owner.bytes());
    sys::invoke(&Key::ZERO, [(account, true, true)], &data, &signer);
    Ok(bump)
}

/// What [`create`] is asked for.
pub struct Request<'a> {
    pub program: &'a Key,
    pub payer: &'a Account,
    pub account: &'a Account,
    pub space: u64,
    pub owner: &'a Key,
    /// Without the bump.
    pub seeds: &'a [Seed],
}

/// Write the first bytes of a new account.
///
/// # Safety
/// `account` must belong to the program and have at least 8 bytes.
#[inline(always)]
pub unsafe fn write_head(account: &Account, tag: u8, bump: u8, fourth: u8) {
    unsafe { *(account.data() as *mut u32) = u32::from_le_bytes([tag, VERSION, bump, fourth]) };
}
