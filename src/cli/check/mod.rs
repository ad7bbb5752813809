//! `lockstep check`: monitoring plugins. They print one line with performance data, then details, and exit with 0 to 3.
//!
//! Whatever goes wrong is UNKNOWN, wrong usage included: another exit code would be taken for a state.

mod age;
mod output_line;
mod repositories;
mod span;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use lockstep_protocol::rest::AgeOf;

use super::{Global, failure, output};
use output_line::{Report, Status};

/// Check the fleet, as a plugin of a monitoring system
///
/// Prints one line with performance data, then details, as Nagios, Icinga and others expect it of a plugin.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep check sync-age --warning 30m --critical 60m
  lockstep check unmanaged-age --warning 7d --critical 30d
  lockstep check verdict-age --warning 7d --repositories 30m

Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN: also for wrong usage, and if the console does
not answer.")]
pub(super) struct Check {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::enum_variant_names, reason = "the names of the subcommands")]
enum What {
    SyncAge(SyncAge),
    UnmanagedAge(UnmanagedAge),
    VerdictAge(VerdictAge),
}

/// Check how long MANAGED devices have been unsynchronized
///
/// The clock of a device starts with its first cause, and restarts when it returns to MANAGED. Devices in other states do not count.
/// The ten oldest devices are named with their causes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep check sync-age
  lockstep check sync-age --warning 15m --critical 45m --type ACCESS
  lockstep check sync-age --group campus --url https://lockstep.example.org --token-file token

Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")]
struct SyncAge {
    /// Age from which a device is a warning, such as 30m or 1h 30m
    #[arg(long, value_name = "AGE", default_value = "30m", value_parser = span::parse)]
    warning: std::time::Duration,
    /// Age from which a device is critical
    #[arg(long, value_name = "AGE", default_value = "60m", value_parser = span::parse)]
    critical: std::time::Duration,
    #[command(flatten)]
    filter: age::Filter,
}

/// Check how long devices have been UNMANAGED, and whose state should have ended
///
/// The clock of a device starts when it moves to UNMANAGED. A device in any state whose --until of `lockstep devices set-state` has passed
/// is a warning. The ten oldest devices, and the ten that should have ended first, are named with their notes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep check unmanaged-age
  lockstep check unmanaged-age --warning 1d --critical 1w --group campus

Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")]
struct UnmanagedAge {
    /// Age from which a device is a warning, such as 7d
    #[arg(long, value_name = "AGE", default_value = "7d", value_parser = span::parse)]
    warning: std::time::Duration,
    /// Age from which a device is critical
    #[arg(long, value_name = "AGE", default_value = "30d", value_parser = span::parse)]
    critical: std::time::Duration,
    #[command(flatten)]
    filter: age::Filter,
}

/// Check how long synchronized devices were not compared, and repositories not asked for their tip
///
/// A device is synchronized because Lockstep compared it once. The clock of a device starts with that comparison, or when it came to its
/// state if it was never compared; `lockstep sync plan --all --resync` compares all. A repository whose remote no worker asked for long
/// is a warning: changes there would go unnoticed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep check verdict-age
  lockstep check verdict-age --warning 3d --critical 2w --repositories 1h --group campus

Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")]
struct VerdictAge {
    /// Age from which the verdict about a device is a warning, such as 7d
    #[arg(long, value_name = "AGE", default_value = "7d", value_parser = span::parse)]
    warning: std::time::Duration,
    /// Age from which the verdict about a device is critical
    #[arg(long, value_name = "AGE", default_value = "30d", value_parser = span::parse)]
    critical: std::time::Duration,
    /// Time without an answer of its remote from which a repository is a warning
    #[arg(long, value_name = "AGE", default_value = "30m", value_parser = span::parse)]
    repositories: std::time::Duration,
    #[command(flatten)]
    filter: age::Filter,
}

impl Check {
    /// Runs the check. Every error is the state UNKNOWN.
    pub(super) async fn run(self, global: &Global) -> ExitCode {
        let (name, check) = match self.what {
            What::SyncAge(check) => (
                "SYNC-AGE",
                age::AgeCheck {
                    of: AgeOf::Unsynchronized,
                    warning: check.warning,
                    critical: check.critical,
                    repositories: None,
                    filter: check.filter,
                },
            ),
            What::UnmanagedAge(check) => (
                "UNMANAGED-AGE",
                age::AgeCheck {
                    of: AgeOf::Unmanaged,
                    warning: check.warning,
                    critical: check.critical,
                    repositories: None,
                    filter: check.filter,
                },
            ),
            What::VerdictAge(check) => (
                "VERDICT-AGE",
                age::AgeCheck {
                    of: AgeOf::Unchecked,
                    warning: check.warning,
                    critical: check.critical,
                    repositories: Some(check.repositories),
                    filter: check.filter,
                },
            ),
        };
        let report = match check.run(global).await {
            Ok(report) => report,
            Err(error) => Report::unknown(&failure::of(&error).message),
        };
        print(name, &report, global.json);
        report.status.exit_code()
    }
}

/// Whether a command line, which may be wrong, is that of a check.
pub(super) fn is_called_by(arguments: &[OsString]) -> bool {
    const WITH_VALUE: [&str; 4] = ["--config", "--url", "--token", "--token-file"];
    let mut arguments = arguments.iter().skip(1);
    while let Some(argument) = arguments.next() {
        let text = argument.to_str().unwrap_or_default();
        if WITH_VALUE.contains(&text) {
            arguments.next();
        } else if !text.starts_with('-') {
            return text == "check";
        }
    }
    false
}

/// Prints that a command line is wrong, and returns the exit code of that.
pub(super) fn wrong_usage(error: &clap::Error, json: bool) -> i32 {
    print("CHECK", &Report::unknown(&failure::usage(error).message), json);
    Status::Unknown.number().into()
}

fn print(name: &str, report: &Report, json: bool) {
    if json {
        output::json(report);
    } else {
        for line in report.lines(name) {
            output::line(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_recognized_in_wrong_command_lines() {
        for (line, expected) in [
            ("lockstep check sync-age --warning soon", true),
            ("lockstep check", true),
            ("lockstep --json --url http://x check nothing", true),
            ("lockstep --token=x -vv check sync-age", true),
            ("lockstep --url check devices list --nope", false),
            ("lockstep devices show check --nope", false),
            ("lockstep", false),
            ("lockstep --nope", false),
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(is_called_by(&arguments), expected, "{line}");
        }
    }
}
