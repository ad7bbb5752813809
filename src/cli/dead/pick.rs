//! Which dead letters, as flags of `list`, `requeue` and `drop`.

use clap::Args;
use lockstep_protocol::Code;
use lockstep_protocol::commands::DeadLetterSelection;
use lockstep_protocol::topology::Lane;
use serde_json::Value;

/// By what they have in common.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Pick {
    /// Only those that died of this, such as unknown-device
    #[arg(long, value_parser = code)]
    code: Option<Code>,
    /// Only those that died in this lane
    #[arg(long)]
    lane: Option<Lane>,
    /// Only those of this type, such as lockstep.interface.updated
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Option<String>,
}

impl Pick {
    /// As parameters of the console.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let code = self.code.map(|code| ("code", code.to_string()));
        let lane = self.lane.map(|lane| ("lane", lane.to_string()));
        let kind = self.kind.clone().map(|kind| ("type", kind));
        [code, lane, kind].into_iter().flatten().collect()
    }

    /// As what a command is about, of those with at most this number.
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

/// None would mean any.
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
    fn what_is_shown_is_what_is_settled() {
        let pick = Pick {
            code: Some(code("unknown-device").unwrap()),
            lane: Some(Lane::Events),
            kind: Some("lockstep.x".to_owned()),
        };
        let query = [
            ("code", "unknown-device".to_owned()),
            ("lane", "events".to_owned()),
            ("type", "lockstep.x".to_owned()),
        ];
        assert_eq!(pick.query(), query);
        let selection = DeadLetterSelection {
            up_to: 7,
            code: Some(Code::UnknownDevice),
            lane: Some(Lane::Events),
            message_type: Some("lockstep.x".to_owned()),
        };
        assert_eq!(pick.selection(7), selection);
        assert_eq!(Pick::default().query(), []);
    }

    #[test]
    fn a_code_that_nothing_dies_of_is_refused_with_those_there_are() {
        let error = code("unknown-devise").unwrap_err();
        assert!(
            error.contains("unknown-devise") && error.contains("`unknown-device`"),
            "{error}"
        );
        assert!(kind("").is_err());
    }
}
