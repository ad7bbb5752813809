use std::fmt::Write;

/// A path as readable text: control characters and bytes that are not UTF-8 are escaped.
pub fn display_path(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The parts of a path between slashes.
pub(super) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_control_characters_and_invalid_utf_8_are_escaped() {
        let table: [(&[u8], &str); 5] = [
            (b"devices/d1/base_system.yml", "devices/d1/base_system.yml"),
            ("devices/d1/räume 2.yml".as_bytes(), "devices/d1/räume 2.yml"),
            (b"devices/a\nb", "devices/a\\nb"),
            (b"devices/\xffx\xc3", "devices/\\xffx\\xc3"),
            (b"", ""),
        ];
        for (path, expected) in table {
            assert_eq!(display_path(path), expected);
        }
    }
}
