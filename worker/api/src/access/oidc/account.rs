use lockstep_http::{ReadScope, Token, is_token_name};
use lockstep_protocol::{AccessLimits, Role};
use serde_json::{Map, Value};

use super::options::RoleMapping;

/// What the name of the rights of a session begins with. No token can have such a name, and so none of the sources of a token.
const NAME: &str = "oidc:";

/// Why an account gets no session. The text completes "the provider …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AccountError {
    #[error("sends no claim {0:?} with a text")]
    NoPrincipal(String),
    #[error("has not verified the email address of the account")]
    UnverifiedEmail,
    #[error(
        "names the account {0:?}, which is no name here: 1 to 64 letters, digits, dots, hyphens, underscores or @"
    )]
    InvalidPrincipal(String),
    #[error("sends no claim {0:?} with a text or a list of texts")]
    NoRoleClaim(String),
    #[error("sends no value in the claim {0:?} that has a role here")]
    NoRole(String),
}

/// Who an account is here: the text of this claim. An email address counts only if the provider has verified it.
///
/// # Errors
/// See [`AccountError`].
pub(super) fn principal(claims: &Map<String, Value>, claim: &str) -> Result<String, AccountError> {
    let found = claim_of(claims, claim).and_then(Value::as_str);
    let name = found.ok_or_else(|| AccountError::NoPrincipal(claim.to_owned()))?;
    if claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
        return Err(AccountError::UnverifiedEmail);
    }
    if !is_token_name(name) {
        return Err(AccountError::InvalidPrincipal(name.chars().take(100).collect()));
    }
    Ok(name.to_owned())
}

/// What an account may do: the first mapping whose value the claim has, which is a text or a list of texts.
///
/// # Errors
/// See [`AccountError`].
pub(super) fn mapping<'a>(
    claims: &Map<String, Value>,
    claim: &str,
    mappings: &'a [RoleMapping],
) -> Result<&'a RoleMapping, AccountError> {
    let has: Vec<&str> = match claim_of(claims, claim) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => return Err(AccountError::NoRoleClaim(claim.to_owned())),
    };
    let mapped = mappings
        .iter()
        .find(|mapping| has.contains(&mapping.value.as_str()));
    mapped.ok_or_else(|| AccountError::NoRole(claim.to_owned()))
}

/// The claim with this name, or else the one to which the dots in the name lead: `realm_access.roles`.
fn claim_of<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(claim) = claims.get(name) {
        return Some(claim);
    }
    let (first, rest) = name.split_once('.')?;
    let mut claim = claims.get(first)?;
    for part in rest.split('.') {
        claim = claim.get(part)?;
    }
    Some(claim)
}

/// The rights of a session that began at the provider. What this version does not know gives no right.
pub(in crate::access) fn rights(
    principal: &str,
    role: Role,
    reads: &[String],
    limits: &AccessLimits,
) -> Token {
    let reads = reads.iter().filter_map(|scope| scope.parse::<ReadScope>().ok());
    Token::of_role(format!("{NAME}{principal}"), principal, role)
        .with_more_reads(reads)
        .with_limits(limits.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_principal_is_a_name_and_an_email_address_only_if_verified() {
        use AccountError::{InvalidPrincipal, NoPrincipal, UnverifiedEmail};
        let missing = |claim: &str| Err(NoPrincipal(claim.to_owned()));
        let invalid = |name: &str| Err(InvalidPrincipal(name.to_owned()));
        let mail = "a@example.org";
        for (value, claim, expected) in [
            (json!({"sub": "248289761001"}), "sub", Ok("248289761001")),
            (
                json!({"preferred_username": "alice"}),
                "preferred_username",
                Ok("alice"),
            ),
            (
                json!({"sub": "1"}),
                "preferred_username",
                missing("preferred_username"),
            ),
            (json!({"sub": 1}), "sub", missing("sub")),
            (json!({"email": mail, "email_verified": true}), "email", Ok(mail)),
            (
                json!({"email": mail, "email_verified": "true"}),
                "email",
                Err(UnverifiedEmail),
            ),
            (
                json!({"email": mail, "email_verified": false}),
                "email",
                Err(UnverifiedEmail),
            ),
            (json!({"email": mail}), "email", Err(UnverifiedEmail)),
            (json!({"sub": "auth0|1"}), "sub", invalid("auth0|1")),
            (json!({"sub": "Alice Smith"}), "sub", invalid("Alice Smith")),
            (json!({"sub": ""}), "sub", invalid("")),
            (json!({"person": {"name": "alice"}}), "person.name", Ok("alice")),
        ] {
            let found = principal(&claims(&value), claim);
            assert_eq!(
                found.as_deref().map_err(Clone::clone),
                expected,
                "{value} {claim}"
            );
        }
    }

    #[test]
    fn the_first_mapping_that_an_account_has_counts() {
        let mapping_of = |value: &str, role| RoleMapping {
            value: value.to_owned(),
            role,
            reads: Vec::new(),
            limits: AccessLimits::default(),
        };
        let mappings = [
            mapping_of("net-admins", Role::Admin),
            mapping_of("net-ops", Role::Operator),
            mapping_of("everybody", Role::Viewer),
        ];
        let none = Err(AccountError::NoRole("groups".to_owned()));
        let missing = Err(AccountError::NoRoleClaim("groups".to_owned()));
        for (value, claim, expected) in [
            (json!({"groups": ["net-ops"]}), "groups", Ok(Role::Operator)),
            (
                json!({"groups": ["everybody", "net-admins"]}),
                "groups",
                Ok(Role::Admin),
            ),
            (json!({"groups": "everybody"}), "groups", Ok(Role::Viewer)),
            (json!({"groups": [1, "net-ops"]}), "groups", Ok(Role::Operator)),
            (json!({"groups": []}), "groups", none.clone()),
            (json!({"groups": ["net-ops2", "NET-OPS"]}), "groups", none),
            (json!({"groups": {"net-ops": true}}), "groups", missing.clone()),
            (json!({"role": ["net-ops"]}), "groups", missing),
            (
                json!({"realm_access": {"roles": ["net-ops"]}}),
                "realm_access.roles",
                Ok(Role::Operator),
            ),
            (
                json!({"https://example.org/roles": ["net-ops"]}),
                "https://example.org/roles",
                Ok(Role::Operator),
            ),
        ] {
            let found = mapping(&claims(&value), claim, &mappings);
            assert_eq!(found.map(|mapping| mapping.role), expected, "{value} {claim}");
        }
        assert!(mapping(&claims(&json!({"groups": ["net-ops"]})), "groups", &[]).is_err());
    }

    #[test]
    fn the_rights_of_a_session_have_no_name_of_a_token() {
        let limits = AccessLimits {
            groups: vec!["oslo".to_owned().try_into().unwrap()],
            tasks: Vec::new(),
        };
        let reads = ["device-output".to_owned(), "of-a-newer-version".to_owned()];
        let rights = rights("alice", Role::Viewer, &reads, &limits);
        assert_eq!(rights.principal(), "alice");
        assert!(!is_token_name(rights.name()), "{}", rights.name());
        assert!(rights.may_read(ReadScope::DeviceOutput).is_ok());
        assert!(rights.may_read(ReadScope::Audit).is_err());
        assert_eq!(rights.limits(), &limits);
    }
}
