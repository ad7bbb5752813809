//! Checks of the broker that need its management API.

use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::topology::access::{self, Policy};
use lockstep_protocol::topology::{Lane, Topology};
use serde_json::Value;

use super::finding::Findings;
use super::management::Management;
use super::store;
use crate::config::Config;
use crate::roles;

/// How long the processing of a message may take, in milliseconds.
const DEADLINE_MS: u64 = 20 * 60 * 1000;

/// The oldest RabbitMQ whose quorum queues dead-letter at least once.
const OLDEST: (u32, u32) = (3, 10);

const ASK: &str = "set --management-url";
const GRANT: &str = "give the user of --management-url the tag `monitoring`, and permissions on the virtual host, which may match nothing";
const VERSION: &str = "broker version";
const ALARMS: &str = "broker alarms";
const ALTERNATES: &str = "alternate exchanges";
const POLICIES: &str = "broker policies";
const TIMEOUT: &str = "consumer time-out";

pub(super) async fn examine(config: &Config, management: Option<&Management>, findings: &mut Findings) {
    let Some(management) = management else {
        for check in [VERSION, ALARMS, ALTERNATES, POLICIES] {
            findings.unknown(check, "needs the broker's management API", ASK);
        }
        return timeout(None, findings);
    };
    let before = SystemClock.now();
    let overview = match management.get(&["overview"]).await {
        Ok(Some(overview)) => overview,
        Ok(None) => {
            return findings.failed(
                VERSION,
                "--management-url is not the management API of RabbitMQ",
                "correct --management-url",
            );
        }
        Err(error) => return findings.failed(VERSION, format!("{error:#}"), "correct --management-url"),
    };
    version(&overview.body, findings);
    if let Some(theirs) = overview.date {
        clock(theirs, before, findings);
    }
    match management.health("alarms").await {
        Ok(Ok(())) => findings.ok(ALARMS, "none"),
        Ok(Err(reason)) => findings.failed(
            ALARMS,
            reason,
            "free memory or disk space of the broker; until then it accepts no messages",
        ),
        Err(error) => findings.unknown(ALARMS, format!("{error:#}"), GRANT),
    }
    let vhost = roles::vhost(config).unwrap_or_else(|| "/".to_owned());
    objects(management, &vhost, findings).await;
}

/// The broker's time has whole seconds, so ours is rounded down.
fn clock(theirs: Timestamp, before: Timestamp, findings: &mut Findings) {
    let earlier = Timestamp::from_second(before.as_second()).unwrap_or(before);
    store::clock("broker's clock", theirs, earlier, SystemClock.now(), findings);
}

fn version(overview: &Value, findings: &mut Findings) {
    let text = overview["rabbitmq_version"].as_str().unwrap_or_default();
    let mut numbers = text.split('.').map(|part| part.parse::<u32>().ok());
    let version = numbers.next().flatten().zip(numbers.next().flatten());
    match version {
        Some(version) if version >= OLDEST => findings.ok(VERSION, format!("RabbitMQ {text}")),
        Some(_) => findings.failed(
            VERSION,
            format!("RabbitMQ {text}"),
            "upgrade to RabbitMQ 3.10 or newer; older versions can lose dead letters",
        ),
        None => findings.unknown(
            VERSION,
            format!("the broker reports the version {text:?}"),
            "check that it is 3.10 or newer",
        ),
    }
}

/// Checks each kind of object by itself: a user may not read all of them. A user with the tag `monitoring` may read the list of
/// policies, and not one by itself.
async fn objects(management: &Management, vhost: &str, findings: &mut Findings) {
    match alternates(management, vhost).await {
        Ok(wrong) if wrong.is_empty() => findings.ok(ALTERNATES, "messages without a route are kept"),
        Ok(wrong) => findings.failed(
            ALTERNATES,
            wrong.join(", "),
            "stop all publishers, delete these exchanges, then run `lockstep doctor --setup-broker`",
        ),
        Err(error) => findings.unknown(ALTERNATES, format!("{error:#}"), GRANT),
    }
    match management.get(&["policies", vhost]).await {
        Ok(list) => {
            let all = list.map(|answer| answer.body).unwrap_or_default();
            let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
            for policy in access::policies(access::INGRESS_MAX_LENGTH) {
                let found = all.iter().find(|found| found["name"] == *policy.name);
                check_policy(&policy, found, findings);
            }
        }
        Err(error) => findings.unknown(POLICIES, format!("{error:#}"), GRANT),
    }
    let queue = management.get(&["queues", vhost, Lane::Events.queue()]).await;
    let queue = queue.ok().flatten().map(|answer| answer.body);
    timeout(queue.as_ref(), findings);
}

