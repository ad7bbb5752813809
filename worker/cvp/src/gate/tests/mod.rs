//! The gate by tables: a row for every condition, every missing field and every disagreement.

mod case;
mod conditions;
mod fields;
mod policies;
mod prefilter;
