//! Reads the answer to a request. Pure.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::request::PRECEDING;
use super::visible;
use crate::{Command, CommandOutput, DeviceError, Format, Output};

#[derive(Deserialize)]
struct Response<T> {
    #[serde(default)]
    id: Value,
    result: Option<Vec<T>>,
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct RpcError {
    code: i64,
    #[serde(default)]
    message: String,
    /// The outputs of the commands until the one that failed, which has `errors`.
    #[serde(default)]
    data: Vec<Value>,
}

/// The outputs of `commands`, from the answer to a request with this id.
///
/// # Errors
/// A command was refused, or the answer is not what eAPI answers.
pub(super) fn read(
    body: &[u8],
    id: &str,
    commands: &[Command],
    format: Format,
) -> Result<Vec<CommandOutput>, DeviceError> {
    let results = match results(body, id, commands.len())? {
        Ok(results) => results,
        Err(error) => return Err(refused(error, commands, format)),
    };
    let answered = commands.iter().zip(results.into_iter().skip(PRECEDING));
    let outputs: Option<_> = answered
        .map(|(command, result)| output(command, result, format))
        .collect();
    outputs.ok_or_else(|| DeviceError::unreadable("an output is no text", body))
}

/// A command that a device did not execute.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failed {
    /// Its number among the commands after `enable`, from 0. `None` for `enable`, and if the whole request is refused.
    pub(super) number: Option<usize>,
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) details: Vec<String>,
}

/// Whether so many commands were executed, from the answer to a request with this id. Their outputs are not kept.
///
/// # Errors
/// The answer is not what eAPI answers.
pub(super) fn executed(body: &[u8], id: &str, commands: usize) -> Result<Result<(), Failed>, DeviceError> {
    let results = results::<IgnoredAny>(body, id, commands)?;
    Ok(results.map(drop).map_err(|error| {
        let last = error.data.len().checked_sub(1);
        Failed {
            number: last.and_then(|last| last.checked_sub(PRECEDING)),
            code: error.code,
            details: details(&error),
            message: error.message,
        }
    }))
}

/// The results of as many commands and of `enable`, or the error of the device.
fn results<T: for<'body> Deserialize<'body>>(
    body: &[u8],
    id: &str,
    commands: usize,
) -> Result<Result<Vec<T>, RpcError>, DeviceError> {
    let text = visible(body, "\\\\");
    let response: Response<T> =
        serde_json::from_str(&text).map_err(|error| DeviceError::unreadable(&error.to_string(), body))?;
    match (response.error, response.result) {
        (Some(error), _) => Ok(Err(error)),
        // The answer to another request would be taken for this one's.
        (None, Some(_)) if response.id != id => {
            Err(DeviceError::unreadable("it answers another request", body))
        }
        (None, Some(results)) if results.len() == commands + PRECEDING => Ok(Ok(results)),
        (None, Some(results)) => {
            let (asked, answered) = (commands + PRECEDING, results.len());
            let reason = format!("it has {answered} outputs for {asked} commands");
            Err(DeviceError::unreadable(&reason, body))
        }
        (None, None) => Err(DeviceError::unreadable("it has neither result nor error", body)),
    }
}

fn output(command: &Command, result: Value, format: Format) -> Option<CommandOutput> {
    let output = match (format, result) {
        (Format::Json, result) => Output::Json(result),
        (Format::Text, Value::Object(mut result)) => match result.remove("output") {
            Some(Value::String(text)) => Output::Text(text),
            _ => return None,
        },
        (Format::Text, _) => return None,
    };
    Some(CommandOutput {
        command: command.clone(),
        output,
    })
}

fn refused(error: RpcError, commands: &[Command], format: Format) -> DeviceError {
    // The last entry belongs to the command that failed; an error of the request itself has none.
    let failed = error.data.len().checked_sub(1);
    let details = details(&error);
    let command = match failed {
        None => String::new(),
        Some(number) => match number.checked_sub(PRECEDING) {
            None => "enable".to_owned(),
            Some(number) => commands.get(number).map_or_else(String::new, ToString::to_string),
        },
    };
    let completed = error.data.into_iter().take(failed.unwrap_or(0)).skip(PRECEDING);
    DeviceError::Refused {
        command,
        code: error.code,
        message: error.message,
        details,
        completed: commands
            .iter()
            .zip(completed)
            .filter_map(|(command, result)| output(command, result, format))
            .collect(),
    }
}

