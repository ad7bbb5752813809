//! Checks the CloudVision clusters: reachable, and the login is accepted. It changes nothing.

use super::finding::Findings;
use crate::config::Config;
use crate::roles;

const CHECK: &str = "CloudVision";

pub(super) async fn examine(config: &Config, findings: &mut Findings) {
    for (name, cluster) in &config.cvp {
        let client = match roles::cvp_client(cluster) {
            Ok(client) => client,
            Err(error) => {
                findings.failed(
                    CHECK,
                    format!("{name}: {error:#}"),
                    format!("correct [cvp.{name}]"),
                );
                continue;
            }
        };
        match client.version().await {
            Ok(version) => findings.ok(CHECK, format!("{name} has version {version}")),
            Err(error) => {
                let error = anyhow::Error::new(error);
                findings.failed(
                    CHECK,
                    format!("{name}: {error:#}"),
                    format!("check hosts, user and password or token, and ca_file in [cvp.{name}]"),
                );
            }
        }
        client.log_out().await;
        if cluster.insecure {
            findings.warning(
                CHECK,
                format!("{name}: certificates are not verified"),
                format!(
                    "set ca_file in [cvp.{name}] to the certificates of its authority, and remove insecure"
                ),
            );
        }
    }
}
