//! What can be paid with.

use crate::account::{Account, Key};
use crate::create::{self, Request};
use crate::error::{Error, Outcome};
use crate::instructions::config::check_signer;
use crate::need;
use crate::reader::Reader;
use crate::state::{load, Asset, Config, State};
use crate::sys::Seed;
use crate::token;

const SEED: &[u8] = b"asset";
const VAULT_SEED: &[u8] = b"vault";
const SOL_DECIMALS: u8 = 9;

/// 4 AddAsset: `admin sw, config, asset w, system`, for a token also `mint, vault w, token program`.
///
/// On an asset that was disabled: enables it again.
pub fn add(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    Reader::exactly(data, 0)?;
    let [admin, config, asset, system, ref token_accounts @ ..] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let settings: &Config = load(program, config)?;
    check_signer(admin, &settings.admin())?;
    create::check_system(system)?;
    if !create::is_vacant(asset) {
        let asset: &Asset = load(program, asset)?;
        need!(asset.enabled.get() == 0, AlreadyExists);
        asset.enabled.set(1);
        return Ok(());
    }
    match *token_accounts {
        [] => add_sol(program, admin, asset),
        [mint, vault, token_program] => add_token(program, &NewToken { admin, asset, mint, vault, token_program }),
        _ => Err(Error::BadAccounts),
    }
}

fn add_sol(program: &Key, admin: &Account, asset: &Account) -> Outcome {
    let new = NewAsset { mint: Key::ZERO, vault: Key::ZERO, vault_bump: 0, decimals: SOL_DECIMALS };
    create_asset(program, admin, asset, &new)
}

struct NewToken<'a> {
    admin: &'a Account,
    asset: &'a Account,
    mint: &'a Account,
    vault: &'a Account,
    token_program: &'a Account,
}

fn add_token(program: &Key, accounts: &NewToken) -> Outcome {
    let NewToken { admin, asset, mint, vault, token_program } = *accounts;
    token::check_program(token_program)?;
    let decimals = token::check_mint(mint)?;
    let seeds = [Seed::new(VAULT_SEED), Seed::key(&mint.key)];
    let (space, owner) = (token::ACCOUNT_LEN, &token::PROGRAM);
    let vault_bump = create::create(&Request { program, payer: admin, account: vault, space, owner, seeds: &seeds })?;
    token::initialize_account(vault, mint, &asset.key);
    let new = NewAsset { mint: mint.key, vault: vault.key, vault_bump, decimals };
    create_asset(program, admin, asset, &new)
}

struct NewAsset {
    mint: Key,
    vault: Key,
    vault_bump: u8,
    decimals: u8,
}

fn create_asset(program: &Key, payer: &Account, account: &Account, new: &NewAsset) -> Outcome {
    let seeds = [Seed::new(SEED), Seed::key(&new.mint)];
    let space = core::mem::size_of::<Asset>() as u64;
    let bump = create::create(&Request { program, payer, account, space, owner: program, seeds: &seeds })?;
    // SAFETY: just created with this length; nothing else refers to its data yet.
    unsafe {
        create::write_head(account, Asset::TAG, bump, new.vault_bump);
        let asset = &mut *(account.data() as *mut Asset);
        asset.decimals = new.decimals;
        asset.mint = new.mint;
        asset.vault = new.vault;
        asset.enabled.set(1);
    }
    Ok(())
}

/// 5 DisableAsset: `admin s, config, asset w`. Stops deposits and new jobs, never a way out.
pub fn disable(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    Reader::exactly(data, 0)?;
    let [admin, config, asset] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let config: &Config = load(program, config)?;
    check_signer(admin, &config.admin())?;
    let asset: &Asset = load(program, asset)?;
    asset.enabled.set(0);
    Ok(())
}

/// Refuse deposits and new jobs while the program is paused or the asset disabled.
#[inline(always)]
pub fn check_takes_money(config: &Config, asset: &Asset) -> Outcome {
    need!(config.paused.get() == 0, Paused);
    need!(asset.enabled.get() == 1, AssetDisabled);
    Ok(())
}

/// Call `sign` with the seeds for which an asset's address signs transfers out of its vault.
#[inline(always)]
pub fn with_seeds(asset: &Asset, sign: impl FnOnce(&[Seed])) {
    sign(&[Seed::new(SEED), Seed::key(&asset.mint), Seed::of(&asset.bump)]);
}
