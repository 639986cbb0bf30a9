//! Accounts as the loader lays them out, without copying.

use core::cell::Cell;
use core::mem::MaybeUninit;

use crate::error::Outcome;
use crate::need;

/// A 32-byte address.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Key([u64; 4]);

/// By words: derived, it would be a system call.
impl PartialEq for Key {
    #[inline(always)]
    fn eq(&self, other: &Key) -> bool {
        let (a, b) = (&self.0, &other.0);
        (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) == 0
    }
}

impl Key {
    /// The System program's address; as a mint it stands for SOL.
    pub const ZERO: Key = Key([0; 4]);

    #[inline(always)]
    pub fn is_zero(&self) -> bool {
        self.0[0] | self.0[1] | self.0[2] | self.0[3] == 0
    }

    #[inline(always)]
    pub fn bytes(&self) -> &[u8; 32] {
        // SAFETY: the same 32 bytes, and a byte array needs no alignment.
        unsafe { &*(self as *const Key as *const [u8; 32]) }
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Key {
        let mut words = [0u64; 4];
        let mut at = 0;
        while at < 32 {
            words[at / 8] |= (bytes[at] as u64) << (8 * (at % 8));
            at += 1;
        }
        Key(words)
    }
}

/// The serialized header of an account; its data follows.
///
/// Lamports, owner and length change during calls to other programs, hence the cells.
#[repr(C)]
pub struct Account {
    not_repeated: u8,
    pub signer: u8,
    pub writable: u8,
    pub executable: u8,
    original_len: u32,
    pub key: Key,
    pub owner: Cell<Key>,
    pub lamports: Cell<u64>,
    pub len: Cell<u64>,
}

/// Bytes after an account's data into which it may grow.
const GROWTH_MAX: usize = 10 * 1024;
const NOT_REPEATED: u8 = 0xff;

impl Account {
    #[inline(always)]
    pub fn data(&self) -> *mut u8 {
        // SAFETY: the loader puts the data right after the header.
        unsafe { (self as *const Account).add(1) as *mut u8 }
    }

    /// Refuse unless the account signed the transaction.
    #[inline(always)]
    pub fn signed(&self) -> Outcome {
        need!(self.signer != 0, MissingSignature);
        Ok(())
    }

    /// Add to the lamports of an account.
    #[inline(always)]
    pub fn add_lamports(&self, lamports: u64) -> Outcome {
        let Some(sum) = self.lamports.get().checked_add(lamports) else {
            return Err(crate::error::Error::Overflow);
        };
        self.lamports.set(sum);
        Ok(())
    }

    /// Take from the lamports of an account that this program owns.
    #[inline(always)]
    pub fn take_lamports(&self, lamports: u64) -> Outcome {
        need!(self.lamports.get() >= lamports, VaultShort);
        self.lamports.set(self.lamports.get() - lamports);
        Ok(())
    }
}

/// What one call of the program gets.
pub struct Input<'a> {
    pub program: Key,
    pub accounts: &'a [&'a Account],
    pub data: &'a [u8],
}

/// Read the loader's buffer; nothing if there are more accounts than `slots`.
///
/// # Safety
/// `input` must be that buffer, and live as long as the result.
#[inline(always)]
pub unsafe fn parse<'a>(input: *mut u8, slots: &'a mut [MaybeUninit<&'a Account>]) -> Option<Input<'a>> {
    unsafe {
        let count = *(input as *const u64) as usize;
        if count > slots.len() {
            return None;
        }
        let mut at = input.add(8);
        let mut index = 0;
        while index < count {
            if *at == NOT_REPEATED {
                let account = &*(at as *const Account);
                slots[index].write(account);
                at = at.add(core::mem::size_of::<Account>() + account.len.get() as usize + GROWTH_MAX);
                at = at.add((at as usize).wrapping_neg() & 7).add(8);
            } else {
                slots[index] = slots[*at as usize];
                at = at.add(8);
            }
            index += 1;
        }
        let len = *(at as *const u64) as usize;
        let data = at.add(8);
        Some(Input {
            program: (data.add(len) as *const Key).read_unaligned(),
            accounts: core::slice::from_raw_parts(slots.as_ptr() as *const &Account, count),
            data: core::slice::from_raw_parts(data, len),
        })
    }
}
