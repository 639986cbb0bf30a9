//! The runtime's system calls and the C structures they take.
//!
//! sBPF v3 has static system calls (SIMD-0178): a call to the constant address murmur3(name).

use crate::account::{Account, Key};

const fn rotate_mix(word: u32) -> u32 {
    word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

/// MurmurHash3 x86 32-bit with seed 0, the number of a system call.
const fn murmur3(name: &[u8]) -> usize {
    let mut hash = 0u32;
    let mut at = 0;
    while at + 4 <= name.len() {
        let word = u32::from_le_bytes([name[at], name[at + 1], name[at + 2], name[at + 3]]);
        hash = (hash ^ rotate_mix(word)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
        at += 4;
    }
    let mut tail = 0u32;
    let mut shift = 0;
    while at < name.len() {
        tail |= (name[at] as u32) << shift;
        shift += 8;
        at += 1;
    }
    if shift > 0 {
        hash ^= rotate_mix(tail);
    }
    hash ^= name.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    (hash ^ (hash >> 16)) as usize
}

macro_rules! syscalls {
    ($(fn $name:ident($($arg:ident: $type:ty),*) $(-> $returns:ty)?;)*) => { $(
        #[inline(always)]
        unsafe fn $name($($arg: $type),*) $(-> $returns)? {
            // SAFETY: the verifier resolves the constant to the system call of that name.
            unsafe {
                let call: unsafe extern "C" fn($($type),*) $(-> $returns)? =
                    core::mem::transmute(const { murmur3(stringify!($name).as_bytes()) });
                call($($arg),*)
            }
        }
    )* }
}

syscalls! {
    fn sol_invoke_signed_c(ix: *const Instruction, infos: *const Info, count: u64, signers: *const Signer, signer_count: u64) -> u64;
    fn sol_sha256(parts: *const Seed, count: u64, out: *mut Key) -> u64;
    fn sol_curve_validate_point(curve: u64, point: *const Key, out: *mut Key) -> u64;
    fn sol_get_clock_sysvar(out: *mut Clock) -> u64;
    fn sol_memcpy_(to: *mut u8, from: *const u8, len: u64);
    fn sol_memmove_(to: *mut u8, from: *const u8, len: u64);
    fn sol_memset_(to: *mut u8, byte: u8, len: u64);
    fn sol_memcmp_(a: *const u8, b: *const u8, len: u64, out: *mut i32);
    fn abort() -> !;
}

/// What the compiler calls by itself; `cargo build-sbf` brings its own.
#[cfg(all(target_arch = "bpf", not(target_os = "solana")))]
mod intrinsics {
    #[no_mangle]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        unsafe { super::sol_memcpy_(to, from, len as u64) };
        to
    }
    #[no_mangle]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        unsafe { super::sol_memmove_(to, from, len as u64) };
        to
    }
    #[no_mangle]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
        unsafe { super::sol_memset_(to, byte as u8, len as u64) };
        to
    }
    #[no_mangle]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
        let mut out = 0;
        unsafe { super::sol_memcmp_(a, b, len as u64, &mut out) };
        out
    }
}

/// One seed of a program address, or any bytes to hash.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Seed {
    bytes: *const u8,
    len: u64,
}

impl Seed {
    #[inline(always)]
    pub fn new(bytes: &[u8]) -> Seed {
        Seed { bytes: bytes.as_ptr(), len: bytes.len() as u64 }
    }

    #[inline(always)]
    pub fn key(key: &Key) -> Seed {
        Seed::new(key.bytes())
    }

    /// The bytes of a value without padding.
    #[inline(always)]
    pub fn of<T>(value: &T) -> Seed {
        Seed { bytes: value as *const T as *const u8, len: core::mem::size_of::<T>() as u64 }
    }
}

/// The seeds for which a program signs.
#[repr(C)]
pub struct Signer {
    seeds: *const Seed,
    count: u64,
}

