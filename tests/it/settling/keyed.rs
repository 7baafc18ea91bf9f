//! What makes real machines, whose insides are private, states of a search.

use std::fmt::{self, Debug, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

/// A real machine beside a key of everything in it. `Debug` shows every field, private ones too, so machines with the same key
/// behave alike. The chance that any two of a million are taken for one is below 10⁻⁷.
#[derive(Clone, Debug)]
pub(super) struct Keyed<M> {
    machine: Rc<M>,
    key: u64,
}

struct Keys(DefaultHasher);

impl fmt::Write for Keys {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

fn key(machine: &impl Debug) -> u64 {
    let mut keys = Keys(DefaultHasher::new());
    write!(keys, "{machine:?}").expect("a hasher takes everything");
    keys.0.finish()
}

impl<M: Clone + Debug> Keyed<M> {
    pub(super) fn new(machine: M) -> Self {
        Self { key: key(&machine), machine: Rc::new(machine) }
    }

    pub(super) fn get(&self) -> &M {
        &self.machine
    }

    pub(super) fn key(&self) -> u64 {
        self.key
    }

    pub(super) fn change<R>(&mut self, change: impl FnOnce(&mut M) -> R) -> R {
        let result = change(Rc::make_mut(&mut self.machine));
        self.key = key(&self.machine);
        result
    }
}

impl<M> Hash for Keyed<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.key);
    }
}
