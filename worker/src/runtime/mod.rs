//! Moves messages.
