use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use secrecy::ExposeSecret;

use super::{Global, output};
use crate::config::{Config, Overrides};
use crate::data_folder::ConsoleAddress;
use crate::roles;

/// Run everything in one process: console, gateway, worker and migrations
///
/// Without a broker and a database in the configuration, both are embedded and stored in the data folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep up
  lockstep up --listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0 --data /var/lib/lockstep")]
pub(super) struct Up {
    /// Address and port of the console; port 0 chooses a free one [default: 127.0.0.1:8910]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address and port of the gateway; port 0 chooses a free one [default: 127.0.0.1:8911]
    #[arg(long, value_name = "ADDRESS")]
    gateway_listen: Option<String>,
    /// Data folder [default: ./lockstep-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Up {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let overrides = Overrides {
            listen: self.listen,
            gateway_listen: self.gateway_listen.map(|address| ("--gateway-listen", address)),
            data_dir: self.data,
            ..Overrides::default()
        };
        let config = global.role(overrides)?;
        roles::up(&config, |address, gateway| {
            show_start(&config, address, gateway, global.json);
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show_start(config: &Config, address: &ConsoleAddress, gateway: &str, json: bool) {
    let (url, token) = (&address.url, address.token.expose_secret());
    if json {
        let started =
            serde_json::json!({"url": url, "token": token, "gateway": gateway, "data_dir": config.data_dir});
        output::json(&started);
        return;
    }
    output::line(&format!("lockstep is up at {url}"));
    output::line(&format!("webhooks and events are received at {gateway}"));
    output::line(&format!("token for other programs, until it stops: {token}"));
    output::line("");
    output::line("On this machine, in another terminal:");
    if !config.data_dir.ends_with("lockstep-data") {
        output::line(&format!(
            "  export LOCKSTEP__DATA_DIR={}",
            config.data_dir.display()
        ));
    }
    output::line("  lockstep devices import fleet.yml");
    output::line("  lockstep devices list");
    output::line("  lockstep publish --help");
}
