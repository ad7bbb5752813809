//! `lockstep affected`: computes offline which devices a change of a repository affects, with the rules of the workers.

mod change;
mod fleet;
mod git;
mod rendered;
mod report;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use lockstep_intent::RepositoryKind;
use lockstep_protocol::{DeviceType, Hostname, counted};

use self::fleet::Fleet;
use self::rendered::{Rendered, Sources};
use self::report::Report;
use super::render::inventory as inventory_of;
use super::{Global, UsageError, output};
use crate::config::{Config, Overrides};

/// List the devices that a change of settings or templates would make unsynchronized
///
/// Needs no running system, so it fits in the CI of a repository. The change is the difference between two commits (--git, --from,
/// --to), or a list of paths (--path). Only the former validates the files, and lists their problems. Without --inventory the result
/// is the affected device types, platforms, groups and hostnames. With --rendered it also renders the configurations of these devices
/// before and after the change, and says which differ. The device types that a site declares are read from the configuration
/// (`--config`).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep affected --repository settings --path access/base_system.yml --inventory fleet.yml
  lockstep affected --repository settings --git . --from origin/main --to HEAD \\
      --inventory fleet.yml --max-devices 50
  lockstep affected --repository templates --path eos/base.j2 --templates . --json
  lockstep affected --repository settings --git . --from origin/main --to HEAD \\
      --inventory fleet.yml --rendered --templates ../templates --diff sw1

Exit codes: 0 success, 1 the repository is invalid or more devices than --max-devices are affected, 2 wrong usage.")]
pub(super) struct Affected {
    /// Repository that changes: settings or templates
    #[arg(long, value_name = "KIND")]
    repository: RepositoryKind,
    /// Paths that change, relative to the root of the repository
    #[arg(
        long = "path",
        value_name = "PATH",
        num_args = 1..,
        required_unless_present = "git",
        conflicts_with = "git"
    )]
    paths: Vec<OsString>,
    /// Clone with both commits
    #[arg(long, value_name = "DIR", requires = "from", requires = "to")]
    git: Option<PathBuf>,
    /// Commit before the change
    #[arg(long, value_name = "BASE", requires = "git")]
    from: Option<String>,
    /// Commit after the change
    #[arg(long, value_name = "HEAD", requires = "git")]
    to: Option<String>,
    /// Folder of the templates: with --path, for their mapping.yml files; with --rendered, if the settings change
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
    /// Folder of the settings: with --path, for their global/groups.yml; with --rendered, if the templates change
    #[arg(long, value_name = "DIR")]
    settings: Option<PathBuf>,
    /// File with the devices: a YAML list, a Nornir inventory, or the output of `lockstep devices list --json`
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Type of devices without one in a Nornir inventory, such as ACCESS
    #[arg(long, value_name = "TYPE", requires = "inventory")]
    default_type: Option<DeviceType>,
    /// Exit with 1 if more devices than this would become unsynchronized
    #[arg(long, value_name = "N", requires = "inventory")]
    max_devices: Option<usize>,
    /// Render the affected devices before and after the change, and say which configurations differ
    #[arg(long, requires = "git", requires = "inventory")]
    rendered: bool,
    /// With --rendered: show how the configuration of this device differs, as a unified diff
    #[arg(long, value_name = "HOST", requires = "rendered")]
    diff: Option<Hostname>,
}

impl Affected {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let config = global.configuration(Overrides::default())?;
        self.check()?;
        let types = config.devices.types.clone();
        let fleet = self
            .inventory
            .as_deref()
            .map(|file| Fleet::read(file, self.default_type.clone(), &types))
            .transpose()?;
        let examined = if let (Some(folder), Some(from), Some(to)) = (&self.git, &self.from, &self.to) {
            change::of_commits(self.repository, folder, from, to, &types)?
        } else {
            let (settings, templates) = (self.settings.as_deref(), self.templates.as_deref());
            change::of_paths(self.repository, &self.paths, settings, templates, &types)?
        };
        let mut report = match &examined {
            Ok(impact) => Report::of(impact, fleet.as_ref(), &types),
            Err(problems) => Report::of_problems(problems),
        };
        if self.rendered && examined.is_ok() {
            report.rendered = Some(self.render(&report.devices, &config)?);
        }
        if global.json {
            output::json(&report);
        } else {
            report.show(fleet.as_ref());
        }
        report.show_problems();
        if examined.is_err() {
            output::error("the repository is invalid; workers would not accept this change");
            return Ok(ExitCode::FAILURE);
        }
        let count = report.devices.len();
        if let Some(most) = self.max_devices.filter(|most| count > *most) {
            let text = format!(
                "{} would become unsynchronized, --max-devices allows {most}",
                counted(count, "device")
            );
            output::error(&text);
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Affected {
    /// With --git, a folder of the other repository is for --rendered only.
    fn check(&self) -> Result<(), UsageError> {
        let (own, other) = match self.repository {
            RepositoryKind::Settings => (("--settings", &self.settings), ("--templates", &self.templates)),
            RepositoryKind::Templates => (("--templates", &self.templates), ("--settings", &self.settings)),
        };
        let problem = match (self.git.is_some(), self.rendered) {
            (true, _) if own.1.is_some() => {
                format!("{} cannot be used with --git, which has both commits", own.0)
            }
            (true, false) if other.1.is_some() => format!("with --git, {} is for --rendered", other.0),
            (true, true) if other.1.is_none() => {
                format!("--rendered needs {} DIR, the other repository", other.0)
            }
            _ => return Ok(()),
        };
        Err(UsageError(problem))
    }

    /// Renders the devices before and after the change.
    fn render(&self, devices: &[Hostname], config: &Config) -> anyhow::Result<Rendered> {
        let (Some(git), Some(from), Some(to), Some(inventory)) =
            (&self.git, &self.from, &self.to, &self.inventory)
        else {
            return Err(UsageError("--rendered needs --git, --from, --to and --inventory".to_owned()).into());
        };
        let other = match self.repository {
            RepositoryKind::Settings => &self.templates,
            RepositoryKind::Templates => &self.settings,
        };
        let other = other
            .as_deref()
            .context("the folder of the other repository is missing")?;
        let surroundings = inventory_of(inventory, self.default_type.clone(), &config.devices.types)?;
        let sources = Sources {
            kind: self.repository,
            git,
            other,
            config,
        };
        sources.compare(from, to, devices, &surroundings, self.diff.as_ref())
    }
}

/// A path inside a repository, as bytes.
fn bytes(path: &OsString) -> Result<&[u8], UsageError> {
    let bytes = path.as_encoded_bytes();
    let bytes = bytes.strip_prefix(b"./").unwrap_or(bytes);
    if bytes.is_empty() || bytes.starts_with(b"/") {
        let text = format!(
            "{} is not a path inside a repository; remove the slash at its start",
            path.display()
        );
        return Err(UsageError(text));
    }
    Ok(bytes)
}
