//! Tokens, sessions and the audit.

use lockstep_protocol::rest::{
    AuditPage, SessionsEnd, SessionsEnded, TokenPage, TokenRequest, TokenRevocation, TokenRotation,
    TokenSecret, TokenView,
};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, TIMEOUT, read};

impl Client {
    /// A page of stored tokens.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn tokens(&self, query: &[(&str, String)]) -> anyhow::Result<TokenPage> {
        self.get(&["tokens"], query).await
    }

    /// One stored token.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn stored_token(&self, name: &str) -> anyhow::Result<TokenView> {
        self.get(&["tokens", name], &[]).await
    }

    /// Creates a token.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn create_token(&self, request: &TokenRequest) -> anyhow::Result<TokenSecret> {
        self.post(&["tokens"], request).await
    }

    /// Gives a token a new secret.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn rotate_token(
        &self,
        name: &str,
        rotation: &TokenRotation,
    ) -> anyhow::Result<TokenSecret> {
        self.post(&["tokens", name, "rotate"], rotation).await
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// If it does not exist, or the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn revoke_token(&self, name: &str) -> anyhow::Result<TokenView> {
        self.post(&["tokens", name, "revoke"], &TokenRevocation::default())
            .await
    }

    /// Ends the sessions of a person or a service.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn end_sessions(
        &self,
        principal: &str,
        request: &SessionsEnd,
    ) -> anyhow::Result<SessionsEnded> {
        self.post(&["sessions", principal, "end"], request).await
    }

    /// A page of the audit.
    ///
    /// # Errors
    /// If the console rejects the request or cannot be reached.
    pub(in crate::cli) async fn audit(&self, query: &[(&str, String)]) -> anyhow::Result<AuditPage> {
        self.get(&["audit"], query).await
    }

    /// Sends a body to this path below `/v1`. It is sent once: a request that changed something is not repeated.
    async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> anyhow::Result<T> {
        let request = self.request_at(Method::POST, path)?.json(body);
        read(self.send(request.timeout(TIMEOUT)).await?).await
    }
}
