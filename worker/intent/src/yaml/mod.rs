//! Reads YAML with the place of every value, and with limits on depth, on size after aliases, and on documents. Plain words have
//! their meaning in YAML 1.1, as in CNaaS NMS: `yes` is true.

mod load;
mod node;
mod scalar;
#[cfg(test)]
mod tests;
mod words;

pub use crate::place::Place;
pub use load::load;
pub use node::{KeyKind, Node, Number, Pair, Value};
pub use words::{AmbiguousWord, ambiguous_words};
