//! Who sent a message: what the broker validated, never what the body says.

use std::collections::BTreeSet;

use lockstep_bus::Delivery;
use lockstep_protocol::topology;

use super::headers;

/// The broker users whose word about an actor counts: the console and the gateway, which authenticated it themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedUsers(BTreeSet<String>);

impl TrustedUsers {
    /// These users.
    pub fn new(users: impl IntoIterator<Item = String>) -> Self {
        Self(users.into_iter().collect())
    }

    pub(super) fn contains(&self, user: &str) -> bool {
        self.0.contains(user)
    }
}

/// Whether the headers of a delivery are ours.
pub(super) fn came_through_work(delivery: &Delivery) -> bool {
    delivery.exchange == topology::WORK
}

/// Who sent a delivery: on a copy of `ours`, who was noted then; else the validated user, or whom a trusted user speaks for.
pub(super) fn actor(
    delivery: &Delivery,
    ours: bool,
    claimed: Option<&str>,
    trusted: &TrustedUsers,
) -> Option<String> {
    if ours {
        return delivery.properties.headers.get(headers::ACTOR).cloned();
    }
    let user = delivery.properties.user_id.as_deref()?;
    let speaks_for = claimed.filter(|_| trusted.contains(user));
    Some(speaks_for.unwrap_or(user).to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lockstep_bus::Properties;

    use super::*;

    fn delivery(exchange: &str, user: Option<&str>, noted: Option<&str>) -> Delivery {
        let headers = noted.map(|name| (headers::ACTOR.to_owned(), name.to_owned()));
        Delivery {
            body: Bytes::new(),
            properties: Properties {
                user_id: user.map(str::to_owned),
                headers: headers.into_iter().collect(),
                ..Properties::default()
            },
            exchange: exchange.to_owned(),
            routing_key: String::new(),
            redelivered: false,
        }
    }

    #[test]
    fn nobody_speaks_for_another_unless_trusted() {
        let trusted = TrustedUsers::new(["console".to_owned()]);
        let table = [
            // exchange, validated user, our header, claimed in the body, the actor
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
        for (exchange, user, noted, claimed, expected) in table {
            let delivery = delivery(exchange, user, noted);
            let found = actor(&delivery, came_through_work(&delivery), claimed, &trusted);
            assert_eq!(
                found.as_deref(),
                expected,
                "{exchange} {user:?} {noted:?} {claimed:?}"
            );
        }
    }
}
