//! Digests of texts.

use minijinja::Value;
use sha2::Digest as _;

/// The bytes of a value: its own, or those of its text.
pub(super) fn bytes(value: &Value) -> Vec<u8> {
    value
        .as_bytes()
        .map_or_else(|| value.to_string().into_bytes(), <[u8]>::to_vec)
}

/// The digest by an algorithm, in hexadecimal digits; nothing for an unknown algorithm.
pub(super) fn hexadecimal(algorithm: &str, data: &[u8]) -> Option<String> {
    Some(match algorithm.to_lowercase().as_str() {
        "md5" => hex::encode(md5::Md5::digest(data)),
        "sha1" => hex::encode(sha1::Sha1::digest(data)),
        "sha224" => hex::encode(sha2::Sha224::digest(data)),
        "sha256" => hex::encode(sha2::Sha256::digest(data)),
        "sha384" => hex::encode(sha2::Sha384::digest(data)),
        "sha512" => hex::encode(sha2::Sha512::digest(data)),
        _ => return None,
    })
}
