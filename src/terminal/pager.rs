//! Shows long text in a pager: `$PAGER`, else `less`.

use std::io::Write;
use std::process::{Command, Stdio};

use tokio::signal::unix::{SignalKind, signal};

/// Shows a text in a pager until the user leaves it. An empty command is `less` with the options of `git`: it ends by itself if the text
/// fits, and leaves it on the screen. False if there is no such pager; the text was not shown then.
pub(super) fn show(text: &str, command: &str) -> bool {
    // Ctrl-C is for the pager. The handler stays until the process ends, which is soon.
    let _interrupts = signal(SignalKind::interrupt());
    let mut pager = if command.is_empty() {
        let mut less = Command::new("less");
        less.arg("-FRX");
        less
    } else {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]);
        shell
    };
    let Ok(mut child) = pager.stdin(Stdio::piped()).spawn() else {
        return false;
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A user may leave the pager before the end of the text.
        let _ = stdin.write_all(text.as_bytes());
    }
    // A shell exits with these codes if it cannot run the command.
    let code = child.wait().ok().and_then(|status| status.code());
    !matches!(code, Some(126 | 127))
}
