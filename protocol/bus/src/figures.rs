/// How a bus is doing, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Whether what consumes has its connection; true where nothing consumes.
    pub consuming: bool,
    /// The channels on which messages are published and confirmed, where there are such.
    pub channels: Option<Channels>,
    /// How many answers went to the results because a reply queue was full, since the start.
    pub bypassed: u64,
}

/// How full a pool of channels is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// The most there may be.
    pub limit: usize,
    /// How many are open.
    pub open: usize,
    /// How many of them nobody uses.
    pub idle: usize,
    /// How many publishers wait for one.
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
