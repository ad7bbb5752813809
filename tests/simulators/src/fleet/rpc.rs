//! JSON-RPC 2.0 as eAPI speaks it: the method `runCmds`, and the errors of requests and of commands.

use serde_json::{Value, json};

use super::Device;
use super::command::{Failure, Format, Mode};

/// A request to run commands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RunCommands {
    id: Value,
    format: Format,
    /// Each command, and what it asks for.
    commands: Vec<(String, String)>,
}

/// What JSON-RPC answers to a request that cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unreadable {
    id: Value,
    code: i32,
    message: String,
}

impl Unreadable {
    pub(crate) fn to_json(&self) -> Value {
        json!({"jsonrpc": "2.0", "id": self.id, "error": {"code": self.code, "message": self.message}})
    }
}

impl RunCommands {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let refuse = |id: &Value, code, message: &str| Unreadable {
            id: id.clone(),
            code,
            message: message.to_owned(),
        };
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| refuse(&Value::Null, -32700, &format!("Parse error: {error}")))?;
        let id = &body["id"];
        if body["jsonrpc"] != "2.0" {
            return Err(refuse(id, -32600, "Invalid request: jsonrpc must be \"2.0\""));
        }
        if body["method"] != "runCmds" {
            return Err(refuse(id, -32601, "Method not found"));
        }
        let params = &body["params"];
        let format = match params["format"].as_str() {
            None | Some("json") => Format::Json,
            Some("text") => Format::Text,
            Some(_) => return Err(refuse(id, -32602, "Invalid params: format must be json or text")),
        };
        if params["version"] != 1 && params["version"] != "latest" {
            return Err(refuse(id, -32602, "Invalid params: version must be 1 or latest"));
        }
        let commands = params["cmds"]
            .as_array()
            .ok_or_else(|| refuse(id, -32602, "Invalid params: cmds must be a list"))?
            .iter()
            .map(|command| match command {
                Value::String(text) => Some((text.clone(), String::new())),
                _ => command["cmd"].as_str().map(|text| {
                    let input = command["input"].as_str().unwrap_or_default();
                    (text.to_owned(), input.to_owned())
                }),
            })
            .collect::<Option<_>>()
            .ok_or_else(|| refuse(id, -32602, "Invalid params: a command must be a text or have cmd"))?;
        Ok(Self {
            id: id.clone(),
            format,
            commands,
        })
    }

    /// The commands without what they ask for, which may be a password.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().map(|(command, _)| command.as_str())
    }

    /// Runs the commands until one fails. `flood` bytes follow each text.
    pub(crate) fn run(&self, device: &Device, enable_password: Option<&str>, flood: usize) -> Value {
        let mut mode = Mode::default();
        let mut outputs = Vec::new();
        for (number, (command, input)) in self.commands.iter().enumerate() {
            match mode.run(device, enable_password, command, input, self.format) {
                Ok(mut output) => {
                    if let Some(Value::String(text)) = output.get_mut("output") {
                        text.extend(std::iter::repeat_n('#', flood));
                    }
                    outputs.push(output);
                }
                Err(failure) => return self.failed(number, command, &failure, outputs),
            }
        }
        json!({"jsonrpc": "2.0", "id": self.id, "result": outputs})
    }

    fn failed(&self, number: usize, command: &str, failure: &Failure, mut outputs: Vec<Value>) -> Value {
        outputs.push(json!({"errors": failure.errors}));
        let (number, all) = (number + 1, self.commands.len());
        let message = format!(
            "CLI command {number} of {all} '{command}' failed: {}",
            failure.reason
        );
        json!({
            "jsonrpc": "2.0", "id": self.id,
            "error": {"code": failure.code, "message": message, "data": outputs},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_cannot_be_read_get_the_codes_of_json_rpc() {
        let table = [
            ("{", -32700),
            (r#"{"method": "runCmds", "id": 1}"#, -32600),
            (
                r#"{"jsonrpc": "2.0", "method": "getCommandCompletions", "id": 1}"#,
                -32601,
            ),
            (
                r#"{"jsonrpc": "2.0", "method": "runCmds", "params": {"version": 1}, "id": 1}"#,
                -32602,
            ),
            (
                r#"{"jsonrpc": "2.0", "method": "runCmds", "params": {"version": 9, "cmds": []}, "id": 1}"#,
                -32602,
            ),
            (
                r#"{"jsonrpc": "2.0", "method": "runCmds", "params": {"version": 1, "cmds": [7]}, "id": 1}"#,
                -32602,
            ),
        ];
        for (body, code) in table {
            assert_eq!(
                RunCommands::read(body.as_bytes()).unwrap_err().code,
                code,
                "{body}"
            );
        }
    }

    #[test]
    fn commands_run_until_one_fails() {
        let body = json!({
            "jsonrpc": "2.0", "method": "runCmds", "id": "x",
            "params": {"version": 1, "cmds": [{"cmd": "enable", "input": ""}, "show foo", "show version"]},
        });
        let request = RunCommands::read(body.to_string().as_bytes()).unwrap();
        let answer = request.run(&Device::numbered(1), None, 0);
        assert_eq!(
            answer["error"],
            json!({
                "code": 1002,
                "message": "CLI command 2 of 3 'show foo' failed: invalid command",
                "data": [{}, {"errors": ["Invalid input (at token 1: 'foo')"]}],
            })
        );
        assert_eq!(answer["id"], "x");
    }
}
