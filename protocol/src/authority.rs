//! Decides who may publish which message. The gateway and the console ask before they publish, workers ask about everything that
//! did not come from a worker; all use [`authorize`], which denies what no rule allows.

use crate::{Class, Kind, Source, SourcePattern, TypePattern};

/// The prefix of the actors of webhooks. No name of a token contains a colon.
pub const WEBHOOK_ACTOR: &str = "webhook:";

/// Who sent a message, as authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal<'a> {
    /// A worker: the message came through an exchange that only workers publish to.
    Worker,
    /// A git forge, NetBox or Nautobot: the gateway verified the signature of its webhook.
    Forge,
    /// The holder of a token of the console or the gateway.
    Token {
        /// The token's name.
        name: &'a str,
        /// The types that it may publish.
        types: &'a [TypePattern],
    },
    /// A broker user, or a token that the console or the gateway has authorized. The broker limits the types by the user's topic
    /// permission.
    User {
        /// The user's or the token's name.
        name: &'a str,
    },
    /// The broker validated no user.
    Anonymous,
}

/// The sources that belong to principals. A principal with sources may use only these, and nobody else may use them. The others
/// may use every source that belongs to nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceOwners(Vec<(String, Vec<SourcePattern>)>);

/// Why a message is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The JSON path of the attribute that is not allowed.
    pub place: &'static str,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl FromIterator<(String, Vec<SourcePattern>)> for SourceOwners {
    /// Principals without patterns own nothing.
    fn from_iter<I: IntoIterator<Item = (String, Vec<SourcePattern>)>>(owners: I) -> Self {
        Self(
            owners
                .into_iter()
                .filter(|(_, sources)| !sources.is_empty())
                .collect(),
        )
    }
}

impl SourceOwners {
    /// Whether the principal with this name (`None`: an anonymous one) may use the source.
    fn allow(&self, name: Option<&str>, source: &Source) -> Result<(), Denial> {
        let matches = |(_, patterns): &&(String, Vec<SourcePattern>)| {
            patterns.iter().any(|pattern| pattern.matches(source))
        };
        let mut own = self
            .0
            .iter()
            .filter(|(owner, _)| Some(owner.as_str()) == name)
            .peekable();
        if own.peek().is_some() {
            return match own.find(matches) {
                Some(_) => Ok(()),
                None => Err(Denial::source(format!(
                    "{source} is not among the sources of {}; add it to `sources` in the configuration, or use one of these",
                    name.unwrap_or_default()
                ))),
            };
        }
        match self.0.iter().find(matches) {
            None => Ok(()),
            Some((owner, _)) => Err(Denial::source(format!(
                "{source} belongs to {owner}; use a source of your own"
            ))),
        }
    }
}

impl Denial {
    fn kind(reason: String) -> Self {
        Self {
            place: "$.type",
            reason,
        }
    }

    fn source(reason: String) -> Self {
        Self {
            place: "$.source",
            reason,
        }
    }
}

/// Whether a principal may publish a message of this type with this source.
///
/// # Errors
/// Why not.
pub fn authorize(
    principal: Principal<'_>,
    kind: Kind,
    source: &Source,
    owners: &SourceOwners,
) -> Result<(), Denial> {
    authorize_type(principal, kind, source)?;
    authorize_source(principal, source, owners)
}

/// The types that the webhooks of inventories lead to.
const OF_INVENTORIES: &[Kind] = &[
    Kind::InventoryImported,
    Kind::DeviceRenamed,
    Kind::DeviceRemoved,
    Kind::DeviceStateChanged,
    Kind::InterfaceUpdated,
    Kind::LinknetChanged,
];

/// The types that webhooks with this source lead to: those of inventories, or those of forges.
fn of_webhooks(source: &Source) -> &'static [Kind] {
    let path = source.as_str().strip_prefix(Source::WEBHOOKS).unwrap_or_default();
    let system = path.split('/').next().unwrap_or_default();
    match system {
        "netbox" | "nautobot" => OF_INVENTORIES,
        _ => &[Kind::RepositoryChanged],
    }
}

fn authorize_type(principal: Principal<'_>, kind: Kind, source: &Source) -> Result<(), Denial> {
    match (principal, kind.class()) {
        (Principal::Worker, _)
        | (Principal::User { .. }, Class::Event | Class::Command)
        | (Principal::Anonymous, Class::Event) => Ok(()),
        (_, class @ (Class::Internal | Class::Result)) => Err(Denial::kind(format!(
            "{kind} is a type of {class}s, which only workers publish"
        ))),
        (Principal::Forge, _) if of_webhooks(source).contains(&kind) => Ok(()),
        (Principal::Forge, _) => Err(Denial::kind(format!("a webhook of {source} is never a {kind}"))),
        (Principal::Token { types, .. }, _) if types.iter().any(|types| types.allows(kind.as_str())) => {
            Ok(())
        }
        (Principal::Token { name, .. }, _) => {
            Err(Denial::kind(format!("the token {name} may not publish {kind}")))
        }
        (Principal::Anonymous, Class::Command) => Err(Denial::kind(format!(
            "{kind} is a command, which needs an authenticated sender: set the AMQP property user_id to the name of your broker \
             user, or send it to the console"
        ))),
    }
}

