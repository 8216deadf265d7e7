//! What one piece of work may take. The work asks check() wherever it can stop.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::failure::{Failure, Outcome};
use crate::base::memory;

/// Work that has taken so much gives what it freed back to the system.
const WORTH_TRIMMING: isize = 32 << 20;
/// How often the work asks whether anybody still waits for it.
const POLL: Duration = Duration::from_millis(20);

#[derive(Clone, Copy)]
pub struct Limits {
    /// From when the work begins, not from when it is queued.
    pub time: Duration,
    pub bytes: usize,
}

/// False: nobody waits for the work any more. Called on any thread.
pub type Wanted = Arc<dyn Fn() -> bool + Send + Sync>;

/// Belongs to the thread that works.
pub struct Fuse {
    limits: Limits,
    /// CPU time of a short turn; absent: there is none.
    turn: Option<Duration>,
    wanted: Wanted,
    began: Instant,
    /// The thread's CPU time at the beginning.
    cpu: Duration,
    /// The thread's net allocation at the beginning.
    net: isize,
    asked: Cell<Instant>,
    turn_is_over: Cell<bool>,
    #[cfg(test)]
    gaps: Gaps,
}

/// How long the work goes on without asking, in CPU time. Measured in tests alone: it asks often.
#[cfg(test)]
struct Gaps {
    last: Cell<Duration>,
    longest: Cell<Duration>,
}

#[cfg(test)]
impl Gaps {
    fn note(&self) {
        let now = thread_time();
        self.longest.set(self.longest.get().max(now - self.last.replace(now)));
    }
}

impl Fuse {
    /// For work on the caller's own thread, from now on.
    pub fn lit(limits: Limits, turn: Option<Duration>, wanted: Wanted) -> Fuse {
        memory::restart_peak();
        let began = Instant::now();
        Fuse {
            limits,
            turn,
            wanted,
            began,
            cpu: thread_time(),
            net: memory::net(),
            asked: Cell::new(began),
            turn_is_over: Cell::new(false),
            #[cfg(test)]
            gaps: Gaps { last: Cell::new(thread_time()), longest: Cell::new(Duration::ZERO) },
        }
    }

    /// The longest time between two checks, the last one being now.
    #[cfg(test)]
    pub fn longest_gap(&self) -> Duration {
        self.gaps.note();
        self.gaps.longest.get()
    }

    /// What the work has taken so far and not freed.
    pub fn bytes(&self) -> isize {
        memory::net() - self.net
    }

    /// Refuses to go on: out of time, of memory, or nobody waits any longer.
    pub fn check(&self) -> Outcome<()> {
        #[cfg(test)]
        self.gaps.note();
        if !self.is_wanted() {
            return Err(Failure::cancelled());
        }
        if self.began.elapsed() > self.limits.time {
            let limit = self.limits.time.as_secs_f64();
            return Err(Failure::invalid(format!(
                "the grammar takes longer than {limit} seconds to compile"
            )));
        }
        if self.bytes() > self.limits.bytes as isize {
            return Err(Failure::invalid(format!(
                "the grammar takes more than {} MB to compile",
                self.limits.bytes >> 20
            )));
        }
        if self.turn.is_some_and(|turn| thread_time().saturating_sub(self.cpu) > turn) {
            self.turn_is_over.set(true);
        }
        if self.turn_is_over() {
            return Err(Failure::cancelled());
        }
        Ok(())
    }

    /// The work was stopped because its short turn was over: whatever it says, it has to begin anew.
    pub fn turn_is_over(&self) -> bool {
        self.turn_is_over.get()
    }

    /// What the allocator keeps of a thread's freed memory would stay with it otherwise.
    pub fn end(&self) {
        if memory::peak() - self.net > WORTH_TRIMMING {
            memory::trim();
        }
    }

    fn is_wanted(&self) -> bool {
        if self.asked.get().elapsed() < POLL {
            return true;
        }
        self.asked.set(Instant::now());
        (self.wanted)()
    }
}

/// CPU time that this thread has taken: what it got of its core, however many others want it.
pub fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
