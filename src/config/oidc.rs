use std::path::PathBuf;

use lockstep_api::{Algorithm, RoleMapping};
use lockstep_protocol::{AccessLimits, GroupName, Role};
use reqwest::Url;
use secrecy::SecretString;

use super::problem::Origin;
use super::reader::Reader;

/// Where the provider sends browsers back to.
pub(crate) const CALLBACK: &str = "/login/oidc/callback";

/// `[console.oidc]`: an identity provider at which people log in.
#[derive(Clone, Debug)]
pub(crate) struct OidcConfig {
    /// What the page of the login calls it.
    pub(crate) name: String,
    /// Its issuer, exactly as its metadata says it.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: SecretString,
    /// The address of the console to which it sends browsers back.
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    /// The claim that names the principal.
    pub(crate) principal_claim: String,
    /// Whether a principal may be one of a token, too.
    pub(crate) share_principals: bool,
    /// The claim whose values have roles.
    pub(crate) role_claim: String,
    pub(crate) roles: Vec<RoleMapping>,
    /// Certificates of its authority, in PEM. Default: those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
}

impl OidcConfig {
    pub(super) fn of(reader: &mut Reader) -> Option<Self> {
        let origin = reader.section("console.oidc")?;
        let key = |name: &str| format!("console.oidc.{name}");
        let issuer = required(reader, "issuer", &origin, "https://id.example.org/realms/lab");
        let client_id = required(reader, "client_id", &origin, "lockstep");
        let redirect_uri = required(
            reader,
            "redirect_uri",
            &origin,
            "https://lockstep.example.org/login/oidc/callback",
        );
        let client_secret = reader.long_secret(&key("client_secret"));
        if client_secret.is_none() {
            let reason = "is missing; set client_secret or client_secret_file";
            reader.problem(&key("client_secret"), Some(&origin), reason);
        }
        for (name, text, checked) in [
            (
                "issuer",
                &issuer,
                checked_issuer as fn(&str) -> Result<(), String>,
            ),
            ("redirect_uri", &redirect_uri, checked_redirect),
        ] {
            if let Some(Err(reason)) = text.as_deref().map(checked) {
                reader.problem(&key(name), Some(&origin), reason);
            }
        }
        let algorithms = reader.list(&key("algorithms"), vec![Algorithm::Rs256, Algorithm::Es256]);
        if algorithms.is_empty() {
            reader.problem(
                &key("algorithms"),
                Some(&origin),
                "is empty; name at least one, such as RS256",
            );
        }
        let scopes = ["openid", "profile", "email"].map(str::to_owned).to_vec();
        let name = reader.text_or(&key("name"), "OpenID Connect");
        let scopes = reader.list(&key("scopes"), scopes);
        let principal_claim = reader.text_or(&key("principal_claim"), "sub");
        let share_principals = reader.flag(&key("share_principals"), false);
        let role_claim = reader.text_or(&key("role_claim"), "groups");
        let ca_file = reader.path(&key("ca_file"));
        let roles = roles(reader, &origin);
        Some(Self {
            name,
            issuer: issuer?,
            client_id: client_id?,
            client_secret: client_secret?,
            redirect_uri: redirect_uri?,
            scopes,
            algorithms,
            principal_claim,
            share_principals,
            role_claim,
            roles,
            ca_file,
        })
    }
}

fn required(reader: &mut Reader, name: &str, origin: &Origin, example: &str) -> Option<String> {
    let key = format!("console.oidc.{name}");
    let text = reader.text(&key);
    if text.is_none() {
        reader.problem(
            &key,
            Some(origin),
            format!("is missing; set it, such as {example:?}"),
        );
    }
    text
}

fn roles(reader: &mut Reader, origin: &Origin) -> Vec<RoleMapping> {
    let list = "console.oidc.roles";
    let count = reader.count(list);
    if count == 0 {
        let reason = "has no entry, so nobody could log in; add one with value and role";
        reader.problem(list, Some(origin), reason);
    }
    (0..count)
        .filter_map(|index| mapping(reader, list, index))
        .collect()
}

fn mapping(reader: &mut Reader, list: &str, index: usize) -> Option<RoleMapping> {
    let key = |name: &str| format!("{list}[{index}].{name}");
    let origin = reader
        .origin(&key("value"))
        .or_else(|| reader.origin(&key("role")));
    let value = reader.text(&key("value"));
    let role: Option<Role> = reader.optional(&key("role"), "viewer, operator, approver or admin");
    let reads = reader.list(&key("reads"), Vec::new());
    let limits = AccessLimits {
        groups: groups(reader, &key("groups")),
        tasks: reader.list(&key("tasks"), Vec::new()),
    };
    for (name, is_missing) in [("value", value.is_none()), ("role", role.is_none())] {
        if is_missing {
            reader.problem(
                &key(name),
                origin.as_ref(),
                "is missing; each entry has a value and a role",
            );
        }
    }
    Some(RoleMapping {
        value: value?,
        role: role?,
        reads,
        limits,
    })
}

fn groups(reader: &mut Reader, key: &str) -> Vec<GroupName> {
    let origin = reader.origin(key);
    let names: Vec<String> = reader.list(key, Vec::new());
    let mut groups = Vec::with_capacity(names.len());
    for name in names {
        match GroupName::try_from(name) {
            Ok(group) => groups.push(group),
            // Without the name the limit would be another one.
            Err(error) => reader.problem(key, origin.as_ref(), error.to_string()),
        }
    }
    groups
}

fn checked_issuer(text: &str) -> Result<(), String> {
    let url = checked(text, "https://id.example.org")?;
    if url.query().is_some() {
        return Err("has a query, which no issuer has".to_owned());
    }
    Ok(())
}

fn checked_redirect(text: &str) -> Result<(), String> {
    let url = checked(text, "https://lockstep.example.org")?;
    if url.path() != CALLBACK || url.query().is_some() {
        return Err(format!(
            "must be the address of the console and {CALLBACK}, such as https://lockstep.example.org{CALLBACK}"
        ));
    }
    Ok(())
}

/// An address with TLS, or on this machine.
fn checked(text: &str, example: &str) -> Result<Url, String> {
    let no_address = || format!("is not an address, must be such as {example}");
    let url = Url::parse(text).map_err(|_| no_address())?;
    let is_local = url
        .host_str()
        .is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => {}
        "http" if is_local => {}
        "http" => return Err("would send secrets without TLS; use https".to_owned()),
        _ => return Err(no_address()),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("has a user, a password or a fragment, which belong elsewhere".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_tls_and_the_one_of_the_console_has_its_path() {
        for (text, issuer, redirect) in [
            ("https://id.example.org/realms/lab", true, false),
            ("https://id.example.org/", true, false),
            ("https://lockstep.example.org/login/oidc/callback", true, true),
            ("http://127.0.0.1:8910/login/oidc/callback", true, true),
            ("http://lockstep.example.org/login/oidc/callback", false, false),
            ("https://lockstep.example.org/login/oidc/callback/", true, false),
            (
                "https://lockstep.example.org/login/oidc/callback?a=b",
                false,
                false,
            ),
            (
                "https://u:p@lockstep.example.org/login/oidc/callback",
                false,
                false,
            ),
            ("https://lockstep.example.org/login/oidc/callback#a", false, false),
            ("id.example.org", false, false),
            ("ftp://id.example.org", false, false),
        ] {
            assert_eq!(checked_issuer(text).is_ok(), issuer, "{text}");
            assert_eq!(checked_redirect(text).is_ok(), redirect, "{text}");
        }
    }
}
