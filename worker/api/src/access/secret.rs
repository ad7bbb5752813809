use lockstep_store::SecretDigest;
use sha2::{Digest, Sha256};

/// What the secret of a stored token begins with, so that people and scanners know what it is.
pub(crate) const PREFIX: &str = "lockstep_";
/// The characters behind it: 256 bits in hexadecimal.
const CHARACTERS: usize = 64;
/// How many of them are kept, by which people find a token: 24 of 256 bits.
const SHOWN: usize = 6;

/// A new secret for a token.
pub(crate) fn new_token() -> String {
    format!("{PREFIX}{}", new_id())
}

/// 256 random bits, in hexadecimal.
pub(crate) fn new_id() -> String {
    let random: [u128; 2] = rand::random();
    format!("{:032x}{:032x}", random[0], random[1])
}

/// The digest of a secret, as it is stored.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// What is stored of the secret of a token.
pub(crate) fn stored(secret: &str) -> SecretDigest {
    SecretDigest {
        prefix: secret.chars().take(PREFIX.len() + SHOWN).collect(),
        digest: digest(secret),
    }
}

/// Whether a text has the form of the secret of a stored token. Others are not looked up.
pub(crate) fn is_token(text: &str) -> bool {
    text.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == CHARACTERS && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_what_it_is_and_little_of_itself_is_kept() {
        let (one, other) = (new_token(), new_token());
        assert_ne!(one, other);
        assert!(is_token(&one));
        let kept = stored(&one);
        assert_eq!(kept.prefix.len(), PREFIX.len() + SHOWN);
        assert!(one.starts_with(&kept.prefix));
        for text in [
            "",
            "lockstep_",
            "s3cret",
            &one[1..],
            &format!("{one}0"),
            &one.replace('_', "-"),
        ] {
            assert!(!is_token(text), "{text}");
        }
    }
}
