use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::endpoint::Endpoint;

/// Number of requests that are kept; all are counted.
const REMEMBERED: usize = 100_000;

/// A received request.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Index of the node that received it.
    pub node: usize,
    pub method: String,
    pub path: String,
    pub query: String,
    pub endpoint: Endpoint,
    /// The task (id) or device (MAC address or serial number) that it concerns.
    pub subject: Option<String>,
    /// The JSON body; null if it is absent or not JSON, and always for a login.
    pub body: Value,
    pub credential: Credential,
    /// Time since the start of the simulator.
    pub at: Duration,
    /// The same of the end of the request: its response, or the end of its connection.
    pub ended_at: Option<Duration>,
    /// Status of the response; `None` before it, and for good if the request hangs or its connection was closed.
    pub status: Option<u16>,
}

/// The credential of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    None,
    /// The header `APP_SESSION_ID`.
    SessionHeader,
    /// A cookie `session_id` or `access_token`.
    Cookie,
    /// `Authorization: Bearer`.
    Bearer,
}

/// All requests in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Logged>,
    forgotten: usize,
    counts: BTreeMap<Endpoint, usize>,
    under_way: usize,
    peak: usize,
}

impl Log {
    /// Records the start of a request; returns its number for [`Log::end`].
    pub(crate) fn begin(&mut self, entry: Logged) -> usize {
        *self.counts.entry(entry.endpoint).or_default() += 1;
        self.under_way += 1;
        self.peak = self.peak.max(self.under_way);
        if self.entries.len() == REMEMBERED {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        self.entries.push_back(entry);
        self.forgotten + self.entries.len() - 1
    }

    pub(crate) fn end(&mut self, number: usize, at: Duration, status: Option<u16>) {
        self.under_way -= 1;
        let index = number.checked_sub(self.forgotten);
        if let Some(entry) = index.and_then(|index| self.entries.get_mut(index)) {
            entry.ended_at = Some(at);
            entry.status = status;
        }
    }

    pub(crate) fn entries(&self) -> Vec<Logged> {
        self.entries.iter().cloned().collect()
    }

    pub(crate) fn counts(&self) -> BTreeMap<Endpoint, usize> {
        self.counts.clone()
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    pub(crate) fn forget(&mut self) {
        self.forgotten += self.entries.len();
        self.entries.clear();
        self.counts.clear();
        self.peak = self.under_way;
    }
}
