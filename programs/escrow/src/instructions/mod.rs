//! One handler per instruction; the first byte of the data chooses.

pub mod asset;
pub mod balance;
pub mod config;
pub mod exit;
pub mod job;
pub mod session;
pub mod verdict;

use crate::account::{Account, Key};
use crate::error::{Error, Outcome};

/// Numbers are for ever: clients of any age send them.
pub fn dispatch(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let Some(tag) = data.first() else {
        return Err(Error::BadInstruction);
    };
    match tag {
        0 => config::init(program, accounts, data),
        1 => config::set(program, accounts, data),
        2 => config::propose(program, accounts, data),
        3 => config::accept(program, accounts, data),
        4 => asset::add(program, accounts, data),
        5 => asset::disable(program, accounts, data),
        6 => balance::deposit(program, accounts, data),
        7 => balance::withdraw(program, accounts, data),
        8 => session::authorize(program, accounts, data),
        9 => session::revoke(program, accounts, data),
        10 => job::open(program, accounts, data),
        11 => job::top_up(program, accounts, data),
        12 => job::assign(program, accounts, data),
        13 => exit::cancel(program, accounts, data),
        14 => verdict::settle(program, accounts, data),
        15 => verdict::claim(program, accounts, data),
        16 => verdict::dispute(program, accounts, data),
        17 => verdict::resolve(program, accounts, data),
        18 => verdict::finalize(program, accounts, data),
        19 => exit::refund(program, accounts, data),
        20 => exit::reclaim(program, accounts, data),
        21 => exit::close(program, accounts, data),
        _ => Err(Error::BadInstruction),
    }
}
