use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;

use super::problem::Origin;
use super::reader::Reader;

/// Every `[rest.NAME]`, by name.
pub(crate) type RestServices = BTreeMap<String, RestConfig>;

/// `[rest.NAME]`: a REST service that the provider `rest_facts` reads.
#[derive(Clone, Debug)]
pub(crate) struct RestConfig {
    /// Its address, without a / at the end: what tasks say follows it.
    pub(crate) url: Url,
    /// What is sent to it.
    pub(crate) credentials: RestCredentials,
    /// Certificates of its authority, in PEM. Default: those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
}

/// How a REST service knows the worker.
#[derive(Clone, Debug)]
pub(crate) enum RestCredentials {
    /// Not at all.
    None,
    /// By a token, behind this word.
    Token { scheme: String, token: SecretString },
    /// By user and password.
    Password {
        username: String,
        password: SecretString,
    },
}

pub(super) fn services(reader: &mut Reader) -> RestServices {
    let names = reader.sections("rest", "netbox");
    let service = |name: String| RestConfig::of(reader, &name).map(|service| (name, service));
    names.into_iter().filter_map(service).collect()
}

impl RestConfig {
    fn of(reader: &mut Reader, name: &str) -> Option<Self> {
        let key = |key: &str| format!("rest.{name}.{key}");
        let origin = reader.origin_within(&format!("rest.{name}"));
        let text = reader.text(&key("url"));
        let credentials = credentials(reader, name, origin.as_ref());
        let ca_file = reader.path(&key("ca_file"));
        let Some(text) = text else {
            reader.problem(
                &key("url"),
                origin.as_ref(),
                "is missing; set the address of the service",
            );
            return None;
        };
        let url = match checked_url(&text, !matches!(credentials, Some(RestCredentials::None))) {
            Ok(url) => url,
            Err(reason) => {
                // It may have a password.
                reader.show(&key("url"), "***");
                reader.problem(&key("url"), origin.as_ref(), reason);
                return None;
            }
        };
        Some(Self {
            url,
            credentials: credentials?,
            ca_file,
        })
    }
}

/// The address of a service. With credentials it has TLS, except on this machine.
fn checked_url(text: &str, has_credentials: bool) -> Result<Url, &'static str> {
    let no_address = "is not the address of a service, must be https://HOST/PATH";
    let url = Url::parse(text.trim_end_matches('/')).map_err(|_| no_address)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(no_address);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or a password; set username and password_file instead");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment, which belongs to the paths of tasks");
    }
    let is_local = url
        .host_str()
        .is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && has_credentials && !is_local {
        return Err("would send the credentials without TLS; use https");
    }
    Ok(url)
}

fn credentials(reader: &mut Reader, name: &str, origin: Option<&Origin>) -> Option<RestCredentials> {
    let key = |key: &str| format!("rest.{name}.{key}");
    let token = reader.secret(&key("token"));
    let scheme = reader.text_or(&key("token_scheme"), "Bearer");
    let username = reader.text(&key("username"));
    let password = reader.secret(&key("password"));
    if !scheme.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason = "is not a word, must be such as \"Bearer\" or \"Token\"";
        reader.problem(&key("token_scheme"), origin, reason);
        return None;
    }
    match (token, username, password) {
        (None, None, None) => Some(RestCredentials::None),
        (Some(token), None, None) => Some(RestCredentials::Token { scheme, token }),
        (None, Some(username), Some(password)) => Some(RestCredentials::Password { username, password }),
        (Some(_), ..) => {
            let reason = "is set beside username or password; set one of the two";
            reader.problem(&key("token"), origin, reason);
            None
        }
        (None, username, _) => {
            let missing = if username.is_none() {
                "username"
            } else {
                "password"
            };
            let reason = "is missing; set username and password_file, or token_file";
            reader.problem(&key(missing), origin, reason);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_tls_where_it_has_credentials() {
        for (text, has_credentials, expected) in [
            (
                "https://netbox.example.org/",
                true,
                Ok("https://netbox.example.org/"),
            ),
            (
                "https://netbox.example.org:8443/base/",
                false,
                Ok("https://netbox.example.org:8443/base"),
            ),
            (
                "http://netbox.example.org",
                false,
                Ok("http://netbox.example.org/"),
            ),
            ("http://127.0.0.1:8000", true, Ok("http://127.0.0.1:8000/")),
            ("http://netbox.example.org", true, Err("would send")),
            ("https://u:p@netbox.example.org", false, Err("has a user")),
            ("https://netbox.example.org/?a=b", false, Err("has a query")),
            ("ftp://netbox.example.org", false, Err("is not the address")),
            ("netbox", false, Err("is not the address")),
        ] {
            match (checked_url(text, has_credentials), expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url.as_str(), expected),
                (Err(reason), Err(expected)) => assert!(reason.starts_with(expected), "{text}: {reason}"),
                (found, expected) => panic!("{text}: {found:?} instead of {expected:?}"),
            }
        }
    }
}
