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
mod dead_letters;
mod doctor;
mod duplicates;
mod dying;
mod faults;
mod gateway;
mod observed;
mod outage;
mod panic;
mod poison;
mod python;
mod readme;
mod reconcile;
mod repositories;
mod retention;
mod roles;
mod runs;
mod shutdown;
#[cfg(feature = "simulators")]
mod simulate;
mod upgrade;
