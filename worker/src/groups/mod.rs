//! Connects the rules of groups, which `intent` matches with hostnames, with those that the store keeps.

mod by_rule;
mod matching;

pub use by_rule::RulesInUse;
pub(crate) use matching::{match_all, matches, stored};
