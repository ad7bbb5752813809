//! Bodies of internal messages, which only workers send to one another. They travel through the exchange `lockstep.work`
//! and are no part of the public schemas. A worker that does not know the type of an internal message postpones it, so that
//! workers of two versions can run side by side.

mod cvp;
mod element;
mod repository;

pub use cvp::{CvpElementQueued, CvpLookDue};
pub use element::ElementQueued;
pub use repository::RepositoryTipMoved;
