use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::process::Process;
use crate::text::Secrets;
use crate::{Description, DescriptionError, ProcessError};

/// How long a program may take to describe itself.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(20);
/// The variables that a program has if the configuration does not set them.
const VARIABLES: [(&str, &str); 2] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("LANG", "C.UTF-8"),
];

/// A program that is an external provider, and what it may use.
#[derive(Clone)]
pub struct Program {
    /// The executable, with an absolute path, and its arguments. `run` or `describe` is added to them. No shell reads it.
    pub command: Vec<String>,
    /// Variables of its environment beside `PATH`, `LANG`, `HOME` and `TMPDIR`.
    pub environment: BTreeMap<String, EnvironmentValue>,
    /// What bounds it.
    pub limits: ProgramLimits,
    /// The executable that is started between worker and program, whose `main` calls [`supervise_if_asked`](crate::supervise_if_asked): that of
    /// the worker itself, `/proc/self/exe`.
    pub supervisor: PathBuf,
    /// Where the folders are made in which it runs.
    pub temporary: PathBuf,
}

/// The value of a variable.
#[derive(Clone, Debug)]
pub enum EnvironmentValue {
    /// A fixed one.
    Fixed(SecretString),
    /// The content of a file, without white space at its end. It is read each time that the program is started.
    File(PathBuf),
}

/// What bounds one run of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramLimits {
    /// How long it may run.
    pub timeout: Duration,
    /// The most bytes of memory of all its processes together.
    pub memory: u64,
    /// The most bytes that it may write, to its standard output and to its error output each.
    pub output: u64,
    /// The most processes at once.
    pub processes: u32,
    /// How long it may take to end when it is told to, before it is killed.
    pub grace: Duration,
}

impl Default for ProgramLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(2),
            memory: 512 * 1024 * 1024,
            output: 8 * 1024 * 1024,
            processes: 32,
            grace: Duration::from_secs(2),
        }
    }
}

/// Why a worker cannot run a program. It says what to do.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// The command is empty or has no absolute path.
    #[error("{0:?} is no absolute path; write the whole path of the executable, which no shell looks for")]
    NotAbsolute(String),
    /// The executable is not there, or may not be executed.
    #[error("{} cannot be executed: {reason}; install it, or correct the command", .path.display())]
    NotExecutable {
        /// The executable.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It did not answer `describe`.
    #[error("`describe` failed")]
    Describe(#[source] ProcessError),
    /// Its answer is no description.
    #[error("what `describe` prints is not a description")]
    Description(#[source] DescriptionError),
    /// Its answer is not the description that consoles and workers know.
    #[error(
        "the program describes itself otherwise than its description file ({0}); write the file again with `lockstep providers describe`"
    )]
    Changed(String),
}

impl Program {
    /// A program with the usual limits.
    pub fn new(command: Vec<String>) -> Self {
        Self {
            command,
            environment: BTreeMap::new(),
            limits: ProgramLimits::default(),
            supervisor: "/proc/self/exe".into(),
            temporary: std::env::temp_dir(),
        }
    }

    /// Looks whether the executable is there, without starting it.
    ///
    /// # Errors
    /// It is not, with what to do.
    pub fn check(&self) -> Result<(), ProgramError> {
        let program = self.command.first().map_or("", String::as_str);
        let path = Path::new(program);
        if !path.is_absolute() {
            return Err(ProgramError::NotAbsolute(program.to_owned()));
        }
        let not_executable = |reason: String| ProgramError::NotExecutable {
            path: path.to_owned(),
            reason,
        };
        let metadata = path
            .metadata()
            .map_err(|error| not_executable(error.to_string()))?;
        if !metadata.is_file() {
            return Err(not_executable("it is no file".to_owned()));
        }
        access(path, Access::EXEC_OK).map_err(|error| not_executable(error.to_string()))
    }

    /// Asks the program what it is.
    ///
    /// # Errors
    /// It cannot be run, or answers something else.
    pub async fn describe(&self) -> Result<Description, ProgramError> {
        self.check()?;
        let mut program = self.clone();
        program.limits.timeout = program.limits.timeout.min(DESCRIBE_TIMEOUT);
        let secrets = Secrets::default();
        let process = Process::start(&program, "describe", secrets).map_err(ProgramError::Describe)?;
        let text = process.output().await.map_err(ProgramError::Describe)?;
        Description::read(&text).map_err(ProgramError::Description)
    }

    /// Looks whether the program is there, and describes itself as expected.
    ///
    /// # Errors
    /// It is not, or does not, with what to do.
    pub async fn verify(&self, expected: &Description) -> Result<(), ProgramError> {
        let found = self.describe().await?;
        match difference(expected, &found) {
            None => Ok(()),
            Some(names) => Err(ProgramError::Changed(names)),
        }
    }

    /// The environment of the program, and which of its values are secrets.
    pub(crate) fn variables(&self) -> std::io::Result<(BTreeMap<String, String>, Vec<SecretString>)> {
        let usual = VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut variables = BTreeMap::from(usual);
        let mut secrets = Vec::new();
        for (name, value) in &self.environment {
            let value = match value {
                EnvironmentValue::Fixed(value) => value.expose_secret().to_owned(),
                EnvironmentValue::File(path) => {
                    let text = std::fs::read_to_string(path).map_err(|error| {
                        std::io::Error::other(format!("{} cannot be read: {error}", path.display()))
                    })?;
                    let secret = text.trim_end().to_owned();
                    secrets.push(secret.clone().into());
                    secret
                }
            };
            variables.insert(name.clone(), value);
        }
        Ok((variables, secrets))
    }
}

impl fmt::Debug for Program {
    /// Names variables, without their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("command", &self.command)
            .field("environment", &self.environment.keys())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The names of what differs between two descriptions.
fn difference(expected: &Description, found: &Description) -> Option<String> {
    let members = |description| match serde_json::to_value(description) {
        Ok(serde_json::Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    let (expected, found) = (members(expected), members(found));
    let differs =
        |(name, value): (&String, &serde_json::Value)| (found.get(name) != Some(value)).then(|| name.clone());
    let names: Vec<String> = expected.iter().filter_map(differs).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
