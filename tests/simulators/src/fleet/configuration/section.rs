use super::grammar;

/// The lines of a section, or of the whole device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    /// The lines after `!!`.
    pub(super) comment: Vec<String>,
    pub(super) entries: Vec<Entry>,
}

/// A line, with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(super) line: String,
    /// The bytes of the line that tell it from the others of its section.
    key: usize,
    /// The lines that follow a command such as `banner login`, with their last `EOF`.
    pub(super) text: Vec<String>,
    /// The section that the line opens.
    pub(super) section: Option<Section>,
}

impl Entry {
    fn new(line: &str) -> Self {
        Self {
            line: line.to_owned(),
            key: grammar::key(line),
            text: Vec::new(),
            section: None,
        }
    }

    fn key(&self) -> &str {
        &self.line[..self.key]
    }
}

impl Section {
    /// The section that the line opens, made if it does not exist.
    pub(super) fn open(&mut self, line: &str) -> &mut Self {
        let position = self.entries.iter().rposition(|entry| entry.line == line);
        let position = position.unwrap_or_else(|| {
            self.entries.push(Entry::new(line));
            self.entries.len() - 1
        });
        self.entries[position].section.get_or_insert_default()
    }

    /// The section at the end of a path of lines, made if it does not exist.
    pub(super) fn at(&mut self, path: &[String]) -> &mut Self {
        path.iter().fold(self, |section, line| section.open(line))
    }

    /// Adds a line, in the place of the one that it replaces.
    pub(super) fn set(&mut self, line: &str, text: Vec<String>) {
        let new = Entry {
            text,
            ..Entry::new(line)
        };
        match self.entries.iter_mut().rfind(|entry| entry.key() == new.key()) {
            Some(entry) => *entry = new,
            None => self.entries.push(new),
        }
    }

    /// Adds an entry with a number to a list. One without a number is the last.
    pub(super) fn set_numbered(&mut self, line: &str) {
        let (number, rest) = match numbered(line) {
            Some((number, rest)) => (Some(number), rest),
            None => (None, line),
        };
        let of = |entry: &Entry| numbered(&entry.line).map(|(number, _)| number);
        if let Some(number) = number {
            self.entries.retain(|entry| of(entry) != Some(number));
        } else if self
            .entries
            .iter()
            .any(|entry| numbered(&entry.line).is_some_and(|(_, old)| old == rest))
        {
            return;
        }
        let next = || {
            self.entries
                .iter()
                .filter_map(of)
                .max()
                .unwrap_or(0)
                .saturating_add(10)
        };
        let number = number.unwrap_or_else(next);
        self.entries.push(Entry::new(&format!("{number} {rest}")));
    }

    /// Removes the lines that begin with these words, and tells whether there were any.
    pub(super) fn remove(&mut self, words: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| !begins_with(&entry.line, words));
        self.entries.len() < before
    }

    /// Empties the section that the line opens.
    pub(super) fn clear(&mut self, line: &str) {
        *self.open(line) = Self::default();
    }
}

/// An entry that begins with a number.
pub(super) fn numbered(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = line.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

fn begins_with(line: &str, words: &str) -> bool {
    line.strip_prefix(words)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}
