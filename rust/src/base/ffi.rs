//! What every entry point shares: byte slices in, owned buffers out, one place where errors and
//! panics become a status and a message.

use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::base::failure::{Failure, Outcome, Status};
use crate::base::memory;

/// An owned byte buffer handed to the caller, who gives it back to `pippin_buffer_free`.
#[repr(C)]
pub struct Buffer {
    pub data: *mut u8,
    pub size: usize,
}

impl Buffer {
    pub const EMPTY: Buffer = Buffer { data: std::ptr::null_mut(), size: 0 };

    fn from_bytes(bytes: Vec<u8>) -> Buffer {
        if bytes.is_empty() {
            return Buffer::EMPTY;
        }
        let boxed = bytes.into_boxed_slice();
        let size = boxed.len();
        Buffer { data: Box::into_raw(boxed) as *mut u8, size }
    }
}

/// Runs `body`, where there is memory for it; what it returns goes through `deliver`, what goes wrong into `error`.
/// No panic leaves this function.
///
/// # Safety
/// `error` is null or points to a writable `Buffer`.
pub unsafe fn guard<T>(
    error: *mut Buffer,
    body: impl FnOnce() -> Outcome<T>,
    deliver: impl FnOnce(T),
) -> Status {
    let checked = || memory::check_reserve().and_then(|()| body().map(deliver));
    let Err(failure) = caught(checked) else { return Status::Ok };
    put_text(error, failure.message);
    failure.status
}

/// What `work` returns; a panic is a failure.
pub fn caught<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(Failure { status: Status::Internal, message: panic_message(panic) })
    })
}

/// Runs an infallible `body`, answering `fallback` should it panic.
pub fn guard_value<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

/// What a panic said, for an error message.
pub fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic in the Rust library: {}", text.unwrap_or("no message"))
}

/// Hands `text` to the caller through `out` (ignored when null).
///
/// # Safety
/// `out` is null or points to a writable `Buffer`.
pub unsafe fn put_text(out: *mut Buffer, text: String) {
    if !out.is_null() {
        *out = Buffer::from_bytes(text.into_bytes());
    }
}

/// The same of bytes.
///
/// # Safety
/// `out` is null or points to a writable `Buffer`.
pub unsafe fn put_bytes(out: *mut Buffer, bytes: Vec<u8>) {
    if !out.is_null() {
        *out = Buffer::from_bytes(bytes);
    }
}

/// # Safety
/// `data` points to `size` readable bytes that outlive the result, or `size` is 0.
pub unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if size == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, size)
    }
}

/// Like `bytes`, refusing what is not UTF-8; `what` names it in the message.
///
/// # Safety
/// As for `bytes`.
pub unsafe fn text<'a>(data: *const u8, size: usize, what: &str) -> Outcome<&'a str> {
    std::str::from_utf8(bytes(data, size)).map_err(|error| {
        Failure::invalid(format!("{what} is not valid UTF-8 at byte {}", error.valid_up_to()))
    })
}

/// Token ids handed to the caller, who gives them back to `pippin_ids_free`.
#[repr(C)]
pub struct Ids {
    pub data: *mut i32,
    pub size: usize,
}

impl Ids {
    pub const EMPTY: Ids = Ids { data: std::ptr::null_mut(), size: 0 };

    pub fn from_vec(ids: Vec<i32>) -> Ids {
        if ids.is_empty() {
            return Ids::EMPTY;
        }
        let boxed = ids.into_boxed_slice();
        let size = boxed.len();
        Ids { data: Box::into_raw(boxed) as *mut i32, size }
    }
}

/// Frees ids that this library filled, and empties them; empty ones are left alone.
///
/// # Safety
/// `ids` is null or points to an `Ids` filled by this library and not freed since.
#[no_mangle]
pub unsafe extern "C" fn pippin_ids_free(ids: *mut Ids) {
    if ids.is_null() || (*ids).data.is_null() {
        return;
    }
    drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut((*ids).data, (*ids).size)));
    *ids = Ids::EMPTY;
}

/// Frees a buffer that this library filled, and empties it; an empty one is left alone.
///
/// # Safety
/// `buffer` is null or points to a `Buffer` filled by this library and not freed since.
#[no_mangle]
pub unsafe extern "C" fn pippin_buffer_free(buffer: *mut Buffer) {
    if buffer.is_null() || (*buffer).data.is_null() {
        return;
    }
    let slice = std::ptr::slice_from_raw_parts_mut((*buffer).data, (*buffer).size);
    drop(Box::from_raw(slice));
    *buffer = Buffer::EMPTY;
}
