//! Money in and out.

use crate::account::{Account, Key};
use crate::create::{self, Request};
use crate::error::{Error, Outcome};
use crate::instructions::asset::{check_takes_money, with_seeds};
use crate::money;
use crate::need;
use crate::reader::Reader;
use crate::state::{load, Asset, Balance, Config, State};
use crate::sys::{Seed, Signer};
use crate::token;

const SEED: &[u8] = b"balance";

/// 6 Deposit: `owner sw, config, asset w, balance w, system`, for a token also
/// `source w, vault w, token program`. Creates the balance if there is none.
pub fn deposit(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 8)?;
    let [owner, config, asset_account, balance, system, ref token_accounts @ ..] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let amount = reader.u64();
    owner.signed()?;
    create::check_system(system)?;
    let config: &Config = load(program, config)?;
    let asset: &Asset = load(program, asset_account)?;
    check_takes_money(config, asset)?;
    need!(amount > 0, ZeroAmount);
    ensure(program, owner, balance, &asset.mint, &owner.key)?;
    let balance: &Balance = load(program, balance)?;
    match *token_accounts {
        [] => {
            need!(asset.mint.is_zero(), WrongAsset);
            create::transfer_lamports(owner, asset_account, amount);
        }
        [source, vault, token_program] => {
            need!(!asset.mint.is_zero(), WrongAsset);
            token::check_program(token_program)?;
            token::check_account(source, &asset.mint, &owner.key)?;
            need!(vault.key == asset.vault, WrongAddress);
            token::transfer(source, vault, owner, amount, &[]);
        }
        _ => return Err(Error::BadAccounts),
    }
    money::add(&asset.owed, amount)?;
    money::add(&balance.available, amount)
}

/// 7 Withdraw: `owner sw, asset w, balance w`, for a token also `destination w, vault w, token program`.
///
/// To the owner's own wallet or token account, at any time, paused or not.
pub fn withdraw(program: &Key, accounts: &[&Account], data: &[u8]) -> Outcome {
    let mut reader = Reader::exactly(data, 8)?;
    let [owner, asset_account, balance, ref token_accounts @ ..] = *accounts else {
        return Err(Error::BadAccounts);
    };
    let amount = reader.u64();
    owner.signed()?;
    let asset: &Asset = load(program, asset_account)?;
    let balance: &Balance = load(program, balance)?;
    check(balance, &asset.mint, &owner.key)?;
    need!(amount > 0, ZeroAmount);
    money::spend(&balance.available, amount)?;
    need!(asset.owed.get() >= amount, VaultShort);
    asset.owed.set(asset.owed.get() - amount);
    match *token_accounts {
        [] => {
            need!(asset.mint.is_zero(), WrongAsset);
            let kept = create::rent_lamports(core::mem::size_of::<Asset>() as u64);
            asset_account.take_lamports(amount)?;
            need!(asset_account.lamports.get() >= kept, VaultShort);
            need!(asset_account.lamports.get() - kept >= asset.owed.get(), VaultShort);
            owner.add_lamports(amount)
        }
        [destination, vault, token_program] => {
            need!(!asset.mint.is_zero(), WrongAsset);
            token::check_program(token_program)?;
            token::check_account(destination, &asset.mint, &owner.key)?;
            need!(vault.key == asset.vault, WrongAddress);
            with_seeds(asset, |seeds| {
                token::transfer(vault, destination, asset_account, amount, &[Signer::new(seeds)]);
            });
            Ok(())
        }
        _ => Err(Error::BadAccounts),
    }
}

/// Refuse unless `balance` is that of `owner` in `mint`.
#[inline(always)]
pub fn check(balance: &Balance, mint: &Key, owner: &Key) -> Outcome {
    need!(balance.owner == *owner, WrongAddress);
    need!(balance.mint == *mint, WrongAsset);
    Ok(())
}

/// Load the balance of `owner` in `mint`.
#[inline(always)]
pub fn load_of<'a>(program: &Key, account: &'a Account, mint: &Key, owner: &Key) -> Outcome<&'a Balance> {
    let balance: &Balance = load(program, account)?;
    check(balance, mint, owner)?;
    Ok(balance)
}

/// Check the balance of `owner` in `mint`, or create it, with zero available, at `payer`'s cost.
#[inline(always)]
pub fn ensure(program: &Key, payer: &Account, account: &Account, mint: &Key, owner: &Key) -> Outcome {
    if create::is_vacant(account) {
        return create_zero(program, &NewBalance { payer, account, mint, owner });
    }
    load_of(program, account, mint, owner)?;
    Ok(())
}

struct NewBalance<'a> {
    payer: &'a Account,
    account: &'a Account,
    mint: &'a Key,
    owner: &'a Key,
}

#[inline(never)]
fn create_zero(program: &Key, new: &NewBalance) -> Outcome {
    let NewBalance { payer, account, mint, owner } = *new;
    let seeds = [Seed::new(SEED), Seed::key(mint), Seed::key(owner)];
    let space = core::mem::size_of::<Balance>() as u64;
    let bump = create::create(&Request { program, payer, account, space, owner: program, seeds: &seeds })?;
    // SAFETY: just created with this length; nothing else refers to its data yet.
    unsafe {
        create::write_head(account, Balance::TAG, bump, 0);
        let balance = &mut *(account.data() as *mut Balance);
        balance.mint = *mint;
        balance.owner = *owner;
    }
    Ok(())
}
