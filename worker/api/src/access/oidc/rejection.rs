use axum::http::StatusCode;

use super::account::AccountError;
use super::id_token::IdTokenError;
use super::metadata::MetadataError;
use super::provider::ProviderError;

/// The most characters of a text of the provider that are shown.
const MOST_CHARACTERS: usize = 200;

/// Why a login at the provider begins no session. The text says what happened.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
    #[error("This browser began no login that is still open here.")]
    NoAttempt,
    #[error("The answer belongs to another login.")]
    State,
    #[error("The answer says nothing that belongs to a login.")]
    NoCode,
    #[error("The answer is one of another identity provider.")]
    Issuer,
    #[error("The identity provider refused the login: {0}.")]
    Refused(String),
    #[error("The login cannot be completed: {0}.")]
    Provider(#[from] ProviderError),
    #[error("The identity provider sent a token that {0}.")]
    IdToken(#[from] IdTokenError),
    #[error("The identity provider {0}.")]
    Account(#[from] AccountError),
    #[error("This login was completed before.")]
    Repeated,
    #[error("{0} is the name of a token's holder.")]
    TokenPrincipal(String),
    #[error("This account was {known} here before, and is now {now}.")]
    OtherPrincipal { known: String, now: String },
    #[error("{0} is another account of the identity provider.")]
    OtherAccount(String),
}

impl Rejection {
    /// What the provider says, on one bounded line without characters that mislead.
    pub(super) fn refused(error: &str, description: Option<&str>) -> Self {
        let text = match description {
            Some(description) => format!("{error}, {description}"),
            None => error.to_owned(),
        };
        let shown = text
            .chars()
            .filter(|c| c.is_ascii_graphic() || *c == ' ')
            .take(MOST_CHARACTERS);
        Self::Refused(shown.collect())
    }

    /// What people can do.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::NoAttempt => {
                "Begin again, within ten minutes, in one tab, and at the address of the console that the provider knows."
            }
            Self::State | Self::NoCode | Self::Issuer | Self::Repeated => "Begin again.",
            Self::Refused(_) => "Begin again, or ask who manages the identity provider.",
            Self::Provider(error) => error.advice(),
            Self::IdToken(_) => {
                "Begin again. If that does not help, an administrator compares the section console.oidc with the provider."
            }
            Self::Account(AccountError::NoRole(_)) => {
                "Ask for a group or a role that may use this console; an administrator lists them in console.oidc.roles."
            }
            Self::Account(_) => {
                "An administrator lets the provider send the claims of console.oidc.principal_claim and console.oidc.role_claim in ID tokens, or names others."
            }
            Self::TokenPrincipal(_) => {
                "If both are the same person, an administrator sets console.oidc.share_principals; otherwise the account or the token gets another name."
            }
            Self::OtherPrincipal { .. } | Self::OtherAccount(_) => {
                "If that is right, an administrator runs `lockstep sessions end NAME --release-account` for the former name."
            }
        }
    }

    /// The status of the page.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoAttempt
            | Self::State
            | Self::NoCode
            | Self::Issuer
            | Self::Repeated
            | Self::Provider(ProviderError::Code) => StatusCode::BAD_REQUEST,
            Self::Provider(ProviderError::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Provider(_) | Self::IdToken(_) => StatusCode::BAD_GATEWAY,
            Self::Refused(_)
            | Self::Account(_)
            | Self::TokenPrincipal(_)
            | Self::OtherPrincipal { .. }
            | Self::OtherAccount(_) => StatusCode::FORBIDDEN,
        }
    }
}

impl From<MetadataError> for Rejection {
    fn from(error: MetadataError) -> Self {
        Self::Provider(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_provider_says_is_one_bounded_line() {
        let long = "x".repeat(1000);
        for (error, description, expected) in [
            ("access_denied", None, "access_denied"),
            (
                "access_denied",
                Some("no\r\n<b>\u{202e}more"),
                "access_denied, no<b>more",
            ),
        ] {
            let rejection = Rejection::refused(error, description).to_string();
            assert!(rejection.contains(expected), "{rejection}");
        }
        assert!(Rejection::refused(&long, None).to_string().len() < 300);
    }

    #[test]
    fn a_rejection_says_what_happened_and_what_to_do() {
        let away = ProviderError::Unavailable("it does not answer".to_owned());
        for (rejection, status) in [
            (Rejection::NoAttempt, 400),
            (Rejection::Provider(away), 503),
            (Rejection::IdToken(IdTokenError::Nonce), 502),
            (AccountError::NoRole("groups".to_owned()).into(), 403),
        ] {
            assert_eq!(rejection.status(), status, "{rejection}");
            assert!(rejection.to_string().ends_with('.'), "{rejection}");
            assert!(rejection.advice().ends_with('.'), "{rejection}");
        }
    }
}
