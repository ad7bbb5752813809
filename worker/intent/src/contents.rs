use std::collections::{BTreeSet, HashMap};

use super::ObjectId;
use super::bounds::{MOST_BYTES_AT_A_TIME, MOST_OBJECTS_AT_A_TIME, MOST_TOTAL_BYTES};
use super::cancellation::{Cancellation, Cancelled};

/// Reads the objects of a repository. The caller of an examination implements it, with git.
pub trait ReadObjects {
    /// Why objects cannot be read.
    type Error;

    /// The sizes of these objects in bytes. Objects that the repository does not have are left out.
    ///
    /// # Errors
    /// If the repository cannot be read.
    fn sizes(&mut self, objects: &[ObjectId]) -> Result<HashMap<ObjectId, u64>, Self::Error>;

    /// The contents of these objects, whose sizes were read before. Objects that the repository does not have are left out.
    ///
    /// # Errors
    /// If the repository cannot be read.
    fn contents(&mut self, objects: &[ObjectId]) -> Result<HashMap<ObjectId, Vec<u8>>, Self::Error>;
}

/// The content of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    /// It has so many bytes, more than may be read, and is not read.
    TooLarge(u64),
    /// What was read before is as much as an examination reads.
    TooMuch,
    /// The object is not in the repository. An old tree may well lack its contents.
    Missing,
}

/// Why an examination has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError<E> {
    /// The objects cannot be read.
    #[error("the repository cannot be read")]
    Read(#[source] E),
    /// The caller cancelled it.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Reads each object once, a few at a time, and no more than an examination may read.
pub(crate) struct ObjectReader<'a, R> {
    objects: &'a mut R,
    cancellation: &'a Cancellation<'a>,
    left: u64,
}

impl<'a, R: ReadObjects> ObjectReader<'a, R> {
    pub(crate) fn new(objects: &'a mut R, cancellation: &'a Cancellation<'a>) -> Self {
        Self {
            objects,
            cancellation,
            left: MOST_TOTAL_BYTES,
        }
    }

    /// Reads fewer bytes.
    pub(crate) fn within(self, most: u64) -> Self {
        Self { left: most, ..self }
    }

    /// Calls `found` with the content of each object, which is dropped afterwards. Objects of more than `most` bytes are not read.
    /// Ends early when `found` returns false.
    pub(crate) fn each(
        &mut self,
        objects: &BTreeSet<&ObjectId>,
        most: u64,
        found: &mut dyn FnMut(&ObjectId, Content) -> bool,
    ) -> Result<(), ExamineError<R::Error>> {
        let mut together = Vec::new();
        let mut bytes = 0;
        let all: Vec<ObjectId> = objects.iter().map(|object| (*object).clone()).collect();
        for some in all.chunks(MOST_OBJECTS_AT_A_TIME) {
            self.cancellation.check()?;
            let sizes = self.objects.sizes(some).map_err(ExamineError::Read)?;
            for object in some {
                let content = match sizes.get(object) {
                    None => Content::Missing,
                    Some(size) if *size > most => Content::TooLarge(*size),
                    Some(size) if *size > self.left => Content::TooMuch,
                    Some(size) => {
                        if bytes + size > MOST_BYTES_AT_A_TIME {
                            if !self.read(&mut together, found)? {
                                return Ok(());
                            }
                            bytes = 0;
                        }
                        self.left -= size;
                        bytes += size;
                        together.push(object.clone());
                        continue;
                    }
                };
                if !found(object, content) {
                    return Ok(());
                }
            }
            if !self.read(&mut together, found)? {
                return Ok(());
            }
            bytes = 0;
        }
        Ok(())
    }

    /// Reads these objects. Returns whether to go on.
    fn read(
        &mut self,
        objects: &mut Vec<ObjectId>,
        found: &mut dyn FnMut(&ObjectId, Content) -> bool,
    ) -> Result<bool, ExamineError<R::Error>> {
        let objects = std::mem::take(objects);
        if objects.is_empty() {
            return Ok(true);
        }
        let mut contents = self.objects.contents(&objects).map_err(ExamineError::Read)?;
        for object in &objects {
            self.cancellation.check()?;
            let content = contents.remove(object).map_or(Content::Missing, Content::Bytes);
            if !found(object, content) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
