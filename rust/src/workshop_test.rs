//! Work that waits, takes too long, or is not wanted any more.

use std::sync::atomic::AtomicUsize;

use super::*;

const LIMITS: Limits = Limits { time: Duration::from_millis(200), bytes: 8 << 20 };

fn always() -> bool {
    true
}

/// Until check() ends it.
fn endless(fuse: &Fuse) -> Outcome<()> {
    loop {
        fuse.check()?;
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn work_that_takes_too_long_ends() {
    let workshop = Workshop::new(1, 4);
    let failure = workshop.run(LIMITS, &always, endless).unwrap_err();
    assert_eq!(failure.status, Status::Invalid);
    assert!(failure.message.contains("longer than 0.2 seconds"), "{}", failure.message);
    // The only thread is free again.
    assert_eq!(workshop.run(LIMITS, &always, |_| Ok(7)).unwrap(), 7);
}

#[test]
fn work_that_takes_too_much_memory_ends() {
    let workshop = Workshop::new(1, 4);
    let failure = workshop
        .run(LIMITS, &always, |fuse| {
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
    let slow = workshop.clone();
    let first = std::thread::spawn(move || slow.run(LIMITS, &always, endless));
    std::thread::sleep(Duration::from_millis(50));
    let begin = Instant::now();
    let second = workshop.run(LIMITS, &always, |_| Ok(1));
    assert_eq!(second.unwrap(), 1);
    assert!(begin.elapsed() > Duration::from_millis(100)); // more than its limit
    assert!(first.join().unwrap().is_err());
}

#[test]
fn a_full_queue_refuses() {
    let workshop = Workshop::new(1, 2);
    let others: Vec<_> = (0..3)
        .map(|_| {
            let workshop = workshop.clone();
            let other = std::thread::spawn(move || workshop.run(LIMITS, &always, endless));
            std::thread::sleep(Duration::from_millis(20)); // the first has left the queue
            other
        })
        .collect();
    assert_eq!(workshop.num_waiting(), 2);
    let failure = workshop.run(LIMITS, &always, |_| Ok(())).unwrap_err();
    assert_eq!(failure.status, Status::Busy);
    others.into_iter().for_each(|other| assert!(other.join().unwrap().is_err()));
    assert!(workshop.run(LIMITS, &always, |_| Ok(())).is_ok());
}

#[test]
fn work_that_is_not_wanted_any_more_ends() {
    let workshop = Workshop::new(1, 4);
    let asked = AtomicUsize::new(0);
    let wanted = || asked.fetch_add(1, Ordering::Relaxed) < 2;
    let limits = Limits { time: Duration::from_secs(60), ..LIMITS };
    let failure = workshop.run(limits, &wanted, endless).unwrap_err();
    assert_eq!(failure.status, Status::Cancelled);
    let begin = Instant::now();
    assert!(workshop.run(LIMITS, &always, |_| Ok(())).is_ok());
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_panic_is_its_own_works_alone() {
    let workshop = Workshop::new(1, 4);
    let limits = Limits { time: Duration::from_secs(60), ..LIMITS };
    let failure = workshop.run(limits, &always, |_| -> Outcome<()> { panic!("oh") }).unwrap_err();
    assert_eq!(failure.status, Status::Internal);
    assert!(workshop.run(limits, &always, |_| Ok(())).is_ok());
}
