use std::time::Duration;

/// One of the fixed retry delays. The message waits in a queue of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetryDelay {
    /// Five seconds.
    Seconds5,
    /// Thirty seconds.
    Seconds30,
    /// Two minutes.
    Minutes2,
    /// Ten minutes.
    Minutes10,
}

impl RetryDelay {
    /// Every retry delay, the shortest first.
    pub const ALL: &[Self] = &[Self::Seconds5, Self::Seconds30, Self::Minutes2, Self::Minutes10];

    /// How long a message waits.
    pub const fn delay(self) -> Duration {
        match self {
            Self::Seconds5 => Duration::from_secs(5),
            Self::Seconds30 => Duration::from_secs(30),
            Self::Minutes2 => Duration::from_mins(2),
            Self::Minutes10 => Duration::from_mins(10),
        }
    }

    /// The exchange of this delay, which is also the name of its queue.
    pub const fn exchange(self) -> &'static str {
        match self {
            Self::Seconds5 => "lockstep.delay.5s",
            Self::Seconds30 => "lockstep.delay.30s",
            Self::Minutes2 => "lockstep.delay.2m",
            Self::Minutes10 => "lockstep.delay.10m",
        }
    }
}
