//! BLAKE3, whole and incremental. Nothing here can fail.

use crate::base::ffi::{bytes, guard_value};

/// # Safety
/// `data` points to `size` readable bytes (or `size` is 0), `out` to 32 writable bytes.
#[no_mangle]
pub unsafe extern "C" fn pippin_blake3(data: *const u8, size: usize, out: *mut u8) {
    let digest = blake3::hash(bytes(data, size));
    std::ptr::copy_nonoverlapping(digest.as_bytes().as_ptr(), out, blake3::OUT_LEN);
}

#[no_mangle]
pub extern "C" fn pippin_blake3_new() -> *mut blake3::Hasher {
    guard_value(std::ptr::null_mut(), || Box::into_raw(Box::new(blake3::Hasher::new())))
}

/// # Safety
/// `hasher` comes from `pippin_blake3_new`; `data` points to `size` readable bytes (or `size` is 0).
#[no_mangle]
pub unsafe extern "C" fn pippin_blake3_update(
    hasher: *mut blake3::Hasher,
    data: *const u8,
    size: usize,
) {
    (*hasher).update(bytes(data, size));
}

/// The digest of all that was fed so far; the hasher goes on.
///
/// # Safety
/// `hasher` comes from `pippin_blake3_new`; `out` points to 32 writable bytes.
#[no_mangle]
pub unsafe extern "C" fn pippin_blake3_finish(hasher: *const blake3::Hasher, out: *mut u8) {
    let digest = (*hasher).finalize();
    std::ptr::copy_nonoverlapping(digest.as_bytes().as_ptr(), out, blake3::OUT_LEN);
}

/// # Safety
/// `hasher` is null or comes from `pippin_blake3_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn pippin_blake3_free(hasher: *mut blake3::Hasher) {
    if !hasher.is_null() {
        drop(Box::from_raw(hasher));
    }
}
