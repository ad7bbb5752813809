use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::{Global, UsageError, output};
use crate::config::{CVP_ENVIRONMENT, ChangeControlsWord, Config, CvpConfig, Overrides, TaskDiffWord};
use crate::{local_file, telemetry};

/// Options that choose a cluster and override its configuration.
#[derive(Debug, Default, Args)]
pub(super) struct Cluster {
    /// Name of a cluster in the configuration [default: that of `CVP_HOSTNAME`, else the only one]
    #[arg(long = "cluster", value_name = "NAME")]
    name: Option<String>,
    /// File with the certificates of the cluster's authority, in PEM [default: those of the operating system]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Do not verify certificates: anyone between this machine and the cluster can read the password
    #[arg(long, conflicts_with = "ca_file")]
    insecure: bool,
    /// `required`, or `unavailable` for releases without change controls (before 2021.2)
    #[arg(long, value_name = "WORD")]
    change_controls: Option<ChangeControlsWord>,
    /// `where-available`, `required`, or `unavailable` if the user may not read the configuration diffs of tasks
    #[arg(long, value_name = "WORD")]
    task_diff: Option<TaskDiffWord>,
    /// Minimum age of a task in seconds [default: 60]
    #[arg(long, value_name = "SECONDS")]
    min_age: Option<u32>,
}

impl Cluster {
    /// The configured cluster with this name, or the only one.
    pub(super) fn named(name: Option<String>) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// The configured cluster, with settings from flags.
    pub(super) fn configuration(&self, global: &Global) -> anyhow::Result<CvpConfig> {
        let overrides = Overrides {
            cvp_variables: self.name.is_none(),
            ..Overrides::default()
        };
        let config = global.configuration(overrides)?;
        if global.verbose > 0 {
            telemetry::logs(&config.log, global.verbose)?;
        }
        let mut cluster = self.choose(config)?;
        if let Some(file) = &self.ca_file {
            local_file::check(file)?;
            cluster.ca_file = Some(file.clone());
            cluster.insecure = false;
        }
        if self.insecure {
            cluster.ca_file = None;
            cluster.insecure = true;
        }
        let policy = &mut cluster.policy;
        policy.change_controls = self.change_controls.map_or(policy.change_controls, |word| word.0);
        policy.task_diff = self.task_diff.map_or(policy.task_diff, |word| word.0);
        policy.min_age = self
            .min_age
            .map_or(policy.min_age, |seconds| Duration::from_secs(seconds.into()));
        if cluster.insecure {
            output::note(
                "warning: certificates are not verified; anyone between this machine and the cluster can read the password",
            );
        }
        Ok(cluster)
    }

    fn choose(&self, config: Config) -> Result<CvpConfig, UsageError> {
        let mut clusters = config.cvp;
        let names: Vec<String> = clusters.keys().cloned().collect();
        let wanted = match &self.name {
            Some(name) => name.clone(),
            None if clusters.contains_key(CVP_ENVIRONMENT) => CVP_ENVIRONMENT.to_owned(),
            None => match names.as_slice() {
                [name] => name.clone(),
                [] => return Err(UsageError(NONE.to_owned())),
                names => {
                    let names = names.join(", ");
                    return Err(UsageError(format!(
                        "more than one cluster is configured; choose one with --cluster: {names}"
                    )));
                }
            },
        };
        clusters.remove(&wanted).ok_or_else(|| {
            UsageError(if names.is_empty() {
                format!("unknown cluster {wanted:?}; the configuration has no section [cvp.{wanted}]")
            } else {
                format!("unknown cluster {wanted:?}; expected one of {}", names.join(", "))
            })
        })
    }
}

const NONE: &str = "no CloudVision cluster is configured: set CVP_HOSTNAME with CVP_USERNAME and CVP_PASSWORD, or with CVP_TOKEN; or \
    add a section [cvp.NAME] to the configuration";
