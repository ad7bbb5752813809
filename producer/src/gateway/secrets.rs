use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};

/// The prefix of Standard Webhooks signing keys.
const SIGNING_KEY: &str = "whsec_";

/// Base64 with or without padding; forges differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The webhook secrets of a repository or a source. During a rotation there are two: the new and the old one. Without any, every webhook is
/// refused. Each comparison checks all secrets in constant time.
#[derive(Clone, Default)]
pub struct Secrets(Vec<SecretString>);

impl FromIterator<SecretString> for Secrets {
    /// Leaves out empty secrets, which would authenticate anyone.
    fn from_iter<I: IntoIterator<Item = SecretString>>(secrets: I) -> Self {
        let not_empty = |secret: &SecretString| !secret.expose_secret().is_empty();
        Self(secrets.into_iter().filter(not_empty).collect())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("count", &self.0.len())
            .finish_non_exhaustive()
    }
}

impl Secrets {
    /// Whether there are no secrets.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is the HMAC-SHA256 of the body with one of the secrets, in hexadecimal digits.
    pub(super) fn signed_hex(&self, signature: &str, body: &[u8]) -> bool {
        let mut sent = [0; 32];
        if hex::decode_to_slice(signature, &mut sent).is_err() {
            return false;
        }
        let codes = self
            .0
            .iter()
            .map(|secret| code(secret.expose_secret().as_bytes(), &[body]));
        any(codes.map(|code| code.ct_eq(&sent))).into()
    }

    /// Whether this is the HMAC-SHA512 of the body with one of the secrets, in hexadecimal digits.
    pub(super) fn signed_hex_sha512(&self, signature: &str, body: &[u8]) -> bool {
        let mut sent = [0; 64];
        if hex::decode_to_slice(signature, &mut sent).is_err() {
            return false;
        }
        let codes = self.0.iter().map(|secret| {
            let key = secret.expose_secret().as_bytes();
            let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC accepts keys of any length");
            mac.update(body);
            mac.finalize().into_bytes()
        });
        any(codes.map(|code| code.as_slice().ct_eq(&sent))).into()
    }

    /// Whether one of these Standard Webhooks signatures (`v1,BASE64`, separated by blanks) is valid for one of the keys.
    pub(super) fn signed_standard(&self, signatures: &str, id: &str, timestamp: &str, body: &[u8]) -> bool {
        let decode = |signature: &str| BASE64.decode(signature.strip_prefix("v1,")?).ok();
        let signatures: Vec<Vec<u8>> = signatures.split_ascii_whitespace().filter_map(decode).collect();
        let message = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        let key = |secret: &SecretString| {
            BASE64
                .decode(secret.expose_secret().strip_prefix(SIGNING_KEY)?)
                .ok()
        };
        let codes = self.0.iter().filter_map(key).filter(|key| !key.is_empty());
        any(codes.map(|key| {
            let code = code(&key, &message);
            any(signatures.iter().map(|signature| code.ct_eq(signature)))
        }))
        .into()
    }

    /// Whether this is one of the secrets. Signing keys do not match, since they are never sent.
    pub(super) fn holds(&self, token: &str) -> bool {
        let sent = Sha256::digest(token);
        let known = self.0.iter().map(ExposeSecret::expose_secret);
        let known = known.filter(|secret| !secret.starts_with(SIGNING_KEY));
        any(known.map(|secret| Sha256::digest(secret).ct_eq(&sent))).into()
    }
}

fn code(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC accepts keys of any length");
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Evaluates every choice, so that the duration does not depend on which one matches.
fn any(choices: impl Iterator<Item = Choice>) -> Choice {
    choices.fold(Choice::from(0), |all, one| all | one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(all: &[&str]) -> Secrets {
        all.iter().map(|secret| SecretString::from(*secret)).collect()
    }

    /// From GitHub's "Validating webhook deliveries".
    #[test]
    fn the_documented_vector_of_github_passes() {
        let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let ours = secrets(&["It's a Secret to Everybody"]);
        assert!(ours.signed_hex(signature, b"Hello, World!"));
        assert!(!ours.signed_hex(signature, b"Hello, World"));
    }

    /// From the specification of Standard Webhooks.
    #[test]
    fn the_documented_vector_of_standard_webhooks_passes() {
        let ours = secrets(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
        let (id, timestamp) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let body = br#"{"test": 2432232314}"#;
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert!(ours.signed_standard(signature, id, timestamp, body));
        let rotated = format!("v1,AAAA v2,xyz {signature}");
        assert!(ours.signed_standard(&rotated, id, timestamp, body));
        for (signature, id, timestamp) in [
            ("g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", id, timestamp),
            ("v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", id, timestamp),
            ("", id, timestamp),
            (signature, "msg_other", timestamp),
            (signature, id, "1614265331"),
        ] {
            assert!(
                !ours.signed_standard(signature, id, timestamp, body),
                "{signature} {id} {timestamp}"
            );
        }
        assert!(
            !ours.holds("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            "a signing key is not a token"
        );
    }

    #[test]
    fn every_secret_is_accepted_and_without_secrets_nothing_is() {
        let both = secrets(&["new", "old"]);
        for secret in ["new", "old"] {
            let signature = hex::encode(code(secret.as_bytes(), &[b"body"]));
            assert!(both.signed_hex(&signature, b"body"), "{secret}");
            assert!(both.signed_hex(&signature.to_uppercase(), b"body"), "{secret}");
            assert!(both.holds(secret), "{secret}");
            assert!(!secrets(&["newer"]).signed_hex(&signature, b"body"), "{secret}");
            assert!(!secrets(&["newer"]).holds(secret), "{secret}");
        }
        let empty = secrets(&["", ""]);
        assert!(empty.is_empty() && !empty.holds(""));
        assert!(!empty.signed_hex(&hex::encode(code(b"", &[b"body"])), b"body"));
        assert!(!both.signed_hex("", b"body") && !both.signed_hex("no hex", b"body") && !both.holds("ne"));
        assert!(!secrets(&["whsec_"]).signed_standard("v1,AAAA", "1", "1", b"body"));
        assert!(!format!("{both:?}").contains("old"));
    }
}
