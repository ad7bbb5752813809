//! Keys, and the tokens that they sign.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use sha2::Sha256;

/// A key of RSA for simulated providers only, because making one takes long.
const RSA: &[u8] = include_bytes!("rsa.der");
/// Its name.
const RSA_NAME: &str = "rsa";

/// How a token is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signing {
    /// ES256, by the key that is published.
    #[default]
    Es256,
    /// RS256, by the key that is published.
    Rs256,
    /// Not at all.
    None,
    /// HS256, with the modulus of the published key of RSA as the secret.
    PublicKeyAsSecret,
    /// ES256, by a key that is not published under its name.
    UnknownKey,
    /// ES256, by another key that has the name of the published one.
    Forged,
}

/// The keys of a provider.
pub(super) struct Keys {
    /// How often the key changed.
    generation: u32,
    key: EcdsaKeyPair,
    other: EcdsaKeyPair,
    rsa: RsaKeyPair,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self {
            generation: 1,
            key: new_key(),
            other: new_key(),
            rsa: RsaKeyPair::from_pkcs8(RSA).expect("the file is a key"),
        }
    }

    /// Replaces the key: the former one is not published any more.
    pub(super) fn rotate(&mut self) {
        self.generation += 1;
        self.key = new_key();
    }

    fn name(&self) -> String {
        format!("ec-{}", self.generation)
    }

    fn rsa_public(&self) -> RsaPublicKeyComponents<Vec<u8>> {
        RsaPublicKeyComponents::from(self.rsa.public())
    }

    /// What is published.
    pub(super) fn published(&self) -> Value {
        // An uncompressed point: 4, x, y.
        let point = self.key.public_key().as_ref();
        let rsa = self.rsa_public();
        json!({"keys": [
            {"kty": "oct", "kid": "of-no-use", "k": "AAAA"},
            {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.name(),
             "x": encoded(&point[1..33]), "y": encoded(&point[33..])},
            {"kty": "RSA", "use": "sig", "kid": RSA_NAME,
             "n": encoded(&rsa.n),
             "e": encoded(&rsa.e)},
        ]})
    }

    /// A token with these claims.
    pub(super) fn signed(&self, claims: &Value, signing: Signing) -> String {
        let (algorithm, name) = match signing {
            Signing::Es256 | Signing::Forged => ("ES256", self.name()),
            Signing::UnknownKey => ("ES256", "unknown".to_owned()),
            Signing::Rs256 => ("RS256", RSA_NAME.to_owned()),
            Signing::None => ("none", self.name()),
            Signing::PublicKeyAsSecret => ("HS256", RSA_NAME.to_owned()),
        };
        let header = json!({"alg": algorithm, "kid": name, "typ": "JWT"});
        let text = format!(
            "{}.{}",
            encoded(header.to_string().as_bytes()),
            encoded(claims.to_string().as_bytes())
        );
        let signature = self.signature(text.as_bytes(), signing);
        format!("{text}.{}", encoded(&signature))
    }

    fn signature(&self, text: &[u8], signing: Signing) -> Vec<u8> {
        let random = SystemRandom::new();
        match signing {
            Signing::Es256 => by(&self.key, text, &random),
            Signing::UnknownKey | Signing::Forged => by(&self.other, text, &random),
            Signing::Rs256 => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
                    .expect("the key signs");
                signature
            }
            Signing::None => Vec::new(),
            Signing::PublicKeyAsSecret => {
                let secret = self.rsa_public().n;
                let mut tag = Hmac::<Sha256>::new_from_slice(&secret).expect("HMAC takes every key");
                tag.update(text);
                tag.finalize().into_bytes().to_vec()
            }
        }
    }
}

fn by(key: &EcdsaKeyPair, text: &[u8], random: &SystemRandom) -> Vec<u8> {
    let signature = key.sign(random, text).expect("the key signs");
    signature.as_ref().to_vec()
}

fn new_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("there is randomness");
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("it was just made")
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
