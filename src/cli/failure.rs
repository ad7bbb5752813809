//! Errors as people and scripts read them.

use std::ffi::OsString;

use super::UsageError;
use super::await_outcome::UnknownOutcome;
use super::client::{Rejected, Unreachable};
use crate::config::ConfigProblems;
use crate::inventory::InventoryError;
use crate::terminal::Failure;

/// Whether these arguments ask for JSON. They may be wrong, so that nothing else reads them.
pub(super) fn wants_json(arguments: &[OsString]) -> bool {
    let options = || arguments.iter().take_while(|argument| *argument != "--");
    let is_json = |value: &str| matches!(value, "json" | "jsonl");
    let mut pairs = options().zip(options().skip(1));
    options().any(|argument| {
        let text = argument.to_str().unwrap_or_default();
        let value = text.strip_prefix("--output=").or_else(|| text.strip_prefix("-o"));
        text == "--json" || value.is_some_and(|value| is_json(value.trim_start_matches('=')))
    }) || pairs.any(|(option, value)| {
        (option == "-o" || option == "--output") && value.to_str().is_some_and(is_json)
    })
}

/// An error of a command, with all its causes.
pub(super) fn of(error: &anyhow::Error) -> Failure {
    let text = format!("{error:#}");
    let (code, exit_code) = if error.is::<ConfigProblems>() {
        ("invalid-configuration", 78)
    } else if error.is::<UsageError>() {
        ("usage", 2)
    } else if error.is::<UnknownOutcome>() {
        ("unknown-outcome", 75)
    } else if error.is::<InventoryError>() {
        ("invalid-inventory", 1)
    } else if error.is::<Unreachable>() {
        ("unreachable", 1)
    } else if let Some(rejected) = error.downcast_ref::<Rejected>() {
        (rejected.code(), 1)
    } else {
        ("failed", 1)
    };
    // Only these have lines of their own, and make what stands in a line visible.
    let is_list = error.is::<ConfigProblems>() || error.is::<InventoryError>();
    let (message, details) = match text.split_once('\n').filter(|_| is_list) {
        Some((first, rest)) => (first, rest.lines().map(str::to_owned).collect()),
        None => (text.as_str(), Vec::new()),
    };
    Failure {
        exit_code,
        details,
        ..Failure::new(code, message)
    }
}

/// An error in the command line: its first paragraph, and as a hint what clap advises.
pub(super) fn usage(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let message = paragraphs.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let lines = message.lines().map(str::trim);
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    let more = text.lines().find(|line| line.starts_with("For more information"));
    Failure {
        exit_code: 2,
        hint: tip.or(more).map(str::to_owned),
        ..Failure::new("usage", &lines.collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    #[test]
    fn json_is_wanted_whatever_else_is_wrong() {
        for (line, expected) in [
            ("lockstep devices list --json", true),
            ("lockstep --json nope", true),
            ("lockstep devices list -o json", true),
            ("lockstep devices list -ojsonl --nope", true),
            ("lockstep devices list --output=json", true),
            ("lockstep devices list --output jsonl", true),
            ("lockstep devices list -o csv", false),
            ("lockstep publish x -- --json", false),
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(wants_json(&arguments), expected, "{line}");
        }
    }

    #[test]
    fn a_wrong_argument_is_an_error_with_a_hint() {
        let of = |line: &str| usage(&Cli::try_parse_from(line.split(' ')).unwrap_err());
        let failure = of("lockstep devices list --unsynchronised");
        assert_eq!(failure.message, "unexpected argument '--unsynchronised' found");
        assert_eq!((failure.code.as_str(), failure.exit_code), ("usage", 2));
        let hint = failure.hint.unwrap();
        assert!(hint.contains("--unsynchronized"), "{hint}");
        let missing = of("lockstep devices show");
        assert!(missing.message.contains("<HOST>"), "{}", missing.message);
        assert!(missing.hint.unwrap().contains("--help"));
    }

    #[test]
    fn each_kind_of_error_has_a_code_and_an_exit_code() {
        let problems = || ConfigProblems::one("x", "is wrong").0;
        let two = ConfigProblems([problems(), problems()].concat());
        let failure = of(&two.into());
        assert_eq!(failure.message, "invalid configuration, 2 problems:");
        assert_eq!((failure.details.len(), failure.exit_code), (2, 78));
        for (error, code, exit_code) in [
            (anyhow::Error::from(UsageError("x".to_owned())), "usage", 2),
            (
                InventoryError(vec!["x".to_owned()]).into(),
                "invalid-inventory",
                1,
            ),
            (anyhow::anyhow!("x").context("y"), "failed", 1),
        ] {
            let failure = of(&error);
            assert_eq!((failure.code.as_str(), failure.exit_code), (code, exit_code));
        }
    }
}
