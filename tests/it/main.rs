//! The whole system: real processes, a real broker and a real database, broken on purpose.

mod answers;
mod cli;
mod crash;
mod cut;
#[cfg(feature = "simulators")]
mod cvp;
mod duplicates;
mod outage;
mod panic;
mod poison;
mod python;
mod roles;
mod shutdown;
#[cfg(feature = "simulators")]
mod simulate;
mod system;
