//! Turns of clients that send more than can be done.

use super::*;

const LIMITS: Limits = Limits { waiting: 8, waiting_of_owner: 4, whole: 2, whole_of_owner: 1 };

fn client(owner: &str, connection: &str) -> Client {
    Client { owner: owner.into(), connection: connection.into() }
}

fn turns(tasks: &[(&str, u32)]) -> Turns<u32> {
    let mut turns = Turns::new(LIMITS);
    for (owner, task) in tasks {
        turns.push(client(owner, "1"), *task);
    }
    turns
}

/// What runs next, and how.
fn next(turns: &mut Turns<u32>) -> Option<(u32, Share)> {
    turns.pop().map(|(turn, task)| (task, turn.share))
}

#[test]
fn an_owner_runs_one_task_as_a_whole_and_others_in_turns() {
    let mut turns = turns(&[("a", 1), ("a", 2), ("b", 3), ("b", 4), ("c", 5)]);
    assert_eq!(next(&mut turns), Some((1, Share::Whole)));
    assert_eq!(next(&mut turns), Some((3, Share::Whole)));
    // Two of two run as a whole: the others get short turns, whoever has nothing running first.
    assert_eq!(next(&mut turns), Some((5, Share::Turn)));
    assert_eq!(next(&mut turns), Some((2, Share::Turn)));
    assert_eq!(next(&mut turns), Some((4, Share::Turn)));
    assert_eq!(next(&mut turns), None);
}

#[test]
fn what_takes_long_never_holds_up_what_is_new() {
    let mut turns = turns(&[("a", 1), ("b", 2), ("a", 3)]);
    let (first, second) = (turns.pop().unwrap().0, turns.pop().unwrap().0);
    let (third, task) = turns.pop().unwrap();
    assert_eq!((task, third.share), (3, Share::Turn));
    turns.put_back(third, task);
    assert_eq!(next(&mut turns), None, "it takes long, and its owner has one of those running");
    turns.push(client("c", "1"), 4);
    assert_eq!(next(&mut turns), Some((4, Share::Turn)));
    turns.finished(&second);
    assert_eq!(next(&mut turns), None, "the other owner's");
    turns.finished(&first);
    assert_eq!(next(&mut turns), Some((3, Share::Whole)));
}

#[test]
fn connections_of_an_owner_take_turns() {
    let mut turns = Turns::new(LIMITS);
    for (connection, task) in [("1", 1), ("1", 2), ("1", 3), ("2", 4)] {
        turns.push(client("a", connection), task);
    }
    let order: Vec<u32> = (0..4).map(|_| next(&mut turns).unwrap().0).collect();
    assert_eq!(order, [1, 4, 2, 3]);
}

#[test]
fn places_are_limited_of_an_owner_and_of_all() {
    let mut turns = turns(&[("a", 1), ("a", 2), ("a", 3), ("a", 4)]);
    assert!(turns.is_full("a") && !turns.is_full("b"));
    for task in 5..9 {
        turns.push(client("b", "1"), task);
    }
    assert!(turns.is_full("c"));
    assert_eq!(turns.take_unwanted(|task| task % 2 == 0), [1, 3, 5, 7]);
    assert!(!turns.is_full("a") && !turns.is_full("c"));
    assert_eq!(turns.len(), 4);
}

#[test]
fn owners_are_forgotten() {
    let mut turns = turns(&[("a", 1), ("b", 2)]);
    let (turn, _) = turns.pop().unwrap();
    turns.finished(&turn);
    assert_eq!(turns.take_unwanted(|_| false), [2]);
    assert!(turns.owners.is_empty() && turns.is_empty());
}
