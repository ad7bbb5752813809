//! Checks the broker as the configured user: login, objects, permissions. It publishes, consumes and moves no message.

use lockstep_bus::BusError;
use lockstep_bus::amqp::{Access, AmqpProbe, ProbeError};
use lockstep_protocol::topology::Topology;
use lockstep_protocol::topology::access::Role;
use reqwest::Url;
use secrecy::ExposeSecret;

use super::exposure::is_here;
use super::finding::Findings;
use super::lanes;
use super::rights::{self, Question};
use crate::config::{BrokerUrl, Config};
use crate::roles;

const RIGHTS: &str = "broker rights";
const OBJECTS: &str = "broker objects";
const SET_UP: &str = "run `lockstep doctor --setup-broker`";

pub(super) async fn examine(config: &Config, role: Role, findings: &mut Findings) {
    let Some(probe) = login(config, findings).await else {
        return;
    };
    if objects(&probe, findings).await {
        needed(&probe, config, role, findings).await;
        excess(&probe, role, findings).await;
        lanes::examine(&probe, !config.cvp.is_empty(), findings).await;
    }
    probe.close().await;
}

async fn login(config: &Config, findings: &mut Findings) -> Option<AmqpProbe> {
    const CHECK: &str = "broker";
    let options = roles::amqp_options(config)?;
    let url = &config.broker.url;
    let probe = match AmqpProbe::connect(&options).await {
        Ok(probe) => probe,
        Err(ProbeError::Refused(error)) => {
            let advice = match &error {
                BusError::Address { .. } => "correct broker.url or broker.ca_file",
                BusError::Untrusted { .. } => {
                    "set broker.ca_file to the certificates of the broker's authority"
                }
                _ => {
                    "check user, password and virtual host in broker.url; `lockstep doctor --setup-broker` creates them"
                }
            };
            findings.failed(CHECK, format!("{url}: {error}"), advice);
            return None;
        }
        Err(error @ ProbeError::Unavailable { .. }) => {
            findings.failed(
                CHECK,
                format!("{url}: {error}"),
                "start the broker, and check host, port and firewalls",
            );
            return None;
        }
    };
    if in_the_clear(&config.broker.url) {
        findings.warning(
            CHECK,
            format!("{url} accepts user {:?}, without TLS", probe.user()),
            "use amqps://, because the password leaves this machine",
        );
    } else {
        findings.ok(CHECK, format!("{url} accepts user {:?}", probe.user()));
    }
    if probe.user() == "guest" {
        findings.warning(
            CHECK,
            "the user is guest, whose password is public",
            format!("{SET_UP}, use one of its users, and delete guest"),
        );
    }
    Some(probe)
}

/// Whether the password leaves this machine without TLS.
fn in_the_clear(url: &BrokerUrl) -> bool {
    let BrokerUrl::Amqp(url) = url else { return false };
    let Ok(url) = Url::parse(url.expose_secret()) else {
        return false;
    };
    url.scheme() == "amqp" && !is_here(&url)
}

/// Checks all exchanges and queues; true if all exist.
async fn objects(probe: &AmqpProbe, findings: &mut Findings) -> bool {
    let topology = Topology::new(1.0);
    let mut missing = Vec::new();
    for exchange in &topology.exchanges {
        match probe.exchange(exchange.name).await {
            Access::Missing => missing.push(exchange.name),
            Access::Granted | Access::Refused { .. } => {}
            Access::Unknown { reason } => {
                findings.unknown(
                    OBJECTS,
                    format!("exchange {}: {reason}", exchange.name),
                    "try again",
                );
            }
        }
    }
    for queue in &topology.queues {
        match probe.queue(queue.name).await {
            Err(Access::Missing) => missing.push(queue.name),
            Ok(_) | Err(Access::Granted | Access::Refused { .. }) => {}
            Err(Access::Unknown { reason }) => {
                findings.unknown(OBJECTS, format!("queue {}: {reason}", queue.name), "try again");
            }
        }
    }
    if missing.is_empty() {
        findings.ok(OBJECTS, "all exchanges and queues exist");
        return true;
    }
    missing.dedup();
    findings.failed(
        OBJECTS,
        format!("missing: {}", missing.join(", ")),
        format!("{SET_UP}, or start a worker with broker.declare = true whose user may declare them"),
    );
    false
}

async fn needed(probe: &AmqpProbe, config: &Config, role: Role, findings: &mut Findings) {
    let mut lacking = Vec::new();
    for question in rights::needed(role, &config.worker.lanes) {
        match ask(probe, question).await {
            Access::Granted => {}
            Access::Refused { .. } | Access::Missing => lacking.push(question.to_string()),
            Access::Unknown { reason } => {
                findings.unknown(
                    RIGHTS,
                    format!("cannot check whether the user may {question}: {reason}"),
                    "try again",
                );
            }
        }
    }
    if lacking.is_empty() {
        findings.ok(
            RIGHTS,
            format!("{:?} has all permissions of a {role}", probe.user()),
        );
    } else {
        findings.failed(
            RIGHTS,
            format!("{:?} may not {}", probe.user(), lacking.join(", nor ")),
            format!("{SET_UP} and use its user for a {role}; run it again after each upgrade"),
        );
    }
}

async fn excess(probe: &AmqpProbe, role: Role, findings: &mut Findings) {
    let mut excess = Vec::new();
    for question in rights::excess(role) {
        if ask(probe, question).await == Access::Granted {
            excess.push(question.to_string());
        }
    }
    if !excess.is_empty() {
        findings.warning(
            RIGHTS,
            format!(
                "{:?} may also {}, which a {role} does not need",
                probe.user(),
                excess.join(", ")
            ),
            format!("{SET_UP} and use its user for a {role}"),
        );
    }
}

async fn ask(probe: &AmqpProbe, question: Question) -> Access {
    match question {
        Question::Publish(exchange, key) => probe.may_publish(exchange, key).await,
        Question::Read(queue) => probe.may_consume(queue).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_the_clear_only_if_it_leaves_the_machine() {
        let table = [
            ("amqp://u:p@rabbit/v", true),
            ("amqps://u:p@rabbit/v", false),
            ("amqp://u:p@localhost/v", false),
            ("amqp://u:p@127.0.0.1/v", false),
            ("amqp://u:p@[::1]:5672/v", false),
        ];
        for (url, expected) in table {
            let url = BrokerUrl::Amqp(url.to_owned().into());
            assert_eq!(in_the_clear(&url), expected, "{url}");
        }
    }
}
