use similar::TextDiff;

/// How a session differs from the running configuration, in the form of EOS: a unified diff, empty if there is none.
pub(crate) fn difference(running: &str, session: &str, name: &str) -> String {
    if running == session {
        return String::new();
    }
    let difference = TextDiff::from_lines(running, session);
    difference
        .unified_diff()
        .context_radius(3)
        .header(
            "system:/running-config",
            &format!("session:/{name}-session-config"),
        )
        .to_string()
}
