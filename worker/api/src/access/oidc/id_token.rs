use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;

/// How far the clocks of the provider and the console may be apart, in seconds.
const LEEWAY: i64 = 60;
/// The most bytes of a token.
const LONGEST: usize = 256 * 1024;
/// The longest subject.
const LONGEST_SUBJECT: usize = 255;

/// An ID token whose signature is not checked yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unverified<'a> {
    pub(super) algorithm: Algorithm,
    /// The name of the key.
    pub(super) key: Option<String>,
    /// What is signed.
    pub(super) message: &'a [u8],
    pub(super) signature: Vec<u8>,
    claims: Map<String, Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// What an ID token must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: Timestamp,
}

/// What an ID token says about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// The account at the provider.
    pub(super) subject: String,
    /// Everything, by name.
    pub(super) all: Map<String, Value>,
}

/// Why an ID token is not accepted. The text completes "the ID token …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum IdTokenError {
    #[error("is not a signed token")]
    Malformed,
    #[error("is signed by {0:?}, which console.oidc.algorithms does not have")]
    Algorithm(String),
    #[error("has a header that must be understood and is not")]
    Critical,
    #[error("is signed by a key that the provider does not publish")]
    UnknownKey,
    #[error("has a signature that is not one of the provider")]
    Signature,
    #[error("has no {0}, or one that is not of the right type")]
    Missing(&'static str),
    #[error("is one of the issuer {0:?}")]
    Issuer(String),
    #[error("is one for another client")]
    Audience,
    #[error("was requested by another client")]
    AuthorizedParty,
    #[error("is one of another login")]
    Nonce,
    #[error("is expired; compare the clocks of the provider and the console")]
    Expired,
    #[error("is not valid yet; compare the clocks of the provider and the console")]
    NotYet,
}

impl<'a> Unverified<'a> {
    /// Reads a token in the compact form (RFC 7515), if it is signed by one of these algorithms.
    ///
    /// # Errors
    /// See [`IdTokenError`].
    pub(super) fn read(token: &'a str, algorithms: &[Algorithm]) -> Result<Self, IdTokenError> {
        if token.len() > LONGEST {
            return Err(IdTokenError::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(IdTokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(IdTokenError::Malformed)?;
        let header: Header = decoded(header)?;
        if header.crit.is_some() {
            return Err(IdTokenError::Critical);
        }
        let algorithm = header.alg.parse().ok();
        let algorithm = algorithm.filter(|algorithm| algorithms.contains(algorithm));
        Ok(Self {
            algorithm: algorithm.ok_or(IdTokenError::Algorithm(header.alg))?,
            key: header.kid,
            message: message.as_bytes(),
            signature: bytes(signature)?,
            claims: decoded(claims)?,
        })
    }

    /// Checks the claims of a token whose signature was checked (OpenID Connect Core 1.0, 3.1.3.7).
    ///
    /// # Errors
    /// See [`IdTokenError`].
    pub(super) fn claims(self, expected: Expected<'_>) -> Result<Claims, IdTokenError> {
        let claims = self.claims;
        let issuer = text(&claims, "iss")?;
        if issuer != expected.issuer {
            return Err(IdTokenError::Issuer(issuer.to_owned()));
        }
        check_audience(&claims, expected.client_id)?;
        if text(&claims, "nonce")? != expected.nonce {
            return Err(IdTokenError::Nonce);
        }
        let now = expected.now.as_second();
        let expires = time(&claims, "exp")?.ok_or(IdTokenError::Missing("exp"))?;
        let issued_at = time(&claims, "iat")?.ok_or(IdTokenError::Missing("iat"))?;
        let from = time(&claims, "nbf")?.unwrap_or(issued_at);
        if now >= expires.saturating_add(LEEWAY) {
            return Err(IdTokenError::Expired);
        }
        if now.saturating_add(LEEWAY) < issued_at.max(from) {
            return Err(IdTokenError::NotYet);
        }
        let subject = text(&claims, "sub")?.to_owned();
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT || !subject.is_ascii() {
            return Err(IdTokenError::Missing("sub"));
        }
        Ok(Claims { subject, all: claims })
    }
}

/// The token is for this client, and where it names who asked for it, that is this client. With more audiences it must name who asked.
fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), IdTokenError> {
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => {
            let texts: Option<_> = all.iter().map(Value::as_str).collect();
            texts.ok_or(IdTokenError::Missing("aud"))?
        }
        _ => return Err(IdTokenError::Missing("aud")),
    };
    if !audiences.contains(&client_id) {
        return Err(IdTokenError::Audience);
    }
    match claims.get("azp") {
        None if audiences.len() == 1 => Ok(()),
        Some(Value::String(party)) if party == client_id => Ok(()),
        _ => Err(IdTokenError::AuthorizedParty),
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, IdTokenError> {
    let claim = claims.get(name).and_then(Value::as_str);
    claim.ok_or(IdTokenError::Missing(name))
}

/// A time in seconds since 1970, with or without a fraction; `None` if the claim is absent.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, IdTokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a fraction of a second does not count, and a cast saturates"
            )]
            let seconds = number
                .as_i64()
                .or_else(|| number.as_f64().map(|seconds| seconds as i64));
            seconds.map(Some).ok_or(IdTokenError::Missing(name))
        }
        Some(_) => Err(IdTokenError::Missing(name)),
    }
}

fn bytes(part: &str) -> Result<Vec<u8>, IdTokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| IdTokenError::Malformed)
}

