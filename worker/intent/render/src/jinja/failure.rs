//! Why a template cannot be parsed or rendered, and where.

use lockstep_protocol::SmolStr;

use super::TemplateError;

/// What is wrong, with the place once it is known.
#[derive(Clone, Debug)]
pub(super) struct Failure(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    reason: String,
    place: Option<(SmolStr, usize)>,
    chain: Vec<(SmolStr, usize)>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A template that is not there: what `ignore missing` ignores.
    Missing,
    Other,
}

/// A result inside of the engine.
pub(super) type Res<T> = Result<T, Failure>;

impl Failure {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            reason: reason.into(),
            place: None,
            chain: Vec::new(),
            kind: Kind::Other,
        }))
    }

    /// A template that is not there.
    pub(super) fn missing(reason: impl Into<String>) -> Self {
        let mut failure = Self::new(reason);
        failure.0.kind = Kind::Missing;
        failure
    }

    /// Says where, unless that is known more exactly.
    #[must_use]
    pub(super) fn at(mut self, template: &SmolStr, line: u32) -> Self {
        if self.0.place.is_none() {
            self.0.place = Some((template.clone(), line as usize));
        }
        self
    }

    /// Says in what it happened.
    #[must_use]
    pub(super) fn within(mut self, what: &str) -> Self {
        self.0.reason = format!("{what}: {}", self.0.reason);
        self
    }

    /// Says which template includes, imports, extends or calls the place, and in which line.
    #[must_use]
    pub(super) fn included_from(mut self, template: &SmolStr, line: u32) -> Self {
        // An endless recursion has a long chain: its innermost part says what happens.
        if self.0.place.is_some() && self.0.chain.len() < 20 {
            self.0.chain.push((template.clone(), line as usize));
        }
        self
    }

    /// Whether a template itself is not there, as opposed to what it includes.
    pub(super) fn is_missing(&self) -> bool {
        self.0.kind == Kind::Missing && self.0.place.is_none()
    }

    /// The error of a rendering of the entrypoint, with the paths in the repository.
    pub(super) fn into_error(self, entrypoint: &str, path: impl Fn(&str) -> String) -> TemplateError {
        let inner = *self.0;
        let (template, line) = match inner.place {
            Some((template, line)) => (path(&template), line),
            None => (path(entrypoint), 0),
        };
        let chain = inner.chain.into_iter();
        TemplateError {
            template,
            line,
            reason: inner.reason,
            chain: chain.map(|(template, line)| (path(&template), line)).collect(),
        }
    }
}

/// Fails with a formatted reason.
macro_rules! fail {
    ($($text:tt)*) => { return Err($crate::jinja::failure::Failure::new(format!($($text)*))) };
}
pub(super) use fail;
