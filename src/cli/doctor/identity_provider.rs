//! Checks the identity provider of the console: reachable, with its keys, and known to it.

use lockstep_api::{ProviderCheckError, check_identity_provider};

use super::finding::Findings;
use crate::config::Config;
use crate::roles;

const CHECK: &str = "identity provider";

pub(super) async fn examine(config: &Config, findings: &mut Findings) {
    let Some(oidc) = &config.console.oidc else {
        return;
    };
    let issuer = &oidc.issuer;
    let options = match roles::oidc_options(oidc) {
        Ok(options) => options,
        Err(error) => {
            return findings.failed(CHECK, format!("{issuer}: {error:#}"), "correct the configuration");
        }
    };
    match check_identity_provider(options).await {
        Ok(()) => findings.ok(
            CHECK,
            format!("{issuer} begins logins for {} and {}", oidc.client_id, oidc.redirect_uri),
        ),
        Err(error @ ProviderCheckError::Unusable(_)) => findings.failed(
            CHECK,
            format!("{issuer}: {error}"),
            "check issuer and ca_file in [console.oidc], as the user that runs the console; logins with tokens work meanwhile",
        ),
        Err(error @ ProviderCheckError::Login(_)) => findings.failed(
            CHECK,
            format!("{issuer}: {error}"),
            format!(
                "register {} at the provider as the redirect address of the client {}",
                oidc.redirect_uri, oidc.client_id
            ),
        ),
    }
}