/// What the device says about the command that failed.
fn details(error: &RpcError) -> Vec<String> {
    let details = error.data.last().and_then(|last| last["errors"].as_array());
    details
        .into_iter()
        .flatten()
        .map(|detail| detail.as_str().map_or_else(|| detail.to_string(), str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn commands() -> Vec<Command> {
        ["show version", "show clock"]
            .map(|text| Command::new(text).unwrap())
            .to_vec()
    }

    fn read_json(body: &Value, format: Format) -> Result<Vec<CommandOutput>, DeviceError> {
        read(body.to_string().as_bytes(), "7", &commands(), format)
    }

    #[test]
    fn outputs_belong_to_their_commands() {
        let body = json!({"jsonrpc": "2.0", "id": "7", "result": [{}, {"version": "4.30"}, {"time": 1}]});
        let outputs = read_json(&body, Format::Json).unwrap();
        assert_eq!(outputs[0].output, Output::Json(json!({"version": "4.30"})));
        assert_eq!(outputs[1].command.as_str(), "show clock");

        let body = json!({"id": "7", "result": [{"output": ""}, {"output": "EOS"}, {"output": "noon"}]});
        let outputs = read_json(&body, Format::Text).unwrap();
        assert_eq!(outputs[1].output, Output::Text("noon".to_owned()));
    }

    #[test]
    fn a_refused_command_is_named_with_the_outputs_before_it() {
        let error = |code: i64, data: &Value| {
            let body = json!({"id": "7", "error": {"code": code, "message": "failed", "data": data}});
            read_json(&body, Format::Json).unwrap_err()
        };
        // code, data; command, number of completed commands
        let table = [
            (
                1002,
                json!([{}, {}, {"errors": ["Invalid input"]}]),
                "show clock",
                1,
            ),
            (
                1002,
                json!([{}, {"errors": ["Invalid input"]}]),
                "show version",
                0,
            ),
            (1000, json!([{"errors": ["Bad secret"]}]), "enable", 0),
            (-32602, json!([]), "", 0),
        ];
        for (number, data, expected, done) in table {
            let DeviceError::Refused {
                command,
                completed,
                code,
                ..
            } = error(number, &data)
            else {
                panic!("{data}");
            };
            assert_eq!(
                (command.as_str(), completed.len(), code),
                (expected, done, number)
            );
        }
        let text = error(1002, &json!([{}, {"errors": ["Invalid input"]}])).to_string();
        assert_eq!(text, "refuses \"show version\": failed (Invalid input)");
    }

    #[test]
    fn the_command_that_was_not_executed_is_numbered() {
        let read = |body: &Value| executed(body.to_string().as_bytes(), "7", 2).unwrap();
        assert_eq!(
            read(&json!({"id": "7", "result": [{}, {}, {"messages": ["done"]}]})),
            Ok(())
        );
        let failed = |data: &Value| {
            let error = json!({"code": 1002, "message": "failed", "data": data});
            read(&json!({"id": "7", "error": error})).unwrap_err()
        };
        // The results until the one of the command; its number after `enable`.
        let table = [
            (json!([{}, {}, {"errors": ["Invalid input"]}]), Some(1)),
            (json!([{}, {"errors": ["Invalid input"]}]), Some(0)),
            (json!([{"errors": ["Bad secret"]}]), None),
            (json!([]), None),
        ];
        for (data, number) in table {
            assert_eq!(failed(&data).number, number, "{data}");
        }
        let error = executed(br#"{"id": "7", "result": [{}]}"#, "7", 2).unwrap_err();
        assert!(error.to_string().contains("1 outputs for 3 commands"), "{error}");
    }

    #[test]
    fn answers_that_eapi_never_gives_are_unreadable() {
        let table = [
            (
                json!({"id": "8", "result": [{}, {}, {}]}),
                Format::Json,
                "another request",
            ),
            (
                json!({"id": "7", "result": [{}, {}]}),
                Format::Json,
                "2 outputs for 3 commands",
            ),
            (json!({"id": "7"}), Format::Json, "neither result nor error"),
            (
                json!({"id": "7", "result": [{}, {}, {}]}),
                Format::Text,
                "no text",
            ),
            (json!({"id": "7", "result": {}}), Format::Json, "invalid type"),
        ];
        for (body, format, reason) in table {
            let error = read_json(&body, format).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(matches!(
            read(b"<html>", "7", &commands(), Format::Json),
            Err(DeviceError::Unreadable { .. })
        ));
    }
}
