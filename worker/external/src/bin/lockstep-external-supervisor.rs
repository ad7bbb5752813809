//! The supervisor of external providers by itself, for tests: workers start their own executable instead.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockstep_external::supervise_if_asked().unwrap_or(ExitCode::FAILURE)
}
