//! JSON-RPC 2.0 as eAPI speaks it: the method `runCmds`, and the errors of requests and of commands.

use serde_json::{Value, json};

use super::command::{Command, Format};
use super::configuration::indentation;
use super::failure::Failure;

/// A request to run commands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RunCommands {
    id: Value,
    pub(crate) format: Format,
    pub(crate) commands: Vec<Command>,
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
        for flag in ["autoComplete", "expandAliases", "timestamps"] {
            if !matches!(params[flag], Value::Null | Value::Bool(_)) {
                let problem = format!("Invalid params: {flag} must be true or false");
                return Err(refuse(id, -32602, &problem));
            }
        }
        let commands: Vec<(String, String)> = params["cmds"]
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
            commands: with_indentation(commands),
        })
    }

    /// Whether the commands are indented, as in a configuration.
    pub(crate) fn is_indented(&self) -> bool {
        self.commands.iter().any(|command| command.line.starts_with(' '))
    }

    /// The answer where all commands were run.
    pub(crate) fn succeeded(&self, outputs: Vec<Value>) -> Value {
        let mut answer = json!({"jsonrpc": "2.0", "id": self.id});
        answer["result"] = Value::Array(outputs);
        answer
    }

    /// The answer where a command failed.
    pub(crate) fn failed(&self, failure: &Failure, mut outputs: Vec<Value>) -> Value {
        let number = outputs.len();
        let command = self
            .commands
            .get(number)
            .map_or("", |command| command.line.trim());
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

/// The commands, each with whether the next one is indented more.
fn with_indentation(commands: Vec<(String, String)>) -> Vec<Command> {
    let is_command = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('!');
    let mut next = None;
    let mut read: Vec<Command> = Vec::with_capacity(commands.len());
    for (line, input) in commands.into_iter().rev() {
        let indent = indentation(&line);
        let opens = next.is_some_and(|next| next > indent);
        if is_command(&line) {
            next = Some(indent);
        }
        read.push(Command { line, input, opens });
    }
    read.reverse();
    read
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
    fn a_failed_command_ends_the_answer() {
        let body = json!({
            "jsonrpc": "2.0", "method": "runCmds", "id": "x",
            "params": {"version": 1, "cmds": [{"cmd": "enable", "input": ""}, "show foo", "show version"]},
        });
        let request = RunCommands::read(body.to_string().as_bytes()).unwrap();
        let answer = request.failed(&Failure::invalid_word(1, "foo"), vec![json!({})]);
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

    #[test]
    fn a_command_opens_a_section_if_the_next_one_is_indented_more() {
        let lines = ["foo", "!", "   bar", "   baz", "      qux", "end"];
        let commands = with_indentation(lines.map(|line| (line.to_owned(), String::new())).to_vec());
        let opens: Vec<bool> = commands.iter().map(|command| command.opens).collect();
        assert_eq!(opens, [true, true, false, true, false, false]);
    }
}
