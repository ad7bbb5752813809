use lockstep_protocol::mask_urls;
use serde::Serialize;

/// An error of a command, as people and scripts read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// What happened.
    pub(crate) message: String,
    /// What programs match on: the code of the console's problem, or a word for the kind of error.
    pub(crate) code: String,
    /// The exit code of the process.
    pub(crate) exit_code: u8,
    /// The parts of a message that lists problems.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<String>,
    /// What to do next, where the message does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// An error with this code that ends the process with 1.
    pub(crate) fn new(code: &str, message: &str) -> Self {
        Self {
            message: mask_urls(message),
            code: code.to_owned(),
            exit_code: 1,
            details: Vec::new(),
            hint: None,
        }
    }
}
