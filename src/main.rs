//! The program `lockstep`, with the providers that come with it.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockstep::run(|providers| providers)
}
