//! The configuration: read once, from `lockstep.toml`, then the environment, then flags. All problems are reported together.

mod address;
mod cvp;
mod devices;
mod duration;
mod executions;
mod gateway;
mod oidc;
mod problem;
mod providers;
mod reader;
mod render;
mod repositories;
mod rest;
mod sections;
mod source;
mod sources;
mod sync;
#[cfg(test)]
mod tests;
mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use address::{BrokerUrl, StoreUrl};
pub(crate) use cvp::{
    ChangeControlsWord, CvpClusters, CvpConfig, ENVIRONMENT as CVP_ENVIRONMENT, TaskDiffWord,
};
pub(crate) use devices::{DeviceCredentialsConfig, DevicesConfig, LoginConfig};
pub(crate) use duration::read as read_duration;
pub(crate) use executions::ExecutionsConfig;
pub(crate) use gateway::GatewayConfig;
pub(crate) use oidc::OidcConfig;
pub(crate) use problem::ConfigProblems;
pub(crate) use providers::{ExternalConfig, ExternalProviders};
pub(crate) use reader::LateSecret;
use reader::Reader;
pub(crate) use render::RenderConfig;
pub(crate) use repositories::{RepositoriesConfig, RepositoryConfig};
pub(crate) use rest::{RestConfig, RestCredentials, RestServices};
pub(crate) use sections::{
    BrokerConfig, ConsoleConfig, LogConfig, LogFormat, ReconcileConfig, RetentionConfig, StoreConfig,
    TelemetryConfig, WorkerConfig,
};
use source::Settings;
pub(crate) use sources::{SourceConfig, SourcePollConfig, SourcesConfig};
pub(crate) use sync::{Approval, SyncConfig};
pub(crate) use token::TokenConfig;

use crate::local_file::Origin;

/// A configuration file that explains every key.
pub(crate) const EXAMPLE: &str = include_str!("../../docker/lockstep.toml");

/// The configuration of a process.
#[derive(Debug)]
pub(crate) struct Config {
    /// The folder for embedded mode, for clones of repositories, and for what `lockstep up` writes for clients on this machine.
    pub(crate) data_dir: PathBuf,
    pub(crate) broker: BrokerConfig,
    pub(crate) store: StoreConfig,
    pub(crate) console: ConsoleConfig,
    pub(crate) gateway: GatewayConfig,
    pub(crate) worker: WorkerConfig,
    pub(crate) executions: ExecutionsConfig,
    pub(crate) devices: DevicesConfig,
    pub(crate) repositories: RepositoriesConfig,
    pub(crate) render: RenderConfig,
    pub(crate) reconcile: ReconcileConfig,
    pub(crate) retention: RetentionConfig,
    pub(crate) sync: SyncConfig,
    pub(crate) cvp: CvpClusters,
    pub(crate) providers: ExternalProviders,
    pub(crate) rest: RestServices,
    pub(crate) sources: SourcesConfig,
    pub(crate) log: LogConfig,
    pub(crate) telemetry: TelemetryConfig,
    /// The effective value of every key, with secrets masked.
    pub(crate) effective: serde_json::Value,
    /// What other users of the machine may do with its files, and what to do about it.
    pub(crate) warnings: Vec<String>,
}

/// Settings from command line flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) listen: Option<String>,
    /// With the name of its flag, which differs between commands.
    pub(crate) gateway_listen: Option<(&'static str, String)>,
    pub(crate) lanes: Option<String>,
    /// Whether `CVP_HOSTNAME` and the variables beside it configure a cluster.
    pub(crate) cvp_variables: bool,
}

impl Config {
    /// Reads the configuration of this process.
    ///
    /// # Errors
    /// All problems of the configuration.
    pub(crate) fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigProblems> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::read(source::file(file), &variables, overrides)
    }

    /// The defaults, with bus and store embedded in this folder and without any file or variable.
    ///
    /// # Errors
    /// None in practice.
    pub(crate) fn embedded(data_dir: &Path) -> Result<Self, ConfigProblems> {
        let overrides = Overrides {
            data_dir: Some(data_dir.to_owned()),
            listen: Some("127.0.0.1:0".to_owned()),
            gateway_listen: Some(("--gateway-listen", "127.0.0.1:0".to_owned())),
            ..Overrides::default()
        };
        Self::read(None, &BTreeMap::new(), overrides)
    }

    /// Reads this file, without variables and flags.
    ///
    /// # Errors
    /// All problems of the configuration.
    #[cfg(feature = "simulators")]
    pub(crate) fn alone(file: &Path) -> Result<Self, ConfigProblems> {
        let file = (file.to_owned(), Origin::Named);
        Self::read(Some(file), &BTreeMap::new(), Overrides::default())
    }

    /// Reads this text as a file, without variables and flags.
    #[cfg(test)]
    pub(crate) fn of_text(text: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let file = (file.path().to_owned(), Origin::Named);
        Self::read(Some(file), &BTreeMap::new(), Overrides::default()).unwrap()
    }

    fn read(
        file: Option<(PathBuf, Origin)>,
        variables: &BTreeMap<String, String>,
        overrides: Overrides,
    ) -> Result<Self, ConfigProblems> {
        let mut settings = Settings::default();
        if let Some((file, origin)) = file {
            settings.add_file(&file, origin);
        }
        for (name, key) in sections::OPENTELEMETRY_VARIABLES {
            settings.add_variable(variables, name, key);
        }
        settings.add_environment(variables);
        if overrides.cvp_variables && variables.contains_key("CVP_HOSTNAME") {
            for (name, key) in cvp::VARIABLES {
                settings.add_variable(variables, name, &format!("cvp.{CVP_ENVIRONMENT}.{key}"));
            }
        }
        let data_dir = overrides.data_dir.map(|path| path.to_string_lossy().into_owned());
        let (gateway_flag, gateway_listen) = overrides.gateway_listen.unzip();
        let gateway_flag = gateway_flag.unwrap_or("--gateway-listen");
        let flags = [
            ("--data", "data_dir", data_dir),
            ("--listen", "console.listen", overrides.listen),
            (gateway_flag, "gateway.listen", gateway_listen),
            ("--lanes", "worker.lanes", overrides.lanes),
        ];
        for (flag, key, value) in flags {
            if let Some(value) = value {
                settings.add_flag(flag, key, value);
            }
        }
        let mut reader = Reader::new(settings);
        let mut config = Self::of(&mut reader);
        config.warnings = reader.warnings();
        config.effective = reader.finish()?;
        Ok(config)
    }

    fn of(reader: &mut Reader) -> Self {
        let data_dir = PathBuf::from(reader.text_or("data_dir", "lockstep-data"));
        Self {
            broker: BrokerConfig::of(reader),
            store: StoreConfig::of(reader, &data_dir),
            console: ConsoleConfig::of(reader),
            gateway: GatewayConfig::of(reader),
            worker: WorkerConfig::of(reader),
            executions: ExecutionsConfig::of(reader),
            devices: DevicesConfig::of(reader),
            repositories: RepositoriesConfig::of(reader),
            render: RenderConfig::of(reader),
            reconcile: ReconcileConfig::of(reader),
            retention: RetentionConfig::of(reader),
            sync: SyncConfig::of(reader),
            cvp: cvp::clusters(reader),
            providers: providers::external(reader),
            rest: rest::services(reader),
            sources: sources::sources(reader),
            log: LogConfig::of(reader),
            telemetry: TelemetryConfig::of(reader),
            data_dir,
            effective: serde_json::Value::Null,
            warnings: Vec::new(),
        }
    }
}
