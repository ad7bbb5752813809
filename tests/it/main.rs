//! The whole system: real processes, a real broker and a real database, broken on purpose.

mod affected;
#[macro_use]
mod system;

mod answers;
mod cli;
mod crash;
mod cut;
#[cfg(feature = "simulators")]
mod cvp;
mod duplicates;
mod gateway;
mod observed;
mod outage;
mod panic;
mod poison;
mod python;
mod readme;
mod repositories;
mod roles;
mod runs;
mod shutdown;
#[cfg(feature = "simulators")]
mod simulate;
