//! Instruction data, read in order. The length is checked once, before anything is read.

use crate::account::Key;
use crate::error::Outcome;
use crate::need;

/// The bytes after the tag.
pub struct Reader {
    at: *const u8,
}

impl Reader {
    /// Refuse data of any other length than `len` bytes after the tag.
    #[inline(always)]
    pub fn exactly(data: &[u8], len: usize) -> Outcome<Reader> {
        need!(data.len() == len + 1, BadInstruction);
        // SAFETY: there is at least the tag.
        Ok(Reader { at: unsafe { data.as_ptr().add(1) } })
    }

    /// Every handler reads exactly the bytes whose presence `exactly` has proved.
    #[inline(always)]
    fn take<T: Copy>(&mut self) -> T {
        // SAFETY: see above.
        unsafe {
            let value = (self.at as *const T).read_unaligned();
            self.at = self.at.add(core::mem::size_of::<T>());
            value
        }
    }

    #[inline(always)]
    pub fn u8(&mut self) -> u8 {
        self.take()
    }

    #[inline(always)]
    pub fn u16(&mut self) -> u16 {
        self.take()
    }

    #[inline(always)]
    pub fn u64(&mut self) -> u64 {
        self.take()
    }

    #[inline(always)]
    pub fn i64(&mut self) -> i64 {
        self.take()
    }

    #[inline(always)]
    pub fn key(&mut self) -> Key {
        self.take()
    }

    #[inline(always)]
    pub fn job_id(&mut self) -> [u64; 2] {
        self.take()
    }
}
