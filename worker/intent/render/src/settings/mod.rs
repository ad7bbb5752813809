//! The settings of one device: which files apply, merged and filtered.
