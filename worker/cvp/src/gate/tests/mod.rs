//! Tables for the gate: a row for each condition, each missing field and each disagreement.

mod case;
mod conditions;
mod fields;
mod policies;
mod prefilter;
