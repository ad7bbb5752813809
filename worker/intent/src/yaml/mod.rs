//! YAML with the place of every value, and with bounds: on depth, on size after aliases, on documents. Plain words mean what
//! they mean in YAML 1.1, as CNaaS reads them: `yes` is true.

mod load;
mod node;
mod scalar;
#[cfg(test)]
mod tests;

pub(super) use load::load;
pub(super) use node::{Node, Pair, Place, Value};
