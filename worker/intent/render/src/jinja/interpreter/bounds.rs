//! What a rendering may use.

use super::{MAX_CALLS, MAX_ITEMS, Run};
use crate::jinja::failure::{Res, fail};
use crate::jinja::value::Val;

impl Run<'_> {
    /// Pays for work.
    #[inline]
    pub(in crate::jinja) fn charge(&self, work: u64) -> Res<()> {
        let fuel = self.fuel.get();
        if work > fuel {
            self.fuel.set(0);
            fail!(
                "it takes more than {} steps: let it do less, or look for a loop without an end",
                self.bounds.fuel
            );
        }
        self.fuel.set(fuel - work);
        Ok(())
    }

    /// Pays for reading a text.
    pub(in crate::jinja) fn charge_text(&self, length: usize) -> Res<()> {
        self.charge(length as u64 / 32)
    }

    /// Pays for the memory and the work of a value of so many bytes.
    pub(in crate::jinja) fn allocate(&self, bytes: usize) -> Res<()> {
        let memory = self.memory.get();
        if bytes > self.bounds.output.max(1 << 20) {
            fail!(
                "it makes a value of {bytes} bytes; the most are {}",
                self.bounds.output.max(1 << 20)
            );
        }
        if bytes > memory {
            fail!(
                "its values take more than {} bytes: let it do less, or look for a loop without an end",
                self.bounds.memory
            );
        }
        self.memory.set(memory - bytes);
        self.charge_text(bytes)
    }

    /// Pays for a list of so many items.
    pub(in crate::jinja) fn allocate_items(&self, items: usize) -> Res<()> {
        if items > MAX_ITEMS {
            fail!("it makes a list of {items} items; the most are {MAX_ITEMS}");
        }
        self.charge(items as u64 / 2)?;
        let bytes = items * size_of::<Val>();
        if bytes > self.memory.get() {
            return self.allocate(bytes);
        }
        self.memory.set(self.memory.get() - bytes);
        Ok(())
    }

    /// Appends to a text, as far as it may be long.
    #[inline]
    pub(in crate::jinja) fn append(&self, out: &mut String, text: &str) -> Res<()> {
        if out.len() + text.len() > self.bounds.output {
            fail!("it makes a text of more than {} bytes", self.bounds.output);
        }
        out.push_str(text);
        Ok(())
    }

    /// Runs what belongs to a macro, include, block or recursive loop.
    pub(in crate::jinja) fn nested<T>(&self, run: impl FnOnce() -> Res<T>) -> Res<T> {
        let depth = self.depth.get();
        if depth >= MAX_CALLS {
            fail!(
                "macros, includes and blocks are nested more than {MAX_CALLS} deep: look for a recursion without an end"
            );
        }
        self.depth.set(depth + 1);
        let result = stacker::maybe_grow(512 << 10, 4 << 20, run);
        self.depth.set(depth);
        result
    }
}
