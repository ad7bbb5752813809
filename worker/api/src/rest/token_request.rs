//! Checks what an administrator asks for: its form, and that nobody gives more rights than they have. Pure.

use std::time::Duration;

use lockstep_http::{ProblemResponse, ReadScope, Token};
use lockstep_protocol::rest::{Problem, TokenRequest};
use lockstep_protocol::{AccessLimits, Kind, Role, SourcePattern};
use lockstep_store::AccessToken;

/// The most groups, tasks, sources and scopes of a token, each.
const MOST_ENTRIES: usize = 100;
/// The longest time for which a token is accepted, or a former secret: ten years.
const LONGEST: Duration = Duration::from_hours(24 * 3650);

/// A token that may be created.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) name: String,
    pub(super) person: String,
    pub(super) role: Role,
    pub(super) reads: Vec<ReadScope>,
    pub(super) sources: Vec<SourcePattern>,
    pub(super) limits: AccessLimits,
    pub(super) lasts: Option<Duration>,
}

/// Checks a request for a token that `creator` sends.
///
/// # Errors
/// The problem to respond with.
pub(super) fn check(request: TokenRequest, creator: &Token) -> Result<Checked, ProblemResponse> {
    let person = request.person.unwrap_or_else(|| request.name.clone());
    check_name(&request.name, "$.name")?;
    check_name(&person, "$.person")?;
    for (place, entries) in [
        ("$.groups", request.groups.len()),
        ("$.tasks", request.tasks.len()),
        ("$.reads", request.reads.len()),
        ("$.sources", request.sources.len()),
    ] {
        if entries > MOST_ENTRIES {
            return Err(invalid(
                place,
                format!("has {entries} entries; the most is {MOST_ENTRIES}"),
            ));
        }
    }
    let reads = parsed(&request.reads, "$.reads")?;
    let sources = parsed(&request.sources, "$.sources")?;
    let checked = Checked {
        name: request.name,
        person,
        role: request.role,
        reads,
        sources,
        limits: AccessLimits {
            groups: request.groups,
            tasks: request.tasks,
        },
        lasts: seconds(request.expires_in_seconds, "expires_in_seconds")?,
    };
    let exceeded = exceeded(
        creator,
        checked.role,
        &checked.reads,
        &request.sources,
        &checked.limits,
    );
    exceeded.map_or(Ok(checked), |(place, what)| Err(too_much(place, &what)))
}

/// Checks that `operator` has all rights of a token to which it gives a new secret.
///
/// # Errors
/// The problem to respond with.
pub(super) fn check_rights(token: &AccessToken, operator: &Token) -> Result<(), ProblemResponse> {
    let reads: Vec<ReadScope> = token
        .reads
        .iter()
        .filter_map(|scope| scope.parse().ok())
        .collect();
    let exceeded = exceeded(operator, token.role, &reads, &token.sources, &token.limits);
    exceeded.map_or(Ok(()), |(place, what)| Err(too_much(place, &what)))
}

/// The first right that the creator would give and does not have, with its place in a request.
fn exceeded(
    creator: &Token,
    role: Role,
    reads: &[ReadScope],
    sources: &[String],
    limits: &AccessLimits,
) -> Option<(&'static str, String)> {
    let not_published = Kind::ALL
        .iter()
        .find(|kind| role.publishes(**kind) && !creator.allows(kind.as_str()));
    if creator.role().is_none_or(|own| own < role) {
        return Some(("$.role", format!("the role {role}")));
    }
    if let Some(kind) = not_published {
        return Some(("$.role", format!("the right to publish {kind}")));
    }
    let not_read = ReadScope::of_role(role)
        .iter()
        .chain(reads)
        .find(|scope| creator.may_read(**scope).is_err());
    if let Some(scope) = not_read {
        return Some(("$.reads", format!("the right to read {scope}")));
    }
    if !limits.is_within(creator.limits()) {
        return Some(("$.groups", "the right to all these devices and tasks".to_owned()));
    }
    let own: Vec<String> = creator.sources().map(ToString::to_string).collect();
    let outside = sources.iter().find(|source| !own.contains(source));
    match outside {
        _ if own.is_empty() => None,
        Some(source) => Some(("$.sources", format!("the source {source}"))),
        None if sources.is_empty() => Some(("$.sources", "all sources".to_owned())),
        None => None,
    }
}

/// A number of seconds, within bounds.
///
/// # Errors
/// The problem to respond with.
pub(super) fn seconds(seconds: Option<u64>, name: &str) -> Result<Option<Duration>, ProblemResponse> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    if seconds > LONGEST.as_secs() {
        let reason = format!("is {seconds}; the most is {}, ten years", LONGEST.as_secs());
        return Err(invalid(&format!("$.{name}"), reason));
    }
    Ok(Some(Duration::from_secs(seconds)))
}

