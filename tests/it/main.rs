//! Tests of the whole system: real processes, a real broker and a real database, with injected faults.
#![expect(
    clippy::print_stderr,
    reason = "tests print why they failed or what they skipped"
)]

mod access;
mod advisories;
mod affected;
mod alarm;
#[macro_use]
mod system;

mod answers;
mod audit;
mod authority;
mod backup;
mod cli;
mod connections;
mod containers;
mod crash;
mod cut;
#[cfg(feature = "simulators")]
mod cvp;
mod dead_lettering;
mod dead_letters;
#[cfg(feature = "simulators")]
mod demo;
mod devices;
mod doctor;
mod duplicates;
mod elements;
mod examples;
#[cfg(feature = "simulators")]
mod executions_cli;
#[cfg(feature = "simulators")]
mod explain;

mod faults;
mod first_provider;
mod first_sync;
mod first_task;
mod forms;
mod from_neops;
mod gateway;
mod graphql;
mod inventories;
mod lists;
mod local_files;
mod log_lines;
mod nested_headers;
#[cfg(feature = "simulators")]
mod netbox;
mod observed;
#[cfg(feature = "simulators")]
mod oidc;
mod outage;
mod packages;
mod panic;
mod poison;
mod python;
mod readme;
mod reconcile;
mod render;
mod repositories;
mod retention;
mod roles;
mod runs;
mod shutdown;
#[cfg(feature = "simulators")]
mod simulate;
mod sweeps;
mod terminal;
mod up;
mod upgrade;
#[cfg(feature = "simulators")]
mod web;
mod words;
