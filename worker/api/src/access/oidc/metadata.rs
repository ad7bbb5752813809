use axum::http::Uri;
use serde::Deserialize;

/// The path of the metadata, behind the issuer.
pub(super) const PATH: &str = "/.well-known/openid-configuration";

/// What a provider says about itself (OpenID Connect Discovery 1.0).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    pub(super) end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Why the metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum MetadataError {
    #[error("they are no JSON with the addresses of the provider: {0}")]
    Shape(#[source] serde_json::Error),
    #[error(
        "they say that the issuer is {found:?}, and console.oidc.issuer says {expected:?}; both must be the same text"
    )]
    Issuer { found: String, expected: String },
    #[error("{what} is {found:?}, which is not an address with https")]
    Address { what: &'static str, found: String },
    #[error(
        "the provider takes the secret of a client neither by client_secret_basic nor by client_secret_post"
    )]
    Authentication,
}

/// How the console authenticates at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuthentication {
    /// In the header `Authorization`.
    Basic,
    /// In the form.
    Post,
}

impl Metadata {
    /// Reads the metadata of this issuer.
    ///
    /// # Errors
    /// See [`MetadataError`].
    pub(super) fn read(body: &[u8], issuer: &str) -> Result<Self, MetadataError> {
        let read: Self = serde_json::from_slice(body).map_err(MetadataError::Shape)?;
        if read.issuer != issuer {
            return Err(MetadataError::Issuer {
                found: read.issuer,
                expected: issuer.to_owned(),
            });
        }
        let addresses = [
            ("authorization_endpoint", Some(&read.authorization_endpoint)),
            ("token_endpoint", Some(&read.token_endpoint)),
            ("jwks_uri", Some(&read.jwks_uri)),
            ("end_session_endpoint", read.end_session_endpoint.as_ref()),
        ];
        for (what, address) in addresses {
            if let Some(address) = address.filter(|address| !is_safe(address, issuer)) {
                return Err(MetadataError::Address {
                    what,
                    found: address.clone(),
                });
            }
        }
        read.client_authentication()?;
        Ok(read)
    }

    /// How the console authenticates; the default is that of the standard.
    ///
    /// # Errors
    /// If the provider offers nothing that the console can do.
    pub(super) fn client_authentication(&self) -> Result<ClientAuthentication, MetadataError> {
        let Some(methods) = &self.token_endpoint_auth_methods_supported else {
            return Ok(ClientAuthentication::Basic);
        };
        let offers = |method: &str| methods.iter().any(|offered| offered == method);
        if offers("client_secret_basic") {
            Ok(ClientAuthentication::Basic)
        } else if offers("client_secret_post") {
            Ok(ClientAuthentication::Post)
        } else {
            Err(MetadataError::Authentication)
        }
    }

    /// Whether an answer with this `iss` may be one of this provider (RFC 9207).
    pub(super) fn sent(&self, iss: Option<&str>) -> bool {
        match iss {
            Some(iss) => iss == self.issuer,
            None => !self.authorization_response_iss_parameter_supported,
        }
    }
}

/// Whether an address may be used: over TLS, or on this machine if the issuer is there, too.
fn is_safe(address: &str, issuer: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else {
        return false;
    };
    let no_user = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@'));
    let plain = issuer.starts_with("http://") && uri.host().is_some_and(is_this_machine);
    let scheme = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => plain,
        _ => false,
    };
    no_user
        && scheme
        && address
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

fn is_this_machine(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://id.example.org/realms/lab";

    fn metadata(change: &Value) -> Vec<u8> {
        let mut metadata = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example.org/authorize?tenant=lab",
            "token_endpoint": "https://tokens.example.org/token",
            "jwks_uri": "https://id.example.org/keys",
            "more": 1,
        });
        for (key, value) in change.as_object().unwrap() {
            metadata[key] = value.clone();
        }
        metadata.to_string().into_bytes()
    }

    #[test]
    fn metadata_of_another_issuer_and_addresses_without_tls_are_refused() {
        let basic = json!(["private_key_jwt", "client_secret_basic"]);
        for (change, expected) in [
            (json!({}), None),
            (
                json!({"end_session_endpoint": "https://id.example.org/logout"}),
                None,
            ),
            (json!({"token_endpoint_auth_methods_supported": basic}), None),
            (
                json!({"issuer": "https://id.example.org/realms/lab/"}),
                Some("the issuer is"),
            ),
            (json!({"issuer": 1}), Some("no JSON")),
            (json!({"token_endpoint": null}), Some("no JSON")),
            (
                json!({"token_endpoint": "http://id.example.org/token"}),
                Some("token_endpoint is"),
            ),
            (
                json!({"token_endpoint": "http://localhost/token"}),
                Some("token_endpoint is"),
            ),
            (json!({"jwks_uri": "file:///etc/passwd"}), Some("jwks_uri is")),
            (
                json!({"jwks_uri": "https://u:p@id.example.org/keys"}),
                Some("jwks_uri is"),
            ),
            (
                json!({"authorization_endpoint": "javascript:alert(1)"}),
                Some("authorization_endpoint is"),
            ),
            (
                json!({"authorization_endpoint": "https://a/\r\nSet-Cookie: b"}),
                Some("authorization_endpoint is"),
            ),
            (
                json!({"end_session_endpoint": "//evil"}),
                Some("end_session_endpoint is"),
            ),
            (
                json!({"token_endpoint_auth_methods_supported": ["none"]}),
                Some("neither"),
            ),
        ] {
            let read = Metadata::read(&metadata(&change), ISSUER);
            let error = read.err().map(|error| error.to_string());
            match (error, expected) {
                (None, None) => {}
                (Some(error), Some(expected)) => assert!(error.contains(expected), "{change}: {error}"),
                (error, _) => panic!("{change}: {error:?}"),
            }
        }
        assert!(Metadata::read(b"<html>", ISSUER).is_err());
    }

    #[test]
    fn a_provider_on_this_machine_needs_no_tls() {
        let issuer = "http://127.0.0.1:9000";
        for (host, expected) in [("127.0.0.1:9000", true), ("id.example.org", false)] {
            let change = json!({
                "issuer": issuer,
                "authorization_endpoint": format!("http://{host}/authorize"),
                "token_endpoint": format!("http://{host}/token"),
                "jwks_uri": format!("http://{host}/keys"),
            });
            assert_eq!(
                Metadata::read(&metadata(&change), issuer).is_ok(),
                expected,
                "{host}"
            );
        }
    }

    #[test]
    fn the_client_authenticates_as_the_provider_offers() {
        for (methods, expected) in [
            (Value::Null, ClientAuthentication::Basic),
            (json!(["client_secret_post"]), ClientAuthentication::Post),
            (
                json!(["client_secret_post", "client_secret_basic"]),
                ClientAuthentication::Basic,
            ),
        ] {
            let change = json!({"token_endpoint_auth_methods_supported": methods});
            let read = Metadata::read(&metadata(&change), ISSUER).unwrap();
            assert_eq!(read.client_authentication().unwrap(), expected, "{change}");
        }
    }

    #[test]
    fn an_answer_names_its_issuer_where_the_provider_says_so() {
        for (supported, iss, expected) in [
            (false, None, true),
            (false, Some(ISSUER), true),
            (false, Some("https://evil.example.org"), false),
            (true, None, false),
            (true, Some(ISSUER), true),
        ] {
            let change = json!({"authorization_response_iss_parameter_supported": supported});
            let read = Metadata::read(&metadata(&change), ISSUER).unwrap();
            assert_eq!(read.sent(iss), expected, "{supported} {iss:?}");
        }
    }
}