impl Signer {
    #[inline(always)]
    pub fn new(seeds: &[Seed]) -> Signer {
        Signer { seeds: seeds.as_ptr(), count: seeds.len() as u64 }
    }
}

/// An account's role in a cross-program call.
#[repr(C)]
pub struct Meta {
    key: *const Key,
    writable: bool,
    signer: bool,
}

impl Meta {
    #[inline(always)]
    pub fn new(account: &Account, writable: bool, signer: bool) -> Meta {
        Meta { key: &account.key, writable, signer }
    }
}

#[repr(C)]
struct Info {
    key: *const Key,
    lamports: *mut u64,
    data_len: u64,
    data: *mut u8,
    owner: *const Key,
    rent_epoch: u64,
    signer: bool,
    writable: bool,
    executable: bool,
}

impl Info {
    #[inline(always)]
    fn new(account: &Account) -> Info {
        Info {
            key: &account.key,
            lamports: account.lamports.as_ptr(),
            data_len: account.len.get(),
            data: account.data(),
            owner: account.owner.as_ptr(),
            rent_epoch: u64::MAX,
            signer: account.signer != 0,
            writable: account.writable != 0,
            executable: account.executable != 0,
        }
    }
}

#[repr(C)]
struct Instruction {
    program: *const Key,
    metas: *const Meta,
    meta_count: u64,
    data: *const u8,
    data_len: u64,
}

/// Call another program. A failure there ends this program too, so nothing is returned.
#[inline(always)]
pub fn invoke<const N: usize>(program: &Key, accounts: [(&Account, bool, bool); N], data: &[u8], signers: &[Signer]) {
    let metas = accounts.map(|(account, writable, signer)| Meta::new(account, writable, signer));
    let infos = accounts.map(|(account, _, _)| Info::new(account));
    let instruction = Instruction {
        program,
        metas: metas.as_ptr(),
        meta_count: N as u64,
        data: data.as_ptr(),
        data_len: data.len() as u64,
    };
    // SAFETY: all pointers are to live values, the infos to the loader's own buffer.
    unsafe {
        sol_invoke_signed_c(&instruction, infos.as_ptr(), N as u64, signers.as_ptr(), signers.len() as u64);
    }
}

#[inline(always)]
pub fn sha256(parts: &[Seed], hash: &mut Key) {
    // SAFETY: pointers to live values.
    unsafe { sol_sha256(parts.as_ptr(), parts.len() as u64, hash) };
}

/// Whether the bytes are a point of the curve of which wallets' keys are.
#[inline(always)]
pub fn is_on_curve(point: &Key) -> bool {
    const EDWARDS: u64 = 0;
    // SAFETY: a pointer to a live value; the result is in the return value, and nothing is written.
    unsafe { sol_curve_validate_point(EDWARDS, point, core::ptr::null_mut()) == 0 }
}

#[repr(C)]
struct Clock {
    slot: u64,
    epoch_start: i64,
    epoch: u64,
    leader_epoch: u64,
    unix_timestamp: i64,
}

/// The cluster's time, seconds since 1970. It drifts by seconds: deadlines are chosen accordingly.
#[inline(always)]
pub fn now_s() -> i64 {
    let mut clock = Clock { slot: 0, epoch_start: 0, epoch: 0, leader_epoch: 0, unix_timestamp: 0 };
    // SAFETY: the structure is the sysvar's.
    unsafe { sol_get_clock_sysvar(&mut clock) };
    clock.unix_timestamp
}

/// Zero `len` bytes. A plain loop would become a memset that the back end rejects.
///
/// # Safety
/// `to` must be valid for writes of `len` bytes.
#[inline(always)]
pub unsafe fn zero(to: *mut u8, len: u64) {
    unsafe { sol_memset_(to, 0, len) }
}

/// End the program with an error.
pub fn abort_program() -> ! {
    // SAFETY: it takes nothing and does not return.
    unsafe { abort() }
}
