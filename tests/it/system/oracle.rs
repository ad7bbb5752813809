//! Checks the outcome of every fault test: each accepted message has exactly one applied or one dead row and at least one
//! result; no message is lost or applied twice, and no row exists without a sent message. It prints its counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions};
use lockstep_protocol::topology::Queue;
use lockstep_protocol::{Code, Envelope, Hostname, Identity, Source};
use lockstep_testbed::wait::{self, Progress};

use super::records::Records;
use super::{PATIENCE, Sent};

/// The expected outcome of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The message is applied, and raises the generation of this device by one.
    Applied { flags: Option<Hostname> },
    /// The message is dead-lettered with this code.
    Dead { code: Code },
}

/// Checks one scene.
#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) records: Records,
}

/// The counts of a check.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    accepted: usize,
    applied: usize,
    dead: usize,
    results: usize,
    repeated_results: usize,
    lost: usize,
    doubled: usize,
    unexpected: usize,
}

impl Oracle {
    /// Waits until all sent messages are processed.
    pub(crate) async fn processed(&self, sent: &Sent) -> Result<()> {
        self.processed_at_least(sent.len()).await
    }

    /// Waits until at least this number of messages is processed, as long as messages are processed.
    pub(crate) async fn processed_at_least(&self, count: usize) -> Result<()> {
        self.processed_without_stall(count, PATIENCE).await
    }

    /// Waits until another message is processed, or all are: the worker resumed. Fails if it stands still for `stall`.
    pub(crate) async fn resumed(&self, sent: &Sent, stall: Duration) -> Result<()> {
        let before = usize::try_from(self.records.processed().await?)?;
        self.processed_without_stall(sent.len().min(before + 1), stall)
            .await
    }

    async fn processed_without_stall(&self, count: usize, stall: Duration) -> Result<()> {
        let what = format!("{count} messages to be processed");
        wait::while_growing(&what, stall, async || {
            let processed = self.records.processed().await;
            let (processed, state) = match processed.and_then(|processed| Ok(usize::try_from(processed)?)) {
                Ok(processed) if processed >= count => return Ok(()),
                Ok(processed) => (processed, format!("{processed} of {count} are processed")),
                Err(error) => (0, format!("{error:#}")),
            };
            Err(Progress {
                count: processed,
                state,
            })
        })
        .await?;
        Ok(())
    }

    /// Checks every row of the store and every result outside of reply queues.
    pub(crate) async fn check(&self, sent: &Sent, bus: &dyn Bus) -> Result<()> {
        self.check_with(sent, &BTreeSet::new(), bus).await
    }

    /// The same for tests that have read some of the results already.
    #[expect(clippy::print_stdout, reason = "fault tests print their counts")]
    pub(crate) async fn check_with(
        &self,
        sent: &Sent,
        elsewhere: &BTreeSet<Identity>,
        bus: &dyn Bus,
    ) -> Result<()> {
        let here = sent.keys().filter(|identity| !elsewhere.contains(identity));
        let mut results = results(here.collect(), bus).await?;
        for identity in elsewhere {
            *results.entry(identity.clone()).or_default() += 1;
        }
        let counts = self.count(sent, &results).await?;
        println!("{counts:?}");
        ensure!(
            counts.lost == 0 && counts.doubled == 0 && counts.unexpected == 0,
            "{counts:?}"
        );
        ensure!(counts.applied + counts.dead == counts.accepted, "{counts:?}");
        Ok(())
    }

    async fn count(&self, sent: &Sent, results: &BTreeMap<Identity, usize>) -> Result<Counts> {
        let inbox = self.records.inbox().await?;
        let dead_letters = self.records.dead_letters().await?;
        let mut counts = Counts {
            accepted: sent.len(),
            ..Counts::default()
        };
        let mut flagged: BTreeMap<Hostname, i64> = BTreeMap::new();
        for (identity, expected) in sent {
            let answers = results.get(identity).copied().unwrap_or(0);
            counts.results += answers;
            counts.repeated_results += answers.saturating_sub(1);
            match (inbox.get(identity), expected) {
                (Some(row), Expected::Applied { flags }) if row.state == "applied" && answers > 0 => {
                    counts.applied += 1;
                    *flagged
                        .entry(flags.clone().unwrap_or_else(no_device))
                        .or_default() += 1;
                }
                (Some(row), Expected::Dead { code }) if row.state == "dead" && answers > 0 => {
                    ensure!(
                        row.result["code"] == code.as_str(),
                        "{identity} is dead with the code {}",
                        row.result
                    );
                    let dead_letter = dead_letters.get(&(identity.clone(), row.redrive_count));
                    ensure!(
                        dead_letter.is_some_and(|dead_letter| dead_letter.code == code.as_str()),
                        "{identity} is dead, but its dead letter is {dead_letter:?}"
                    );
                    counts.dead += 1;
                }
                (row, expected) => {
                    eprintln!("{identity}: {expected:?}, but found {row:?} and {answers} results");
                    counts.lost += 1;
                }
            }
        }
        counts.unexpected = inbox
            .keys()
            .filter(|identity| !sent.contains_key(identity))
            .count();
        for (hostname, generations) in self.records.devices().await? {
            let bumps = flagged.get(&hostname).copied().unwrap_or(0);
            let raised = generations.desired - generations.synced;
            if raised != bumps {
                eprintln!("{hostname} was raised {raised} times by {bumps} messages");
                counts.doubled += 1;
            }
        }
        Ok(counts)
    }
}

/// A hostname without a device, for messages that flag none.
fn no_device() -> Hostname {
    "nobody.invalid".parse().expect("it is a hostname")
}

/// Counts the results of each message: reads until each one has a result, and then all further ones.
async fn results(mut missing: BTreeSet<&Identity>, bus: &dyn Bus) -> Result<BTreeMap<Identity, usize>> {
    let options = ConsumeOptions {
        prefetch: 1000,
        acknowledge: Acknowledge::InOrder,
    };
    let mut consumer = bus.consume(Queue::Results, options).await?;
    let mut found: BTreeMap<Identity, usize> = BTreeMap::new();
    loop {
        let patience = if missing.is_empty() {
            Duration::from_millis(200)
        } else {
            PATIENCE
        };
        let batch = match tokio::time::timeout(patience, consumer.take(1000)).await {
            Ok(batch) => batch.context("the bus was closed")?,
            Err(_) if missing.is_empty() => break,
            Err(_) => {
                eprintln!(
                    "{} messages have no result, such as {:?}",
                    missing.len(),
                    missing.first()
                );
                break;
            }
        };
        for delivery in &batch.deliveries {
            let result = Envelope::decode(&delivery.body)
                .context("a result cannot be read")?
                .envelope;
            ensure!(
                result.identity.source == Source::worker(),
                "a result of {}",
                result.identity
            );
            let cause = cause(&result)?;
            missing.remove(&cause);
            *found.entry(cause).or_default() += 1;
        }
        batch.receipt.ack().await;
    }
    consumer.close().await;
    Ok(found)
}

/// The message a result is about.
pub(crate) fn cause(result: &Envelope) -> Result<Identity> {
    let text = result
        .causationid
        .as_deref()
        .context("a result without its cause")?;
    let (source, id) = text.split_once(' ').context("a cause that is no identity")?;
    Ok(Identity {
        source: source.to_owned().try_into()?,
        id: id.to_owned().try_into()?,
    })
}
