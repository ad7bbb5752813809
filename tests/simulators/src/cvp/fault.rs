use std::time::Duration;

use super::endpoint::Endpoint;

/// A fault of a single request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is executed after this time.
    Delay(Duration),
    /// The request is executed at once and answered after this time.
    DelayAnswer(Duration),
    /// The request is neither executed nor answered; the connection stays open.
    Hang,
    /// The request is not executed, and the connection is closed.
    Drop,
    /// The request is executed, and the connection is closed without a response.
    LoseAnswer,
    /// Not executed; the response has this status.
    Status(u16),
    /// Not executed; status 429, with `Retry-After` in seconds.
    RateLimited(Option<u64>),
    /// Not executed; status 200, with a page of HTML.
    Html,
    /// Executed; the response has only the first half of the body, with a matching length.
    Truncated,
    /// Executed; status 200, without a body.
    Empty,
    /// Not executed; status 200, with CloudVision's error object: code and message.
    ErrorCode(String, String),
    /// Not executed; status 200, with a nested `errorCode`.
    NestedErrorCode,
    /// Not executed; status 200, with CloudVision's text for an ended session.
    LoggedOut,
    /// Not executed; status 302 to the login page.
    Redirect,
}

/// A fault and the requests it hits: by default all requests to its endpoint.
#[derive(Clone, Debug)]
pub struct Injection {
    endpoint: Option<Endpoint>,
    fault: Fault,
    subject: Option<String>,
    spared: u32,
    remaining: Option<u32>,
}

impl Injection {
    /// Hits every request to this endpoint.
    pub fn new(endpoint: Endpoint, fault: Fault) -> Self {
        Self {
            endpoint: Some(endpoint),
            ..Self::everywhere(fault)
        }
    }

    /// Hits every request.
    pub fn everywhere(fault: Fault) -> Self {
        Self {
            endpoint: None,
            fault,
            subject: None,
            spared: 0,
            remaining: None,
        }
    }

    /// Hits only requests about this device (MAC address) or task (id).
    #[must_use]
    pub fn about(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }

    /// Skips the first `count` matching requests.
    #[must_use]
    pub fn after(mut self, requests: u32) -> Self {
        self.spared = requests;
        self
    }

    /// Hits at most `count` requests.
    #[must_use]
    pub fn times(mut self, requests: u32) -> Self {
        self.remaining = Some(requests);
        self
    }

    fn concerns(&self, endpoint: Endpoint, subject: Option<&str>) -> bool {
        self.endpoint.is_none_or(|own| own == endpoint)
            && self.subject.as_deref().is_none_or(|own| Some(own) == subject)
    }
}

/// The injections that are still active. The first matching one applies.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Injection>);

impl Faults {
    pub(crate) fn inject(&mut self, injection: Injection) {
        self.0.push(injection);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of this request. Each call counts as one hit.
    pub(crate) fn take(&mut self, endpoint: Endpoint, subject: Option<&str>) -> Option<Fault> {
        for injection in self.0.iter_mut().filter(|it| it.concerns(endpoint, subject)) {
            if injection.spared > 0 {
                injection.spared -= 1;
                continue;
            }
            match &mut injection.remaining {
                Some(0) => continue,
                Some(remaining) => *remaining -= 1,
                None => {}
            }
            return Some(injection.fault.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_as_often_and_where_it_is_meant_to() {
        let mut faults = Faults::default();
        faults.inject(
            Injection::new(Endpoint::Cancel, Fault::Drop)
                .about("1")
                .after(1)
                .times(2),
        );
        faults.inject(Injection::new(Endpoint::Tasks, Fault::Html));
        let mut cancel = |subject| faults.take(Endpoint::Cancel, Some(subject));
        assert_eq!(cancel("2"), None);
        assert_eq!(cancel("1"), None);
        assert_eq!(cancel("1"), Some(Fault::Drop));
        assert_eq!(cancel("1"), Some(Fault::Drop));
        assert_eq!(cancel("1"), None);
        for _ in 0..3 {
            assert_eq!(faults.take(Endpoint::Tasks, None), Some(Fault::Html));
        }
        faults.clear();
        assert_eq!(faults.take(Endpoint::Tasks, None), None);
    }
}
