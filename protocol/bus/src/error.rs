/// An error of the bus that waiting does not fix.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The address is invalid.
    #[error("the broker address is invalid: {reason}")]
    Address {
        /// What is wrong with it; never contains the password.
        reason: String,
    },
    /// The broker refused user and password, or the virtual host.
    #[error(
        "the broker refused the connection: {reason}; check user, password and virtual host in broker.url"
    )]
    Refused {
        /// The broker's error text.
        reason: String,
    },
    /// The broker's certificate is not trusted.
    #[error(
        "the broker's certificate is not trusted: {reason}; set broker.ca_file to its authority, and use the host name of the certificate"
    )]
    Untrusted {
        /// Why the certificate is not trusted.
        reason: String,
    },
    /// An exchange or queue cannot be declared.
    #[error("cannot declare {object}: {reason}")]
    Declare {
        /// The kind and name of the object.
        object: String,
        /// The broker's error text.
        reason: String,
    },
    /// The queue cannot be consumed.
    #[error("cannot consume {queue}: {reason}")]
    Consume {
        /// The name of the queue.
        queue: String,
        /// The broker's error text.
        reason: String,
    },
    /// Another process uses the same embedded bus.
    #[error(
        "the embedded bus in {folder} is in use by another process; stop that process, or set broker.url to run several processes"
    )]
    InUse {
        /// The data folder.
        folder: String,
    },
    /// The file of the embedded bus cannot be used.
    #[error("the embedded bus cannot use its file: {reason}")]
    File {
        /// The error of SQLite or the operating system.
        reason: String,
    },
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}

/// Why messages cannot be published. Waiting for the broker does not fix these errors.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The user may not publish to the exchange, or the exchange does not exist.
    #[error("the broker refuses messages to {exchange} with routing key {routing_key:?}: {reason}")]
    Denied {
        /// The name of the exchange.
        exchange: String,
        /// The routing key of the message.
        routing_key: String,
        /// The broker's error text.
        reason: String,
    },
    /// A message is too large: no message of this size or a larger one can be published.
    #[error(
        "a message of {size} bytes to {exchange} with routing key {routing_key:?} is too large: {reason}"
    )]
    TooLarge {
        /// The size of its body.
        size: usize,
        /// The name of the exchange.
        exchange: String,
        /// The routing key of the message.
        routing_key: String,
        /// The broker's error text, or our own bound.
        reason: String,
    },
    /// The queue is full. Publishing again later may succeed.
    #[error("{exchange} refused {count} messages because the queue is full; publish them again later")]
    Full {
        /// The name of the exchange.
        exchange: String,
        /// How many messages the broker refused.
        count: usize,
    },
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}
