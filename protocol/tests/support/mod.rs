//! Reads the golden files, for all tests.

use std::path::Path;

use serde_json::Value;

/// One golden file.
pub(crate) struct Golden {
    /// The file name without `.json`: a message type, optionally followed by a dot and the name of a variant.
    pub(crate) name: String,
    /// The content of the file.
    pub(crate) text: String,
}

impl Golden {
    /// The content as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("golden files are JSON")
    }
}

/// All golden files, sorted by name.
pub(crate) fn goldens() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut goldens: Vec<Golden> = std::fs::read_dir(&folder)
        .expect("the folder of golden files exists")
        .map(|entry| {
            let path = entry.expect("the folder can be listed").path();
            Golden {
                name: path
                    .file_stem()
                    .expect("files have names")
                    .to_string_lossy()
                    .into_owned(),
                text: std::fs::read_to_string(&path).expect("golden files are text"),
            }
        })
        .collect();
    goldens.sort_by(|one, other| one.name.cmp(&other.name));
    goldens
}
