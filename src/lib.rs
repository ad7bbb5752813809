//! Lockstep keeps network devices in sync with their intended configuration. One binary has all roles.
//!
//! The library is for programs that add providers of their own: [`run`] is the whole command line. `docs/tutorials/first-provider.md` shows how.

mod cli;
mod config;
mod data_folder;
mod inventory;
mod lifecycle;
mod local_file;
mod offline;
mod roles;
mod stack;
mod telemetry;
mod terminal;

use std::process::ExitCode;

use anyhow::Context;
use rustix::fs::Mode;

/// How a provider speaks to devices.
pub use lockstep_device as device;
/// What a provider is written with.
pub use lockstep_execution as execution;
use lockstep_execution::Registry;
/// The kinds of entities, the lanes, and the words of messages.
pub use lockstep_protocol as protocol;

/// Runs the command line. `providers` adds to the providers that come with Lockstep, in every role: the console describes them, and workers
/// run them, so all processes of a site have to be the same program. Call it once, before anything else.
pub fn run(providers: fn(Registry) -> Registry) -> ExitCode {
    // A worker starts itself once more for each run of an external provider.
    if let Some(code) = lockstep_external::supervise_if_asked() {
        return code;
    }
    stack::ensure();
    roles::add_providers(providers);
    // Installs the only TLS provider. It fails only if one is installed already, and nothing ran before this.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // What this process and its children create is for its user only.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    terminal::print_panics();
    cli::complete_if_asked();
    let cli = cli::parse();
    roles::descriptors::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = runtime.context("cannot start").and_then(|runtime| {
        runtime.block_on(async {
            let result = cli::run(cli).await;
            telemetry::end().await;
            result
        })
    });
    match result {
        Ok(code) => code,
        Err(error) => cli::report(&error),
    }
}
