use super::attempt::Attempt;
use super::options::OidcOptions;
use super::provider::{IdentityProvider, ProviderError};

/// Why logins at a provider would fail.
#[derive(Debug, thiserror::Error)]
pub enum ProviderCheckError {
    /// What it says about itself, or its keys, cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// It would begin no login for this client and this redirect address.
    #[error("it answers {0} where a login begins")]
    Login(u16),
}

/// Checks an identity provider as a login uses it: its metadata, its keys, and whether it would begin a login for the client and the redirect
/// address.
///
/// # Errors
/// See [`ProviderCheckError`].
pub async fn check_identity_provider(options: OidcOptions) -> Result<(), ProviderCheckError> {
    let provider = IdentityProvider::new(options);
    let unusable = |error: ProviderError| ProviderCheckError::Unusable(error.to_string());
    let metadata = provider.metadata().await.map_err(unusable)?;
    provider.read_keys(&metadata).await.map_err(unusable)?;
    let attempt = Attempt::new(jiff::Timestamp::UNIX_EPOCH, "/");
    let address = provider.authorization(&metadata, &attempt);
    let answer = provider.options.http.send(&address, None).await;
    let answer =
        answer.map_err(|error| ProviderCheckError::Unusable(format!("the identity provider {error}")))?;
    if answer.status < 400 {
        Ok(())
    } else {
        Err(ProviderCheckError::Login(answer.status))
    }
}