/// The exchanges that do not have their alternate exchange.
async fn alternates(management: &Management, vhost: &str) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for exchange in Topology::new(1.0).exchanges {
        let Some(answer) = management.get(&["exchanges", vhost, exchange.name]).await? else {
            wrong.push(format!("{} does not exist", exchange.name));
            continue;
        };
        let found = answer.body["arguments"]["alternate-exchange"].as_str();
        if found != exchange.alternate {
            wrong.push(format!(
                "{} has {} instead of {}",
                exchange.name,
                found.unwrap_or("none"),
                exchange.alternate.unwrap_or("none")
            ));
        }
    }
    Ok(wrong)
}

fn check_policy(policy: &Policy, found: Option<&Value>, findings: &mut Findings) {
    const SET_UP: &str = "run `lockstep doctor --setup-broker`";
    let Some(found) = found else {
        return findings.warning(
            POLICIES,
            format!(
                "{} does not exist, so ingress lanes have no maximum length",
                policy.name
            ),
            SET_UP,
        );
    };
    let length = found["definition"]["max-length"].as_u64();
    let bytes = found["definition"]["max-length-bytes"].as_u64();
    match length.zip(bytes) {
        _ if found["pattern"] != *policy.pattern => findings.warning(
            POLICIES,
            format!(
                "{} applies to {}, not to the ingress lanes",
                policy.name, found["pattern"]
            ),
            SET_UP,
        ),
        Some((length, bytes)) => findings.ok(
            POLICIES,
            format!(
                "an ingress lane holds {length} messages and {} MiB, then rejects new ones",
                bytes >> 20
            ),
        ),
        None => findings.warning(
            POLICIES,
            format!(
                "{} does not set both max-length and max-length-bytes",
                policy.name
            ),
            SET_UP,
        ),
    }
}

/// The API shows the timeout of a policy or a queue, but not the setting of the broker.
fn timeout(queue: Option<&Value>, findings: &mut Findings) {
    let policy = queue.and_then(|queue| queue["effective_policy_definition"]["consumer-timeout"].as_u64());
    let argument = queue.and_then(|queue| queue["arguments"]["x-consumer-timeout"].as_u64());
    match policy.or(argument) {
        Some(ms) if ms >= DEADLINE_MS => findings.ok(TIMEOUT, format!("{} minutes", ms / 60_000)),
        Some(ms) => findings.failed(
            TIMEOUT,
            format!("{} s", ms / 1000),
            "raise it to 20 minutes or more; otherwise the broker takes back messages that are still being processed",
        ),
        None => findings.unknown(
            TIMEOUT,
            "the API does not show the setting of the broker; its default is 30 minutes",
            "run `rabbitmq-diagnostics environment | grep consumer_timeout`; it must be 1200000 (20 minutes) or more",
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_consumer_timeout_is_known_only_from_the_queue() {
        let table = [
            (json!({}), State::Unknown),
            (json!({"effective_policy_definition": []}), State::Unknown),
            (
                json!({"effective_policy_definition": {"consumer-timeout": 60_000}}),
                State::Failed,
            ),
            (
                json!({"effective_policy_definition": {"consumer-timeout": 1_200_000}}),
                State::Ok,
            ),
            (json!({"arguments": {"x-consumer-timeout": 3_600_000}}), State::Ok),
        ];
        for (queue, expected) in table {
            let mut findings = Findings::default();
            timeout(Some(&queue), &mut findings);
            assert_eq!(findings.worst(), expected, "{queue}");
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let table = [
            ("3.10.8", State::Ok),
            ("4.0.5", State::Ok),
            ("3.9.29", State::Failed),
            ("", State::Unknown),
        ];
        for (text, expected) in table {
            let mut findings = Findings::default();
            version(&json!({"rabbitmq_version": text}), &mut findings);
            assert_eq!(findings.worst(), expected, "{text}");
        }
    }

    #[test]
    fn a_policy_must_exist_for_the_ingress_lanes_and_limit_them() {
        let policy = access::policies(1).remove(0);
        let table = [
            (None, State::Warning),
            (
                Some(json!({"pattern": "^x$", "definition": {"max-length": 1, "max-length-bytes": 9}})),
                State::Warning,
            ),
            (
                Some(json!({"pattern": policy.pattern, "definition": {}})),
                State::Warning,
            ),
            (
                Some(json!({"pattern": policy.pattern, "definition": {"max-length": 5}})),
                State::Warning,
            ),
            (
                Some(
                    json!({"pattern": policy.pattern, "definition": {"max-length": 5, "max-length-bytes": 9}}),
                ),
                State::Ok,
            ),
        ];
        for (found, expected) in table {
            let mut findings = Findings::default();
            check_policy(&policy, found.as_ref(), &mut findings);
            assert_eq!(findings.worst(), expected, "{found:?}");
        }
    }
}
