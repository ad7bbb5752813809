use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::{DeadLetterDetail, DeadLetterView};
use lockstep_protocol::{DeadLetterState, Identity, InboxState};
use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::{Global, outcome, output};

/// Show a dead letter: the reason, the properties and the body of the message
///
/// The body is shown as it was sent, secrets of the sender included.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep dead show 42
  lockstep dead show 42 --json | jq -r .body")]
pub(super) struct Show {
    /// Number of the dead letter, as `lockstep dead list` shows it
    #[arg(value_name = "NUMBER")]
    number: u64,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let dead_letter = client.dead_letter(self.number).await?;
        if global.json {
            output::json(&dead_letter);
            return Ok(ExitCode::SUCCESS);
        }
        let ended = match dead_letter.dead_letter.state {
            DeadLetterState::Processed => outcome_of(&client, &dead_letter.dead_letter).await?,
            DeadLetterState::Dead | DeadLetterState::Requeued | DeadLetterState::Dropped => None,
        };
        for line in fields(&dead_letter, ended.as_deref()) {
            output::line(&line);
        }
        output::line("");
        output::document(&body(&dead_letter));
        Ok(ExitCode::SUCCESS)
    }
}

/// The outcome after the requeue; none after retention deleted it.
async fn outcome_of(client: &Client, dead_letter: &DeadLetterView) -> anyhow::Result<Option<String>> {
    let identity = Identity {
        source: dead_letter.source.clone().try_into()?,
        id: dead_letter.id.clone().try_into()?,
    };
    let sender = dead_letter
        .by
        .as_deref()
        .map_or(("anonymous", "true"), |by| ("by", by));
    let view = client.outcome_now(&identity, &[sender]).await?;
    Ok(view.map(|view| match view.state {
        InboxState::Applied => outcome::effect(&view),
        InboxState::Dead | InboxState::Refused => format!("dead again: {}", outcome::rejection(&view)),
    }))
}

fn fields(detail: &DeadLetterDetail, ended: Option<&str>) -> Vec<String> {
    let dead_letter = &detail.dead_letter;
    let properties = &detail.properties;
    let text = |value: &Option<String>| value.clone();
    let settled = dead_letter.settled_at.map(|at| {
        let by = dead_letter.settled_by.as_deref().unwrap_or("an unknown user");
        format!("{at:.0} by {by}")
    });
    let kind = if dead_letter.kind.is_empty() {
        "unreadable".to_owned()
    } else {
        dead_letter.kind.clone()
    };
    let pairs = [
        ("number", Some(dead_letter.number.to_string())),
        ("state", Some(dead_letter.state.to_string())),
        ("settled", settled),
        ("ended", ended.map(str::to_owned)),
        ("type", Some(kind)),
        ("subject", text(&dead_letter.subject)),
        ("source", Some(dead_letter.source.clone())),
        ("id", Some(dead_letter.id.clone())),
        ("redrives", Some(dead_letter.redrive_count.to_string())),
        ("by", text(&dead_letter.by)),
        ("lane", Some(dead_letter.lane.clone())),
        ("code", Some(dead_letter.code.clone())),
        ("place", text(&dead_letter.place)),
        ("reason", Some(dead_letter.reason.clone())),
        ("attempts", Some(dead_letter.attempts.to_string())),
        ("received", Some(format!("{:.0}", dead_letter.first_at))),
        (
            "dead-lettered",
            Some(format!("{:.0}", dead_letter.dead_lettered_at)),
        ),
        ("message id", text(&properties.message_id)),
        ("stated type", text(&properties.kind)),
        ("content type", text(&properties.content_type)),
        ("correlation", text(&properties.correlation_id)),
        ("reply to", text(&properties.reply_to)),
        (
            "published",
            properties.timestamp.map(|published| format!("{published:.0}")),
        ),
        ("bytes", Some(dead_letter.bytes.to_string())),
    ];
    pairs
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name:<14}{}", value?)))
        .collect()
}

/// The body with indented JSON.
fn body(detail: &DeadLetterDetail) -> String {
    match (&detail.body, &detail.body_base64) {
        (Some(text), _) if text.is_empty() => "(the body is empty)".to_owned(),
        (Some(text), _) => {
            let pretty = serde_json::from_str::<Value>(text)
                .ok()
                .and_then(|json| serde_json::to_string_pretty(&json).ok());
            pretty.unwrap_or_else(|| text.clone())
        }
        (None, Some(base64)) => format!("(the body is not text; in base64:)\n{base64}"),
        (None, None) => "(the console sent no body)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn detail(body: Option<&str>, body_base64: Option<&str>) -> DeadLetterDetail {
        let json = json!({
            "number": 42, "state": "dead", "source": "urn:test", "id": "1", "redrive_count": 1, "lane": "events", "type": "",
            "code": "invalid-json", "reason": "not JSON", "attempts": 1, "first_at": "2026-02-03T04:05:06Z",
            "dead_lettered_at": "2026-02-03T04:05:07Z", "bytes": 2, "properties": {"reply_to": "lockstep.reply.x"},
            "body": body, "body_base64": body_base64,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn bodies_are_indented() {
        let table = [
            (Some("{\"a\":1}"), None, "{\n  \"a\": 1\n}"),
            (Some("plain\ntext"), None, "plain\ntext"),
            (Some(""), None, "(the body is empty)"),
            (None, Some("/wA="), "(the body is not text; in base64:)\n/wA="),
        ];
        for (text, base64, expected) in table {
            assert_eq!(body(&detail(text, base64)), expected);
        }
    }

    #[test]
    fn absent_fields_are_left_out() {
        let lines = fields(&detail(Some("{}"), None), None).join("\n");
        for expected in [
            "number        42\n",
            "type          unreadable\n",
            "reason        not JSON\n",
            "reply to      lockstep.reply.x\n",
        ] {
            assert!(lines.contains(expected), "{lines}");
        }
        for absent in ["settled", "subject", "ended"] {
            assert!(!lines.contains(absent), "{lines}");
        }
    }
}
