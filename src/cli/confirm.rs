//! Questions to whoever sits at the terminal.

use std::io::{BufRead, IsTerminal};

use anyhow::Context;

/// Whether there is somebody to ask.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether the next line says yes. Read by a thread of its own, which nobody waits for at the end: Ctrl-C is an answer,
/// too.
pub(super) async fn answer() -> anyhow::Result<bool> {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).map(|_| line);
        let _ = tell.send(read);
    });
    let line = told
        .await
        .context("nobody answered")?
        .context("cannot read the answer")?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
