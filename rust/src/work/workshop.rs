//! A fixed number of threads on which grammars are compiled, and a bounded queue before them, in which clients take turns.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::base::failure::{Failure, Outcome, Status};
use crate::base::ffi::caught;
use crate::base::lock::lock;
use crate::work::fuse::{Fuse, Limits, Wanted};
use crate::work::turns::{self, Client, Share, Turns};

/// A grammar's nesting is walked by recursion, and what it refers to where it first does. Address space, of which what is used takes
/// memory.
pub const STACK: usize = 256 << 20;
/// An idle thread ends after so long: its stack may be all that there is of address space.
const IDLE: Duration = Duration::from_secs(1);
/// CPU time of a short turn: usual schemas take a few hundredths of a second.
const TURN: Duration = Duration::from_millis(100);
/// An owner has one of so many of the places in the queue.
const OWNERS_PART: usize = 4;

/// What is to be done for whom.
pub struct Order {
    pub client: Client,
    pub limits: Limits,
    pub wanted: Wanted,
}

trait Job: Send {
    fn is_wanted(&self) -> bool;
    /// False: the turn was too short, and the job has to run again. `turn`: CPU time, absent for all that it takes.
    fn run(&mut self, turn: Option<Duration>) -> bool;
    fn fail(&mut self, failure: Failure);
}

/// Ends once, by calling `done`.
struct Task<T, Work, Done>
where
    Done: FnOnce(Outcome<T>),
{
    limits: Limits,
    wanted: Wanted,
    work: Work,
    done: Option<Done>,
    result: std::marker::PhantomData<fn() -> T>,
}

impl<T, Work, Done> Task<T, Work, Done>
where
    Done: FnOnce(Outcome<T>),
{
    fn end(&mut self, outcome: Outcome<T>) {
        if let Some(done) = self.done.take() {
            done(outcome);
        }
    }
}

impl<T, Work, Done> Job for Task<T, Work, Done>
where
    Work: Fn(&Fuse) -> Outcome<T> + Send,
    Done: FnOnce(Outcome<T>) + Send,
{
    fn is_wanted(&self) -> bool {
        (self.wanted)()
    }

    fn run(&mut self, turn: Option<Duration>) -> bool {
        let fuse = Fuse::lit(self.limits, turn, self.wanted.clone());
        let outcome = caught(|| (self.work)(&fuse));
        fuse.end();
        if fuse.turn_is_over() {
            return false;
        }
        self.end(outcome);
        true
    }

    fn fail(&mut self, failure: Failure) {
        self.end(Err(failure));
    }
}

impl<T, Work, Done> Drop for Task<T, Work, Done>
where
    Done: FnOnce(Outcome<T>),
{
    fn drop(&mut self) {
        let message = "the grammar's compiler has ended".into();
        self.end(Err(Failure { status: Status::Internal, message }));
    }
}

struct State {
    turns: Turns<Box<dyn Job>>,
    threads: usize,
    idle: usize,
}

struct Inner {
    max_threads: usize,
    state: Mutex<State>,
    came: Condvar,
}

/// Immutable but for its queue. Threads begin with the first work and end when there is none.
#[derive(Clone)]
pub struct Workshop {
    inner: Arc<Inner>,
}

impl Workshop {
    /// Of more than one thread all but one may hold what takes long.
    pub fn new(max_threads: usize, max_waiting: usize) -> Workshop {
        let limits = turns::Limits {
            waiting: max_waiting,
            waiting_of_owner: max_waiting.div_ceil(OWNERS_PART),
            whole: max_threads.saturating_sub(1).max(1),
            whole_of_owner: max_threads.saturating_sub(2).max(1),
        };
        let state = Mutex::new(State { turns: Turns::new(limits), threads: 0, idle: 0 });
        Workshop { inner: Arc::new(Inner { max_threads, state, came: Condvar::new() }) }
    }

    /// Runs `work` on one of the threads when the client's turn comes, perhaps several times, then calls `done` there, once. Where
    /// the work is refused, `done` is called before this returns. Work that nobody wants any more ends at its next check(), or
    /// when its turn comes.
    pub fn post<T: 'static>(
        &self,
        order: Order,
        work: impl Fn(&Fuse) -> Outcome<T> + Send + 'static,
        done: impl FnOnce(Outcome<T>) + Send + 'static,
    ) {
        let Order { client, limits, wanted } = order;
        let result = std::marker::PhantomData;
        let job = Box::new(Task { limits, wanted, work, done: Some(done), result });
        let mut unwanted = Vec::new();
        let refused = self.push(client, job, &mut unwanted);
        // Without the lock: what is told may post.
        if let Err((mut job, failure)) = refused {
            job.fail(failure);
        }
        for mut job in unwanted {
            job.fail(Failure::cancelled());
        }
    }

    pub fn num_waiting(&self) -> usize {
        lock(&self.inner.state).turns.len()
    }

    fn push(
        &self,
        client: Client,
        job: Box<dyn Job>,
        unwanted: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), (Box<dyn Job>, Failure)> {
        let mut state = lock(&self.inner.state);
        if state.turns.is_full(&client.owner) {
            *unwanted = state.turns.take_unwanted(|job| job.is_wanted());
        }
        if state.turns.is_full(&client.owner) {
            let failure = "too many grammars wait to be compiled; try again later";
            return Err((job, Failure::busy(failure)));
        }
        if state.turns.len() >= state.idle && state.threads < self.inner.max_threads {
            if let Err(failure) = self.begin_thread(&mut state) {
                return Err((job, failure));
            }
        }
        state.turns.push(client, job);
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
            if let Some((turn, mut job)) = state.turns.pop() {
                drop(state);
                if self.run(turn.share, job.as_mut()) {
                    drop(job); // and all that it holds, before its turn ends
                    state = lock(&self.state);
                    state.turns.finished(&turn);
                } else {
                    state = lock(&self.state);
                    state.turns.put_back(turn, job);
                }
                continue;
            }
            state.idle += 1;
            let waited = self.came.wait_timeout(state, IDLE);
            let (again, timeout) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
            state = again;
            state.idle -= 1;
            // What waits now is left to threads that run: they take it when they have ended what holds it up.
            if timeout.timed_out() && (state.turns.is_empty() || state.threads > 1 + state.idle) {
                state.threads -= 1;
                return;
            }
        }
    }

    fn run(&self, share: Share, job: &mut dyn Job) -> bool {
        if !job.is_wanted() {
            job.fail(Failure::cancelled());
            return true;
        }
        job.run(if share == Share::Turn { Some(TURN) } else { None })
    }
}

#[cfg(test)]
#[path = "workshop_test.rs"]
pub(crate) mod tests;
