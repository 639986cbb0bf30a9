//! Numeric errors, as the client sees them in `InstructionError::Custom`.
//!
//! They start at 6000 so that they cannot be taken for the System or Token program's small numbers.
//! `p2p/chain/errors.py` turns them into words; a test keeps both lists equal.

/// Why an instruction was refused.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Error {
    /// Unknown tag, or data of another length than the instruction's.
    BadInstruction = 6000,
    /// Too few or too many accounts.
    BadAccounts = 6001,
    /// A signature that the rule needs is absent.
    MissingSignature = 6002,
    /// An account of another type, owner, length or version.
    WrongAccount = 6003,
    /// Not the address that the seeds give.
    WrongAddress = 6004,
    /// The account exists already.
    AlreadyExists = 6005,
    /// The signer is not the one whom the rule names.
    WrongAuthority = 6006,
    /// Deposits and new jobs are paused.
    Paused = 6007,
    /// The asset takes no deposits and no new jobs.
    AssetDisabled = 6008,
    /// An amount of zero where it must be positive.
    ZeroAmount = 6009,
    /// A sum does not fit in 64 bits.
    Overflow = 6010,
    /// The balance holds less.
    InsufficientBalance = 6011,
    /// More used than was deposited, or than was claimed.
    UsedTooMuch = 6012,
    /// The session's time is over.
    SessionExpired = 6013,
    /// The session's allowance is smaller.
    SessionOverdrawn = 6014,
    /// The accounts belong to different assets.
    WrongAsset = 6015,
    /// The job's state does not allow it.
    WrongState = 6016,
    /// The job has ended: its verdict stands.
    AlreadyFinal = 6017,
    /// The deadline has not passed.
    TooEarly = 6018,
    /// The deadline has passed.
    TooLate = 6019,
    /// Not a mint of the classic Token program.
    BadMint = 6020,
    /// Not a token account of this mint and owner.
    BadTokenAccount = 6021,
    /// Another program in the place of System, Token or the loader.
    WrongProgram = 6022,
    /// A setting outside its bounds.
    OutOfBounds = 6023,
    /// The vault would hold less than is owed.
    VaultShort = 6024,
}

impl Error {
    /// The runtime takes the low 32 bits as the custom code.
    #[inline(always)]
    pub fn code(self) -> u64 {
        self as u32 as u64
    }
}

/// What every check and handler returns.
pub type Outcome<T = ()> = Result<T, Error>;

/// Refuse with `$error` unless `$condition` holds.
#[macro_export]
macro_rules! need {
    ($condition:expr, $error:ident) => {
        if !$condition {
            return Err($crate::error::Error::$error);
        }
    };
}
