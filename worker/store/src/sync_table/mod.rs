//! Reads and writes what elements of syncs are bound to and what they found, on both databases.

pub(crate) mod approval;
mod bind;
mod check;
mod held;
mod plan;
mod run;
mod texts;

pub(super) use bind::bind;
pub(crate) use check::write;
pub(crate) use held::read_facts;
pub(crate) use run::ReadBinding;
pub(super) use run::binding;
pub(crate) use texts::expire_texts;

const READ: &str = "read a sync";
const WRITE: &str = "write a sync";

/// For the test of their plans.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    [
        approval::STATEMENTS,
        bind::STATEMENTS,
        check::STATEMENTS,
        held::STATEMENTS,
        plan::STATEMENTS,
        run::STATEMENTS,
        texts::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
