//! Defines the JSON bodies of the console's HTTP API, shared by the server and the command line.

mod dead_letter;
mod device;
mod message;
mod problem;
mod repository;

pub use dead_letter::{DeadLetterCounts, DeadLetterDetail, DeadLetterGroup, DeadLetterPage, DeadLetterView};
pub use device::{CauseView, DevicePage, DeviceView, MarkView};
pub use message::{Accepted, MessageView};
pub use problem::Problem;
pub use repository::{RepositoryList, RepositoryView};
