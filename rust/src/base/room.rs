//! Address space that a call sets aside before it begins. Rust's collections end the process where an allocation fails, so none may:
//! a call that can't set aside what it may take is refused, and an allocation that fails later takes from what was set aside.
//!
//! All calls' rooms together are at least what their work still takes, so any failing allocation may use any room.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::base::failure::{Failure, Outcome};

/// Calls that may have a room at once; more wait for none and are refused.
const SLOTS: usize = 256;
/// What takes less has the library's reserve (memory::check_reserve).
const SMALL: usize = 1 << 20;

/// Rooms shrink by multiples of this; what the heap takes from the system at once.
const PART: usize = 4 << 20;

struct Slot {
    taken: AtomicBool,
    /// Null once it has been given back. A room begins with its size, for whoever gives it back.
    begin: AtomicPtr<usize>,
}

static SLOTS_OF_ROOMS: [Slot; SLOTS] =
    [const { Slot { taken: AtomicBool::new(false), begin: AtomicPtr::new(null_mut()) } }; SLOTS];

/// Given back when it is dropped.
pub struct Room {
    slot: Option<&'static Slot>,
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            release(slot);
            slot.taken.store(false, Ordering::Release);
        }
    }
}

/// Refuses where `bytes` can't be had.
pub fn set_aside(bytes: usize) -> Outcome<Room> {
    if bytes <= SMALL {
        return Ok(Room { slot: None });
    }
    let Some(slot) = SLOTS_OF_ROOMS.iter().find(|slot| !slot.taken.swap(true, Ordering::AcqRel))
    else {
        return Err(refusal());
    };
    let room = Room { slot: Some(slot) };
    let begin = map(bytes);
    if begin.is_null() {
        return Err(refusal());
    }
    put(slot, begin);
    Ok(room)
}

/// What shrink() may have put back late is given up.
fn put(slot: &Slot, begin: *mut usize) {
    let late = slot.begin.swap(begin, Ordering::AcqRel);
    if !late.is_null() {
        // SAFETY: as in shrink().
        unsafe { libc::munmap(late.cast(), *late) };
    }
}

/// Gives so much of some call's room back to the system, and some more, or all of a room. False where there is none. Neither allocates
/// nor unwinds.
pub fn give_some_back(bytes: usize) -> bool {
    SLOTS_OF_ROOMS.iter().any(|slot| shrink(slot, bytes.saturating_add(PART)))
}

fn release(slot: &Slot) -> bool {
    shrink(slot, usize::MAX)
}

/// Not more than was asked for: what else is given back C++ may take before the next call needs it.
fn shrink(slot: &Slot, bytes: usize) -> bool {
    let begin = slot.begin.swap(null_mut(), Ordering::AcqRel);
    if begin.is_null() {
        return false;
    }
    // SAFETY: mapped by map(), which wrote the size there, and taken out of the slot by us alone.
    unsafe {
        let size = *begin;
        let kept = size.saturating_sub(bytes) / PART * PART;
        if kept == 0 {
            libc::munmap(begin.cast(), size);
            return true;
        }
        libc::munmap(begin.byte_add(kept).cast(), size - kept);
        *begin = kept;
    }
    let free = null_mut();
    let back = slot.begin.compare_exchange(free, begin, Ordering::AcqRel, Ordering::Acquire);
    if back.is_err() {
        // Its call has ended meanwhile, and another one has the slot.
        unsafe { libc::munmap(begin.cast(), *begin) };
    } else if !slot.taken.load(Ordering::Acquire) {
        release(slot);
    }
    true
}

fn refusal() -> Failure {
    Failure::no_memory("there is no memory left for this; try again later")
}

/// Null where the system has none. It takes memory only where it is touched, which is its first page.
fn map(bytes: usize) -> *mut usize {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at no given place.
    let begin = unsafe { libc::mmap(null_mut(), bytes, access, kind, -1, 0) };
    if begin == libc::MAP_FAILED {
        return null_mut();
    }
    let begin = begin.cast::<usize>();
    // SAFETY: writable, aligned to a page and larger than a size.
    unsafe { begin.write(bytes) };
    begin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_work_has_no_room_of_its_own() {
        assert!(set_aside(SMALL).unwrap().slot.is_none());
    }

    #[test]
    fn what_is_set_aside_is_given_back_once() {
        let room = set_aside(64 << 20).unwrap();
        let slot = room.slot.unwrap();
        assert!(!slot.begin.load(Ordering::Relaxed).is_null());
        assert!(release(slot));
        assert!(!release(slot));
        drop(room);
        assert!(!release(slot));
    }

    #[test]
    fn a_room_shrinks_by_what_is_needed() {
        let room = set_aside(64 << 20).unwrap();
        let slot = room.slot.unwrap();
        let size = || unsafe { *slot.begin.load(Ordering::Relaxed) };
        assert!(shrink(slot, (1 << 20) + PART));
        assert_eq!(size(), 56 << 20);
        assert!(shrink(slot, 52 << 20));
        assert_eq!(size(), 4 << 20);
        assert!(shrink(slot, 1));
        assert!(!shrink(slot, 1));
    }

    #[test]
    fn what_can_not_be_had_is_refused_and_keeps_no_slot() {
        for _ in 0..2 * SLOTS {
            let failure = set_aside(1 << 60).map(drop).unwrap_err();
            assert_eq!(failure.status, crate::base::failure::Status::NoMemory);
        }
        assert!(set_aside(2 << 20).is_ok());
    }
}
