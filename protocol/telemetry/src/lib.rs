#![doc = include_str!("../README.md")]
#![warn(missing_docs, missing_debug_implementations)]

pub mod cvp;
pub mod executions;
pub mod families;
mod family;
pub mod http;
mod sample;
mod scrape;
pub mod sources;
mod span;
pub mod store;
pub mod sync;
pub mod traces;
pub mod work;

pub use family::{Description, Family, Form};
pub use sample::{
    BrokerSample, DevicesSample, FleetSample, LaneSample, Pool, RepositorySample, Sample, Sampler,
    StoreSample,
};
pub use scrape::{Exposition, Scrape};
pub use span::{Span, within};
pub use work::{LaneMetrics, MessageOutcome, Tally};
