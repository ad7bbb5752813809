use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::{Command, Format};

/// Number of commands that the driver puts before those of the caller: `enable`.
pub(super) const PRECEDING: usize = 1;

#[derive(Serialize)]
struct Request<'request> {
    jsonrpc: &'static str,
    method: &'static str,
    id: &'request str,
    params: Params<'request>,
}

#[derive(Serialize)]
struct Params<'request> {
    /// The version of the JSON outputs. Version 1 is the same in all releases.
    version: u8,
    format: &'static str,
    cmds: Vec<Cmd<'request>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Cmd<'request> {
    Plain(&'request str),
    WithInput { cmd: &'static str, input: &'request str },
}

/// The body of a request that runs commands in privileged mode.
///
/// # Errors
/// Never in practice: texts can be written as JSON.
pub(super) fn body(
    id: &str,
    enable_password: Option<&SecretString>,
    commands: &[Command],
    format: Format,
) -> serde_json::Result<Vec<u8>> {
    let enable = match enable_password {
        None => Cmd::Plain("enable"),
        Some(password) => Cmd::WithInput {
            cmd: "enable",
            input: password.expose_secret(),
        },
    };
    let commands = commands.iter().map(|command| Cmd::Plain(command.as_str()));
    serde_json::to_vec(&Request {
        jsonrpc: "2.0",
        method: "runCmds",
        id,
        params: Params {
            version: 1,
            format: match format {
                Format::Json => "json",
                Format::Text => "text",
            },
            cmds: std::iter::once(enable).chain(commands).collect(),
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn enable_precedes_the_commands() {
        let commands = [Command::new("show version").unwrap()];
        let read = |body: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&body).unwrap();
        assert_eq!(
            read(body("7", None, &commands, Format::Json).unwrap()),
            json!({
                "jsonrpc": "2.0", "method": "runCmds", "id": "7",
                "params": {"version": 1, "format": "json", "cmds": ["enable", "show version"]},
            })
        );
        let password = "hush".into();
        let with_password = read(body("7", Some(&password), &commands, Format::Text).unwrap());
        assert_eq!(
            with_password["params"],
            json!({"version": 1, "format": "text", "cmds": [{"cmd": "enable", "input": "hush"}, "show version"]})
        );
    }
}
