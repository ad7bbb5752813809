use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use lockstep_http::ProblemResponse;

/// Entries of a page for requests without `limit`.
const DEFAULT_LIMIT: u32 = 100;
const LIMITS: RangeInclusive<u32> = 1..=1000;
/// Entries of a history for requests without `limit`, and the most: each may have megabytes.
const DEFAULT_HISTORY: u32 = 20;
const HISTORY_LIMITS: RangeInclusive<u32> = 1..=100;

/// The most events of a device on a page: each may close 32 causes, and a cause may have some hundred kilobytes.
const EVENT_LIMITS: RangeInclusive<u32> = 1..=100;

/// The parameters of [`Parameters::history`].
pub(crate) const HISTORY: &str = "key, limit";

/// The query parameters of a request. Unknown parameters are rejected: ignoring a misspelt filter would return too much.
#[derive(Clone, Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ProblemResponse> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(rejection) => Err(invalid(rejection.body_text())),
        }
    }
}

impl Parameters {
    /// The parameters of a part of a page.
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(pairs.iter().map(owned).collect())
    }

    /// Those that nothing has taken, in their order.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Sets a parameter unless the request has it.
    pub(crate) fn set_default(&mut self, name: &str, value: &str) {
        if !self.0.iter().any(|(key, _)| key == name) {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Takes a parameter as text; `None` if it is absent or empty.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, ProblemResponse> {
        let Some(index) = self.0.iter().position(|(key, _)| key == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.swap_remove(index);
        if self.0.iter().any(|(key, _)| key == name) {
            return Err(invalid(format!("parameter {name:?} is given more than once")));
        }
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    /// Takes a parameter and parses it; `None` if it is absent or empty.
    pub(crate) fn value<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, ProblemResponse> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(invalid(format!("parameter {name:?}: {error}"))),
        }
    }

    /// Takes `limit`: how many entries a page may have.
    pub(crate) fn limit(&mut self) -> Result<u32, ProblemResponse> {
        self.limit_within(DEFAULT_LIMIT, LIMITS)
    }

    /// Takes `limit` of a page of events.
    pub(crate) fn events(&mut self) -> Result<u32, ProblemResponse> {
        self.limit_within(DEFAULT_HISTORY, EVENT_LIMITS)
    }

    /// Takes `key` and `limit`: the key whose history is asked for, and how many entries of it. Without a key, all keys.
    pub(crate) fn history(&mut self) -> Result<(Option<String>, u32), ProblemResponse> {
        match self.text("key")? {
            Some(key) => Ok((Some(key), self.limit_within(DEFAULT_HISTORY, HISTORY_LIMITS)?)),
            None if self.text("limit")?.is_some() => {
                let detail =
                    "parameter \"limit\" needs \"key\": without a key, the newest of all keys are listed";
                Err(invalid(detail))
            }
            None => Ok((None, u32::MAX)),
        }
    }

    fn limit_within(&mut self, default: u32, limits: RangeInclusive<u32>) -> Result<u32, ProblemResponse> {
        let limit = self.value("limit")?.unwrap_or(default);
        if !limits.contains(&limit) {
            let (least, most) = (limits.start(), limits.end());
            let detail = format!("parameter \"limit\" is {limit}; it must be between {least} and {most}");
            return Err(invalid(detail));
        }
        Ok(limit)
    }

    /// Takes `total`: whether the answer counts all entries that match.
    pub(crate) fn total(&mut self) -> Result<bool, ProblemResponse> {
        Ok(self.value("total")?.unwrap_or(false))
    }

    /// Rejects parameters that nothing has taken; call it last. `known` lists the parameters of the route.
    pub(crate) fn finish(self, known: &str) -> Result<(), ProblemResponse> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(format!(
                "unknown parameter {name:?}; expected one of {known}"
            ))),
        }
    }
}

/// The variable part of a path.
pub(crate) fn segment(path: Result<Path<String>, PathRejection>) -> Result<String, ProblemResponse> {
    let Path(text) = path.map_err(|error| invalid(error.body_text()))?;
    Ok(text)
}

/// Cuts rows that were read with one more than the limit, and returns where the next page begins; none on the last page.
pub(crate) fn cut<R, N>(rows: &mut Vec<R>, limit: u32, end: impl Fn(&R) -> N) -> Option<N> {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more).map(end)
}

/// 400 for query parameters that cannot be used; the detail names the parameter.
pub(crate) fn invalid(detail: impl Into<String>) -> ProblemResponse {
    ProblemResponse::bad_request("invalid-query", "the query parameters are invalid", detail)
}
