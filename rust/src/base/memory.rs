//! The library's memory: what each thread takes is counted, so that grammars can be charged for theirs, and a reserve lets work that
//! is under way end where the system has no more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::Arc;

use crate::base::failure::{Failure, Outcome};
use crate::base::room::{self, Room};

/// Address space that is given up where an allocation fails.
const RESERVE: usize = 48 << 20;
const RESERVE_LAYOUT: Layout = match Layout::from_size_align(RESERVE, 16) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// An allocation that fails all the same is tried again so often, with pauses: it would end the process.
const NUM_WAITS: usize = 20_000;
const WAIT_US: u32 = 500;
/// Larger ones fail at once: nobody has set so much aside.
const MAX_AWAITED: usize = 1 << 30;

thread_local! {
    static NET: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counted by thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static RESERVED: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

fn count(bytes: isize) {
    // Fails while a thread ends, whose bytes nobody asks for any more.
    let _ = NET.try_with(|net| {
        net.set(net.get().wrapping_add(bytes));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(net.get())));
    });
}

/// `attempt` again with what rooms and the reserve give back.
///
/// # Safety
/// As for `attempt`.
unsafe fn with_reserve(size: usize, attempt: impl Fn() -> *mut u8) -> *mut u8 {
    let found = attempt();
    if !found.is_null() {
        return found;
    }
    while room::give_some_back(size) {
        let found = attempt();
        if !found.is_null() {
            return found;
        }
    }
    let reserve = RESERVED.swap(std::ptr::null_mut(), Ordering::AcqRel);
    if !reserve.is_null() {
        System.dealloc(reserve, RESERVE_LAYOUT);
    }
    let found = attempt(); // also where another thread has given the reserve back
    if !found.is_null() || size > MAX_AWAITED {
        return found;
    }
    wait_for_memory(attempt)
}

/// What others have taken of rooms and of the reserve they give back: C++ answers 503 where it gets none. New calls are refused
/// meanwhile (check_reserve).
unsafe fn wait_for_memory(attempt: impl Fn() -> *mut u8) -> *mut u8 {
    for _ in 0..NUM_WAITS {
        libc::usleep(WAIT_US);
        let found = attempt();
        if !found.is_null() {
            return found;
        }
    }
    std::ptr::null_mut()
}

// SAFETY: System does the work; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let found = with_reserve(layout.size(), || System.alloc(layout));
        if !found.is_null() {
            count(layout.size() as isize);
        }
        found
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let found = with_reserve(layout.size(), || System.alloc_zeroed(layout));
        if !found.is_null() {
            count(layout.size() as isize);
        }
        found
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        System.dealloc(pointer, layout);
        count(-(layout.size() as isize));
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let found = with_reserve(size, || System.realloc(pointer, layout, size));
        if !found.is_null() {
            count(size as isize - layout.size() as isize);
        }
        found
    }
}

/// Bytes that this thread has taken, less those that it has freed, whoever took them.
pub fn net() -> isize {
    NET.with(Cell::get)
}

/// The most that net() has been on this thread since restart_peak().
pub fn peak() -> isize {
    PEAK.with(Cell::get)
}

pub fn restart_peak() {
    PEAK.with(|peak| peak.set(net()));
}

/// Gives the system back what is free, of all threads.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        extern "C" {
            fn malloc_trim(pad: usize) -> i32;
        }
        // SAFETY: glibc's own, which takes its own locks.
        unsafe { malloc_trim(0) };
    }
}

/// Whether the process has a limit on it (RLIMIT_AS).
pub fn is_address_space_limited() -> bool {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is writable.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
    limit.rlim_cur != libc::RLIM_INFINITY
}

/// What `work` returns, and the bytes that it took and did not free.
pub fn growth<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = net();
    let result = work();
    (result, net().wrapping_sub(before))
}

/// Refuses where the system has no memory left: the reserve is used up and can't be had again.
pub fn check_reserve() -> Outcome<()> {
    if !RESERVED.load(Ordering::Acquire).is_null() {
        return Ok(());
    }
    // SAFETY: the layout has a size.
    let reserve = unsafe { System.alloc(RESERVE_LAYOUT) };
    if reserve.is_null() {
        return Err(Failure::no_memory("there is no memory left for this; try again later"));
    }
    let other = RESERVED.swap(reserve, Ordering::AcqRel);
    if !other.is_null() {
        // SAFETY: another thread's, of the same layout, which nobody else has now.
        unsafe { System.dealloc(other, RESERVE_LAYOUT) };
    }
    Ok(())
}

/// Address space for `bytes`, held while the work goes on that may take them. Refuses where it can't be had.
pub fn set_aside(bytes: usize) -> Outcome<Room> {
    check_reserve()?;
    room::set_aside(bytes)
}

/// Counts what all grammars of a compiler take together.
pub struct Ledger {
    used: AtomicUsize,
    limit: usize,
}

impl Ledger {
    pub fn new(limit: usize) -> Arc<Ledger> {
        Arc::new(Ledger { used: AtomicUsize::new(0), limit })
    }

    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Refuses where as much as there may be is taken.
    pub fn check_room(&self) -> Outcome<()> {
        if self.used() < self.limit {
            return Ok(());
        }
        Err(Failure::busy("the grammars of running answers take all memory that there is for grammars; try again later"))
    }
}

/// A part of a ledger, given back when it is dropped.
pub struct Charge {
    ledger: Arc<Ledger>,
    bytes: usize,
}

impl Charge {
    pub fn none(ledger: Arc<Ledger>) -> Charge {
        Charge { ledger, bytes: 0 }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    pub fn add(&mut self, growth: isize) {
        let bytes = self.bytes.saturating_add_signed(growth);
        if bytes >= self.bytes {
            self.ledger.used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.ledger.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_charged_for_its_own_bytes() {
        let (kept, bytes) = growth(|| vec![0u8; 100_000]);
        assert!((100_000..101_000).contains(&bytes), "{bytes}");
        let (_, others) =
            growth(|| std::thread::spawn(|| vec![0u8; 100_000].len()).join().unwrap());
        assert!(others.abs() < 10_000, "{others}");
        let ((), freed) = growth(|| drop(kept));
        assert!((-101_000..=-100_000).contains(&freed), "{freed}");
    }

    #[test]
    fn charges_are_given_back() {
        let ledger = Ledger::new(100);
        let mut charge = Charge::none(ledger.clone());
        charge.add(150);
        assert!(ledger.check_room().is_err());
        charge.add(-80);
        assert_eq!((charge.bytes(), ledger.used()), (70, 70));
        assert!(ledger.check_room().is_ok());
        charge.add(-100);
        assert_eq!(ledger.used(), 0);
        charge.add(5);
        drop(charge);
        assert_eq!(ledger.used(), 0);
    }
}
