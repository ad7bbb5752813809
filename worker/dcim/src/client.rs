use std::time::Duration;

use lockstep_dcim::System;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::error::ClientError;

/// The most bytes of an answer: a page of changes with whole objects.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// With these, tokens of NetBox 4.5 and later begin. They are sent as bearer tokens.
const BEARER: &str = "nbt_";

/// Where a change log is, and how it is read.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Which system it is.
    pub system: System,
    /// The address of the system, without `/api`.
    pub url: Url,
    /// A token that may view what is mapped, and the change log.
    pub token: SecretString,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Changes that are asked for at once.
    pub page: usize,
    /// The most pages of one reading.
    pub pages: usize,
}

impl ClientOptions {
    /// With the default limits: 30 s for an answer, 20 pages of 250 changes.
    pub fn new(system: System, url: Url, token: SecretString) -> Self {
        Self {
            system,
            url,
            token,
            timeout: Duration::from_secs(30),
            page: 250,
            pages: 20,
        }
    }
}

/// A client of NetBox or Nautobot that only reads.
#[derive(Clone, Debug)]
pub struct ChangeLogClient {
    http: reqwest::Client,
    pub(crate) options: ClientOptions,
}

impl ChangeLogClient {
    /// Makes a client. `http` must follow no redirects.
    pub fn new(http: reqwest::Client, options: ClientOptions) -> Self {
        Self { http, options }
    }

    /// Reads a list or an object below `/api/`.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, ClientError> {
        let mut url = self.options.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/api/{path}/"));
        url.set_query(None);
        let shown = url.to_string();
        let request = self.read(url, query, path, &shown);
        let answer = tokio::time::timeout(self.options.timeout, request).await;
        answer.unwrap_or(Err(ClientError::TimedOut {
            url: shown.clone(),
            timeout: self.options.timeout,
        }))
    }

    /// The same; `None` if there is no such object.
    pub(crate) async fn find(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Option<Value>, ClientError> {
        match self.get(path, query).await {
            Ok(value) => Ok(Some(value)),
            Err(ClientError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read(
        &self,
        url: Url,
        query: &[(&str, String)],
        path: &str,
        shown: &str,
    ) -> Result<Value, ClientError> {
        let unreachable = |source: reqwest::Error| ClientError::Unreachable {
            url: shown.to_owned(),
            source: source.without_url(),
        };
        let request = self
            .http
            .get(url)
            .query(query)
            .header(AUTHORIZATION, self.authorization());
        let mut answer = request
            .header(ACCEPT, "application/json")
            .send()
            .await
            .map_err(unreachable)?;
        check(answer.status(), path, shown)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(ClientError::TooLarge {
                    url: shown.to_owned(),
                    most: MOST_BYTES,
                });
            }
            body.extend_from_slice(&chunk);
        }
        let value: Value = serde_json::from_slice(&body).map_err(|error| ClientError::Unreadable {
            url: shown.to_owned(),
            reason: error.to_string(),
        })?;
        if value.is_object() {
            return Ok(value);
        }
        Err(ClientError::Unreadable {
            url: shown.to_owned(),
            reason: "it is not a JSON object".to_owned(),
        })
    }

    fn authorization(&self) -> HeaderValue {
        let token = self.options.token.expose_secret();
        let scheme = if token.starts_with(BEARER) {
            "Bearer"
        } else {
            "Token"
        };
        // A token that no header can contain is refused by the server.
        let mut value =
            HeaderValue::from_str(&format!("{scheme} {token}")).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

fn check(status: StatusCode, path: &str, url: &str) -> Result<(), ClientError> {
    let url = url.to_owned();
    match status.as_u16() {
        200 => Ok(()),
        status @ (401 | 403) => Err(ClientError::Unauthorized {
            url,
            status,
            what: path.split('/').take(2).collect::<Vec<_>>().join("/"),
        }),
        404 => Err(ClientError::NotFound { url }),
        status @ 300..=399 => Err(ClientError::Redirected { url, status }),
        status => Err(ClientError::Status { url, status }),
    }
}
