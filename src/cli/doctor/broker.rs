//! The broker as the configured user sees it: login, objects, rights. No message is published, taken or moved.

use lockstep_bus::BusError;
use lockstep_bus::amqp::{Access, AmqpProbe, ProbeError};
use lockstep_protocol::topology::Topology;
use lockstep_protocol::topology::access::Role;
use reqwest::Url;
use secrecy::ExposeSecret;

use super::finding::Findings;
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
        needless(&probe, role, findings).await;
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
                BusError::Untrusted { .. } => "name the broker's authority in broker.ca_file",
                _ => {
                    "check user, password and virtual host in broker.url; `lockstep doctor --setup-broker` makes them"
                }
            };
            findings.failed(CHECK, format!("{url}: {error}"), advice);
            return None;
        }
        Err(error @ ProbeError::Unavailable { .. }) => {
            findings.failed(
                CHECK,
                format!("{url}: {error}"),
                "start the broker, and check host, port and what is in between",
            );
            return None;
        }
    };
    if in_the_clear(&config.broker.url) {
        findings.warning(
            CHECK,
            format!("{url} takes user {:?}, without TLS", probe.user()),
            "use amqps:// wherever passwords leave this machine",
        );
    } else {
        findings.ok(CHECK, format!("{url} takes user {:?}", probe.user()));
    }
    if probe.user() == "guest" {
        findings.warning(
            CHECK,
            "the user is guest, whose password everybody knows",
            format!("{SET_UP}, use its users, and delete guest"),
        );
    }
    Some(probe)
}

/// Whether a password goes to another machine without TLS.
fn in_the_clear(url: &BrokerUrl) -> bool {
    let BrokerUrl::Amqp(url) = url else { return false };
    let Ok(url) = Url::parse(url.expose_secret()) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    url.scheme() == "amqp" && !here
}

/// Whether all exchanges and queues are there.
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
        findings.ok(OBJECTS, "all exchanges and queues are there");
        return true;
    }
    missing.dedup();
    findings.failed(
        OBJECTS,
        format!("missing are {}", missing.join(", ")),
        format!("{SET_UP}, or start a worker whose user may declare, with broker.declare = true"),
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
                    format!("whether it may {question}: {reason}"),
                    "try again",
                );
            }
        }
    }
    if lacking.is_empty() {
        findings.ok(RIGHTS, format!("{:?} may do what a {role} does", probe.user()));
    } else {
        findings.failed(
            RIGHTS,
            format!("{:?} may not {}", probe.user(), lacking.join(", nor ")),
            format!("{SET_UP} and use the user it makes for a {role}; after an upgrade, run it again"),
        );
    }
}

async fn needless(probe: &AmqpProbe, role: Role, findings: &mut Findings) {
    let mut more = Vec::new();
    for question in rights::needless(role) {
        if ask(probe, question).await == Access::Granted {
            more.push(question.to_string());
        }
    }
    if !more.is_empty() {
        findings.warning(
            RIGHTS,
            format!(
                "{:?} may also {}, which no {role} does",
                probe.user(),
                more.join(", ")
            ),
            format!("{SET_UP} and use the user it makes for a {role}"),
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
    fn a_password_in_the_clear_is_one_that_leaves_the_machine() {
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
