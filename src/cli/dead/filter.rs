//! The options of `list`, `requeue` and `drop` that select dead letters.

use clap::Args;
use lockstep_protocol::Code;
use lockstep_protocol::commands::DeadLetterSelection;
use lockstep_protocol::topology::Lane;
use serde_json::Value;

/// Selects dead letters by code, lane and type. Without any, it selects all.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Filter {
    /// Only dead letters with this code, such as unknown-device
    #[arg(long, value_parser = code)]
    code: Option<Code>,
    /// Only dead letters from this lane, such as events
    #[arg(long)]
    lane: Option<Lane>,
    /// Only dead letters of this message type, such as lockstep.interface.updated
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Option<String>,
}

impl Filter {
    /// The filter as query parameters of the console.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let code = self.code.map(|code| ("code", code.to_string()));
        let lane = self.lane.map(|lane| ("lane", lane.to_string()));
        let kind = self.kind.clone().map(|kind| ("type", kind));
        [code, lane, kind].into_iter().flatten().collect()
    }

    /// The filter as the selection of a command, limited to dead letters up to this number.
    pub(super) fn selection(&self, up_to: u64) -> DeadLetterSelection {
        DeadLetterSelection {
            up_to,
            code: self.code,
            lane: self.lane,
            message_type: self.kind.clone(),
        }
    }
}

fn code(text: &str) -> Result<Code, String> {
    serde_json::from_value(Value::from(text)).map_err(|error| error.to_string())
}

/// An empty type would select every type.
fn kind(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_commands_select_the_same() {
        let filter = Filter {
            code: Some(code("unknown-device").unwrap()),
            lane: Some(Lane::Events),
            kind: Some("lockstep.x".to_owned()),
        };
        let query = [
            ("code", "unknown-device".to_owned()),
            ("lane", "events".to_owned()),
            ("type", "lockstep.x".to_owned()),
        ];
        assert_eq!(filter.query(), query);
        let selection = DeadLetterSelection {
            up_to: 7,
            code: Some(Code::UnknownDevice),
            lane: Some(Lane::Events),
            message_type: Some("lockstep.x".to_owned()),
        };
        assert_eq!(filter.selection(7), selection);
        assert_eq!(Filter::default().query(), []);
    }

    #[test]
    fn an_unknown_code_is_refused_with_the_known_ones() {
        let error = code("unknown-devise").unwrap_err();
        assert!(
            error.contains("unknown-devise") && error.contains("`unknown-device`"),
            "{error}"
        );
        assert!(kind("").is_err());
    }
}
