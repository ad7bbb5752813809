use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::{Global, UsageError, output};
use crate::config::{CVP_ENVIRONMENT, ChangeControlsWord, Config, CvpConfig, Overrides, TaskDiffWord};
use crate::telemetry;

/// Which cluster, and how it is reached.
#[derive(Debug, Args)]
pub(super) struct Cluster {
    /// A cluster of the configuration, by its name [default: the one of `CVP_HOSTNAME`, else the only one there is]
    #[arg(long = "cluster", value_name = "NAME")]
    name: Option<String>,
    /// Certificates of the cluster's authority, in PEM [default: those of the operating system]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Do not verify certificates; anyone on the way can then read the password
    #[arg(long, conflicts_with = "ca_file")]
    insecure: bool,
    /// `required`, or `unavailable` where the release is too old for change controls (before 2021.2)
    #[arg(long, value_name = "WORD")]
    change_controls: Option<ChangeControlsWord>,
    /// `where-available`, `required`, or `unavailable` where the user may not read the differences of tasks
    #[arg(long, value_name = "WORD")]
    task_diff: Option<TaskDiffWord>,
    /// How many seconds old a task must be [default: 60]
    #[arg(long, value_name = "SECONDS")]
    min_age: Option<u32>,
}

impl Cluster {
    /// What is configured, with what flags say.
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
            output::note("warning: certificates are not verified; anyone on the way can read the password");
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
                    return Err(UsageError(format!("which cluster? --cluster is one of {names}")));
                }
            },
        };
        clusters.remove(&wanted).ok_or_else(|| {
            UsageError(if names.is_empty() {
                format!("no cluster is named {wanted:?}; there is no [cvp.{wanted}] in the configuration")
            } else {
                format!("no cluster is named {wanted:?}; there are {}", names.join(", "))
            })
        })
    }
}

const NONE: &str = "no CloudVision is named: set CVP_HOSTNAME with CVP_USERNAME and CVP_PASSWORD, or with CVP_TOKEN; or \
    configure [cvp.NAME]";
