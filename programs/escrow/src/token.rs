//! The classic SPL Token program: checks of its accounts, and the three calls made to it.
//!
//! Token-2022 is refused throughout: its transfer fees and hooks would break `vault ≥ owed`.

use crate::account::{Account, Key};
use crate::error::Outcome;
use crate::need;
use crate::sys::{self, Signer};

/// `TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA`
pub const PROGRAM: Key = Key::from_bytes([
    6, 221, 246, 225, 215, 101, 161, 147, 217, 203, 225, 70, 206, 235, 121, 172, 28, 180, 133, 237, 95, 91, 55, 145,
    58, 140, 245, 133, 126, 255, 0, 169,
]);

pub const ACCOUNT_LEN: u64 = 165;
const MINT_LEN: u64 = 82;
const MINT_DECIMALS_AT: usize = 44;
const MINT_INITIALIZED_AT: usize = 45;
const ACCOUNT_STATE_AT: usize = 108;
const STATE_INITIALIZED: u8 = 1;

const TRANSFER: u8 = 3;
const INITIALIZE_ACCOUNT_3: u8 = 18;

/// Refuse anything but the classic Token program.
#[inline(always)]
pub fn check_program(account: &Account) -> Outcome {
    need!(account.key == PROGRAM, WrongProgram);
    Ok(())
}

/// Refuse anything but an initialised classic mint; its decimals.
#[inline(always)]
pub fn check_mint(mint: &Account) -> Outcome<u8> {
    need!(mint.owner.get() == PROGRAM && mint.len.get() == MINT_LEN, BadMint);
    // SAFETY: the length is checked.
    let (decimals, initialized) =
        unsafe { (*mint.data().add(MINT_DECIMALS_AT), *mint.data().add(MINT_INITIALIZED_AT)) };
    need!(initialized == 1, BadMint);
    Ok(decimals)
}

/// Refuse anything but an unfrozen token account of `mint` that belongs to `owner`.
#[inline(always)]
pub fn check_account(account: &Account, mint: &Key, owner: &Key) -> Outcome {
    need!(account.owner.get() == PROGRAM && account.len.get() == ACCOUNT_LEN, BadTokenAccount);
    // SAFETY: the length is checked; mint and owner are the first fields.
    let (its_mint, its_owner, state) = unsafe {
        let keys = account.data() as *const Key;
        (&*keys, &*keys.add(1), *account.data().add(ACCOUNT_STATE_AT))
    };
    need!(its_mint == mint && its_owner == owner && state == STATE_INITIALIZED, BadTokenAccount);
    Ok(())
}

/// Make a new account of the Token program a token account of `owner`.
#[inline(always)]
pub fn initialize_account(account: &Account, mint: &Account, owner: &Key) {
    let mut data = [INITIALIZE_ACCOUNT_3; 33];
    data[1..].copy_from_slice(owner.bytes());
    sys::invoke(&PROGRAM, [(account, true, false), (mint, false, false)], &data, &[]);
}

/// Transfer tokens on the signature of `authority`, or of the program for its seeds.
#[inline(always)]
pub fn transfer(from: &Account, to: &Account, authority: &Account, amount: u64, signers: &[Signer]) {
    let mut data = [TRANSFER; 9];
    data[1..].copy_from_slice(&amount.to_le_bytes());
    sys::invoke(&PROGRAM, [(from, true, false), (to, true, false), (authority, false, true)], &data, signers);
}
