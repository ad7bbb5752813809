//! Tests the run cycle with a provider that records its calls, and a small engine that runs all stages in one process.

mod connection;
mod engine;
mod failures;
mod fleet;
mod journal;
mod order;
mod process_result;
mod processing;
mod random;
mod recorder;
mod stop;
mod templates;
