//! Arithmetic on balances.

use core::cell::Cell;

use crate::error::{Error, Outcome};
use crate::need;

const BPS: u64 = 10_000;

/// `floor(used × bps / 10 000)` without a 128-bit product, which the target lacks.
///
/// Exact: with `used = q·10⁴ + r`, the product is `q·bps·10⁴ + r·bps`. No overflow for bps ≤ 10⁴.
#[inline(always)]
pub fn fee_of(used: u64, bps: u16) -> u64 {
    (used / BPS).wrapping_mul(bps as u64).wrapping_add((used % BPS).wrapping_mul(bps as u64) / BPS)
}

#[inline(always)]
pub fn add(cell: &Cell<u64>, amount: u64) -> Outcome {
    let Some(sum) = cell.get().checked_add(amount) else {
        return Err(Error::Overflow);
    };
    cell.set(sum);
    Ok(())
}

/// Take `amount` from a person's balance.
#[inline(always)]
pub fn spend(cell: &Cell<u64>, amount: u64) -> Outcome {
    need!(cell.get() >= amount, InsufficientBalance);
    cell.set(cell.get() - amount);
    Ok(())
}
