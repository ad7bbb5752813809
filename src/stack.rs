//! The stack of threads.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::terminal;

/// The AMQP client reads headers in a thread of its own, by recursion: a header of 26,000 arrays within each other fits into a frame and
/// needs 55 MiB. Only what a thread uses takes memory.
const BYTES: &str = "134217728";

/// The variable by which the standard library is told the stack size of threads, once, before the first of them.
const VARIABLE: &str = "RUST_MIN_STACK";

/// Starts the program again with a stack that no message can overflow, unless this was done already. Call it before anything else.
#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the standard library, not of Lockstep"
)]
pub(crate) fn ensure() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    // It returns only if it fails. Then the program runs with the stack that it has.
    let error = Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(VARIABLE, BYTES)
        .exec();
    terminal::note(&format!(
        "lockstep: cannot enlarge the stack of threads: {error}; set {VARIABLE}={BYTES}"
    ));
}
