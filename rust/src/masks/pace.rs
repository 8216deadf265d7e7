//! How long an answer may keep a processor busy with its masks. llguidance bounds a single mask, not a run of slow ones, on which the
//! answers of others would wait.

use std::time::Duration;

use crate::base::failure::{Failure, Outcome};
use crate::masks::words;

/// What each token earns: hundreds of times what masks of usual schemas take.
const EARNED: Duration = Duration::from_millis(20);
/// What may be saved up, for the first masks, which are the slowest.
const MOST: Duration = Duration::from_millis(200);

/// An account of a processor's time.
#[derive(Clone)]
pub struct Pace {
    left: Duration,
}

impl Pace {
    pub fn new() -> Pace {
        Pace { left: MOST }
    }

    /// A token has been taken.
    pub fn earn(&mut self) {
        self.left = MOST.min(self.left + EARNED);
    }

    /// Refuses more than there is.
    pub fn spend(&mut self, time: Duration) -> Outcome<()> {
        self.left = match self.left.checked_sub(time) {
            Some(left) => left,
            None => return Err(Failure::invalid(words::TOO_COMPLEX)),
        };
        Ok(())
    }
}

/// The processor's time that the calling thread has had: what others took of the processor is not the answer's fault.
pub fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // Can't fail: the clock is there on Linux and macOS, and `time` is valid.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_slow_beginning_is_paid_for_by_what_follows() {
        let mut pace = Pace::new();
        pace.spend(ms(190)).unwrap();
        for _ in 0..100 {
            pace.earn();
            pace.spend(ms(20)).unwrap();
        }
    }

    #[test]
    fn a_run_of_slow_masks_ends() {
        let mut pace = Pace::new();
        let masks = (0..100).take_while(|_| {
            pace.earn();
            pace.spend(ms(40)).is_ok()
        });
        assert_eq!(masks.count(), 9);
    }

    #[test]
    fn no_more_is_saved_than_for_a_beginning() {
        let mut pace = Pace::new();
        (0..1000).for_each(|_| pace.earn());
        assert!(pace.spend(ms(201)).is_err());
    }

    #[test]
    fn the_clock_counts_this_threads_work_alone() {
        let begin = thread_time();
        std::thread::sleep(ms(20));
        assert!(thread_time() - begin < ms(20));
        while thread_time() - begin < ms(2) {}
    }
}
