//! Batched lanes in one process, on both databases: what batches are made of, what is taken ahead, in which order they end, and
//! duplicates.

mod controlled_bus;
mod counted_store;
mod duplicates;
mod overlap;
mod pipeline;
mod rules;
mod scene;
