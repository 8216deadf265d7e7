//! Work that waits, takes too long, or is not wanted any more.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{sync_channel, Receiver};
use std::time::Instant;

use super::*;
use crate::work::fuse::thread_time;

const LIMITS: Limits = Limits { time: Duration::from_millis(200), bytes: 8 << 20 };
const LONG: Limits = Limits { time: Duration::from_secs(60), bytes: 8 << 20 };

fn order(owner: &str, limits: Limits, wanted: Wanted) -> Order {
    Order { client: Client { owner: owner.into(), ..Client::default() }, limits, wanted }
}

/// The outcome comes when the work has ended.
fn post<T: Send + 'static>(
    workshop: &Workshop,
    order: Order,
    work: impl Fn(&Fuse) -> Outcome<T> + Send + 'static,
) -> Receiver<Outcome<T>> {
    let (sender, receiver) = sync_channel(1);
    workshop.post(order, work, move |outcome| drop(sender.send(outcome)));
    receiver
}

/// Does work of one client and waits for it.
pub(crate) fn run<T: Send + 'static>(
    workshop: &Workshop,
    limits: Limits,
    work: impl Fn(&Fuse) -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    post(workshop, order("", limits, Arc::new(|| true)), work).recv().unwrap()
}

/// Until check() ends it.
fn endless(fuse: &Fuse) -> Outcome<()> {
    loop {
        fuse.check()?;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The same, and takes all of its thread's time.
fn busy(fuse: &Fuse) -> Outcome<()> {
    loop {
        fuse.check()?;
    }
}

#[test]
fn work_that_takes_too_long_ends() {
    let workshop = Workshop::new(1, 4);
    let failure = run(&workshop, LIMITS, endless).unwrap_err();
    assert_eq!(failure.status, Status::Invalid);
    assert!(failure.message.contains("longer than 0.2 seconds"), "{}", failure.message);
    // The only thread is free again.
    assert_eq!(run(&workshop, LIMITS, |_| Ok(7)).unwrap(), 7);
}

#[test]
fn work_that_takes_too_much_memory_ends() {
    let workshop = Workshop::new(1, 4);
    let failure = run(&workshop, LONG, |fuse| {
        let mut kept = Vec::new();
        loop {
            kept.push(vec![0u8; 1 << 20]);
            fuse.check()?;
            assert!(kept.len() < 100);
        }
        #[allow(unreachable_code)]
        Ok(())
    })
    .unwrap_err();
    assert!(failure.message.contains("more than 8 MB"), "{}", failure.message);
}

#[test]
fn time_in_the_queue_does_not_count() {
    let workshop = Workshop::new(1, 4);
    let first = post(&workshop, order("a", LIMITS, Arc::new(|| true)), endless);
    std::thread::sleep(Duration::from_millis(50));
    let begin = Instant::now();
    assert_eq!(run(&workshop, LIMITS, |_| Ok(1)).unwrap(), 1);
    assert!(begin.elapsed() > Duration::from_millis(100)); // more than its limit
    assert!(first.recv().unwrap().is_err());
}

#[test]
fn a_full_queue_refuses_but_where_some_have_gone() {
    let workshop = Workshop::new(1, 8); // of which an owner has two
    let wanted = Arc::new(AtomicBool::new(true));
    let others: Vec<_> = (0..3)
        .map(|_| {
            let wanted = wanted.clone();
            let asked: Wanted = Arc::new(move || wanted.load(Ordering::Relaxed));
            let other = post(&workshop, order("a", LONG, asked), endless);
            std::thread::sleep(Duration::from_millis(20)); // the first has left the queue
            other
        })
        .collect();
    assert_eq!(workshop.num_waiting(), 2);
    let again = || post(&workshop, order("a", LIMITS, Arc::new(|| true)), |_| Ok(()));
    assert_eq!(again().recv().unwrap().unwrap_err().status, Status::Busy);
    assert_eq!(workshop.num_waiting(), 2);
    wanted.store(false, Ordering::Relaxed);
    assert!(again().recv().unwrap().is_ok());
    for other in others {
        assert_eq!(other.recv().unwrap().unwrap_err().status, Status::Cancelled);
    }
}

#[test]
fn work_that_is_not_wanted_any_more_ends() {
    let workshop = Workshop::new(1, 4);
    let asked = AtomicUsize::new(0);
    let wanted: Wanted = Arc::new(move || asked.fetch_add(1, Ordering::Relaxed) < 3);
    let failure = post(&workshop, order("", LONG, wanted), endless).recv().unwrap().unwrap_err();
    assert_eq!(failure.status, Status::Cancelled);
    let begin = Instant::now();
    assert!(run(&workshop, LIMITS, |_| Ok(())).is_ok());
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_panic_is_its_own_works_alone() {
    let workshop = Workshop::new(1, 4);
    let failure = run(&workshop, LONG, |_| -> Outcome<()> { panic!("oh") }).unwrap_err();
    assert_eq!(failure.status, Status::Internal);
    assert!(run(&workshop, LONG, |_| Ok(())).is_ok());
}

#[test]
fn two_clients_hold_up_no_third_one() {
    let workshop = Workshop::new(3, 64);
    let over = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(AtomicUsize::new(0));
    let mut others = Vec::new();
    for number in 0..16 {
        let (over, begun) = (over.clone(), begun.clone());
        let wanted: Wanted = Arc::new(move || !over.load(Ordering::Relaxed));
        let owner = if number % 2 == 0 { "a" } else { "b" };
        let work = move |fuse: &Fuse| {
            begun.fetch_add(1, Ordering::Relaxed);
            busy(fuse)
        };
        others.push(post(&workshop, order(owner, LONG, wanted), work));
    }
    while begun.load(Ordering::Relaxed) < 3 {
        std::thread::yield_now(); // both hold a thread, the third one gives turns
    }
    for _ in 0..3 {
        let before = begun.load(Ordering::Relaxed);
        let own = order("c", LONG, Arc::new(|| true));
        assert_eq!(post(&workshop, own, |_| Ok(1)).recv().unwrap().unwrap(), 1);
        // What had its turn ends it; one more may have begun since.
        assert!(begun.load(Ordering::Relaxed) - before <= 1);
    }
    over.store(true, Ordering::Relaxed);
    for other in others {
        assert_eq!(other.recv().unwrap().unwrap_err().status, Status::Cancelled);
    }
}

#[test]
fn work_whose_turn_was_too_short_begins_anew() {
    let workshop = Workshop::new(3, 64);
    let over = Arc::new(AtomicBool::new(false));
    let holding = ["a", "b"].map(|owner| {
        let over = over.clone();
        let wanted: Wanted = Arc::new(move || !over.load(Ordering::Relaxed));
        post(&workshop, order(owner, LONG, wanted), endless)
    });
    while workshop.num_waiting() > 0 {
        std::thread::yield_now();
    }
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let work = move |fuse: &Fuse| {
        let begin = thread_time();
        counted.fetch_add(1, Ordering::Relaxed);
        while thread_time() - begin < 2 * TURN {
            fuse.check()?;
        }
        Ok(7)
    };
    let outcome = post(&workshop, order("c", LONG, Arc::new(|| true)), work);
    while begun.load(Ordering::Relaxed) == 0 || workshop.num_waiting() == 0 {
        std::thread::yield_now();
    }
    over.store(true, Ordering::Relaxed);
    assert_eq!(outcome.recv().unwrap().unwrap(), 7);
    assert_eq!(begun.load(Ordering::Relaxed), 2);
    for other in holding {
        assert!(other.recv().unwrap().is_err());
    }
}
