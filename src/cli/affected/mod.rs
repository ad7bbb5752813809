//! `lockstep affected`: what workers decide when a repository changes, offline.

mod change;
mod fleet;
mod git;
mod report;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use lockstep_intent::RepositoryKind;
use lockstep_protocol::DeviceType;

use self::fleet::Fleet;
use self::report::Report;
use super::{Global, UsageError, output};

/// Says which devices a change of settings or templates would un-synchronize, without a running system
///
/// The change is either a list of paths, or what two commits differ in; only the latter looks into the files, and says what is
/// wrong with them. Without an inventory the result names types, platforms, groups and hostnames.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep affected --repository settings --path access/base_system.yml --inventory fleet.yml
  lockstep affected --repository settings --git . --from origin/main --to HEAD --inventory fleet.yml --max-devices 50
  lockstep affected --repository templates --path eos/base.j2 --templates . --json

Exit codes: 0 done, 1 something is wrong in the repository, or more devices than --max-devices, 2 usage.")]
pub(super) struct Affected {
    /// What changes: settings or templates
    #[arg(long, value_name = "KIND")]
    repository: RepositoryKind,
    /// A path that changes; several may follow
    #[arg(
        long = "path",
        value_name = "PATH",
        num_args = 1..,
        required_unless_present = "git",
        conflicts_with = "git"
    )]
    paths: Vec<OsString>,
    /// The git repository with both commits
    #[arg(long, value_name = "DIR", requires = "from", requires = "to")]
    git: Option<PathBuf>,
    /// The commit the change starts from
    #[arg(long, value_name = "BASE", requires = "git")]
    from: Option<String>,
    /// The commit it leads to
    #[arg(long, value_name = "HEAD", requires = "git")]
    to: Option<String>,
    /// With --path: the folder of the templates, for their mapping.yml files
    #[arg(long, value_name = "DIR", conflicts_with = "git")]
    templates: Option<PathBuf>,
    /// With --path: the folder of the settings, for their global/groups.yml
    #[arg(long, value_name = "DIR", conflicts_with = "git")]
    settings: Option<PathBuf>,
    /// The devices: a YAML list, a Nornir inventory, or what `devices list --json` prints
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// The type of devices for which a Nornir inventory says none
    #[arg(long, value_name = "TYPE", requires = "inventory")]
    default_type: Option<DeviceType>,
    /// Exit with 1 where more devices than this would be un-synchronized
    #[arg(long, value_name = "N", requires = "inventory")]
    max_devices: Option<usize>,
}

impl Affected {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let fleet = self
            .inventory
            .as_deref()
            .map(|file| Fleet::read(file, self.default_type))
            .transpose()?;
        let judged = if let (Some(folder), Some(from), Some(to)) = (&self.git, &self.from, &self.to) {
            change::of_commits(self.repository, folder, from, to)?
        } else {
            let (settings, templates) = (self.settings.as_deref(), self.templates.as_deref());
            change::of_paths(self.repository, &self.paths, settings, templates)?
        };
        let report = match &judged {
            Ok(impact) => Report::of(impact, fleet.as_ref()),
            Err(problems) => Report::broken(problems),
        };
        if global.json {
            output::json(&report);
        } else {
            report.show(fleet.as_ref());
        }
        report.tell_problems();
        if judged.is_err() {
            output::complain("the repository is broken; this change would not be accepted");
            return Ok(ExitCode::FAILURE);
        }
        let count = report.devices.len();
        if let Some(most) = self.max_devices.filter(|most| count > *most) {
            let text = format!("{count} devices would be un-synchronized, --max-devices allows {most}");
            output::complain(&text);
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Paths have no NUL on any system; here they are bytes.
fn bytes(path: &OsString) -> Result<&[u8], UsageError> {
    let bytes = path.as_encoded_bytes();
    let bytes = bytes.strip_prefix(b"./").unwrap_or(bytes);
    if bytes.is_empty() || bytes.starts_with(b"/") {
        let text = format!(
            "{} is no path inside a repository; leave out the slash in front",
            path.display()
        );
        return Err(UsageError(text));
    }
    Ok(bytes)
}
