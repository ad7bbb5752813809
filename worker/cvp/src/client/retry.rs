//! Decides what to do after a failed attempt, and computes the retry delays. Pure.

use std::time::Duration;

use super::fault::Fault;
use super::options::RetryOptions;

/// Whether a request may be sent again although it may have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retryability {
    /// Executing it twice has the same effect as executing it once.
    Idempotent,
    /// It may be sent again only if it certainly was not executed.
    OnlyIfNotExecuted,
}

/// The attempts so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    /// How often the request was sent, or could not be sent.
    pub(super) sends: u32,
    /// How many of them failed because the session had ended.
    pub(super) logins: u32,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    GiveUp,
    /// Log in, then send the request again.
    LogIn,
    /// Send the request again after a delay, which is at least as long as the server asks for.
    Retry {
        node: NodeChoice,
        wait: Option<Duration>,
    },
}

/// The node to send the request to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeChoice {
    Same,
    Next,
}

/// Decides what to do after a failed attempt.
pub(super) fn next(
    fault: &Fault,
    retryability: Retryability,
    attempts: Attempts,
    options: &RetryOptions,
) -> RetryDecision {
    let retry = |node, wait| RetryDecision::Retry { node, wait };
    let decision = match fault {
        // The request was not executed. If a second session ends at once, CloudVision does not accept it.
        Fault::LoggedOut(_) if attempts.logins < 2 => return RetryDecision::LogIn,
        Fault::Throttled(wait) => retry(NodeChoice::Same, *wait),
        Fault::Unreachable(_) | Fault::Certificate(_) => retry(NodeChoice::Next, None),
        Fault::TimedOut | Fault::ConnectionLost(_) | Fault::Unreadable(_)
            if retryability == Retryability::Idempotent =>
        {
            retry(NodeChoice::Next, None)
        }
        // The cause is mostly a service of the cluster, not the node, and switching the node ends the session of all requests.
        Fault::Unavailable(_, wait) if retryability == Retryability::Idempotent => retry(
            if attempts.sends < 2 {
                NodeChoice::Same
            } else {
                NodeChoice::Next
            },
            *wait,
        ),
        Fault::LoggedOut(_)
        | Fault::TimedOut
        | Fault::ConnectionLost(_)
        | Fault::Unreadable(_)
        | Fault::Unavailable(..)
        | Fault::Refused { .. }
        | Fault::Forbidden
        | Fault::Absent(_) => RetryDecision::GiveUp,
    };
    if attempts.sends >= options.tries {
        return RetryDecision::GiveUp;
    }
    decision
}

/// The delay before the next attempt. It doubles each time; `random` (0 to 1) selects a value between half and all of it. It is at
/// least what the server asks for, plus jitter, so that clients do not return at the same time.
pub(super) fn pause(options: &RetryOptions, sends: u32, asked: Option<Duration>, random: f64) -> Duration {
    let doubled = options
        .first
        .saturating_mul(2_u32.saturating_pow(sends.saturating_sub(1)));
    let jittered = doubled
        .min(options.most)
        .mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
    match asked {
        Some(asked) => asked.saturating_add(jittered / 4),
        None => jittered,
    }
}

#[cfg(test)]
mod tests {
    use super::Retryability::{Idempotent, OnlyIfNotExecuted as Once};
    use super::*;

    const OPTIONS: RetryOptions = RetryOptions {
        tries: 3,
        first: Duration::from_millis(100),
        most: Duration::from_millis(300),
        deadline: Duration::from_secs(1),
    };

    fn attempts(sends: u32, logins: u32) -> Attempts {
        Attempts { sends, logins }
    }

    #[test]
    fn a_request_that_may_have_been_executed_is_repeated_only_if_idempotent() {
        let wait = Some(Duration::from_secs(1));
        let retry = |node, wait| RetryDecision::Retry { node, wait };
        let refused = || Fault::Refused {
            code: "1".to_owned(),
            reason: "no".to_owned(),
        };
        let logged_out = || Fault::LoggedOut("x".to_owned());
        let unreadable = || Fault::Unreadable("x".to_owned());
        let table = [
            (logged_out(), Once, attempts(1, 0), RetryDecision::LogIn),
            (logged_out(), Once, attempts(2, 1), RetryDecision::LogIn),
            (logged_out(), Idempotent, attempts(3, 2), RetryDecision::GiveUp),
            (
                Fault::Throttled(wait),
                Once,
                attempts(1, 0),
                retry(NodeChoice::Same, wait),
            ),
            (
                Fault::Throttled(None),
                Idempotent,
                attempts(3, 0),
                RetryDecision::GiveUp,
            ),
            (
                Fault::Certificate("x".to_owned()),
                Once,
                attempts(1, 0),
                retry(NodeChoice::Next, None),
            ),
            (
                Fault::TimedOut,
                Idempotent,
                attempts(1, 0),
                retry(NodeChoice::Next, None),
            ),
            (Fault::TimedOut, Once, attempts(1, 0), RetryDecision::GiveUp),
            (
                unreadable(),
                Idempotent,
                attempts(2, 0),
                retry(NodeChoice::Next, None),
            ),
            (unreadable(), Once, attempts(1, 0), RetryDecision::GiveUp),
            (unreadable(), Idempotent, attempts(3, 0), RetryDecision::GiveUp),
            (
                Fault::Unavailable(503, wait),
                Idempotent,
                attempts(1, 0),
                retry(NodeChoice::Same, wait),
            ),
            (
                Fault::Unavailable(503, None),
                Idempotent,
                attempts(2, 0),
                retry(NodeChoice::Next, None),
            ),
            (
                Fault::Unavailable(503, wait),
                Once,
                attempts(1, 0),
                RetryDecision::GiveUp,
            ),
            (refused(), Idempotent, attempts(1, 0), RetryDecision::GiveUp),
            (
                Fault::Forbidden,
                Idempotent,
                attempts(1, 0),
                RetryDecision::GiveUp,
            ),
            (
                Fault::Absent("x".to_owned()),
                Idempotent,
                attempts(1, 0),
                RetryDecision::GiveUp,
            ),
        ];
        for (fault, retryability, attempts, expected) in table {
            assert_eq!(
                next(&fault, retryability, attempts, &OPTIONS),
                expected,
                "{fault:?} {retryability:?} {attempts:?}"
            );
        }
    }

    #[test]
    fn delays_double_with_jitter_and_respect_the_server() {
        let millis = |sends, asked, random| pause(&OPTIONS, sends, asked, random).as_millis();
        assert_eq!((millis(1, None, 0.0), millis(1, None, 1.0)), (50, 100));
        assert_eq!((millis(2, None, 1.0), millis(9, None, 1.0)), (200, 300));
        let asked = Some(Duration::from_secs(2));
        assert_eq!((millis(1, asked, 0.0), millis(1, asked, 1.0)), (2012, 2025));
    }
}
