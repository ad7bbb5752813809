//! Counts the allocations of this process, if it is built with the feature `count-allocations`.

use serde::{Deserialize, Serialize};

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// A number of allocations, and the bytes that they asked for. A reallocation is one more, with the bytes by which it grows.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Allocations {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

impl Allocations {
    /// What this process allocated so far; `None` if it does not count.
    #[cfg(feature = "count-allocations")]
    pub(crate) fn now() -> Option<Self> {
        let stats = ALLOCATOR.stats();
        Some(Self {
            count: stats.allocations + stats.reallocations,
            bytes: stats.bytes_allocated,
        })
    }

    /// What this process allocated so far; `None` if it does not count.
    #[cfg(not(feature = "count-allocations"))]
    pub(crate) fn now() -> Option<Self> {
        None
    }

    /// What was allocated since an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            count: self.count - earlier.count,
            bytes: self.bytes - earlier.bytes,
        }
    }
}
