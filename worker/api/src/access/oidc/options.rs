use std::sync::Arc;

use lockstep_http::ReadScope;
use lockstep_protocol::{AccessLimits, Role};
use secrecy::SecretString;

use super::algorithm::Algorithm;
use super::provider::ProviderHttp;

/// An identity provider, and what its accounts may do.
#[derive(Clone, Debug)]
pub struct OidcOptions {
    /// What the page of the login calls the provider.
    pub name: String,
    /// Its issuer, exactly as its metadata and its ID tokens say it.
    pub issuer: String,
    /// The id of the console at the provider.
    pub client_id: String,
    /// The secret of the console at the provider. It also authenticates the cookies of logins.
    pub client_secret: SecretString,
    /// The address to which the provider sends browsers back, as it is registered there.
    pub redirect_uri: String,
    /// The scopes to ask for; `openid` is always asked for.
    pub scopes: Vec<String>,
    /// The algorithms by which ID tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the principal.
    pub principal_claim: String,
    /// Whether a principal may be one of a token, too: then both are the same person.
    pub share_principals: bool,
    /// The claim with the values of [`RoleMapping::value`].
    pub role_claim: String,
    /// What accounts may do, by the values of their claim: the first that an account has counts.
    pub roles: Vec<RoleMapping>,
    /// Asks the provider.
    pub http: Arc<dyn ProviderHttp>,
}

/// What accounts with a value in their claim may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleMapping {
    /// The value.
    pub value: String,
    /// Their role.
    pub role: Role,
    /// What they may read in addition to it.
    pub reads: Vec<ReadScope>,
    /// What their commands are limited to.
    pub limits: AccessLimits,
}
