//! Batched lanes in one process, on both databases: what batches are made of, in which order they end, duplicates, and names that pass on.

mod controlled_bus;
mod counted_store;
mod duplicates;
mod names;
mod pipeline;
mod rules;
mod scene;
