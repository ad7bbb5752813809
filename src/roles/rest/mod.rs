//! Builds clients of the REST services that the provider `rest_facts` reads.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use lockstep_execution::providers::{RestAnswer, RestError, RestFacts, RestRequest, RestService};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};

use super::http::authorities;
use crate::config::{RestConfig, RestCredentials, RestServices};

/// How long connecting to a service may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The provider with the services of the configuration.
///
/// # Errors
/// If the certificates of an authority cannot be read, or a token cannot be sent.
pub(super) fn provider(services: &RestServices) -> anyhow::Result<RestFacts> {
    let service = |(name, config): (&String, &RestConfig)| {
        let service = HttpService::new(config).with_context(|| format!("REST service {name}"))?;
        Ok((name.clone(), Arc::new(service) as Arc<dyn RestService>))
    };
    let services: anyhow::Result<BTreeMap<_, _>> = services.iter().map(service).collect();
    Ok(RestFacts::new(services?))
}

/// A REST service over HTTP.
#[derive(Debug)]
struct HttpService {
    client: Client,
    url: Url,
    login: Login,
}

/// The credentials, as they are sent. They are not shown.
#[derive(Debug)]
enum Login {
    None,
    Token(HeaderValue),
    Password {
        username: String,
        password: SecretString,
    },
}

impl HttpService {
    #[expect(
        clippy::disallowed_methods,
        reason = "the composition root builds HTTP clients; this one has the TLS of the service, and follows no redirects"
    )]
    fn new(config: &RestConfig) -> anyhow::Result<Self> {
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &config.ca_file {
            builder = builder.tls_certs_only(authorities("ca_file", file)?);
        }
        let login = match &config.credentials {
            RestCredentials::None => Login::None,
            RestCredentials::Token { scheme, token } => {
                let value = HeaderValue::from_str(&format!("{scheme} {}", token.expose_secret()));
                let mut value = value
                    .ok()
                    .context("the token has characters that no header may have")?;
                value.set_sensitive(true);
                Login::Token(value)
            }
            RestCredentials::Password { username, password } => Login::Password {
                username: username.clone(),
                password: password.clone(),
            },
        };
        Ok(Self {
            client: builder.build().context("cannot start the HTTP client")?,
            url: config.url.clone(),
            login,
        })
    }

    fn request(&self, request: &RestRequest) -> Result<RequestBuilder, RestError> {
        let invalid = |what: String| RestError::Invalid(what);
        let address = format!("{}{}", self.url.as_str().trim_end_matches('/'), request.path);
        let url =
            Url::parse(&address).map_err(|error| invalid(format!("the path is none of a URL: {error}")))?;
        // The path was checked before; credentials go nowhere else, whatever a parser makes of it.
        if !request.path.starts_with('/')
            || url.origin() != self.url.origin()
            || !url.path().starts_with(self.url.path().trim_end_matches('/'))
        {
            return Err(invalid("the path leaves the address of the service".to_owned()));
        }
        let mut builder = self
            .client
            .get(url)
            .timeout(request.timeout)
            .header(ACCEPT, "application/json");
        for (name, value) in &request.headers {
            let of_header =
                |what: &str| invalid(format!("the header {name:?} has {what} that is not allowed"));
            let header = HeaderName::try_from(name).map_err(|_| of_header("a name"))?;
            let value = HeaderValue::from_str(value).map_err(|_| of_header("a value"))?;
            builder = builder.header(header, value);
        }
        Ok(match &self.login {
            Login::None => builder,
            Login::Token(value) => builder.header(AUTHORIZATION, value.clone()),
            Login::Password { username, password } => {
                builder.basic_auth(username, Some(password.expose_secret()))
            }
        })
    }
}

#[async_trait]
impl RestService for HttpService {
    async fn get(&self, request: &RestRequest) -> Result<RestAnswer, RestError> {
        let response = self.request(request)?.send().await;
        let mut response = response.map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(&response);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
            if body.len() + chunk.len() > request.max_bytes {
                return Err(RestError::TooLarge(request.max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(RestAnswer {
            status,
            retry_after,
            body,
        })
    }
}

/// Only a number of seconds: a date depends on two clocks.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// What a failed request says about the service. Its URL is not told: a query may name what others must not read.
fn failure(error: &reqwest::Error) -> RestError {
    let mut innermost = String::new();
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = next {
        if let Some(
            certificate @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented),
        ) = cause.downcast_ref::<rustls::Error>()
        {
            return RestError::Certificate(certificate.to_string());
        }
        innermost = cause.to_string();
        // An I/O error may wrap another error that is not its source.
        let wrapped = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = wrapped.map_or_else(
            || cause.source(),
            |wrapped| Some(wrapped as &(dyn Error + 'static)),
        );
    }
    if error.is_timeout() {
        return RestError::TimedOut;
    }
    RestError::Unreachable(innermost)
}

#[cfg(test)]
mod tests;
