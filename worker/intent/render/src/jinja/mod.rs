//! Python's Jinja2 on top of minijinja.

use std::sync::Arc;

use minijinja::Value;
use thiserror::Error;

use crate::Files;

/// What an undefined variable is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undefined {
    /// It prints nothing; an attribute of it is an error.
    #[default]
    Lenient,
    /// It is an error.
    Strict,
}

/// The bounds of rendering one template with all that it includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The most instructions.
    pub fuel: u64,
    /// The most bytes of output.
    pub output: usize,
}

impl Default for Bounds {
    /// Fifty million instructions, 16 MiB.
    fn default() -> Self {
        Self {
            fuel: 50_000_000,
            output: 16 << 20,
        }
    }
}

/// A template cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{template}:{line}: {reason}{}", .chain.iter().map(|(template, line)| format!("\n  included from {template}:{line}")).collect::<String>())]
pub struct TemplateError {
    /// The path of the template in the repository.
    pub template: String,
    /// The line, from 1; 0 if it is not known.
    pub line: usize,
    /// What is wrong, and what to do.
    pub reason: String,
    /// The templates that include it, innermost first, with the lines.
    pub chain: Vec<(String, usize)>,
}

/// The templates of one platform at one commit. Each is parsed once, when it is first used.
#[derive(Debug)]
pub struct TemplateSet {
    #[expect(dead_code, reason = "the base of the work on rendering")]
    files: Arc<Files>,
}

impl TemplateSet {
    /// The templates below a folder, the folder of a platform.
    pub fn new(files: Arc<Files>, _folder: &str, _undefined: Undefined) -> Self {
        Self { files }
    }

    /// The text of a template, named by its path from the folder, with these variables.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn render(
        &self,
        entrypoint: &str,
        _variables: &Value,
        _bounds: Bounds,
    ) -> Result<String, TemplateError> {
        Err(TemplateError {
            template: entrypoint.to_owned(),
            line: 0,
            reason: "rendering is not there yet".to_owned(),
            chain: Vec::new(),
        })
    }
}
