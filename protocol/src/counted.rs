/// A count with its noun in the right number: `1 device`, `2 devices`, `2 repositories`.
pub fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    match (count.try_into().unwrap_or(u64::MAX), noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        // The consonant before it makes the difference: keys, but repositories.
        (many, Some(stem)) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{many} {stem}ies"),
        (many, _) => format!("{many} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        for (noun, expected) in [
            ("device", ["0 devices", "1 device", "2 devices"]),
            (
                "dead letter",
                ["0 dead letters", "1 dead letter", "2 dead letters"],
            ),
            ("repository", ["0 repositories", "1 repository", "2 repositories"]),
            ("key", ["0 keys", "1 key", "2 keys"]),
        ] {
            assert_eq!([0_u64, 1, 2].map(|count| counted(count, noun)), expected);
        }
        assert_eq!(counted(1_usize, "task"), "1 task");
    }
}
