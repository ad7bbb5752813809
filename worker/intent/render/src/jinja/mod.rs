//! Python's Jinja2: an engine of its own, which uses the values and the filters of minijinja at its border. minijinja differs from Jinja2
//! in what a filter or function from outside cannot change: the scopes of includes and imports, lists that change, macros with `varargs`.

mod builtins;
mod convert;
mod failure;
mod format;
mod interpreter;
mod methods;
mod operators;
mod print;
mod syntax;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use minijinja::{Environment, Value};
use thiserror::Error;

use crate::Files;
use failure::{Failure, Res};
use interpreter::Run;
use syntax::tree::Template;

pub(crate) use format::round as round_float;
pub(crate) use print::float as float_repr;

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
    /// The most steps.
    pub fuel: u64,
    /// The most bytes of output, and of one text that a template makes.
    pub output: usize,
    /// The most bytes of all values that templates make, also of those that they no longer need.
    pub memory: usize,
}

impl Default for Bounds {
    /// Fifty million steps, 16 MiB of output, 256 MiB of values.
    fn default() -> Self {
        Self {
            fuel: 50_000_000,
            output: 16 << 20,
            memory: 256 << 20,
        }
    }
}

/// A template cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{template}:{line}: {reason}{}", includes(.chain))]
pub struct TemplateError {
    /// The path of the template in the repository.
    pub template: String,
    /// The line, from 1; 0 if it is not known.
    pub line: usize,
    /// What is wrong, and what to do.
    pub reason: String,
    /// The templates that include, extend or call it, innermost first, with the lines.
    pub chain: Vec<(String, usize)>,
}

fn includes(chain: &[(String, usize)]) -> String {
    chain.iter().fold(String::new(), |text, (template, line)| {
        text + &format!("\n  included from {template}:{line}")
    })
}

/// The templates of one platform at one commit. Each is parsed once, when it is first used.
pub struct TemplateSet {
    folder: String,
    undefined: Undefined,
    files: Arc<Files>,
    parsed: BTreeMap<String, Parsed>,
}

type Parsed = OnceLock<Result<Arc<Template>, Failure>>;

impl TemplateSet {
    /// The templates below a folder, the folder of a platform.
    pub fn new(files: Arc<Files>, folder: &str, undefined: Undefined) -> Self {
        let folder = folder.trim_matches('/');
        let paths = files
            .below(folder)
            .map(|(path, _)| path[folder.len()..].trim_start_matches('/'));
        Self {
            folder: folder.to_owned(),
            undefined,
            parsed: paths.map(|path| (path.to_owned(), Parsed::new())).collect(),
            files,
        }
    }

    /// The text of a template, named by its path from the folder, with these variables.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn render(
        &self,
        entrypoint: &str,
        variables: &Value,
        bounds: Bounds,
    ) -> Result<String, TemplateError> {
        let rendered = Run::new(self, variables, bounds).render(entrypoint);
        rendered.map_err(|failure| failure.into_error(entrypoint, |path| self.path(path)))
    }

    /// The path of a template in the repository.
    fn path(&self, template: &str) -> String {
        if self.folder.is_empty() {
            template.to_owned()
        } else {
            format!("{}/{template}", self.folder)
        }
    }

    /// The path from the folder of a template that another one names. It is relative to the one that names it.
    fn relative(&self, from: &str, name: &str) -> Res<String> {
        let base = if name.starts_with('/') {
            ""
        } else {
            from.rsplit_once('/').map_or("", |(folder, _)| folder)
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in base.split('/').chain(name.split('/')) {
            match part {
                "" | "." => {}
                ".." => {
                    if parts.pop().is_none() {
                        let folder = if self.folder.is_empty() { "." } else { &self.folder };
                        return Err(Failure::new(format!(
                            "the template `{name}` is outside of the folder `{folder}`, to which the templates of a platform are bound"
                        )));
                    }
                }
                part => parts.push(part),
            }
        }
        Ok(parts.join("/"))
    }

    /// A template by its path from the folder.
    fn template(&self, path: &str) -> Res<&Arc<Template>> {
        let in_repository = self.path(path);
        let found = self.parsed.get(path).zip(self.files.get(&in_repository));
        let Some((parsed, text)) = found else {
            return Err(Failure::missing(format!(
                "there is no template `{in_repository}`; names are relative to the template that names them"
            )));
        };
        let parsed = parsed.get_or_init(|| syntax::parse(&path.into(), text).map(Arc::new));
        parsed.as_ref().map_err(Clone::clone)
    }
}

impl fmt::Debug for TemplateSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = formatter.debug_struct("TemplateSet");
        set.field("folder", &self.folder)
            .field("undefined", &self.undefined);
        set.finish_non_exhaustive()
    }
}

/// The filters, tests and functions that Jinja2 does not have.
fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
        let mut environment = Environment::empty();
        crate::filters::add_to(&mut environment);
        environment
    });
    &ENVIRONMENT
}
