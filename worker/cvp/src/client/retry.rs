//! What to do after something went wrong: a pure decision, and the pauses between tries.

use std::time::Duration;

use super::fault::Fault;
use super::options::RetryOptions;

/// Whether a request may be sent again although it may have had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing, or nothing more the second time.
    Harmless,
    /// Only if it certainly had no effect.
    Never,
}

/// What was tried before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tried {
    /// How often it was sent, or could not be sent.
    pub(super) sends: u32,
    /// For how many of them the session had ended.
    pub(super) logins: u32,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    GiveUp,
    /// Log in again, and send it again.
    LogIn,
    /// Send it again after a pause, which is at least as long as the server asks for.
    Again {
        node: Move,
        wait: Option<Duration>,
    },
}

/// Where to send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Stay,
    Next,
}

/// Decides what to do after a fault.
pub(super) fn next(fault: &Fault, repeat: Repeat, tried: Tried, options: &RetryOptions) -> Step {
    let again = |node, wait| Step::Again { node, wait };
    let step = match fault {
        // Refused before anything was done. A second session that ends at once is not ended: it is not accepted.
        Fault::LoggedOut(_) if tried.logins < 2 => return Step::LogIn,
        Fault::Throttled(wait) => again(Move::Stay, *wait),
        Fault::Unreachable(_) | Fault::Certificate(_) => again(Move::Next, None),
        Fault::TimedOut | Fault::Broken(_) | Fault::Garbled(_) if repeat == Repeat::Harmless => {
            again(Move::Next, None)
        }
        // Mostly the service behind, not the node: leaving it ends everybody's session.
        Fault::Overloaded(_, wait) if repeat == Repeat::Harmless => {
            again(if tried.sends < 2 { Move::Stay } else { Move::Next }, *wait)
        }
        Fault::LoggedOut(_)
        | Fault::TimedOut
        | Fault::Broken(_)
        | Fault::Garbled(_)
        | Fault::Overloaded(..)
        | Fault::Refused { .. }
        | Fault::Forbidden
        | Fault::Absent(_) => Step::GiveUp,
    };
    if tried.sends >= options.tries {
        return Step::GiveUp;
    }
    step
}

/// How long to wait before the next try: doubling, between half and all of it, `random` deciding (0 to 1). No less than the
/// server asks for, with the same jitter on top, so that those it turned away do not come back together.
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
    use super::Repeat::{Harmless, Never};
    use super::*;

    const OPTIONS: RetryOptions = RetryOptions {
        tries: 3,
        first: Duration::from_millis(100),
        most: Duration::from_millis(300),
        deadline: Duration::from_secs(1),
    };

    fn tried(sends: u32, logins: u32) -> Tried {
        Tried { sends, logins }
    }

    #[test]
    fn what_may_have_had_an_effect_is_not_sent_again_unless_that_is_harmless() {
        let wait = Some(Duration::from_secs(1));
        let again = |node, wait| Step::Again { node, wait };
        let refused = || Fault::Refused {
            code: "1".to_owned(),
            reason: "no".to_owned(),
        };
        let logged_out = || Fault::LoggedOut("x".to_owned());
        let garbled = || Fault::Garbled("x".to_owned());
        let table = [
            (logged_out(), Never, tried(1, 0), Step::LogIn),
            (logged_out(), Never, tried(2, 1), Step::LogIn),
            (logged_out(), Harmless, tried(3, 2), Step::GiveUp),
            (
                Fault::Throttled(wait),
                Never,
                tried(1, 0),
                again(Move::Stay, wait),
            ),
            (Fault::Throttled(None), Harmless, tried(3, 0), Step::GiveUp),
            (
                Fault::Certificate("x".to_owned()),
                Never,
                tried(1, 0),
                again(Move::Next, None),
            ),
            (Fault::TimedOut, Harmless, tried(1, 0), again(Move::Next, None)),
            (Fault::TimedOut, Never, tried(1, 0), Step::GiveUp),
            (garbled(), Harmless, tried(2, 0), again(Move::Next, None)),
            (garbled(), Never, tried(1, 0), Step::GiveUp),
            (garbled(), Harmless, tried(3, 0), Step::GiveUp),
            (
                Fault::Overloaded(503, wait),
                Harmless,
                tried(1, 0),
                again(Move::Stay, wait),
            ),
            (
                Fault::Overloaded(503, None),
                Harmless,
                tried(2, 0),
                again(Move::Next, None),
            ),
            (Fault::Overloaded(503, wait), Never, tried(1, 0), Step::GiveUp),
            (refused(), Harmless, tried(1, 0), Step::GiveUp),
            (Fault::Forbidden, Harmless, tried(1, 0), Step::GiveUp),
            (Fault::Absent("x".to_owned()), Harmless, tried(1, 0), Step::GiveUp),
        ];
        for (fault, repeat, tried, expected) in table {
            assert_eq!(
                next(&fault, repeat, tried, &OPTIONS),
                expected,
                "{fault:?} {repeat:?} {tried:?}"
            );
        }
    }

    #[test]
    fn pauses_double_with_jitter_and_respect_the_server() {
        let millis = |sends, asked, random| pause(&OPTIONS, sends, asked, random).as_millis();
        assert_eq!((millis(1, None, 0.0), millis(1, None, 1.0)), (50, 100));
        assert_eq!((millis(2, None, 1.0), millis(9, None, 1.0)), (200, 300));
        let asked = Some(Duration::from_secs(2));
        assert_eq!((millis(1, asked, 0.0), millis(1, asked, 1.0)), (2012, 2025));
    }
}
