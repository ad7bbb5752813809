//! The syntax of templates: tokens, the tree, and how it is parsed.

mod lexer;
mod parser;
pub(super) mod scopes;
pub(super) mod tree;

pub(super) use parser::parse;
