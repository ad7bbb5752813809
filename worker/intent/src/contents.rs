use std::collections::HashMap;

use super::ObjectId;

/// The most bytes of a file that is read. Nobody writes settings by the ten million bytes.
pub const MOST_BYTES: u64 = 10 * 1024 * 1024;

/// What is in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// More than [`MOST_BYTES`]; not read.
    TooLarge(u64),
    /// Nobody knows: it is not in the repository any more. That is no fault of an old tree.
    Missing,
}

/// What the caller has read so far, by object.
#[derive(Clone, Debug, Default)]
pub struct Contents(HashMap<ObjectId, Content>);

impl Contents {
    /// Keeps what is in an object. Bytes above the bound are dropped.
    pub fn insert(&mut self, object: ObjectId, content: Content) {
        let content = match content {
            Content::Bytes(bytes) if bytes.len() as u64 > MOST_BYTES => Content::TooLarge(bytes.len() as u64),
            other => other,
        };
        self.0.insert(object, content);
    }

    /// What is in an object, if it was read.
    pub fn get(&self, object: &ObjectId) -> Option<&Content> {
        self.0.get(object)
    }
}
