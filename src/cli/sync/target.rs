use clap::Args;
use lockstep_protocol::commands::SyncTargets;
use lockstep_protocol::{DeviceType, GroupName, Hostname};

use crate::cli::UsageError;

/// The devices that a sync is asked for.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Target")]
#[group(multiple = false)]
pub(super) struct Target {
    /// All devices
    #[arg(long)]
    all: bool,
    /// The device with this hostname
    #[arg(long, value_name = "HOST")]
    host: Option<Hostname>,
    /// The devices of this type, such as ACCESS
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<DeviceType>,
    /// The members of this group
    #[arg(long, value_parser = group)]
    group: Option<GroupName>,
}

impl Target {
    /// The target. `None` if none is given.
    pub(super) fn given(&self) -> Option<SyncTargets> {
        let host = self.host.clone().map(SyncTargets::Hostname);
        let device_type = self.device_type.clone().map(SyncTargets::DeviceType);
        let group = self.group.clone().map(SyncTargets::Group);
        let all = self.all.then_some(SyncTargets::All);
        all.or(host).or(device_type).or(group)
    }

    /// The target.
    ///
    /// # Errors
    /// None is given: nothing selected never means everything.
    pub(super) fn required(&self) -> Result<SyncTargets, UsageError> {
        self.given().ok_or_else(|| {
            UsageError("say which devices: --all, --host HOST, --type TYPE or --group GROUP".to_owned())
        })
    }
}

fn group(text: &str) -> Result<GroupName, String> {
    GroupName::try_from(text.to_owned()).map_err(|error| error.to_string())
}
