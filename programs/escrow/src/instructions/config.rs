//! The program's settings, and who may change them.

use crate::account::{Account, Key};
use crate::address;
use crate::create::{self, Request};
use crate::error::{Error, Outcome};
use crate::need;
use crate::reader::Reader;
use crate::state::{load, Authority, Config, State};
use crate::sys::Seed;

const SEED: &[u8] = b"config";
const FEE_BPS_MAX: u16 = 2000;
const REVIEW_WINDOW_MAX_S: i64 = 30 * 24 * 3600;
const LONGEST_JOB_MIN_S: i64 = 60;
const LONGEST_JOB_MAX_S: i64 = 90 * 24 * 3600;

/// `BPFLoaderUpgradeab1e11111111111111111111111`
const LOADER: Key = Key::from_bytes([
    2, 168, 246, 145, 78, 136, 161, 176, 226, 16, 21, 62, 247, 99, 174, 43, 0, 194, 185, 61, 22, 193, 36, 210, 192,
    83, 122, 16, 4, 128, 0, 0,
]);
/// Layout of the loader's ProgramData account: kind, slot, whether there is an authority, the authority.
const PROGRAM_DATA_KIND: u32 = 3;
const PROGRAM_DATA_HEAD: u64 = 45;
const AUTHORITY_FLAG_AT: usize = 12;
const AUTHORITY_AT: usize = 13;

/// 0 InitConfig: `upgrade authority sw, config w, program data, system`.
///
/// Only whoever may replace the program may say who runs it, so nobody can get in between deployment
/// and configuration.
pub fn init(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 4 * 32 + 2 + 8 + 8)?;
    let [payer, config, program_data, system] = *accounts else {
        return Err(Error::BadAccounts);
    };
    payer.signed()?;
    create::check_system(system)?;
    check_upgrade_authority(program, program_data, &payer.key)?;
    let authorities = [reader.key(), reader.key(), reader.key()];
    let settings = Settings {
        fee_owner: reader.key(),
        fee_bps: reader.u16(),
        review_window_s: reader.i64(),
        longest_job_s: reader.i64(),
        paused: 0,
    };
    settings.check()?;
    need!(!authorities[0].is_zero() && !authorities[1].is_zero() && !authorities[2].is_zero(), OutOfBounds);
    need!(authorities[1] != authorities[2], OutOfBounds);

    let space = core::mem::size_of::<Config>() as u64;
    let seeds = [Seed::new(SEED)];
    let bump = create::create(&Request { program, payer, account: config, space, owner: program, seeds: &seeds })?;
    // SAFETY: just created with this length.
    unsafe { create::write_head(config, Config::TAG, bump, 0) };
    let config: &Config = load(program, config)?;
    for (role, key) in config.authorities.iter().zip(authorities) {
        role.key.set(key);
    }
    settings.store(config);
    Ok(())
}

/// 1 SetConfig: `admin s, config w`. Open jobs keep what they were opened with.
pub fn set(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 32 + 2 + 8 + 8 + 1)?;
    let [admin, config] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let config: &Config = load(program, config)?;
    check_signer(admin, &config.admin())?;
    let settings = Settings {
        fee_owner: reader.key(),
        fee_bps: reader.u16(),
        review_window_s: reader.i64(),
        longest_job_s: reader.i64(),
        paused: reader.u8(),
    };
    settings.check()?;
    settings.store(config);
    Ok(())
}

/// 2 ProposeAuthority: `present holder s, config w`; role, key. Zeros withdraw a proposal.
pub fn propose(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 1 + 32)?;
    let [holder, config] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let config: &Config = load(program, config)?;
    let authority = role(config, reader.u8())?;
    check_signer(holder, &authority.key.get())?;
    authority.next.set(reader.key());
    Ok(())
}

/// 3 AcceptAuthority: `proposed holder s, config w`; role. A proposal to a wrong key locks nobody out.
pub fn accept(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 1)?;
    let [next, config] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let config: &Config = load(program, config)?;
    let authority = role(config, reader.u8())?;
    // with no proposal it is the zero key, which nobody can sign for
    check_signer(next, &authority.next.get())?;
    authority.key.set(next.key);
    authority.next.set(Key::ZERO);
    need!(config.coordinator() != config.arbiter(), OutOfBounds);
    Ok(())
}

/// Refuse unless `account` signed and is `key`.
#[inline(always)]
pub fn check_signer(account: &Account, key: &Key) -> Outcome {
    account.signed()?;
    need!(account.key == *key, WrongAuthority);
    Ok(())
}

fn role(config: &Config, number: u8) -> Outcome<&Authority> {
    match config.authorities.get(number as usize) {
        Some(authority) => Ok(authority),
        None => Err(Error::BadInstruction),
    }
}

struct Settings {
    fee_owner: Key,
    fee_bps: u16,
    review_window_s: i64,
    longest_job_s: i64,
    paused: u8,
}

impl Settings {
    #[inline(always)]
    fn check(&self) -> Outcome {
        need!(!self.fee_owner.is_zero(), OutOfBounds);
        need!(self.fee_bps <= FEE_BPS_MAX, OutOfBounds);
        need!(self.review_window_s > 0 && self.review_window_s <= REVIEW_WINDOW_MAX_S, OutOfBounds);
        need!(self.longest_job_s >= LONGEST_JOB_MIN_S, OutOfBounds);
        need!(self.longest_job_s <= LONGEST_JOB_MAX_S, OutOfBounds);
        need!(self.paused <= 1, OutOfBounds);
        Ok(())
    }

    #[inline(always)]
    fn store(&self, config: &Config) {
        config.fee_owner.set(self.fee_owner);
        config.fee_bps.set(self.fee_bps);
        config.review_window_s.set(self.review_window_s);
        config.longest_job_s.set(self.longest_job_s);
        config.paused.set(self.paused);
    }
}

/// Refuse unless `authority` is the upgrade authority that `program_data` names for this program.
fn check_upgrade_authority(program: &Key, program_data: &Account, authority: &Key) -> Outcome {
    // The loader itself has made an account of this kind only where nobody has the key.
    address::canonical_bump(&LOADER, &program_data.key, &[Seed::key(program)])?;
    need!(program_data.owner.get() == LOADER && program_data.len.get() >= PROGRAM_DATA_HEAD, WrongAccount);
    // SAFETY: the length is checked.
    let (kind, has_authority, named) = unsafe {
        let data = program_data.data();
        (*(data as *const u32), *data.add(AUTHORITY_FLAG_AT), (data.add(AUTHORITY_AT) as *const Key).read_unaligned())
    };
    need!(kind == PROGRAM_DATA_KIND, WrongAccount);
    need!(has_authority == 1 && named == *authority, WrongAuthority);
    Ok(())
}
