use std::fmt::Write;

/// A path for people: text as it is, control characters and bytes that are no UTF-8 escaped.
pub fn shown(path: &[u8]) -> String {
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
    fn paths_are_escaped_as_little_as_possible() {
        let table: [(&[u8], &str); 5] = [
            (b"devices/d1/base_system.yml", "devices/d1/base_system.yml"),
            ("devices/d1/räume 2.yml".as_bytes(), "devices/d1/räume 2.yml"),
            (b"devices/a\nb", "devices/a\\nb"),
            (b"devices/\xffx\xc3", "devices/\\xffx\\xc3"),
            (b"", ""),
        ];
        for (path, expected) in table {
            assert_eq!(shown(path), expected);
        }
    }
}
