/// How an error is treated. [`StoreError::retryability`](super::StoreError::retryability) decides it for errors of the store;
/// the code that creates another error decides it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retryability {
    /// The message did not cause the error: it waits, and no attempt is spent.
    Later,
    /// Another attempt may succeed: the message waits for its next retry delay, and is dead-lettered after the last one.
    Transient,
    /// No attempt can succeed: the message is dead-lettered.
    Permanent,
}
