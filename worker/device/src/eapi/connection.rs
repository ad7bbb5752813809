use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, Url};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::EapiOptions;
use super::failure::failure;
use super::request::{self, Cmd};
use super::response::{self, Failed};
use crate::driver::only_text;
use crate::error::excerpt;
use crate::{
    Command, CommandOutput, ConfigurationSessions, Credentials, DeviceConnection, DeviceError, Format,
};

/// A request that changes the configuration may take so many times the timeout.
const CHANGE: u32 = 3;

/// The most bytes that are reserved for an answer before it comes.
const RESERVED: usize = 256 << 10;

/// Bytes of a request beside its commands.
const FRAME: usize = 512;

/// Requests to one device, as one user. The HTTP client keeps the TCP connection alive between them.
#[derive(Debug)]
pub(super) struct EapiConnection {
    http: reqwest::Client,
    options: EapiOptions,
    url: Url,
    credentials: Credentials,
    reusable: bool,
}

#[async_trait]
impl DeviceConnection for EapiConnection {
    async fn run(&mut self, commands: &[Command], format: Format) -> Result<Vec<CommandOutput>, DeviceError> {
        self.run_within(commands, format, self.options.timeout).await
    }

    async fn running_configuration(&mut self) -> Result<String, DeviceError> {
        self.text("show running-config").await
    }

    fn sessions(&mut self) -> Option<&mut dyn ConfigurationSessions> {
        Some(self)
    }

    fn is_reusable(&self) -> bool {
        self.reusable
    }
}

impl EapiConnection {
    pub(super) fn new(
        http: reqwest::Client,
        options: EapiOptions,
        url: Url,
        credentials: Credentials,
    ) -> Self {
        Self {
            http,
            options,
            url,
            credentials,
            reusable: true,
        }
    }

    /// What a terminal shows for a command.
    pub(super) async fn text(&mut self, command: &str) -> Result<String, DeviceError> {
        only_text(self.run(&own_commands(&[command])?, Format::Text).await?)
    }

    /// The structured outputs of commands.
    pub(super) async fn json(&mut self, commands: &[&str]) -> Result<Vec<CommandOutput>, DeviceError> {
        self.run(&own_commands(commands)?, Format::Json).await
    }

    /// Runs commands that change the configuration.
    pub(super) async fn change(&mut self, commands: &[&str]) -> Result<(), DeviceError> {
        let timeout = self.options.timeout * CHANGE;
        let commands = own_commands(commands)?;
        self.run_within(&commands, Format::Text, timeout).await.map(drop)
    }

    /// Executes the commands of a configuration, in order, until one fails. `text` is about the number of their bytes.
    pub(super) async fn execute<'commands>(
        &mut self,
        commands: impl Iterator<Item = Cmd<'commands>> + Clone + Send,
        text: usize,
    ) -> Result<Result<(), Failed>, DeviceError> {
        let (id, number) = (new_id(), commands.clone().count());
        // Quotes, commas and the escapes of line feeds, for a command of 16 bytes or more.
        let mut body = Vec::with_capacity(FRAME + text + text / 4);
        request::write(&mut body, &id, self.enable_password(), commands, Format::Json)
            .map_err(|error| DeviceError::unreadable(&error.to_string(), &[]))?;
        let timeout = self.options.timeout * CHANGE;
        self.reusable = false;
        let outcome = match self.exchange(body, timeout).await {
            Ok(answer) => response::executed(&answer, &id, number),
            Err(error) => Err(error),
        };
        self.reusable = outcome.is_ok();
        outcome
    }

    async fn run_within(
        &mut self,
        commands: &[Command],
        format: Format,
        timeout: Duration,
    ) -> Result<Vec<CommandOutput>, DeviceError> {
        let id = new_id();
        let mut body = Vec::new();
        let plain = commands.iter().map(|command| Cmd::Plain(command.as_str()));
        request::write(&mut body, &id, self.enable_password(), plain, format)
            .map_err(|error| DeviceError::unreadable(&error.to_string(), &[]))?;
        // False until the answer is complete: a caller may drop this future in the middle.
        self.reusable = false;
        let outcome = match self.exchange(body, timeout).await {
            Ok(answer) => response::read(&answer, &id, commands, format),
            Err(error) => Err(error),
        };
        self.reusable = matches!(outcome, Ok(_) | Err(DeviceError::Refused { .. }));
        outcome
    }

    fn enable_password(&self) -> Option<&SecretString> {
        self.credentials.enable_password.as_ref()
    }

    /// Sends a request. Its answer has the status 200.
    async fn exchange(&self, body: Vec<u8>, timeout: Duration) -> Result<Vec<u8>, DeviceError> {
        let limit = self.options.max_request;
        if body.len() > limit {
            return Err(DeviceError::RequestTooLarge { limit });
        }
        let password = self.credentials.password.expose_secret();
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
        let body = self.body(answer, timeout).await?;
        if status != 200 {
            return Err(DeviceError::Status {
                status,
                excerpt: excerpt(&body),
            });
        }
        Ok(body)
    }

    /// The whole answer, if it is not too long.
    async fn body(&self, mut answer: Response, timeout: Duration) -> Result<Vec<u8>, DeviceError> {
        let limit = self.options.max_answer;
        let announced = answer.content_length().unwrap_or_default();
        let mut body = Vec::with_capacity(
            usize::try_from(announced)
                .unwrap_or(limit)
                .min(limit)
                .min(RESERVED),
        );
        loop {
            let chunk = answer.chunk().await;
            let chunk = chunk.map_err(|error| failure(&error.without_url(), timeout))?;
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

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// Commands that the driver makes. Each is one line: the names in them are words.
fn own_commands(texts: &[&str]) -> Result<Vec<Command>, DeviceError> {
    let commands: Result<Vec<_>, _> = texts.iter().map(|text| Command::new(text)).collect();
    commands.map_err(|error| DeviceError::unreadable(&error.to_string(), &[]))
}
