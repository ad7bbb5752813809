#![doc = include_str!("../README.md")]

mod address;
mod command;
mod credentials;
mod driver;
mod error;
mod pool;
mod session;

pub mod eapi;

pub use address::{AddressError, DeviceAddress};
pub use command::{Command, CommandError, CommandOutput, Format, Output};
pub use credentials::{CredentialSource, Credentials};
pub use driver::{DeviceConnection, DeviceDriver};
pub use error::{DeviceError, Retryability};
pub use pool::{DevicePool, PoolOptions, PooledConnection};
pub use session::{ConfigurationSessions, PendingSession, SessionName, SessionNameError, SessionState};
