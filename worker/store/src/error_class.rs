use super::StoreError;

/// The class of a driver error, common to both databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    Unavailable,
    Conflict,
    Refused,
}

impl ErrorClass {
    /// The store error of this class.
    pub(super) fn error(
        self,
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        let source = source.into();
        match self {
            Self::Unavailable => StoreError::Unavailable { operation, source },
            Self::Conflict => StoreError::Conflict { operation, source },
            Self::Refused => StoreError::Refused { operation, source },
        }
    }
}
