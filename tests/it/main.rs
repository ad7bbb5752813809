//! The whole system: real processes, a real broker and a real database, broken on purpose.

mod cli;
mod crash;
mod cut;
mod duplicates;
mod outage;
mod poison;
mod shutdown;
mod system;
