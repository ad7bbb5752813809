//! A client of the broker's management API. It needs a user with the tag `monitoring`, and `administrator` for changes.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::cli::{UsageError, response};
use crate::config::Config;
use crate::roles;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The address of the management API, with user and password.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// Address of the broker's management API: `http://USER:PASSWORD@HOST:15672`, or https
    #[arg(
        long,
        value_name = "URL",
        env = "LOCKSTEP_MANAGEMENT_URL",
        hide_env_values = true
    )]
    management_url: Option<SecretString>,
    /// File with that address
    #[arg(
        long,
        value_name = "FILE",
        env = "LOCKSTEP_MANAGEMENT_URL_FILE",
        conflicts_with = "management_url"
    )]
    management_url_file: Option<PathBuf>,
}

/// A client of the management API.
pub(super) struct Management {
    http: reqwest::Client,
    /// Without user and password.
    base: Url,
    user: String,
    password: SecretString,
}

/// A response of the management API.
pub(super) struct ManagementResponse {
    pub(super) body: Value,
    /// The broker's clock in whole seconds; none if the response has no date.
    pub(super) date: Option<Timestamp>,
}

impl Access {
    /// A client for the configured address; none without one.
    ///
    /// # Errors
    /// If the address is not valid. The error does not repeat it, because it contains a password.
    pub(super) fn open(&self, config: &Config) -> anyhow::Result<Option<Management>> {
        let url = match (&self.management_url, &self.management_url_file) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => {
                let text = crate::cli::secret_file(file)?;
                text.expose_secret().trim().to_owned().into()
            }
            (None, None) => return Ok(None),
        };
        let mut base = parse(url.expose_secret()).ok_or_else(|| {
            UsageError("the management URL must be http://USER:PASSWORD@HOST:15672, or https; percent-encode special characters in user and password".to_owned())
        })?;
        let decoded = |text: &str| percent_decoded(text);
        let user = decoded(base.username());
        let password = decoded(base.password().unwrap_or_default()).into();
        let _ = base.set_username("");
        let _ = base.set_password(None);
        Ok(Some(Management {
            http: roles::management_client(config)?,
            base,
            user,
            password,
        }))
    }
}

fn parse(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let fits = matches!(url.scheme(), "http" | "https") && url.has_host() && !url.username().is_empty();
    fits.then_some(url)
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = (*first == b'%').then(|| tail.get(..2)).flatten();
        let escaped = digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Management {
    /// Its address, without user and password.
    pub(super) fn address(&self) -> SecretString {
        self.base.as_str().into()
    }

    /// Gets the object at a path of unescaped segments; none if it does not exist.
    ///
    /// # Errors
    /// If the management API cannot be reached or rejects the request.
    pub(super) async fn get(&self, path: &[&str]) -> anyhow::Result<Option<ManagementResponse>> {
        let (status, response) = self.send(Method::GET, path, None).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => Ok(Some(self.accepted(status, response, path)?)),
        }
    }

    /// Creates or changes the object at a path.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) async fn put(&self, path: &[&str], body: &Value) -> anyhow::Result<()> {
        let (status, response) = self.send(Method::PUT, path, Some(body)).await?;
        self.accepted(status, response, path).map(drop)
    }

    /// Runs a health check of the broker. The inner error is the reason why it failed.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) async fn health(&self, check: &str) -> anyhow::Result<Result<(), String>> {
        let path = ["health", "checks", check];
        let (status, response) = self.send(Method::GET, &path, None).await?;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let reason = response.body["reason"].as_str().unwrap_or("no reason given");
            return Ok(Err(reason.to_owned()));
        }
        self.accepted(status, response, &path).map(|_| Ok(()))
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, ManagementResponse)> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("HTTP addresses have a path")
            .pop_if_empty()
            .push("api")
            .extend(path);
        let mut request = self
            .http
            .request(method, url)
            .timeout(TIMEOUT)
            .basic_auth(&self.user, Some(self.password.expose_secret()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request
            .send()
            .await
            .with_context(|| format!("the broker's management API at {} does not answer", self.base))?;
        let status = response.status();
        let date = response
            .headers()
            .get("date")
            .and_then(|value| rfc2822::parse(value.to_str().ok()?).ok())
            .map(|zoned| zoned.timestamp());
        let body = response::body(response).await;
        let body = body.with_context(|| format!("the broker's management API at {}", self.base))?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok((status, ManagementResponse { body, date }))
    }

    fn accepted(
        &self,
        status: StatusCode,
        response: ManagementResponse,
        path: &[&str],
    ) -> anyhow::Result<ManagementResponse> {
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            anyhow::bail!(
                "the broker's management API rejects the user {:?} at /api/{}; checks need the tag `monitoring` and permissions on the virtual host, the set-up needs `administrator`",
                self.user,
                path.join("/")
            );
        }
        let reason = response.body["reason"].as_str().unwrap_or("no reason given");
        anyhow::bail!(
            "the broker's management API answered {status} at /api/{}: {reason}",
            path.join("/")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_scheme_a_host_and_a_user() {
        for good in ["http://a:b@h:15672", "https://a:b%2F@h/"] {
            assert!(parse(good).is_some(), "{good}");
        }
        for bad in ["h:15672", "http://h:15672", "amqp://a:b@h", "http://"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert_eq!(percent_decoded("p%2Fw%40%"), "p/w@%");
    }
}
