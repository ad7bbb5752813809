//! Builds the client of the identity provider.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use lockstep_api::{OidcOptions, ProviderAnswer, ProviderForm, ProviderHttp, ProviderHttpError};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder};
use secrecy::ExposeSecret;

use super::http::authorities;
use crate::config::OidcConfig;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a whole request may take. A login has two or three, and a person waits for them.
const TIMEOUT: Duration = Duration::from_secs(8);
/// The most bytes of an answer.
const MOST_BYTES: usize = 1 << 20;

/// What the console needs for logins at this provider.
///
/// # Errors
/// If the certificates of its authority cannot be read.
pub(crate) fn options(config: &OidcConfig) -> anyhow::Result<OidcOptions> {
    Ok(OidcOptions {
        name: config.name.clone(),
        issuer: config.issuer.clone(),
        client_id: config.client_id.clone(),
        client_secret: config.client_secret.clone(),
        redirect_uri: config.redirect_uri.clone(),
        scopes: config.scopes.clone(),
        algorithms: config.algorithms.clone(),
        principal_claim: config.principal_claim.clone(),
        share_principals: config.share_principals,
        role_claim: config.role_claim.clone(),
        roles: config.roles.clone(),
        http: Arc::new(Http::new(config)?),
    })
}

/// The provider over HTTP.
#[derive(Debug)]
struct Http(Client);

impl Http {
    #[expect(
        clippy::disallowed_methods,
        reason = "the composition root builds HTTP clients; this one has the TLS of the provider, and follows no redirects"
    )]
    fn new(config: &OidcConfig) -> anyhow::Result<Self> {
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &config.ca_file {
            builder = builder.tls_certs_only(authorities("console.oidc.ca_file", file)?);
        }
        let client = builder.build().context("cannot start the HTTP client")?;
        Ok(Self(client))
    }

    fn request(
        &self,
        address: &str,
        form: Option<ProviderForm>,
    ) -> Result<RequestBuilder, ProviderHttpError> {
        let Some(form) = form else {
            return Ok(self.0.get(address));
        };
        let mut request = self
            .0
            .post(address)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.body.expose_secret().to_owned());
        if let Some(authorization) = form.authorization {
            let value = HeaderValue::from_str(authorization.expose_secret());
            let mut value = value
                .map_err(|_| ProviderHttpError::Unreachable("the secret fits in no header".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        Ok(request)
    }
}

#[async_trait]
impl ProviderHttp for Http {
    async fn send(
        &self,
        address: &str,
        form: Option<ProviderForm>,
    ) -> Result<ProviderAnswer, ProviderHttpError> {
        let request = self.request(address, form)?.header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(|error| failure(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(ProviderHttpError::TooLarge(MOST_BYTES));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(ProviderAnswer {
            status: response.status().as_u16(),
            body,
        })
    }
}

/// What a failed request says. Its address is not told: it is in the configuration.
fn failure(error: &reqwest::Error) -> ProviderHttpError {
    if error.is_timeout() {
        return ProviderHttpError::TimedOut;
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    ProviderHttpError::Unreachable(innermost.to_string())
}
