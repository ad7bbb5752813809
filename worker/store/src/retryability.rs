/// How an error is treated: decided once for each error, in [`StoreError::retryability`](super::StoreError::retryability) and
/// by whoever makes an error of another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retryability {
    /// The message is not to blame: it waits without an attempt spent.
    Later,
    /// Another attempt may succeed: the message waits for its next retry delay, and is dead-lettered after the last one.
    Transient,
    /// No attempt can succeed: the message is dead-lettered.
    Permanent,
}
