use super::StoreError;

/// What an error of a driver means for the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    Unavailable,
    Conflict,
    Refused,
}

impl ErrorClass {
    /// The error of that meaning.
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
