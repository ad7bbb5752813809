//! Who sends a request, by a stored token or by the session of a browser, and what the audit says about it.
//!
//! - `client`: from where a request comes, and why, as the audit records it.
//! - `audited`: the entries about commands. Pure.
//! - `stored_tokens`: tokens of the store, with a cache of some seconds.
//! - `secret`: secrets of tokens and ids of sessions.
//! - `cookie`: cookies of the console. Pure.
//! - `session`: the session of a browser: its cookie, its end, and its token against forged requests.
//! - `form`: forms that a page of the console sends.
//! - `origin`: whether a request comes from a page of the console. Pure.
//! - `login`: begins and ends sessions; their pages are in `web`.
//! - `oidc`: the login at an identity provider.

pub(crate) mod audited;
pub(crate) mod client;
mod cookie;
pub(crate) mod form;
pub(crate) mod login;
pub(crate) mod oidc;
mod origin;
pub(crate) mod secret;
pub(crate) mod session;
pub(crate) mod stored_tokens;

use std::time::Duration;

pub(crate) use client::Client;
pub(crate) use oidc::IdentityProvider;
pub use oidc::{
    Algorithm, OidcOptions, ProviderAnswer, ProviderCheckError, ProviderForm, ProviderHttp,
    ProviderHttpError, RoleMapping, UnknownAlgorithm, check_identity_provider,
};
pub(crate) use stored_tokens::StoredTokens;

/// How the console checks what people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessOptions {
    /// Whether dangerous commands need a reason.
    pub requires_reasons: bool,
    /// How long a session lasts at most.
    pub longest_session: Duration,
    /// How long a session lasts that nobody uses.
    pub idle_session: Duration,
}

impl Default for AccessOptions {
    fn default() -> Self {
        Self {
            requires_reasons: false,
            longest_session: Duration::from_hours(12),
            idle_session: Duration::from_hours(1),
        }
    }
}
