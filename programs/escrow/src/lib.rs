//! The escrow program: deposits, jobs and their settlement.
//!
//! The coordinator decides when work is done; it can never decide where money goes. The money of a
//! job goes to the job's buyer, the job's node, and the fee owner fixed when the job was opened.
//!
//! No crates: the runtime's interface is in [`sys`], accounts in [`account`] and [`state`], and one
//! handler per instruction in [`instructions`]. `docs/escrow.md` has the tables.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

mod account;
mod address;
mod create;
mod error;
mod instructions;
mod money;
mod reader;
mod state;
mod sys;
mod token;

use account::Account;
use error::Error;

/// More accounts than any instruction takes; further ones are refused, not ignored.
const ACCOUNTS_MAX: usize = 12;

/// Called by the runtime with the serialized accounts, instruction data and program id.
///
/// # Safety
/// `input` must be the buffer that the upgradeable loader lays out.
#[no_mangle]
pub unsafe extern "C" fn entrypoint(input: *mut u8) -> u64 {
    let empty: [core::mem::MaybeUninit<&Account>; ACCOUNTS_MAX] =
        [const { core::mem::MaybeUninit::uninit() }; ACCOUNTS_MAX];
    let mut slots = empty;
    // SAFETY: the loader's layout, see `account::parse`.
    let Some(parsed) = (unsafe { account::parse(input, &mut slots) }) else {
        return Error::BadAccounts.code();
    };
    match instructions::dispatch(&parsed.program, parsed.accounts, parsed.data) {
        Ok(()) => 0,
        Err(error) => error.code(),
    }
}

#[cfg(any(target_os = "solana", target_arch = "bpf"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    sys::abort_program()
}
