use std::collections::HashMap;

use super::{GitError, Mirror, unexpected};

impl Mirror {
    /// The sizes of files in bytes, by their object ids, so that a caller reads only what it has room for. Objects that the clone does
    /// not have are left out.
    ///
    /// # Errors
    /// See [`GitError`].
    pub async fn sizes(&self, objects: &[String]) -> Result<HashMap<String, u64>, GitError> {
        const CHECK: &str = "cat-file";
        let asked: String = objects.iter().flat_map(|object| [object, "\n"]).collect();
        let arguments = ["--batch-check=%(objectname) %(objecttype) %(objectsize)"];
        let sizes = self
            .git
            .output(CHECK, Some(&self.folder), None, arguments, asked.into_bytes());
        let sizes = String::from_utf8(sizes.await?).map_err(|error| unexpected(CHECK, error))?;
        let mut found = HashMap::with_capacity(objects.len());
        for line in sizes.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if let [object, "blob", size] = words[..] {
                let size = size.parse().map_err(|error| unexpected(CHECK, error))?;
                found.insert(object.to_owned(), size);
            }
        }
        Ok(found)
    }
}
