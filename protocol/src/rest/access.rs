use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AuditKind, AuditOutcome, GroupName, Role, TaskPattern};

/// A stored token in the answers of `GET /v1/tokens`, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenView {
    /// Its unique name, which no other token gets later.
    pub name: String,
    /// The person or the service that it belongs to: the `actor` of messages that are published with it.
    pub person: String,
    /// What it may do.
    pub role: Role,
    /// Groups of devices that its commands are limited to; empty if there is no limit.
    pub groups: Vec<GroupName>,
    /// Tasks that it may run; empty if it may run all.
    pub tasks: Vec<TaskPattern>,
    /// What it may read in addition to its role.
    pub reads: Vec<String>,
    /// The sources of its messages; empty if it may use every source that belongs to nobody.
    pub sources: Vec<String>,
    /// The first characters of its secret, by which people find it.
    pub prefix: String,
    /// Whether it is accepted now.
    pub active: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// From when on it is refused; null if it does not expire.
    pub expires_at: Option<Timestamp>,
    /// When it got its present secret, if that is not the first one.
    pub rotated_at: Option<Timestamp>,
    /// Until when the secret before the present one is accepted; null if there is none.
    pub former_until: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, with a precision of some minutes.
    pub used_at: Option<Timestamp>,
}

/// The answer of `GET /v1/tokens`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenPage {
    /// One page of tokens, ordered by name.
    pub tokens: Vec<TokenView>,
    /// The value of `after` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The body of `POST /v1/tokens`: the token to create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Its unique name: 1 to 64 letters, digits, dots, hyphens, underscores or @.
    pub name: String,
    /// The person or the service that it belongs to; the name of the token if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// What it may do.
    pub role: Role,
    /// Groups of devices that its commands are limited to, at most 100; no limit if empty.
    #[serde(default)]
    pub groups: Vec<GroupName>,
    /// Tasks that it may run, at most 100; all if empty.
    #[serde(default)]
    pub tasks: Vec<TaskPattern>,
    /// What it may read in addition to its role.
    #[serde(default)]
    pub reads: Vec<String>,
    /// The sources of its messages, at most 100; every source that belongs to nobody if empty.
    #[serde(default)]
    pub sources: Vec<String>,
    /// For how many seconds it is accepted; without an end if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
    /// Why it is created. A token with the role `admin` needs a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The body of `POST /v1/tokens/{name}/rotate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenRotation {
    /// For how many seconds the former secret is accepted; a day if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u64>,
    /// For how many seconds the token is accepted from now on; its end does not change if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The body of `POST /v1/tokens/{name}/revoke`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenRevocation {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The body of `POST /v1/sessions/{name}/end`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionsEnd {
    /// Whether the account at the identity provider is released, too: another account may then get the name, and the account another name.
    #[serde(default)]
    pub release_account: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The sessions of browsers that were ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionsEnded {
    /// Whose they were.
    pub principal: String,
    /// How many.
    pub ended: u64,
    /// Whether an account at the identity provider was released.
    pub released: bool,
}

/// A token with its new secret, which is shown this once.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenSecret {
    /// The secret. It is stored nowhere.
    pub secret: String,
    /// The token.
    pub token: TokenView,
}

impl std::fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSecret")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// An entry of the audit: what somebody did or tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditView {
    /// Its number, which only grows.
    pub number: u64,
    /// When, by the clock of the store.
    pub at: Timestamp,
    /// What it records.
    pub kind: AuditKind,
    /// Who: the person or the service; null if nobody is known.
    pub principal: Option<String>,
    /// The name of the token that was used; null if none was, and in entries of workers.
    pub token: Option<String>,
    /// The address of the client.
    pub address: Option<String>,
    /// What the client calls itself (`User-Agent`), at most 200 characters.
    pub agent: Option<String>,
    /// The `source` of the message.
    pub message_source: Option<String>,
    /// The `id` of the message, by which `GET /v1/messages` finds its outcome.
    pub message_id: Option<String>,
    /// The type of the message.
    pub message_type: Option<String>,
    /// What it is about: a device, a task, a token.
    pub subject: Option<String>,
    /// Why, as the person says.
    pub reason: Option<String>,
    /// More, in one line: what exactly, and what a worker did or why it did not.
    pub detail: Option<String>,
    /// What became of the command; null if the entry is about none. The entry of a console says `asked`, that of a worker what it decided.
    pub outcome: Option<AuditOutcome>,
    /// The code of a worker's rejection of the command.
    pub code: Option<String>,
    /// The user as which the command was published at the broker; null if a worker published it, such as for a schedule, and in entries of
    /// consoles.
    pub broker_user: Option<String>,
    /// The trace that the command belongs to: 32 hexadecimal digits. Null in entries of consoles, and if its sender gave none.
    pub trace_id: Option<String>,
}

/// The answer of `GET /v1/audit`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditPage {
    /// One page of entries, the newest first.
    pub entries: Vec<AuditView>,
    /// The value of `before` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
