use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What the keys of Standard Webhooks begin with.
const SIGNING_KEY: &str = "whsec_";

/// Base64 as forges write it, with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The secrets that webhooks of one repository may be signed with: the new one and the old one, while they are changed.
/// Without any, nothing is authentic. Every comparison takes all secrets into account and a time that tells nothing.
#[derive(Clone, Default)]
pub struct Secrets(Vec<SecretString>);

impl FromIterator<SecretString> for Secrets {
    /// Empty ones are left out: everybody knows them.
    fn from_iter<I: IntoIterator<Item = SecretString>>(secrets: I) -> Self {
        let told = |secret: &SecretString| !secret.expose_secret().is_empty();
        Self(secrets.into_iter().filter(told).collect())
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
    /// Whether nothing can be authentic.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is the HMAC-SHA256 of the body in hexadecimal digits, under one of the secrets.
    pub(super) fn signed_hex(&self, signature: &str, body: &[u8]) -> bool {
        let Ok(signature) = hex::decode(signature) else {
            return false;
        };
        let codes = self
            .0
            .iter()
            .map(|secret| code(secret.expose_secret().as_bytes(), &[body]));
        any(codes.map(|code| code.ct_eq(&signature))).into()
    }

    /// Whether one of these signatures (`v1,BASE64`, with blanks between them) is that of the message under one of the
    /// keys, as Standard Webhooks has it.
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

    /// Whether this is one of the secrets. A signing key is none: it never travels.
    pub(super) fn holds(&self, token: &str) -> bool {
        let told = Sha256::digest(token);
        let known = self.0.iter().map(ExposeSecret::expose_secret);
        let known = known.filter(|secret| !secret.starts_with(SIGNING_KEY));
        any(known.map(|secret| Sha256::digest(secret).ct_eq(&told))).into()
    }
}

fn code(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("keys of HMAC have any length");
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Looks at all, whatever the first one says.
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
            "a signing key never travels"
        );
    }

    #[test]
    fn every_secret_counts_and_none_means_no() {
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
