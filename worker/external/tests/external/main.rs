//! Runs external providers as real processes, with a real supervisor.

mod conversation;
mod examples;
mod faults;
mod published_schema;
mod python;
mod scene;
