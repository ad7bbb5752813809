use std::borrow::Cow;
use std::fmt::Write as _;

/// The bytes as text. Each byte that is not UTF-8 becomes `\xNN`, with `escape` as its backslash: two of them inside JSON.
pub(crate) fn visible<'bytes>(bytes: &'bytes [u8], escape: &str) -> Cow<'bytes, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{escape}x{byte:02x}");
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_shown() {
        let table: [(&[u8], &str); 5] = [
            (b"", ""),
            ("café".as_bytes(), "café"),
            (b"caf\xe9", "caf\\xe9"),
            (b"\xff\xfe.", "\\xff\\xfe."),
            // The beginning of a character of three bytes.
            (b"\xe2\x82", "\\xe2\\x82"),
        ];
        for (bytes, text) in table {
            assert_eq!(visible(bytes, "\\"), text);
        }
    }

    #[test]
    fn json_stays_json() {
        let text = visible(b"{\"output\": \"caf\xe9\"}", "\\\\");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["output"], "caf\\xe9");
    }
}
