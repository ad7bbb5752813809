/// Why the bus cannot do something that waiting would not heal.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The address cannot be understood.
    #[error("broker address is not usable: {reason}")]
    Address {
        /// What is wrong with it; never the password.
        reason: String,
    },
    /// The broker refused user and password, or the virtual host.
    #[error(
        "the broker refused the connection: {reason}; check user, password and virtual host in broker.url"
    )]
    Refused {
        /// What the broker said.
        reason: String,
    },
    /// The broker's certificate is not trusted.
    #[error(
        "the broker's certificate is not trusted: {reason}; name its authority in broker.ca_file, and the host as in the certificate"
    )]
    Untrusted {
        /// What is wrong with it.
        reason: String,
    },
    /// An exchange or queue cannot be declared.
    #[error("cannot declare {object}: {reason}")]
    Declare {
        /// The object.
        object: String,
        /// What the broker said.
        reason: String,
    },
    /// The queue cannot be consumed.
    #[error("cannot consume {queue}: {reason}")]
    Consume {
        /// The queue.
        queue: String,
        /// What the broker said.
        reason: String,
    },
    /// Another process uses the same embedded bus.
    #[error(
        "the embedded bus in {folder} is in use by another process; one process owns it, name a broker to run several"
    )]
    InUse {
        /// The data folder.
        folder: String,
    },
    /// The file of the embedded bus cannot be used.
    #[error("the embedded bus cannot use its file: {reason}")]
    File {
        /// What SQLite or the operating system said.
        reason: String,
    },
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}

/// Why messages cannot be published, where waiting would not heal it.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The user may not publish there, or the exchange does not exist.
    #[error("the broker does not take messages for {exchange} with key {routing_key:?}: {reason}")]
    Denied {
        /// The exchange.
        exchange: String,
        /// The routing key.
        routing_key: String,
        /// What the broker said.
        reason: String,
    },
    /// The queue behind is full: try again later.
    #[error("{exchange} refused {count} messages, its queue is full; try again later")]
    Full {
        /// The exchange.
        exchange: String,
        /// How many messages were refused.
        count: usize,
    },
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}
