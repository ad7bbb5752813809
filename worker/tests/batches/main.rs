//! Batched lanes in one process, on both databases: what batches are made of, in which order they end, and duplicates.

mod controlled_bus;
mod counted_store;
mod duplicates;
mod pipeline;
mod rules;
mod scene;
