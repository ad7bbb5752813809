//! Checks that every lane is consumed, by what the broker answers to any user: it needs no management API. Pure, but for the questions.

use lockstep_bus::QueueFigures;
use lockstep_bus::amqp::{Access, AmqpProbe};
use lockstep_protocol::topology::Lane;

use super::finding::Findings;

const CHECK: &str = "lanes";

/// The lanes that workers consume. Without a cluster of CloudVision in the configuration, that of CloudVision gets no messages.
fn wanted(clusters: bool) -> impl Iterator<Item = Lane> {
    let lanes = Lane::ALL.iter().copied();
    lanes.filter(move |lane| *lane != Lane::Cvp || clusters)
}

/// Asks for the queue of each lane. `clusters`: whether a cluster of CloudVision is configured.
pub(super) async fn examine(probe: &AmqpProbe, clusters: bool, findings: &mut Findings) {
    let mut lanes = Vec::new();
    for lane in wanted(clusters) {
        match probe.queue(lane.queue()).await {
            Ok(figures) => lanes.push((lane, figures)),
            Err(Access::Refused { reason } | Access::Unknown { reason }) => {
                findings.unknown(CHECK, format!("lane {lane}: {reason}"), "try again");
            }
            // Reported as a missing object.
            Err(Access::Missing | Access::Granted) => {}
        }
    }
    consumed(&lanes, findings);
}

fn consumed(lanes: &[(Lane, QueueFigures)], findings: &mut Findings) {
    let mut idle = Vec::new();
    let mut waiting = 0_u64;
    let mut all_consumed = true;
    for (lane, QueueFigures { messages, consumers }) in lanes {
        if *consumers > 0 {
            waiting += u64::from(*messages);
            continue;
        }
        all_consumed = false;
        match messages {
            0 => idle.push(lane.as_str()),
            1 => stuck(*lane, "1 message waits", findings),
            many => stuck(*lane, &format!("{many} messages wait"), findings),
        }
    }
    if !idle.is_empty() {
        findings.warning(
            CHECK,
            format!(
                "nobody consumes the lanes {}; no message waits there",
                idle.join(", ")
            ),
            "start a worker with these lanes in worker.lanes, by default all",
        );
    }
    if all_consumed && !lanes.is_empty() {
        findings.ok(
            CHECK,
            format!("a worker consumes each of them; messages that wait: {waiting}"),
        );
    }
}

fn stuck(lane: Lane, waits: &str, findings: &mut Findings) {
    findings.failed(
        CHECK,
        format!("nobody consumes lane {lane} ({waits})"),
        "start a worker with that lane in worker.lanes, by default all; if one runs, check its log",
    );
}

/// Checks the lanes of the only process that consumes the embedded bus.
pub(super) fn embedded(consumed: &[Lane], clusters: bool, findings: &mut Findings) {
    let left_out = wanted(clusters).filter(|lane| !consumed.contains(lane));
    let left_out: Vec<&str> = left_out.map(Lane::as_str).collect();
    if left_out.is_empty() {
        findings.ok(CHECK, "`lockstep up` consumes all of them");
    } else {
        findings.warning(
            CHECK,
            format!("nobody consumes the lanes {}", left_out.join(", ")),
            "remove worker.lanes: no other process consumes the embedded bus",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_lane_with_messages_and_without_a_consumer_fails() {
        let queue = |messages, consumers| QueueFigures { messages, consumers };
        let table = [
            (queue(0, 2), queue(7, 1), State::Ok, "messages that wait: 7"),
            (
                queue(0, 0),
                queue(0, 1),
                State::Warning,
                "nobody consumes the lanes events; no",
            ),
            (
                queue(1, 0),
                queue(0, 1),
                State::Failed,
                "nobody consumes lane events (1 message waits)",
            ),
            (
                queue(0, 1),
                queue(9, 0),
                State::Failed,
                "nobody consumes lane commands (9 messages wait)",
            ),
        ];
        for (events, commands, expected, said) in table {
            let mut findings = Findings::default();
            let lanes = [(Lane::Events, events), (Lane::Commands, commands)];
            consumed(&lanes, &mut findings);
            assert_eq!(findings.worst(), expected, "{lanes:?}");
            assert!(findings.lines()[0].contains(said), "{:?}", findings.lines());
        }
    }

    #[test]
    fn the_only_process_consumes_all_lanes_of_the_embedded_bus() {
        for (lanes, expected) in [(Lane::ALL, State::Ok), (&[Lane::Events][..], State::Warning)] {
            let mut findings = Findings::default();
            embedded(lanes, true, &mut findings);
            assert_eq!(findings.worst(), expected, "{lanes:?}");
        }
    }
}
