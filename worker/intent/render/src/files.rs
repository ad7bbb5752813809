use std::collections::BTreeMap;
use std::sync::Arc;

/// The text files of one commit of a repository, by their paths from its root. Files that are no UTF-8 are not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Arc<str>>);

impl Files {
    /// The text of a file.
    pub fn get(&self, path: &str) -> Option<&Arc<str>> {
        self.0.get(path)
    }

    /// The paths and texts of the files in a folder and below it, ordered by path.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a Arc<str>)> {
        let files = self.0.iter().map(|(path, text)| (path.as_str(), text));
        files.filter(move |(path, _)| {
            let rest = path.strip_prefix(folder);
            rest.is_some_and(|rest| folder.is_empty() || rest.starts_with('/'))
        })
    }

    /// All bytes of all files.
    pub fn bytes(&self) -> usize {
        self.0.values().map(|text| text.len()).sum()
    }
}

impl FromIterator<(String, Arc<str>)> for Files {
    fn from_iter<I: IntoIterator<Item = (String, Arc<str>)>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}
