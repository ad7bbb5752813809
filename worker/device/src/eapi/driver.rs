use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, Url};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::failure::failure;
use super::{request, response};
use crate::driver::only_text;
use crate::error::excerpt;
use crate::{
    Command, CommandOutput, Credentials, DeviceAddress, DeviceConnection, DeviceDriver, DeviceError, Format,
};

/// The bounds of requests to devices.
#[derive(Clone, Copy, Debug)]
pub struct EapiOptions {
    /// The port of devices whose address has none.
    pub port: u16,
    /// How long a request may take, from connecting to the end of the answer.
    pub timeout: Duration,
    /// The most bytes of an answer.
    pub max_answer: usize,
}

impl Default for EapiOptions {
    /// HTTPS, one minute, 16 MiB: the configuration of a large switch has a few.
    fn default() -> Self {
        Self {
            port: 443,
            timeout: Duration::from_mins(1),
            max_answer: 16 << 20,
        }
    }
}

/// Opens connections to Arista EOS devices.
#[derive(Clone, Debug)]
pub struct EapiDriver {
    http: reqwest::Client,
    options: EapiOptions,
}

impl EapiDriver {
    /// Makes a driver. `http` has the settings for TLS, proxies and the connect timeout; it must not follow redirects, which
    /// could lead the password elsewhere.
    pub fn new(http: reqwest::Client, options: EapiOptions) -> Self {
        Self { http, options }
    }
}

#[async_trait]
impl DeviceDriver for EapiDriver {
    async fn open(
        &self,
        address: &DeviceAddress,
        credentials: &Credentials,
    ) -> Result<Box<dyn DeviceConnection>, DeviceError> {
        let port = address.port_or(self.options.port);
        let url = format!("https://{}:{port}/command-api", address.url_host());
        let url = Url::parse(&url).map_err(|error| DeviceError::Unreachable {
            reason: error.to_string(),
        })?;
        Ok(Box::new(EapiConnection {
            http: self.http.clone(),
            options: self.options,
            url,
            credentials: credentials.clone(),
            reusable: true,
        }))
    }
}

/// Requests to one device, as one user. The HTTP client keeps the TCP connection alive between them.
#[derive(Debug)]
struct EapiConnection {
    http: reqwest::Client,
    options: EapiOptions,
    url: Url,
    credentials: Credentials,
    reusable: bool,
}

#[async_trait]
impl DeviceConnection for EapiConnection {
    async fn run(&mut self, commands: &[Command], format: Format) -> Result<Vec<CommandOutput>, DeviceError> {
        // False until the answer is complete: a caller may drop this future in the middle.
        self.reusable = false;
        let outcome = self.request(commands, format).await;
        self.reusable = matches!(outcome, Ok(_) | Err(DeviceError::Refused { .. }));
        outcome
    }

    async fn running_configuration(&mut self) -> Result<String, DeviceError> {
        let command = Command::new("show running-config")
            .map_err(|error| DeviceError::unreadable(&error.to_string(), &[]))?;
        only_text(self.run(&[command], Format::Text).await?)
    }

    fn is_reusable(&self) -> bool {
        self.reusable
    }
}

impl EapiConnection {
    async fn request(&self, commands: &[Command], format: Format) -> Result<Vec<CommandOutput>, DeviceError> {
        let id = Uuid::new_v4().to_string();
        let enable_password = self.credentials.enable_password.as_ref();
        let body = request::body(&id, enable_password, commands, format)
            .map_err(|error| DeviceError::unreadable(&error.to_string(), &[]))?;
        let password = self.credentials.password.expose_secret();
        let timeout = self.options.timeout;
        let sent = self
            .http
            .post(self.url.clone())
            .basic_auth(&self.credentials.username, Some(password))
            .header(CONTENT_TYPE, "application/json-rpc")
            .timeout(timeout)
            .body(body)
            .send()
            .await;
        let answer = sent.map_err(|error| failure(&error.without_url(), timeout))?;
        let status = answer.status().as_u16();
        if status == 401 {
            return Err(DeviceError::Authentication {
                username: self.credentials.username.clone(),
            });
        }
        let body = self.body(answer).await?;
        if status != 200 {
            return Err(DeviceError::Status {
                status,
                excerpt: excerpt(&body),
            });
        }
        response::read(&body, &id, commands, format)
    }

    /// The whole answer, if it is not too long.
    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, DeviceError> {
        let limit = self.options.max_answer;
        let mut body = Vec::new();
        loop {
            let chunk = answer.chunk().await;
            let chunk = chunk.map_err(|error| failure(&error.without_url(), self.options.timeout))?;
            match chunk {
                None => return Ok(body),
                Some(chunk) if body.len() + chunk.len() > limit => {
                    return Err(DeviceError::TooLarge { limit });
                }
                Some(chunk) => body.extend_from_slice(&chunk),
            }
        }
    }
}