fn decoded<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, IdTokenError> {
    serde_json::from_slice(&bytes(part)?).map_err(|_| IdTokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!(
            "{}.{}.{}",
            part(header),
            part(claims),
            URL_SAFE_NO_PAD.encode("signature")
        )
    }

    fn claims(change: &Value) -> Value {
        let mut claims = json!({
            "iss": "https://id.example.org", "sub": "7", "aud": "lockstep", "nonce": "n",
            "exp": NOW + 300, "iat": NOW,
        });
        for (key, value) in change.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(key);
            } else {
                claims[key] = value.clone();
            }
        }
        claims
    }

    fn checked(change: &Value) -> Result<Claims, IdTokenError> {
        let token = token(&json!({"alg": "ES256"}), &claims(change));
        let expected = Expected {
            issuer: "https://id.example.org",
            client_id: "lockstep",
            nonce: "n",
            now: Timestamp::from_second(NOW).unwrap(),
        };
        Unverified::read(&token, &[Algorithm::Es256])?.claims(expected)
    }

    #[test]
    fn a_token_is_for_this_login_of_this_client_by_this_provider_now() {
        use IdTokenError::{Audience, AuthorizedParty, Expired, Issuer, Missing, Nonce, NotYet};
        let evil = "https://evil.example.org";
        for (change, expected) in [
            (json!({}), None),
            (json!({"aud": ["lockstep"]}), None),
            (json!({"aud": "lockstep", "azp": "lockstep"}), None),
            (json!({"aud": ["other", "lockstep"], "azp": "lockstep"}), None),
            (json!({"aud": ["other", "lockstep"]}), Some(AuthorizedParty)),
            (json!({"azp": "other"}), Some(AuthorizedParty)),
            (json!({"azp": 1}), Some(AuthorizedParty)),
            (json!({"aud": "other"}), Some(Audience)),
            (json!({"aud": "lockstep2"}), Some(Audience)),
            (json!({"aud": []}), Some(Audience)),
            (json!({"aud": ["lockstep", 1]}), Some(Missing("aud"))),
            (json!({"aud": null}), Some(Missing("aud"))),
            (json!({"iss": evil}), Some(Issuer(evil.to_owned()))),
            (
                json!({"iss": "https://id.example.org/"}),
                Some(Issuer("https://id.example.org/".to_owned())),
            ),
            (json!({"iss": null}), Some(Missing("iss"))),
            (json!({"nonce": "m"}), Some(Nonce)),
            (json!({"nonce": null}), Some(Missing("nonce"))),
            (json!({"exp": NOW - 59}), None),
            (json!({"exp": NOW - 60}), Some(Expired)),
            (json!({"exp": 1.5}), Some(Expired)),
            (json!({"exp": "2999-01-01"}), Some(Missing("exp"))),
            (json!({"exp": null}), Some(Missing("exp"))),
            (json!({"iat": NOW + 60}), None),
            (json!({"iat": NOW + 61}), Some(NotYet)),
            (json!({"iat": null}), Some(Missing("iat"))),
            (json!({"nbf": NOW + 60}), None),
            (json!({"nbf": NOW + 61}), Some(NotYet)),
            (json!({"nbf": "99999999999"}), Some(Missing("nbf"))),
            (json!({"sub": ""}), Some(Missing("sub"))),
            (json!({"sub": 7}), Some(Missing("sub"))),
            (json!({"sub": "x".repeat(256)}), Some(Missing("sub"))),
        ] {
            assert_eq!(checked(&change).err(), expected, "{change}");
        }
        assert_eq!(checked(&json!({})).unwrap().subject, "7");
    }

    #[test]
    fn only_configured_algorithms_are_read() {
        let algorithms = [Algorithm::Es256, Algorithm::Rs256];
        let read = |header: &Value| {
            let token = token(header, &claims(&json!({})));
            let read = Unverified::read(&token, &algorithms);
            read.map(|token| (token.algorithm, token.key.clone()))
        };
        let named = |name: &str| Err(IdTokenError::Algorithm(name.to_owned()));
        for (header, expected) in [
            (json!({"alg": "ES256"}), Ok((Algorithm::Es256, None))),
            (
                json!({"alg": "RS256", "kid": "a"}),
                Ok((Algorithm::Rs256, Some("a".to_owned()))),
            ),
            (json!({"alg": "none"}), named("none")),
            (json!({"alg": "HS256"}), named("HS256")),
            (json!({"alg": "ES384"}), named("ES384")),
            (
                json!({"alg": "ES256", "crit": ["b64"], "b64": false}),
                Err(IdTokenError::Critical),
            ),
            (json!({"kid": "a"}), Err(IdTokenError::Malformed)),
        ] {
            assert_eq!(read(&header), expected, "{header}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let whole = token(&json!({"alg": "ES256"}), &claims(&json!({})));
        let long = format!("{whole}{}", "A".repeat(LONGEST));
        let mut parts = whole.split('.');
        let (header, claims) = (parts.next().unwrap(), parts.next().unwrap());
        for token in [
            "",
            "..",
            "a.b",
            "a.b.c",
            header,
            &format!("{header}.{claims}"),
            &format!("{header}.{claims}.a.b.c"),
            &format!("{header}.{claims}.%%"),
            &format!("{header}.{}.c2ln", URL_SAFE_NO_PAD.encode("[]")),
            &long,
        ] {
            let read = Unverified::read(token, &[Algorithm::Es256]);
            assert_eq!(read.err(), Some(IdTokenError::Malformed), "{token:.60}");
        }
    }
}
