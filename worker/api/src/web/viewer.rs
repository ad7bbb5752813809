//! Who looks at a page.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lockstep_http::Operator;

use super::failure::Failure;
use crate::context::Shared;

/// The authenticated viewer of a page.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    pub(super) operator: Operator,
}

impl FromRequestParts<Arc<Shared>> for Viewer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Failure> {
        let operator = Operator::from_request_parts(parts, shared).await?;
        Ok(Self { operator })
    }
}
