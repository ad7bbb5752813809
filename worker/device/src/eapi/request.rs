use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::Format;

/// Number of commands that the driver puts before those of the caller: `enable`.
pub(super) const PRECEDING: usize = 1;

#[derive(Serialize)]
struct Request<'request, C: Serialize> {
    jsonrpc: &'static str,
    method: &'static str,
    id: &'request str,
    params: Params<C>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Params<C: Serialize> {
    /// The version of the JSON outputs. Version 1 is the same in all releases.
    version: u8,
    format: &'static str,
    /// An abbreviation could be another command in the next release.
    auto_complete: bool,
    /// An alias of the device could be any command.
    expand_aliases: bool,
    cmds: C,
}

/// One command of a request.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Cmd<'request> {
    Plain(&'request str),
    /// A command that asks for something, such as a password or a text of several lines.
    WithInput {
        cmd: &'request str,
        input: Cow<'request, str>,
    },
}

/// `enable`, and commands that are written one by one: a configuration has thousands.
struct Sequence<'request, I> {
    enable: Cmd<'request>,
    commands: I,
}

impl<'commands, I: Iterator<Item = Cmd<'commands>> + Clone> Serialize for Sequence<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(None)?;
        sequence.serialize_element(&self.enable)?;
        for command in self.commands.clone() {
            sequence.serialize_element(&command)?;
        }
        sequence.end()
    }
}

/// Appends a request that runs commands in privileged mode.
///
/// # Errors
/// Never in practice: texts can be written as JSON.
pub(super) fn write<'commands>(
    body: &mut Vec<u8>,
    id: &str,
    enable_password: Option<&SecretString>,
    commands: impl Iterator<Item = Cmd<'commands>> + Clone,
    format: Format,
) -> serde_json::Result<()> {
    let enable = match enable_password {
        None => Cmd::Plain("enable"),
        Some(password) => Cmd::WithInput {
            cmd: "enable",
            input: password.expose_secret().into(),
        },
    };
    serde_json::to_writer(
        body,
        &Request {
            jsonrpc: "2.0",
            method: "runCmds",
            id,
            params: Params {
                version: 1,
                format: match format {
                    Format::Json => "json",
                    Format::Text => "text",
                },
                auto_complete: false,
                expand_aliases: false,
                cmds: Sequence { enable, commands },
            },
        },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn params(enable_password: Option<&SecretString>, commands: &[Cmd<'_>], format: Format) -> Value {
        let mut body = Vec::new();
        write(&mut body, "7", enable_password, commands.iter().cloned(), format).unwrap();
        let mut request: Value = serde_json::from_slice(&body).unwrap();
        let params = request["params"].take();
        assert_eq!(
            request,
            json!({"jsonrpc": "2.0", "method": "runCmds", "id": "7", "params": null})
        );
        params
    }

    #[test]
    fn enable_precedes_the_commands() {
        let version = [Cmd::Plain("show version")];
        assert_eq!(
            params(None, &version, Format::Json),
            json!({
                "version": 1, "format": "json", "autoComplete": false, "expandAliases": false,
                "cmds": ["enable", "show version"],
            })
        );
        let with_password = params(Some(&"hush".into()), &version, Format::Text);
        assert_eq!(with_password["format"], "text");
        assert_eq!(
            with_password["cmds"],
            json!([{"cmd": "enable", "input": "hush"}, "show version"])
        );
    }

    #[test]
    fn a_text_of_several_lines_goes_with_its_command() {
        let banner = Cmd::WithInput {
            cmd: "banner login",
            input: "keep\n\"out\"".into(),
        };
        let params = params(None, &[banner], Format::Json);
        assert_eq!(
            params["cmds"][1],
            json!({"cmd": "banner login", "input": "keep\n\"out\""})
        );
    }
}
