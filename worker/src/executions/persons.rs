use std::collections::BTreeMap;

/// Which senders are the same person: names of tokens and of broker users. Whoever is not named is a person of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Persons(BTreeMap<String, String>);

impl FromIterator<(String, String)> for Persons {
    /// Takes pairs of a sender and its person.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Persons {
    /// The person that a sender is.
    pub(super) fn of<'a>(&'a self, sender: &'a str) -> &'a str {
        self.0.get(sender).map_or(sender, String::as_str)
    }

    /// Whether two senders are the same person.
    pub(super) fn are_same(&self, one: &str, other: &str) -> bool {
        self.of(one) == self.of(other)
    }
}
