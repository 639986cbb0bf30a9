//! The program's addresses: exactly one for each set of seeds.
//!
//! A program address is the hash of seeds, a bump, the program and a marker, if that is no point of the curve, so
//! that nobody has a key to it. Every second bump or so gives one; the first from 255 downwards is canonical, and
//! this program takes no other. Else a person could have two balances, and a job id could be used twice.
//!
//! The runtime's own search costs 1,500 compute units for every bump. Hash and curve check together cost a fifth.

use core::cell::Cell;

use crate::account::Key;
use crate::error::{Error, Outcome};
use crate::sys::{self, Seed};

/// The most seeds of an address here, the bump not counted.
const SEEDS_MAX: usize = 3;

/// What is hashed after the seeds.
#[repr(C)]
struct Tail {
    bump: Cell<u8>,
    program: [u8; 32],
    marker: [u8; 21],
}

/// Seeds and one more that follows them.
pub struct Joined {
    all: [Seed; SEEDS_MAX + 1],
    count: usize,
}

impl Joined {
    #[inline(always)]
    pub fn new(seeds: &[Seed], last: Seed) -> Joined {
        let mut all = [last; SEEDS_MAX + 1];
        for (slot, seed) in all.iter_mut().zip(seeds) {
            *slot = *seed;
        }
        Joined { all, count: seeds.len() + 1 }
    }

    /// Nothing, which is no address, if there were too many.
    #[inline(always)]
    pub fn seeds(&self) -> &[Seed] {
        self.all.get(..self.count).unwrap_or(&[])
    }
}

/// Refuse unless `key` is the canonical address of `seeds` under `program`; its bump.
///
/// Every bump above it is shown to give none. That it gives one itself, whoever signs with it finds out.
#[inline(never)]
pub fn canonical_bump(program: &Key, key: &Key, seeds: &[Seed]) -> Outcome<u8> {
    let tail = Tail { bump: Cell::new(u8::MAX), program: *program.bytes(), marker: *b"ProgramDerivedAddress" };
    let joined = Joined::new(seeds, Seed::of(&tail));
    let hashed = joined.seeds();
    let mut hash = Key::ZERO;
    loop {
        sys::sha256(hashed, &mut hash);
        let bump = tail.bump.get();
        if hash == *key {
            return Ok(bump);
        }
        if bump == 0 || !sys::is_on_curve(&hash) {
            return Err(Error::WrongAddress);
        }
        tail.bump.set(bump - 1);
    }
}