fn check_name(name: &str, place: &str) -> Result<(), ProblemResponse> {
    if lockstep_http::is_token_name(name) {
        return Ok(());
    }
    let reason = "must be 1 to 64 letters, digits, dots, hyphens, underscores or @";
    Err(invalid(place, reason))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    texts: &[String],
    place: &str,
) -> Result<Vec<T>, ProblemResponse> {
    let parse = |(index, text): (usize, &String)| {
        text.parse()
            .map_err(|error: T::Err| invalid(&format!("{place}[{index}]"), error.to_string()))
    };
    texts.iter().enumerate().map(parse).collect()
}

fn invalid(place: &str, reason: impl Into<String>) -> ProblemResponse {
    Problem::new(400, "invalid-data", "the body does not describe a token")
        .with_detail(reason)
        .with_place(place)
        .into()
}

fn too_much(place: &str, what: &str) -> ProblemResponse {
    Problem::new(403, "not-allowed", "nobody gives more rights than they have")
        .with_detail(format!("your token does not have {what}"))
        .with_place(place)
        .into()
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{GroupName, TypePattern};
    use serde_json::{Value, json};

    use super::*;

    fn group(name: &str) -> GroupName {
        GroupName::try_from(name.to_owned()).unwrap()
    }

    fn admin() -> Token {
        Token::of_role("root", "root", Role::Admin)
    }

    fn place(creator: &Token, change: &Value) -> Option<String> {
        let mut request = json!({"name": "ci", "role": "operator"});
        for (key, value) in change.as_object().unwrap() {
            request[key] = value.clone();
        }
        let request = serde_json::from_value(request).unwrap();
        let problem = check(request, creator).err()?;
        Some(problem.problem().place.clone().unwrap_or_default())
    }

    #[test]
    fn malformed_requests_are_refused_with_their_place() {
        let many: Vec<String> = (0..=MOST_ENTRIES).map(|n| format!("task{n}")).collect();
        for (change, expected) in [
            (json!({}), None),
            (json!({"name": ""}), Some("$.name")),
            (json!({"name": "a b"}), Some("$.name")),
            (json!({"person": "x".repeat(65)}), Some("$.person")),
            (json!({"reads": ["devices", "secrets"]}), Some("$.reads[1]")),
            (json!({"sources": ["urn:lockstep:worker"]}), Some("$.sources[0]")),
            (json!({"tasks": many}), Some("$.tasks")),
            (
                json!({"expires_in_seconds": u64::MAX}),
                Some("$.expires_in_seconds"),
            ),
        ] {
            assert_eq!(place(&admin(), &change).as_deref(), expected, "{change}");
        }
    }

    #[test]
    fn nobody_gives_more_rights_than_they_have() {
        let limited = |groups: &[&str], tasks: &[&str]| {
            admin().with_limits(AccessLimits {
                groups: groups.iter().map(|name| group(name)).collect(),
                tasks: tasks.iter().map(|text| text.parse().unwrap()).collect(),
            })
        };
        let types = |types: &str| {
            Token::new("root", &"s3cret".into(), vec![types.parse().unwrap()]).with_role(Role::Admin)
        };
        let of_devices = || admin().with_reads([ReadScope::Devices]);
        let own = || admin().with_sources(vec!["urn:example:a".parse().unwrap()]);
        for (creator, change, expected) in [
            (admin(), json!({"role": "admin"}), None),
            (
                Token::of_role("x", "x", Role::Approver),
                json!({"role": "admin"}),
                Some("$.role"),
            ),
            (
                Token::new("x", &"s3cret".into(), vec![TypePattern::ALL]),
                json!({}),
                Some("$.role"),
            ),
            (types("lockstep.device.*"), json!({}), Some("$.role")),
            (types("lockstep.device.*"), json!({"role": "viewer"}), None),
            (of_devices(), json!({"role": "viewer"}), Some("$.reads")),
            (limited(&["oslo"], &[]), json!({}), Some("$.groups")),
            (limited(&["oslo"], &[]), json!({"groups": ["oslo"]}), None),
            (
                limited(&["oslo"], &[]),
                json!({"groups": ["oslo", "bergen"]}),
                Some("$.groups"),
            ),
            (
                limited(&[], &["backup-*"]),
                json!({"tasks": ["backup-core"]}),
                None,
            ),
            (
                limited(&[], &["backup-*"]),
                json!({"tasks": ["*"]}),
                Some("$.groups"),
            ),
            (own(), json!({}), Some("$.sources")),
            (own(), json!({"sources": ["urn:example:a"]}), None),
            (own(), json!({"sources": ["urn:example:b"]}), Some("$.sources")),
        ] {
            assert_eq!(
                place(&creator, &change).as_deref(),
                expected,
                "{creator:?} {change}"
            );
        }
    }
}
