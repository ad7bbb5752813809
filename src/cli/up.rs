use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use secrecy::ExposeSecret;

use super::{Global, output};
use crate::config::{Config, Overrides};
use crate::data_folder::ConsoleAddress;
use crate::roles::{self, GatewayAddress};

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

fn show_start(config: &Config, console: &ConsoleAddress, gateway: &GatewayAddress, json: bool) {
    if json {
        output::json(&serde_json::json!({
            "url": console.url,
            "token": console.token.expose_secret(),
            "gateway": gateway.url,
            "gateway_token": gateway.token.expose_secret(),
            "data_dir": config.data_dir,
        }));
        return;
    }
    output::line(&format!("lockstep is up at {}", console.url));
    output::line(&format!("webhooks and events are received at {}", gateway.url));
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
    output::line("");
    output::line("Your programs send events, and nothing else, with this token, until lockstep stops:");
    for line in example(gateway) {
        output::line(&format!("  {line}"));
    }
}

/// The commands by which a program sends an event.
fn example(gateway: &GatewayAddress) -> [String; 5] {
    let event = concat!(
        r#"{"specversion": "1.0", "id": "my-1", "source": "urn:example:my-program", "type": "lockstep.interface.updated", "#,
        r#""data": {"hostname": "sw1", "kind": "configuration", "interfaces": [{"name": "Ethernet1"}]}}"#,
    );
    [
        format!("export LOCKSTEP_GATEWAY={}", gateway.url),
        format!("export LOCKSTEP_EVENTS_TOKEN={}", gateway.token.expose_secret()),
        "curl -sS $LOCKSTEP_GATEWAY/v1/events -H \"Authorization: Bearer $LOCKSTEP_EVENTS_TOKEN\" \\"
            .to_owned(),
        format!("    -H 'Content-Type: application/cloudevents+json' --data '{event}'"),
        format!(
            "lockstep messages show my-1 --source urn:example:my-program --by {}",
            GatewayAddress::SENDER
        ),
    ]
}
