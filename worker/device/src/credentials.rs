use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

/// The user that a driver logs in as.
#[derive(Clone)]
pub struct Credentials {
    /// The name of the user.
    pub username: String,
    /// The password of the user.
    pub password: SecretString,
    /// The password of `enable`, where devices ask for one.
    pub enable_password: Option<SecretString>,
}

impl Credentials {
    /// A user, on devices whose `enable` asks for no password.
    pub fn new(username: &str, password: &str) -> Self {
        Self {
            username: username.to_owned(),
            password: password.into(),
            enable_password: None,
        }
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        let enable = |credentials: &Self| {
            let password = credentials.enable_password.as_ref();
            password.map(|password| password.expose_secret().to_owned())
        };
        self.username == other.username
            && self.password.expose_secret() == other.password.expose_secret()
            && enable(self) == enable(other)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Has the credentials of devices. It is asked each time that a connection is used, so what it returns may change.
pub trait CredentialSource: Send + Sync + fmt::Debug {
    /// The credentials of the device with this hostname in these groups, or `None` if none are configured.
    fn credentials(&self, hostname: &str, groups: &[String]) -> Option<Arc<Credentials>>;
}
