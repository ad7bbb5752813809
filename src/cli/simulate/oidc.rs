use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use lockstep_simulators::oidc::Simulator;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{Global, output};
use crate::lifecycle::Lifecycle;
use crate::roles;

/// The accounts and their group.
const ACCOUNTS: [(&str, &str); 3] = [
    ("alice", "net-admins"),
    ("bob", "net-operators"),
    ("mallory", "guests"),
];

/// Run a simulated identity provider for the login of the console, until Ctrl-C
///
/// It speaks OpenID Connect, and asks for no password: a page shows the accounts alice (group net-admins), bob (net-operators) and mallory
/// (guests). It prints the section of the configuration for it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep simulate oidc
  lockstep simulate oidc --console http://localhost:8910")]
pub(super) struct Oidc {
    /// Address and port to listen on, without TLS; port 0 chooses a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8930")]
    listen: SocketAddr,
    /// Address of the console, as browsers reach it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8910")]
    console: String,
}

impl Oidc {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        // The simulator keeps its state in memory, so there is nothing to finish.
        let lifecycle = Lifecycle::start(Duration::ZERO)?;
        let secret = roles::new_secret();
        let redirect = format!("{}/login/oidc/callback", self.console.trim_end_matches('/'));
        let simulator = Simulator::start(self.listen, secret.expose_secret(), &redirect)
            .await
            .with_context(|| {
                format!(
                    "cannot listen on {}; choose another address with --listen",
                    self.listen
                )
            })?;
        let provider = simulator.provider();
        for (name, group) in ACCOUNTS {
            let email = format!("{name}@example.org");
            provider.account(
                name,
                &json!({"groups": [group], "email": email, "email_verified": true}),
            );
        }
        show_start(provider.issuer(), secret.expose_secret(), &redirect, global.json);
        lifecycle.stop.cancelled().await;
        Ok(ExitCode::SUCCESS)
    }
}

fn show_start(issuer: &str, secret: &str, redirect: &str, json: bool) {
    if json {
        output::json(&json!({
            "issuer": issuer, "client_id": "lockstep", "client_secret": secret, "redirect_uri": redirect,
            "accounts": ACCOUNTS.map(|(name, group)| json!({"name": name, "groups": [group]})),
        }));
        return;
    }
    output::document(&format!(
        "a simulated identity provider listens at {issuer}

Add this to lockstep.toml, and start the console:

[console.oidc]
name = \"the simulated provider\"
issuer = \"{issuer}\"
client_id = \"lockstep\"
client_secret = \"{secret}\"
redirect_uri = \"{redirect}\"
principal_claim = \"preferred_username\"

[[console.oidc.roles]]
value = \"net-admins\"
role = \"admin\"

[[console.oidc.roles]]
value = \"net-operators\"
role = \"operator\"

Press Ctrl-C to stop."
    ));
}
