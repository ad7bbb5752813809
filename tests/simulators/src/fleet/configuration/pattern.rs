/// Words of a command. `*` is any one word, and `**` at the end any words or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether it matches the whole command.
    pub(crate) fn is_match(&self, command: &str) -> bool {
        match self.0.strip_suffix("**") {
            Some(begin) if begin.trim().is_empty() => true,
            Some(begin) => beginning(begin.trim_end(), command).is_some(),
            None => beginning(&self.0, command.trim_end()).is_some_and(|end| end == command.trim_end().len()),
        }
    }
}

/// The number of bytes of the line that the pattern matches, if the line begins with its words.
pub(super) fn beginning(pattern: &str, line: &str) -> Option<usize> {
    // Most patterns of a table have another first character.
    if pattern.as_bytes().first() != line.as_bytes().first() && !pattern.starts_with('*') {
        return None;
    }
    let mut end = 0;
    for expected in pattern.split(' ') {
        let rest = line[end..].trim_start();
        let word = rest.split(' ').next().filter(|word| !word.is_empty())?;
        if expected != "*" && expected != word {
            return None;
        }
        end = line.len() - rest.len() + word.len();
    }
    Some(end)
}

/// Whether the line begins with the words of one of the patterns.
pub(super) fn begins_with_any(patterns: &[&str], line: &str) -> bool {
    patterns.iter().any(|pattern| beginning(pattern, line).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_words() {
        let table = [
            ("commit", "commit", true),
            ("commit", "commit timer 00:01:00", false),
            ("commit timer *", "commit timer 00:01:00", true),
            ("configure session * commit", "configure session x commit", true),
            ("configure session * commit", "configure session x abort", false),
            (
                "configure session * **",
                "configure session x commit timer 00:01:00",
                true,
            ),
            ("configure session **", "configure session", true),
            ("show", "showroom", false),
            ("* x", "y x", true),
            ("**", "anything at all", true),
        ];
        for (pattern, command, expected) in table {
            assert_eq!(
                Pattern::new(pattern).is_match(command),
                expected,
                "{pattern}: {command}"
            );
        }
    }

    #[test]
    fn the_beginning_ends_after_a_word() {
        assert_eq!(
            beginning("neighbor * remote-as", "neighbor 10.0.0.1 remote-as 65001"),
            Some(27)
        );
        assert_eq!(beginning("hostname", "hostnames"), None);
        assert_eq!(beginning("ip address", "ip"), None);
    }
}
