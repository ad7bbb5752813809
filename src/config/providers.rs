use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lockstep_external::{EnvironmentValue, Program, ProgramLimits};

use super::problem::Origin;
use super::reader::Reader;

const MIB: u64 = 1024 * 1024;
const KIB: u64 = 1024;
/// The longest value of a variable of a program.
const MAX_VALUE: usize = 16 * 1024;
/// The most variables of a program.
const MAX_VARIABLES: usize = 100;

/// Every `[providers.NAME]`, by the name of the provider.
pub(crate) type ExternalProviders = BTreeMap<String, ExternalConfig>;

/// `[providers.NAME]`: a program that is an external provider.
#[derive(Clone, Debug)]
pub(crate) struct ExternalConfig {
    /// The file with its description, which consoles and workers read.
    pub(crate) description: PathBuf,
    /// How it is started. `None`: this process does not run it.
    pub(crate) program: Option<Program>,
    /// Whether the program gets the login of its device.
    pub(crate) credentials: bool,
}

pub(super) fn external(reader: &mut Reader) -> ExternalProviders {
    let names = reader.sections("providers", "uptime");
    let provider = |name: String| ExternalConfig::of(reader, &name).map(|provider| (name, provider));
    names.into_iter().filter_map(provider).collect()
}

impl ExternalConfig {
    fn of(reader: &mut Reader, name: &str) -> Option<Self> {
        let section = format!("providers.{name}");
        let key = |key: &str| format!("{section}.{key}");
        let origin = reader.origin_within(&section);
        let description = reader.path(&key("description"));
        if description.is_none() {
            let reason = "is missing; set the file that `lockstep providers describe COMMAND` wrote";
            reader.problem(&key("description"), origin.as_ref(), reason);
        }
        let command_origin = reader.origin(&key("command"));
        let command: Vec<String> = reader.list(&key("command"), Vec::new());
        let environment = environment(reader, &section, origin.as_ref());
        let limits = limits(reader, &section);
        let credentials = reader.flag(&key("credentials"), false);
        let program = command.first().map(|first| {
            if !first.starts_with('/') {
                let reason =
                    format!("begins with {first:?}, must begin with the absolute path of an executable");
                reader.problem(&key("command"), command_origin.as_ref(), reason);
            }
            let mut program = Program::new(command.clone());
            program.environment = environment;
            program.limits = limits;
            program
        });
        Some(Self {
            description: description?,
            program,
            credentials,
        })
    }
}

fn limits(reader: &mut Reader, section: &str) -> ProgramLimits {
    let default = ProgramLimits::default();
    let key = |key: &str| format!("{section}.{key}");
    let bounds = Duration::from_secs(1)..=Duration::from_hours(24);
    let memory = reader.number(&key("memory_mib"), default.memory / MIB, 32..=65_536);
    let output = reader.number(&key("output_kib"), default.output / KIB, 1..=262_144);
    ProgramLimits {
        timeout: reader.duration(&key("timeout"), default.timeout, bounds, ""),
        memory: memory * MIB,
        output: output * KIB,
        processes: reader.number(&key("processes"), default.processes, 1..=4096),
        grace: default.grace,
    }
}

fn environment(
    reader: &mut Reader,
    section: &str,
    origin: Option<&Origin>,
) -> BTreeMap<String, EnvironmentValue> {
    let mut environment = BTreeMap::new();
    let fixed = format!("{section}.environment");
    for name in reader.named(&fixed, &[]) {
        let key = format!("{fixed}.{name}");
        let origin = reader.origin(&key);
        let value = reader.text(&key).filter(|value| fits(&name, value));
        if value.is_none() {
            let reason = format!(
                "must be a variable of letters, digits and _, with at most {MAX_VALUE} bytes and no NUL"
            );
            reader.problem(&key, origin.as_ref(), reason);
        }
        reader.show_named(&fixed, &name, &[]);
        environment.extend(value.map(|value| (name, EnvironmentValue::Fixed(value.into()))));
    }
    let files = format!("{section}.environment_files");
    for name in reader.named(&files, &[]) {
        let key = format!("{files}.{name}");
        let origin = reader.origin(&key);
        let path = reader.path(&key);
        reader.show_named(&files, &name, &[]);
        if !fits(&name, "") || environment.contains_key(&name) {
            let reason = "must be a variable of letters, digits and _ that environment does not set";
            reader.problem(&key, origin.as_ref(), reason);
        }
        environment.extend(path.map(|path| (name, EnvironmentValue::File(path))));
    }
    if environment.len() > MAX_VARIABLES {
        let reason =
            format!("has more than {MAX_VARIABLES} variables; give the program a file to read instead");
        reader.problem(&fixed, origin, reason);
    }
    environment
}

fn fits(name: &str, value: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.chars().all(is_name) && value.len() <= MAX_VALUE && !value.contains('\0')
}
