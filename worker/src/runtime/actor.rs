//! Determines who sent a message. The broker's validated user counts; the body counts only if a trusted user sent it.

use std::collections::BTreeSet;

use lockstep_bus::Delivery;
use lockstep_protocol::SmolStr;

use super::headers;

/// The broker users that may name another actor in the body: the console and the gateway, which authenticate their users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedUsers(BTreeSet<String>);

impl TrustedUsers {
    /// Trusts the broker users with these names.
    pub fn new(users: impl IntoIterator<Item = String>) -> Self {
        Self(users.into_iter().collect())
    }

    pub(super) fn contains(&self, user: &str) -> bool {
        self.0.contains(user)
    }
}

/// The actor of a delivery. A worker's copy carries it in a header. Otherwise it is the validated user, or the actor that the
/// body names if that user is trusted.
pub(super) fn actor(
    delivery: &Delivery,
    from_worker: bool,
    claimed: Option<&str>,
    trusted: &TrustedUsers,
) -> Option<SmolStr> {
    if from_worker {
        return delivery.properties.headers.get(headers::ACTOR).map(SmolStr::from);
    }
    let user = delivery.properties.user_id.as_ref()?;
    let accepted = claimed.filter(|_| trusted.contains(user));
    let actor = accepted.map_or_else(|| user.clone(), SmolStr::from);
    // PostgreSQL cannot store U+0000 in texts.
    if actor.contains('\0') {
        return Some(actor.replace('\0', "\u{fffd}").into());
    }
    Some(actor)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lockstep_bus::Properties;
    use lockstep_protocol::topology;

    use super::*;

    fn delivery(exchange: &str, user: Option<&str>, header: Option<&str>) -> Delivery {
        let headers = header.map(|name| (headers::ACTOR.to_owned(), name.to_owned()));
        Delivery {
            body: Bytes::new(),
            properties: Properties {
                user_id: user.map(SmolStr::from),
                headers: headers.into_iter().collect(),
                ..Properties::default()
            },
            exchange: exchange.to_owned(),
            routing_key: String::new(),
            redelivered: false,
        }
    }

    #[test]
    fn only_a_trusted_user_may_name_another_actor() {
        let trusted = TrustedUsers::new(["console".to_owned()]);
        let table = [
            // exchange, validated user, actor header, actor in the body, expected actor
            (
                topology::EVENTS,
                Some("console"),
                None,
                Some("alice"),
                Some("alice"),
            ),
            (topology::EVENTS, Some("console"), None, None, Some("console")),
            (
                topology::EVENTS,
                Some("netbox"),
                None,
                Some("alice"),
                Some("netbox"),
            ),
            (topology::EVENTS, None, None, Some("alice"), None),
            (
                topology::EVENTS,
                Some("netbox"),
                Some("alice"),
                None,
                Some("netbox"),
            ),
            (
                topology::WORK,
                Some("worker"),
                Some("alice"),
                Some("mallory"),
                Some("alice"),
            ),
            (topology::WORK, Some("worker"), None, Some("mallory"), None),
        ];
        for (exchange, user, header, claimed, expected) in table {
            let delivery = delivery(exchange, user, header);
            let found = actor(&delivery, exchange == topology::WORK, claimed, &trusted);
            assert_eq!(
                found.as_deref(),
                expected,
                "{exchange} {user:?} {header:?} {claimed:?}"
            );
        }
    }
}
