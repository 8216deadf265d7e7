//! What can go wrong, as a status and a message.

/// The status every fallible function returns; the values are part of the ABI.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok = 0,
    /// The input is at fault; the message says how.
    Invalid = 1,
    /// A panic or another bug in this library.
    Internal = 2,
    /// A queue or a share of the memory is full; trying again later may work.
    Busy = 3,
    /// The system has no memory left.
    NoMemory = 4,
    /// Whoever asked for it wants it no longer.
    Cancelled = 5,
}

/// A failure on its way over the boundary.
#[derive(Clone, Debug)]
pub struct Failure {
    pub status: Status,
    pub message: String,
}

impl Failure {
    pub fn invalid(message: impl Into<String>) -> Failure {
        Failure { status: Status::Invalid, message: message.into() }
    }

    pub fn busy(message: impl Into<String>) -> Failure {
        Failure { status: Status::Busy, message: message.into() }
    }

    pub fn no_memory(message: impl Into<String>) -> Failure {
        Failure { status: Status::NoMemory, message: message.into() }
    }

    pub fn cancelled() -> Failure {
        Failure { status: Status::Cancelled, message: "nobody waits for it any longer".into() }
    }
}

pub type Outcome<T> = Result<T, Failure>;
