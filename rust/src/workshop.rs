//! A fixed number of threads on which grammars are compiled, and a bounded queue before them.

use std::collections::VecDeque;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::ffi::{panic_message, Failure, Outcome, Status};
use crate::masks::lock;
use crate::memory;

/// A grammar's nesting is walked by recursion, and what it refers to where it first does. Address space, of which what is used takes
/// memory.
pub const STACK: usize = 256 << 20;
/// An idle thread ends after so long.
const IDLE: Duration = Duration::from_secs(10);
/// Work that has taken so much gives what it freed back to the system.
const WORTH_TRIMMING: isize = 32 << 20;
/// How often one who waits looks whether it still wants the result.
const POLL: Duration = Duration::from_millis(20);

/// What one piece of work may take. The work asks check() wherever it can stop.
#[derive(Clone, Copy)]
pub struct Limits {
    /// From when the work begins, not from when it is queued.
    pub time: Duration,
    pub bytes: usize,
}

/// Held by the work and by the one who waits for it.
pub struct Fuse {
    limits: Limits,
    dropped: AtomicBool,
    began: Mutex<Option<Instant>>,
    /// The thread's net allocation at the beginning.
    net: Mutex<isize>,
}

impl Fuse {
    /// A fuse for work on the caller's own thread, from now on.
    #[cfg(test)]
    pub fn lit(limits: Limits) -> Fuse {
        let fuse = Fuse::new(limits);
        fuse.begin();
        fuse
    }

    fn new(limits: Limits) -> Fuse {
        Fuse {
            limits,
            dropped: AtomicBool::new(false),
            began: Mutex::new(None),
            net: Mutex::new(0),
        }
    }

    fn begin(&self) {
        *lock(&self.began) = Some(Instant::now());
        *lock(&self.net) = memory::net();
        memory::restart_peak();
    }

    /// What the allocator keeps of a thread's freed memory would stay with it otherwise.
    fn end(&self) {
        if memory::peak() - *lock(&self.net) > WORTH_TRIMMING {
            memory::trim();
        }
    }

    fn is_overdue(&self) -> bool {
        lock(&self.began).is_some_and(|began| began.elapsed() > self.limits.time)
    }

    /// What the work has taken so far and not freed. To be asked on its own thread.
    pub fn bytes(&self) -> isize {
        memory::net() - *lock(&self.net)
    }

    /// Refuses to go on: out of time, of memory, or nobody waits any longer.
    pub fn check(&self) -> Outcome<()> {
        if self.dropped.load(Ordering::Relaxed) {
            return Err(Failure::cancelled());
        }
        if self.is_overdue() {
            return Err(self.too_long());
        }
        if self.bytes() > self.limits.bytes as isize {
            return Err(Failure::invalid(format!(
                "the grammar takes more than {} MB to compile",
                self.limits.bytes >> 20
            )));
        }
        Ok(())
    }

    fn too_long(&self) -> Failure {
        let limit = self.limits.time.as_secs_f64();
        Failure::invalid(format!("the grammar takes longer than {limit} seconds to compile"))
    }
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    waiting: VecDeque<(Arc<Fuse>, Job)>,
    threads: usize,
    idle: usize,
}

struct Inner {
    max_threads: usize,
    max_waiting: usize,
    state: Mutex<State>,
    came: Condvar,
}

/// Immutable but for its queue. Threads begin with the first work and end when there is none.
#[derive(Clone)]
pub struct Workshop {
    inner: Arc<Inner>,
}

impl Workshop {
    pub fn new(max_threads: usize, max_waiting: usize) -> Workshop {
        let state = Mutex::new(State::default());
        let inner = Inner { max_threads, max_waiting, state, came: Condvar::new() };
        Workshop { inner: Arc::new(inner) }
    }

    /// Runs `work` on one of the threads and waits for it while `wanted()`. Work that is given up leaves the queue, or ends at its
    /// next check().
    pub fn run<T: Send + 'static>(
        &self,
        limits: Limits,
        wanted: &dyn Fn() -> bool,
        work: impl FnOnce(&Fuse) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let fuse = Arc::new(Fuse::new(limits));
        let (sender, receiver) = sync_channel(1);
        let own = fuse.clone();
        let job = Box::new(move || {
            own.begin();
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&own)));
            let outcome = outcome.unwrap_or_else(|panic| {
                Err(Failure { status: Status::Internal, message: panic_message(panic) })
            });
            own.end();
            let _ = sender.send(outcome);
        });
        self.post(fuse.clone(), job)?;
        let outcome = wait(&receiver, &fuse, wanted);
        if outcome.is_err() {
            fuse.dropped.store(true, Ordering::Relaxed);
            lock(&self.inner.state).waiting.retain(|(other, _)| !Arc::ptr_eq(other, &fuse));
        }
        outcome
    }

    pub fn num_waiting(&self) -> usize {
        lock(&self.inner.state).waiting.len()
    }

    fn post(&self, fuse: Arc<Fuse>, job: Job) -> Outcome<()> {
        let mut state = lock(&self.inner.state);
        if state.waiting.len() >= self.inner.max_waiting {
            return Err(Failure::busy("too many grammars wait to be compiled; try again later"));
        }
        if state.waiting.len() >= state.idle && state.threads < self.inner.max_threads {
            self.begin_thread(&mut state)?;
        }
        state.waiting.push_back((fuse, job));
        self.inner.came.notify_one();
        Ok(())
    }

    /// Where there is no memory for one more thread the others do the work, if there are any.
    fn begin_thread(&self, state: &mut State) -> Outcome<()> {
        let inner = self.inner.clone();
        let thread = std::thread::Builder::new().name("grammar".to_string()).stack_size(STACK);
        match thread.spawn(move || inner.work()) {
            Ok(_) => state.threads += 1,
            Err(_) if state.threads > 0 => (),
            Err(_) => {
                return Err(Failure::no_memory(
                    "there is no memory left to compile the grammar; try again later",
                ))
            }
        }
        Ok(())
    }
}

impl Inner {
    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some((_, job)) = state.waiting.pop_front() {
                drop(state);
                job();
                state = lock(&self.state);
                continue;
            }
            state.idle += 1;
            let waited = self.came.wait_timeout(state, IDLE);
            let (again, timeout) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
            state = again;
            state.idle -= 1;
            if timeout.timed_out() && state.waiting.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

fn wait<T>(receiver: &Receiver<Outcome<T>>, fuse: &Fuse, wanted: &dyn Fn() -> bool) -> Outcome<T> {
    loop {
        match receiver.recv_timeout(POLL) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Timeout) if !wanted() => return Err(Failure::cancelled()),
            Err(RecvTimeoutError::Timeout) if fuse.is_overdue() => return Err(fuse.too_long()),
            Err(RecvTimeoutError::Timeout) => (),
            Err(RecvTimeoutError::Disconnected) => {
                let message = "the grammar's compiler has ended".into();
                return Err(Failure { status: Status::Internal, message });
            }
        }
    }
}

#[cfg(test)]
#[path = "workshop_test.rs"]
mod tests;
