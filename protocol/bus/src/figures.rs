/// Statistics of a bus in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Whether the connection for consuming is open; `true` if there are no consumers.
    pub consuming: bool,
    /// The pool of confirm channels; `None` on a bus without channels.
    pub channels: Option<Channels>,
    /// How many replies went to the results because the reply queue was full, since the bus was opened.
    pub bypassed: u64,
}

/// The state of the pool of confirm channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// The maximum size of the pool.
    pub limit: usize,
    /// How many channels are open.
    pub open: usize,
    /// How many open channels are not in use.
    pub idle: usize,
    /// How many publishers wait for a channel.
    pub waiting: usize,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            consuming: true,
            channels: None,
            bypassed: 0,
        }
    }
}

/// Statistics of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// How many messages are ready for delivery.
    pub messages: u32,
    /// How many consumers the queue has.
    pub consumers: u32,
}
