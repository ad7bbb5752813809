//! The login at an identity provider by OpenID Connect: authorization code with PKCE, `state` and `nonce`.
//!
//! - `options`: what the configuration says.
//! - `attempt`: a login that a browser began, in its cookie. Pure.
//! - `metadata`: what the provider says about itself. Pure.
//! - `algorithm`, `keys`: signatures, and the provider's keys. Pure.
//! - `id_token`: whether an ID token is one for this login. Pure.
//! - `account`: which principal the claims name, and what it may do. Pure.
//! - `rejection`: why there is no session, for people and for the audit. Pure.
//! - `provider`: asks the provider; remembers its metadata and keys.
//! - `callback`: the query with which the browser comes back. Pure.
//! - `check`: whether a login would begin, for the doctor.
//! - `login`: the two requests of the browser.

mod account;
mod algorithm;
mod attempt;
mod callback;
mod check;
mod id_token;
mod keys;
pub(crate) mod login;
mod metadata;
mod options;
mod provider;
mod rejection;

pub(super) use account::rights;
pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use check::{ProviderCheckError, check_identity_provider};
pub use options::{OidcOptions, RoleMapping};
pub(crate) use provider::IdentityProvider;
pub use provider::{ProviderAnswer, ProviderForm, ProviderHttp, ProviderHttpError};
