//! `--every`: reads an inventory again and again, and imports it when it changed. Files are read at an interval, instead of being told of
//! changes by the operating system: so files that are replaced, folders, and the links of a Kubernetes `ConfigMap` all work.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use lockstep_protocol::Digest;
use lockstep_protocol::events::InventoryImported;

use super::summary::Summary;
use super::{Import, existing_types, publish, warn};
use crate::cli::client::Client;
use crate::cli::{Global, UsageError, output};
use crate::lifecycle::Lifecycle;

/// How long a changed inventory must stay as it is before it is imported: it may be half-written.
const SETTLE: Duration = Duration::from_secs(1);

/// The first wait after a failure; each failure in a row doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest wait after a failure.
const LONGEST_RETRY: Duration = Duration::from_mins(5);

/// Runs until a signal stops the process. An import that is under way then is safe to do again.
///
/// # Errors
/// The command line is wrong. What may end by itself is printed instead, once: an invalid inventory, a console that cannot be reached.
pub(super) async fn run(import: &Import, global: &Global, every: Duration) -> anyhow::Result<ExitCode> {
    let lifecycle = Lifecycle::start(Duration::ZERO)?;
    let mut repeated = Repeated::default();
    let rounds = async {
        loop {
            let wait = match round(import, global, &mut repeated).await {
                Ok(Step::Settle) => SETTLE.min(every),
                Ok(Step::Nothing | Step::Import) => every,
                Err(error) if error.is::<UsageError>() => return error,
                Err(error) => {
                    let (wait, is_new) = repeated.failed(format!("{error:#}"), every);
                    if is_new {
                        output::error(&format!(
                            "{error:#}; trying again until that is over, at least every {} s",
                            LONGEST_RETRY.min(every).as_secs()
                        ));
                    }
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    };
    match lifecycle.starting(rounds).await {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => Err(error),
    }
}

/// Reads the inventory once, and imports it if it is time.
async fn round(import: &Import, global: &Global, repeated: &mut Repeated) -> anyhow::Result<Step> {
    let (messages, warnings) = import.messages(global).await?;
    let digest = Digest::of_bytes(&serde_json::to_vec(&messages)?);
    let step = repeated.step(digest);
    if step == Step::Nothing && repeated.recovered() {
        output::note("the inventory is valid again, and as it was imported");
    }
    if step != Step::Import {
        return Ok(step);
    }
    warn(&warnings);
    let client = Client::new(global)?;
    let hostnames = hostnames(&messages);
    let before = match repeated.hostnames.take() {
        Some(before) => before,
        // What was in the inventory before this process began is not known.
        None => existing_types(&client).await?.into_keys().collect(),
    };
    let gone = before.difference(&hostnames).cloned().collect();
    // Until it is imported, so that a failure names the same devices again.
    repeated.hostnames = Some(before);
    let summary = publish::import(&client, messages).await?;
    repeated.imported(digest, hostnames);
    let no_longer_listed = gone;
    show(
        global,
        &Summary {
            no_longer_listed,
            ..summary
        },
    );
    Ok(step)
}

fn show(global: &Global, summary: &Summary) {
    if global.json {
        output::json_line(summary);
    } else {
        output::line(&summary.line());
        let more = summary
            .marked_line()
            .into_iter()
            .chain(summary.no_longer_listed_line());
        more.for_each(|line| output::line(&line));
    }
    for line in summary.lacks() {
        output::error(&line);
    }
}

/// The devices of an inventory, in lower case.
fn hostnames(messages: &[InventoryImported]) -> BTreeSet<String> {
    let devices = messages.iter().flat_map(|message| &message.devices);
    devices.map(|device| device.hostname.folded()).collect()
}

/// What to do with an inventory that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is imported already.
    Nothing,
    /// It changed just now; read it once more.
    Settle,
    Import,
}

/// What is remembered from one round to the next.
#[derive(Debug, Default)]
struct Repeated {
    imported: Option<Digest>,
    /// What changed, and was not imported yet.
    changed: Option<Digest>,
    /// The devices of the last import.
    hostnames: Option<BTreeSet<String>>,
    /// The last failure, if nothing succeeded since.
    failure: Option<String>,
    retry: Option<Duration>,
}

impl Repeated {
    fn step(&mut self, digest: Digest) -> Step {
        if self.imported == Some(digest) {
            self.changed = None;
            Step::Nothing
        } else if self.changed.replace(digest) == Some(digest) {
            Step::Import
        } else {
            Step::Settle
        }
    }

    fn imported(&mut self, digest: Digest, hostnames: BTreeSet<String>) {
        *self = Self {
            imported: Some(digest),
            hostnames: Some(hostnames),
            ..Self::default()
        };
    }

    /// Whether there was a failure, which is over.
    fn recovered(&mut self) -> bool {
        self.retry = None;
        self.failure.take().is_some()
    }

    /// How long to wait after a failure, and whether it is another one than before.
    fn failed(&mut self, failure: String, every: Duration) -> (Duration, bool) {
        let wait = self.retry.unwrap_or(FIRST_RETRY).min(LONGEST_RETRY).min(every);
        self.retry = Some(wait * 2);
        let is_new = self.failure.as_ref() != Some(&failure);
        self.failure = Some(failure);
        (wait, is_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of_bytes(text.as_bytes())
    }

    #[test]
    fn an_inventory_is_imported_once_it_has_changed_and_stays_the_same() {
        let mut repeated = Repeated::default();
        let rounds = [
            ("a", Step::Settle),
            ("ab", Step::Settle),
            ("abc", Step::Settle),
            ("abc", Step::Import),
            ("abc", Step::Nothing),
            ("d", Step::Settle),
            // It is what was imported, again.
            ("abc", Step::Nothing),
            ("d", Step::Settle),
            ("d", Step::Import),
        ];
        for (index, (text, expected)) in rounds.into_iter().enumerate() {
            let step = repeated.step(digest(text));
            assert_eq!(step, expected, "{index}");
            if step == Step::Import {
                repeated.imported(digest(text), BTreeSet::new());
            }
        }
    }

    #[test]
    fn an_import_that_failed_is_tried_again() {
        let mut repeated = Repeated::default();
        for expected in [Step::Settle, Step::Import, Step::Import] {
            assert_eq!(repeated.step(digest("a")), expected);
        }
    }

    #[test]
    fn failures_are_told_once_and_waits_grow_up_to_the_interval() {
        let mut repeated = Repeated::default();
        let every = Duration::from_secs(5);
        let rounds = [
            ("x", 1, true),
            ("x", 2, false),
            ("x", 4, false),
            ("y", 5, true),
            ("x", 5, true),
        ];
        for (failure, wait, is_new) in rounds {
            let expected = (Duration::from_secs(wait), is_new);
            assert_eq!(repeated.failed(failure.to_owned(), every), expected);
        }
        assert!(repeated.recovered() && !repeated.recovered());
        let hour = Duration::from_hours(1);
        let waits: Vec<u64> = (0..12)
            .map(|_| repeated.failed("x".to_owned(), hour).0.as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }
}
