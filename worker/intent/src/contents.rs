use std::collections::HashMap;

use super::ObjectId;

/// The size of the largest file that is read, in bytes.
pub const MOST_BYTES: u64 = 10 * 1024 * 1024;

/// The content of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Bytes(Vec<u8>),
    /// It has so many bytes, more than [`MOST_BYTES`], and is not read.
    TooLarge(u64),
    /// The object is not in the repository. An old tree may well lack its contents.
    Missing,
}

/// The contents that the caller has read so far, by object.
#[derive(Clone, Debug, Default)]
pub struct Contents(HashMap<ObjectId, Content>);

impl Contents {
    /// Adds the content of an object. Content above [`MOST_BYTES`] is kept as its size alone.
    pub fn insert(&mut self, object: ObjectId, content: Content) {
        let content = match content {
            Content::Bytes(bytes) if bytes.len() as u64 > MOST_BYTES => Content::TooLarge(bytes.len() as u64),
            other => other,
        };
        self.0.insert(object, content);
    }

    /// The content of an object; `None` if it was not added.
    pub fn get(&self, object: &ObjectId) -> Option<&Content> {
        self.0.get(object)
    }
}
