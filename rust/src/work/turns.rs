//! Tasks of many clients in turn, so that one with many holds up none with few.

use std::collections::HashMap;

/// Who wants something done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client {
    pub owner: String,
    /// One of the owner's.
    pub connection: String,
}

/// How much a thread gives to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All that the task takes.
    Whole,
    /// A short turn. A task that takes more comes back with put_back().
    Turn,
}

#[derive(Clone, Copy)]
pub struct Limits {
    /// Tasks that wait, of all owners and of one.
    pub waiting: usize,
    pub waiting_of_owner: usize,
    /// Tasks that run as a whole at once, of all owners and of one.
    pub whole: usize,
    pub whole_of_owner: usize,
}

struct Waiting<T> {
    client: Client,
    /// Tasks of the same connection that waited before it.
    rank: usize,
    /// A short turn was not enough for it.
    is_long: bool,
    task: T,
}

#[derive(Default)]
struct Owner {
    waiting: usize,
    running: usize,
    whole: usize,
    last_turn: u64,
}

/// A task that runs, to be told to finished() or put_back().
pub struct Turn {
    pub client: Client,
    pub share: Share,
}

/// The next task is of the owner that has the fewest running, of these the one whose last turn is longest ago; an owner's connections
/// take turns, and a connection's tasks go in order. What takes long holds some of the threads, never all: the others give short
/// turns to what has not had one, so that what takes little waits for nothing that takes long.
pub struct Turns<T> {
    limits: Limits,
    waiting: Vec<Waiting<T>>,
    owners: HashMap<String, Owner>,
    whole: usize,
    num_turns: u64,
}

impl<T> Turns<T> {
    pub fn new(limits: Limits) -> Turns<T> {
        Turns { limits, waiting: Vec::new(), owners: HashMap::new(), whole: 0, num_turns: 0 }
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether no more of the owner's can wait.
    pub fn is_full(&self, owner: &str) -> bool {
        let own = self.owners.get(owner).map_or(0, |owner| owner.waiting);
        self.waiting.len() >= self.limits.waiting || own >= self.limits.waiting_of_owner
    }

    pub fn push(&mut self, client: Client, task: T) {
        self.add(client, false, task);
    }

    /// Nothing where no task may run now.
    pub fn pop(&mut self) -> Option<(Turn, T)> {
        let (index, share) = self.next()?;
        let Waiting { client, task, .. } = self.waiting.remove(index);
        self.num_turns += 1;
        let owner = self.owners.entry(client.owner.clone()).or_default();
        owner.waiting -= 1;
        owner.running += 1;
        owner.last_turn = self.num_turns;
        if share == Share::Whole {
            owner.whole += 1;
            self.whole += 1;
        }
        Some((Turn { client, share }, task))
    }

    pub fn finished(&mut self, turn: &Turn) {
        let owner = self.owners.entry(turn.client.owner.clone()).or_default();
        owner.running -= 1;
        if turn.share == Share::Whole {
            owner.whole -= 1;
            self.whole -= 1;
        }
        self.forget(&turn.client.owner);
    }

    /// The task's turn was too short for it. It waits again, however many do.
    pub fn put_back(&mut self, turn: Turn, task: T) {
        self.add(turn.client.clone(), true, task);
        self.finished(&turn);
    }

    /// Takes those out that nobody wants any more.
    pub fn take_unwanted(&mut self, is_wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let mut unwanted = Vec::new();
        let mut index = 0;
        while index < self.waiting.len() {
            if is_wanted(&self.waiting[index].task) {
                index += 1;
                continue;
            }
            let Waiting { client, task, .. } = self.waiting.remove(index);
            self.owners.entry(client.owner.clone()).or_default().waiting -= 1;
            self.forget(&client.owner);
            unwanted.push(task);
        }
        unwanted
    }

    fn add(&mut self, client: Client, is_long: bool, task: T) {
        let rank = self.waiting.iter().filter(|other| other.client == client).count();
        self.owners.entry(client.owner.clone()).or_default().waiting += 1;
        self.waiting.push(Waiting { client, rank, is_long, task });
    }

    fn next(&self) -> Option<(usize, Share)> {
        let whole = || {
            let may = |task: &Waiting<T>| {
                self.owners[&task.client.owner].whole < self.limits.whole_of_owner
            };
            let long = self.first(|task| task.is_long && may(task));
            long.or_else(|| self.first(|task| !task.is_long && may(task)))
        };
        let whole = if self.whole < self.limits.whole { whole() } else { None };
        let turn = || self.first(|task| !task.is_long);
        whole.map(|index| (index, Share::Whole)).or_else(|| Some((turn()?, Share::Turn)))
    }

    fn first(&self, may_run: impl Fn(&Waiting<T>) -> bool) -> Option<usize> {
        let order = |index: &usize| {
            let task = &self.waiting[*index];
            let owner = &self.owners[&task.client.owner];
            (owner.running, owner.last_turn, task.rank, *index)
        };
        (0..self.waiting.len()).filter(|index| may_run(&self.waiting[*index])).min_by_key(order)
    }

    fn forget(&mut self, name: &str) {
        if self.owners.get(name).is_some_and(|owner| owner.waiting == 0 && owner.running == 0) {
            self.owners.remove(name);
        }
    }
}

#[cfg(test)]
#[path = "turns_test.rs"]
mod tests;
