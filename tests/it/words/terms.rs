//! The list of banned words, and whether a name has one of them.

use anyhow::{Context, Result, ensure};

/// A line of the list.
struct Term {
    banned: Vec<String>,
    instead: String,
    /// The words of each name in which a banned one is allowed.
    allowed: Vec<Vec<String>>,
}

pub(super) struct Terms(Vec<Term>);

impl Terms {
    pub(super) fn parse(list: &str) -> Result<Self> {
        let lines = list.lines().map(str::trim);
        let terms: Vec<Term> = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| Term::parse(line).with_context(|| format!("not a term: {line}")))
            .collect::<Result<_>>()?;
        ensure!(!terms.is_empty(), "the list is empty");
        Ok(Self(terms))
    }

    /// What is wrong with a name; `None` if nothing is. Entries with a capital count only where the name is declared.
    pub(super) fn check(&self, name: &str, declared: bool) -> Option<String> {
        let words = words(name);
        self.0.iter().find_map(|term| {
            let whole = declared && term.banned.iter().any(|banned| banned == name);
            (whole || term.is_in(&words)).then(|| format!("`{name}`: use the term \"{}\"", term.instead))
        })
    }
}

impl Term {
    fn parse(line: &str) -> Result<Self> {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [banned, instead, allowed] = columns[..] else {
            anyhow::bail!("{} columns instead of 3", columns.len());
        };
        ensure!(!banned.is_empty() && !instead.is_empty(), "an empty column");
        Ok(Self {
            banned: banned.split_whitespace().map(str::to_owned).collect(),
            instead: instead.to_owned(),
            allowed: allowed.split_whitespace().map(words).collect(),
        })
    }

    /// Whether one of the words is banned and no allowed name covers its place.
    fn is_in(&self, words: &[String]) -> bool {
        (0..words.len()).any(|place| {
            self.banned.contains(&words[place]) && !self.allowed.iter().any(|name| covers(name, words, place))
        })
    }
}

/// Whether a sequence of words occurs around a place.
fn covers(sequence: &[String], words: &[String], place: usize) -> bool {
    let starts = place.saturating_sub(sequence.len() - 1)..=place;
    starts
        .filter_map(|start| words.get(start..start + sequence.len()))
        .any(|part| part == sequence)
}

/// The words of a name in snake, kebab or camel case, or of a path, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in name.split(|c: char| !c.is_alphanumeric()) {
        let characters: Vec<char> = part.chars().collect();
        let mut word = String::new();
        for (place, character) in characters.iter().enumerate() {
            let before = place.checked_sub(1).map(|place| characters[place]);
            let after = characters.get(place + 1);
            // A capital begins a word after a lower-case letter or a digit, and as the last one of `HTTPServer`'s five.
            let begins = character.is_uppercase()
                && before.is_some_and(|before| {
                    !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase())
                });
            if begins {
                words.push(std::mem::take(&mut word));
            }
            word.extend(character.to_lowercase());
        }
        words.push(word);
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn names_are_split_into_words() {
    let table = [
        ("dead_letter", vec!["dead", "letter"]),
        ("DeadLetterState", vec!["dead", "letter", "state"]),
        ("MAX_LETTERS", vec!["max", "letters"]),
        ("HTTPServer2Go", vec!["http", "server2", "go"]),
        (
            "tests/it/dead-letters.rs",
            vec!["tests", "it", "dead", "letters", "rs"],
        ),
        ("_", vec![]),
    ];
    for (name, expected) in table {
        assert_eq!(words(name), expected, "{name}");
    }
}

#[test]
fn banned_words_are_found_and_allowed_names_are_not() -> Result<()> {
    let list = "# comment\n\nletter letters | dead letter | dead_letter dead_letters\nepoch | redrive count | unix_epoch\n\
        Rounds | periodic task |";
    let terms = Terms::parse(list)?;
    for bad in [
        "letter",
        "LETTERS",
        "LetterState",
        "letter_of_dead_letter",
        "a/letters.rs",
        "epoch_unix",
    ] {
        assert!(terms.check(bad, false).is_some(), "{bad}");
    }
    for good in [
        "dead_letters",
        "DeadLetterState",
        "DEAD_LETTER",
        "UNIX_EPOCH",
        "lettered",
        "unixepoch",
        "rounds",
    ] {
        assert_eq!(terms.check(good, true), None, "{good}");
    }
    let expected = "`Rounds`: use the term \"periodic task\"";
    assert_eq!(terms.check("Rounds", true).as_deref(), Some(expected));
    assert_eq!(terms.check("Rounds", false), None);
    for bad in ["", "letter | dead letter", " | dead letter |", "letter | |"] {
        assert!(Terms::parse(bad).is_err(), "{bad}");
    }
    Ok(())
}
