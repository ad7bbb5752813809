//! Tests of all handlers together: the transition table row by row, the order of events, provisioning, and what changes nothing.

mod order;
mod provisioning;
mod table;
mod unchanged;
