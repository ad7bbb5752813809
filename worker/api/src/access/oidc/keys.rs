use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::{Algorithm, Verification};

/// The most keys of a provider that count.
const MOST_KEYS: usize = 100;

/// The keys of a provider (RFC 7517).
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Vec<Key>);

/// The body of the provider's answer.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureError {
    /// No key has this name, or there is more than one key and the token names none.
    UnknownKey,
    /// The key did not sign this.
    Invalid,
}

impl Keys {
    /// Reads the keys of a provider. One that is of no use here is left out: a provider may have others.
    ///
    /// # Errors
    /// If it is not a set of keys.
    pub(super) fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        let set: KeySet = serde_json::from_slice(body)?;
        let keys = set.keys.into_iter().take(MOST_KEYS);
        Ok(Self(
            keys.filter_map(|key| serde_json::from_value(key).ok()).collect(),
        ))
    }

    /// Checks who signed a message.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        name: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let mut candidates = self
            .0
            .iter()
            .filter(|key| key.fits(algorithm) && (name.is_none() || key.kid.as_deref() == name));
        let (Some(key), None) = (candidates.next(), candidates.next()) else {
            return Err(SignatureError::UnknownKey);
        };
        let valid = key.signed(algorithm, message, signature).unwrap_or(false);
        if valid {
            Ok(())
        } else {
            Err(SignatureError::Invalid)
        }
    }
}

impl Key {
    fn fits(&self, algorithm: Algorithm) -> bool {
        let signs = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let same = self.alg.as_deref().is_none_or(|alg| alg == algorithm.as_str());
        let curve = self.crv.as_deref();
        let kind = match algorithm.verification() {
            Verification::Rsa(_) => self.kty == "RSA",
            Verification::Curve { name, .. } => self.kty == "EC" && curve == Some(name),
            Verification::Edwards(_) => self.kty == "OKP" && curve == Some("Ed25519"),
        };
        signs && same && kind
    }

    /// Whether the key signed a message; `None` for a key with an invalid part.
    fn signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Option<bool> {
        let result = match algorithm.verification() {
            Verification::Rsa(parameters) => {
                let (n, e) = (number(self.n.as_deref())?, number(self.e.as_deref())?);
                RsaPublicKeyComponents { n: &n, e: &e }.verify(parameters, message, signature)
            }
            Verification::Curve { bytes, algorithm, .. } => {
                let (x, y) = (part(self.x.as_deref())?, part(self.y.as_deref())?);
                if x.len() != bytes || y.len() != bytes {
                    return None;
                }
                // An uncompressed point.
                let point = [&[4], x.as_slice(), &y].concat();
                UnparsedPublicKey::new(algorithm, point).verify(message, signature)
            }
            Verification::Edwards(algorithm) => {
                let x = part(self.x.as_deref())?;
                UnparsedPublicKey::new(algorithm, x).verify(message, signature)
            }
        };
        Some(result.is_ok())
    }
}

fn part(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

/// A number without the zeros before it, which some providers write.
fn number(text: Option<&str>) -> Option<Vec<u8>> {
    let bytes = part(text)?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[first..].to_vec())
}
