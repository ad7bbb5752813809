//! Decides which events are logged, and at which level. Pure.

use tracing::Level;
use tracing_subscriber::filter::Targets;

/// What the targets of all crates of Lockstep begin with.
const OURS: &str = "lockstep";

/// The level at which an event is shown. Libraries log failures as errors that Lockstep handles and reports in its own words: what
/// they log is for debugging.
pub(crate) fn shown_level(target: &str, level: Level) -> Level {
    if target.starts_with(OURS) {
        level
    } else if level <= Level::INFO {
        Level::DEBUG
    } else {
        Level::TRACE
    }
}

/// Whether an event is logged.
pub(super) fn is_logged(filter: &Targets, target: &str, level: Level) -> bool {
    filter.would_enable(target, &shown_level(target, level))
}

/// The filter with the level of Lockstep's crates raised by `-v`.
pub(super) fn raised(filter: Targets, verbose: u8) -> Targets {
    match verbose {
        0 => filter,
        1 => filter.with_target(OURS, Level::DEBUG),
        _ => filter.with_target(OURS, Level::TRACE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_for_debugging_and_our_crates_keep_their_levels() {
        let table = [
            ("lockstep", Level::ERROR, Level::ERROR),
            ("lockstep_bus::amqp::outage", Level::WARN, Level::WARN),
            ("lockstep_worker::runtime", Level::TRACE, Level::TRACE),
            ("lapin::channels", Level::ERROR, Level::DEBUG),
            ("io_loop", Level::ERROR, Level::DEBUG),
            ("refinery_core::traits", Level::INFO, Level::DEBUG),
            ("deadpool::managed", Level::WARN, Level::DEBUG),
            ("log", Level::INFO, Level::DEBUG),
            ("hyper::proto", Level::DEBUG, Level::TRACE),
            ("h2", Level::TRACE, Level::TRACE),
        ];
        for (target, level, expected) in table {
            assert_eq!(shown_level(target, level), expected, "{target} {level}");
        }
    }

    #[test]
    fn filter_and_verbosity_decide_what_is_logged() {
        let table = [
            ("info", 0, "lapin::channels", Level::ERROR, false),
            ("info", 0, "lockstep_bus", Level::INFO, true),
            ("info", 0, "lockstep_bus", Level::DEBUG, false),
            ("info", 1, "lockstep_bus", Level::DEBUG, true),
            ("info", 1, "lockstep_http::server", Level::TRACE, false),
            ("info", 2, "lockstep_http::server", Level::TRACE, true),
            ("info", 2, "lapin::channels", Level::ERROR, false),
            ("debug", 0, "lapin::channels", Level::ERROR, true),
            ("debug", 0, "lapin::channels", Level::DEBUG, false),
            ("info,lapin=debug", 0, "lapin::channels", Level::ERROR, true),
            ("info,lapin=debug", 0, "deadpool::managed", Level::WARN, false),
            ("warn", 0, "lockstep", Level::INFO, false),
        ];
        for (filter, verbose, target, level, expected) in table {
            let filter = raised(filter.parse().unwrap(), verbose);
            assert_eq!(
                is_logged(&filter, target, level),
                expected,
                "{filter} {target} {level}"
            );
        }
    }
}
