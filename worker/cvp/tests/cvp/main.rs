//! The CloudVision client and the sweep against the simulated CloudVision, which shares no types with them.

mod faults;
mod never_wrong;
mod nodes;
mod releases;
mod scene;
mod sessions;
mod sweeps;
