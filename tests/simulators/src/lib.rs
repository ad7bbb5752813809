//! Simulated peers of Lockstep: what they answer is taken from their documentation and from captures, never from the code
//! that talks to them. This crate is a leaf and shares no types with it.
//!
//! [`cvp`] is Arista's CloudVision Portal, as far as a client needs it that lists, checks and cancels tasks.

pub mod cvp;
