use std::fmt;
use std::str::FromStr;

use ring::signature::{self, RsaParameters, VerificationAlgorithm};

/// An algorithm that signs ID tokens with a private key. The name is that of RFC 7518 and RFC 8037. `none` and those with a shared secret
/// do not exist here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA PKCS #1 with SHA-256.
    Rs256,
    /// RSA PKCS #1 with SHA-384.
    Rs384,
    /// RSA PKCS #1 with SHA-512.
    Rs512,
    /// RSA PSS with SHA-256.
    Ps256,
    /// RSA PSS with SHA-384.
    Ps384,
    /// RSA PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// The text is not an algorithm that ID tokens may be signed with.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA; other algorithms sign with no key or a shared one"
)]
pub struct UnknownAlgorithm(String);

/// The kind of key that an algorithm needs, with what verifies its signatures.
pub(super) enum Verification {
    /// An RSA key of 2048 bits or more.
    Rsa(&'static RsaParameters),
    /// A point on this curve, each coordinate with so many bytes.
    Curve {
        name: &'static str,
        bytes: usize,
        algorithm: &'static dyn VerificationAlgorithm,
    },
    /// A key of Ed25519.
    Edwards(&'static dyn VerificationAlgorithm),
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: &[Self] = &[
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// The name in the header of a token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    pub(super) fn verification(self) -> Verification {
        match self {
            Self::Rs256 => Verification::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Verification::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Verification::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Verification::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Verification::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Verification::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Self::Es256 => Verification::Curve {
                name: "P-256",
                bytes: 32,
                algorithm: &signature::ECDSA_P256_SHA256_FIXED,
            },
            Self::Es384 => Verification::Curve {
                name: "P-384",
                bytes: 48,
                algorithm: &signature::ECDSA_P384_SHA384_FIXED,
            },
            Self::EdDsa => Verification::Edwards(&signature::ED25519),
        }
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        let named = |algorithm: &&Self| algorithm.as_str() == text;
        let algorithm = Self::ALL.iter().find(named);
        algorithm
            .copied()
            .ok_or_else(|| UnknownAlgorithm(text.to_owned()))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_written_as_it_is_read_and_none_has_a_shared_key() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(*algorithm));
        }
        for text in ["none", "None", "HS256", "HS512", "rs256", "", "RS1"] {
            assert!(text.parse::<Algorithm>().is_err(), "{text}");
        }
    }
}
