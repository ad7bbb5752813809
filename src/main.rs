//! Lockstep keeps network devices in sync with their intended configuration. One binary has all roles.

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

fn main() -> ExitCode {
    // A worker starts itself once more for each run of an external provider.
    if let Some(code) = lockstep_external::supervise_if_asked() {
        return code;
    }
    stack::ensure();
    // Installs the only TLS provider. It fails only if one is installed already, and nothing ran before this.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // What this process and its children create is for its user only.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    terminal::print_panics();
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
