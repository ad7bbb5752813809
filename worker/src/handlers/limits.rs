//! Compares the device that a command names with the groups of devices that its sender is limited to.

use lockstep_protocol::access_limits::commanded_device;
use lockstep_protocol::{Code, Envelope};
use lockstep_store::{Facts, Keys};

use super::Rejection;

/// Adds what the comparison reads.
pub(crate) fn keys(envelope: &Envelope, actor: Option<&str>, keys: &mut Keys) {
    if let Some((actor, hostname)) = actor.zip(commanded_device(&envelope.message)) {
        keys.commanded.insert((actor.to_owned(), hostname.clone()));
    }
}

/// Rejects a command for a device that its sender may not command.
pub(crate) fn check(envelope: &Envelope, actor: Option<&str>, facts: &Facts) -> Result<(), Rejection> {
    match actor.zip(commanded_device(&envelope.message)) {
        Some((actor, hostname)) if !facts.may_command(actor, hostname) => {
            Err(outside(actor, "$.data.hostname", &[hostname.to_string()], false))
        }
        _ => Ok(()),
    }
}

/// The rejection of a command for devices that its sender may not command. `more`: whether there are more than these.
pub(crate) fn outside(actor: &str, place: &str, names: &[String], more: bool) -> Rejection {
    let and_more = if more { " and more" } else { "" };
    let reason = format!(
        "{actor} is limited to groups that do not include {}{and_more}; an administrator gives more with `lockstep tokens create`",
        names.join(", ")
    );
    Rejection::new(Code::NotAllowed, place, reason)
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::Kind;
    use serde_json::json;

    use super::super::fixtures::{device, facts, hostname, message};
    use super::*;

    #[test]
    fn a_device_outside_of_the_limits_of_the_sender_is_refused_by_name() {
        let mut facts = facts([device("sw1", |_| ())]);
        facts.add_outside("carol", hostname("sw1"));
        let mark = message(
            Kind::DeviceMarkRequested,
            1,
            &json!({"hostname": "sw1", "synchronized": false}),
        );
        let event = message(Kind::DeviceRemoved, 1, &json!({"hostname": "sw1"}));
        for (envelope, actor, refused) in [
            (&mark, Some("carol"), true),
            (&mark, Some("alice"), false),
            (&mark, None, false),
            (&event, Some("carol"), false),
        ] {
            let found = check(envelope, actor, &facts);
            assert_eq!(found.is_err(), refused, "{actor:?}");
            let mut asked = Keys::default();
            keys(envelope, actor, &mut asked);
            let asks = actor.is_some() && envelope.message.kind() == Kind::DeviceMarkRequested;
            assert_eq!(!asked.commanded.is_empty(), asks, "{actor:?}");
        }
        let rejection = check(&mark, Some("carol"), &facts).unwrap_err();
        assert_eq!(rejection.code, Code::NotAllowed);
        assert!(rejection.reason.contains("sw1"), "{}", rejection.reason);
    }
}