fn authorize_source(principal: Principal<'_>, source: &Source, owners: &SourceOwners) -> Result<(), Denial> {
    let reserved = source.reserved();
    let name = match principal {
        Principal::Worker => return Ok(()),
        Principal::Forge if reserved == Some(Source::WEBHOOKS) => return Ok(()),
        Principal::Forge => return Err(Denial::source(format!("a webhook never has the source {source}"))),
        Principal::Token { name, .. } | Principal::User { name } => Some(name),
        Principal::Anonymous => None,
    };
    match reserved {
        Some(prefix) => Err(Denial::source(format!(
            "sources that begin with {prefix} belong to Lockstep itself; use a source of your own, such as urn:example:netbox"
        ))),
        None => owners.allow(name, source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::try_from(text.to_owned()).unwrap()
    }

    fn owners() -> SourceOwners {
        [
            ("netbox".to_owned(), vec!["urn:example:netbox".parse().unwrap()]),
            ("nobody".to_owned(), Vec::new()),
        ]
        .into_iter()
        .collect()
    }

    const EVENT: Kind = Kind::InterfaceUpdated;
    const COMMAND: Kind = Kind::DeviceStateRequested;
    const PUSH: Kind = Kind::RepositoryChanged;
    const INTERNAL: Kind = Kind::RepositoryTipMoved;
    const RESULT: Kind = Kind::EventApplied;

    #[test]
    fn types_are_denied_unless_a_rule_allows_them() {
        let events: [TypePattern; 1] = ["lockstep.interface.*".parse().unwrap()];
        let token = Principal::Token {
            name: "t",
            types: &events,
        };
        let user = Principal::User { name: "u" };
        let forge = source("/webhooks/github/settings");
        let table = [
            // principal, event, command, push, internal message, result
            (Principal::Worker, [true, true, true, true, true]),
            (Principal::Forge, [false, false, true, false, false]),
            (token, [true, false, false, false, false]),
            (
                Principal::Token {
                    name: "t",
                    types: &[],
                },
                [false; 5],
            ),
            (
                Principal::Token {
                    name: "t",
                    types: &[TypePattern::ALL],
                },
                [true, true, true, false, false],
            ),
            (user, [true, true, true, false, false]),
            (Principal::Anonymous, [true, false, true, false, false]),
        ];
        for (principal, expected) in table {
            let found = [EVENT, COMMAND, PUSH, INTERNAL, RESULT]
                .map(|kind| authorize_type(principal, kind, &forge).is_ok());
            assert_eq!(found, expected, "{principal:?}");
        }
    }

    #[test]
    fn webhooks_of_inventories_and_of_forges_lead_to_different_types() {
        let table = [
            // source, event, command, push, internal message, result
            ("/webhooks/github/settings", [false, false, true, false, false]),
            ("/webhooks/netbox/main", [true, false, false, false, false]),
            ("/webhooks/nautobot/main", [true, false, false, false, false]),
            ("/webhooks/netboxes/main", [false, false, true, false, false]),
        ];
        for (text, expected) in table {
            let source = source(text);
            let allowed = |kind| authorize(Principal::Forge, kind, &source, &owners()).is_ok();
            assert_eq!(
                [EVENT, COMMAND, PUSH, INTERNAL, RESULT].map(allowed),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_source_is_used_by_its_owner_and_reserved_ones_by_lockstep() {
        let (netbox, other) = (
            Principal::User { name: "netbox" },
            Principal::User { name: "other" },
        );
        let token = Principal::Token {
            name: "netbox",
            types: &[],
        };
        let table = [
            // principal, owned source, free source, worker's source, source derived from content, webhook's source
            (Principal::Worker, [true, true, true, true, true]),
            (Principal::Forge, [false, false, false, false, true]),
            (netbox, [true, false, false, false, false]),
            (token, [true, false, false, false, false]),
            (other, [false, true, false, false, false]),
            (
                Principal::User { name: "nobody" },
                [false, true, false, false, false],
            ),
            (Principal::Anonymous, [false, true, false, false, false]),
        ];
        let sources = [
            "urn:example:netbox",
            "urn:example:other",
            "urn:lockstep:worker",
            "urn:lockstep:id-reused",
            "/webhooks/github/settings",
        ];
        for (principal, expected) in table {
            let found = sources.map(|text| authorize_source(principal, &source(text), &owners()).is_ok());
            assert_eq!(found, expected, "{principal:?}");
        }
    }

    #[test]
    fn a_denial_names_the_attribute() {
        let denied = |principal, kind, text: &str| {
            authorize(principal, kind, &source(text), &owners())
                .unwrap_err()
                .place
        };
        let free = "urn:example:free";
        assert_eq!(denied(Principal::Anonymous, COMMAND, free), "$.type");
        assert_eq!(denied(Principal::Anonymous, RESULT, free), "$.type");
        assert_eq!(
            denied(Principal::Anonymous, EVENT, "urn:example:netbox"),
            "$.source"
        );
        assert_eq!(
            authorize(Principal::Anonymous, EVENT, &source(free), &owners()),
            Ok(())
        );
    }
}
