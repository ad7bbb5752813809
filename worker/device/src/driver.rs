use std::fmt;

use async_trait::async_trait;

use crate::{
    Command, CommandOutput, ConfigurationSessions, Credentials, DeviceAddress, DeviceError, Format, Output,
};

/// Opens connections to devices of one kind.
#[async_trait]
pub trait DeviceDriver: Send + Sync + fmt::Debug {
    /// Opens a connection. A driver whose protocol has no session checks the credentials with the first request.
    ///
    /// # Errors
    /// The device cannot be reached, or refuses the credentials.
    async fn open(
        &self,
        address: &DeviceAddress,
        credentials: &Credentials,
    ) -> Result<Box<dyn DeviceConnection>, DeviceError>;
}

/// A connection to one device.
#[async_trait]
pub trait DeviceConnection: Send + Sync + fmt::Debug {
    /// Runs commands in privileged mode, in order, until one fails. There is one output for each command.
    ///
    /// # Errors
    /// The device cannot be reached, refuses the credentials or a command, or answers something that cannot be read.
    async fn run(&mut self, commands: &[Command], format: Format) -> Result<Vec<CommandOutput>, DeviceError>;

    /// The running configuration as text.
    ///
    /// # Errors
    /// As `run`.
    async fn running_configuration(&mut self) -> Result<String, DeviceError>;

    /// Configuration sessions, by which the configuration is changed. `None` if the driver has none.
    fn sessions(&mut self) -> Option<&mut dyn ConfigurationSessions> {
        None
    }

    /// Whether the connection can be used again. False after an error that leaves its state unknown.
    fn is_reusable(&self) -> bool;
}

/// The text of the only output.
///
/// # Errors
/// There is another number of outputs, or the output is no text.
pub(crate) fn only_text(outputs: Vec<CommandOutput>) -> Result<String, DeviceError> {
    let mut outputs = outputs.into_iter();
    match (outputs.next().map(|output| output.output), outputs.next()) {
        (Some(Output::Text(text)), None) => Ok(text),
        _ => Err(DeviceError::unreadable("one text was expected", &[])),
    }
}
