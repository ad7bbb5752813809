//! Batched lanes in one process, on both databases: what batches are made of, what is taken ahead, in which order they end, duplicates,
//! and names that pass on.

mod controlled_bus;
mod counted_store;
mod duplicates;
mod names;
mod overlap;
mod pipeline;
mod rules;
mod scene;
