//! Every metric: its name, its labels and its help text.

use crate::family::{Description, Family, Form};

macro_rules! families {
    ($($constant:ident: $form:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub(crate) const $constant: Family<{ <[&str]>::len(&[$($label),*]) }> = Family {
                name: $name,
                form: Form::$form,
                labels: [$($label),*],
                help: $help,
            };
        )*

        /// Every metric.
        pub const ALL: &[Description] = &[$($constant.describe()),*];
    };
}

families! {
    DELIVERIES: Counter "lockstep_deliveries_total" ["lane", "outcome"]
        "Acknowledged deliveries, by outcome; each retry of a message is a delivery";
    IN_FLIGHT: Gauge "lockstep_in_flight" ["lane"]
        "Deliveries that are being processed and not acknowledged yet";
    BATCH_SECONDS: Histogram "lockstep_batch_seconds" ["lane"]
        "Duration of a batch, from the first delivery to the acknowledgement";
    RUN_SECONDS: Histogram "lockstep_run_seconds" ["lane"]
        "Duration of a coalesced batch of a run lane, from its start to the acknowledgement";
    LANE_MESSAGES: Gauge "lockstep_lane_messages" ["lane"]
        "Messages that wait in the queue of a lane and are not delivered to a worker yet";
    LANE_CONSUMERS: Gauge "lockstep_lane_consumers" ["lane"]
        "Consumers of the queue of a lane: workers that process it";
    RETRIES: Counter "lockstep_retries_total" ["lane", "delay"]
        "Messages that are retried after a failure, by retry delay";
    DEAD: Counter "lockstep_dead_total" ["lane", "code"]
        "Deliveries of dead-lettered messages, by code";
    REPAIRS: Counter "lockstep_reconcile_repairs_total" ["what"]
        "Repairs by the reconcile pass";
    SOURCE_POLLS: Counter "lockstep_source_polls_total" ["source", "outcome"]
        "Polls of the change logs of NetBox and Nautobot";
    SOURCE_CHANGES_MISSED: Counter "lockstep_source_changes_missed_total" ["source"]
        "Changes in NetBox and Nautobot that a poll found and no webhook had brought";
    ELEMENTS_RUNNING: Gauge "lockstep_elements_running" []
        "Elements of executions that run in this worker";
    ELEMENTS_WAITING: Gauge "lockstep_elements_waiting" ["for"]
        "Elements of executions that wait for a cap, a device, a canary or a stop, as the periodic task saw them last";
    ELEMENTS_ENDED: Counter "lockstep_elements_ended_total" ["outcome"]
        "Elements of executions whose end this worker committed";
    CLAIM_SECONDS: Histogram "lockstep_element_claim_seconds" []
        "Duration of a transaction in which a worker takes over elements";
    FINISH_SECONDS: Histogram "lockstep_element_finish_seconds" []
        "Duration of a transaction in which a worker commits the ends of elements";
    CVP_TASKS: Counter "lockstep_cvp_tasks_total" ["action"]
        "CloudVision tasks that this worker settled in sweeps";
    CVP_ALERTS: Counter "lockstep_cvp_alerts_total" []
        "Devices that were no longer compliant after a task of theirs was cancelled in CloudVision";
    SYNC_RUNS: Counter "lockstep_sync_runs_total" ["outcome"]
        "Devices that this worker ran a sync on, by outcome; dry runs count, too";
    SYNC_FAILURES: Counter "lockstep_sync_failures_total" ["stage"]
        "Devices on which a sync failed, by the stage in which it did";
    BROKER_CONNECTED: Gauge "lockstep_broker_connected" []
        "1 if all connections of the process to the broker are open";
    BROKER_BLOCKED: Gauge "lockstep_broker_blocked" []
        "1 if the broker blocks publishers because of a memory or disk alarm";
    BROKER_CHANNELS: Gauge "lockstep_broker_channels" ["state"]
        "Open confirm channels, in use or idle";
    BROKER_CHANNELS_LIMIT: Gauge "lockstep_broker_channels_limit" []
        "Maximum number of confirm channels";
    BROKER_CHANNELS_WAITING: Gauge "lockstep_broker_channels_waiting" []
        "Publishers that wait for a confirm channel";
    REPLIES_BYPASSED: Counter "lockstep_replies_bypassed_total" []
        "Replies that went to lockstep.results because the reply queue was full";
    STORE_UP: Gauge "lockstep_store_up" []
        "1 if the store answered the last probe";
    STORE_SESSIONS: Gauge "lockstep_store_sessions" ["state"]
        "Open sessions of the store's pool, in use or idle";
    STORE_SESSIONS_LIMIT: Gauge "lockstep_store_sessions_limit" []
        "Maximum number of sessions of the store's pool";
    STORE_SESSIONS_WAITING: Gauge "lockstep_store_sessions_waiting" []
        "Operations that wait for a session";
    STORE_LOCK_WAITS: Counter "lockstep_store_lock_waits_total" ["holder"]
        "Transactions that waited for locks of another session for a second or more";
    STORE_WAIT_SECONDS: Histogram "lockstep_store_wait_seconds" []
        "How long operations waited for a session of the store's pool";
    DEVICES: Gauge "lockstep_devices" ["state"]
        "Devices, by state";
    DEVICES_UNSYNCHRONIZED: Gauge "lockstep_devices_unsynchronized" ["state"]
        "Unsynchronized devices, by state";
    OLDEST_UNSYNCHRONIZED_SECONDS: Gauge "lockstep_oldest_unsynchronized_seconds" []
        "How long the MANAGED device that has waited longest has been unsynchronized; 0 if all are synchronized";
    OLDEST_UNMANAGED_SECONDS: Gauge "lockstep_oldest_unmanaged_seconds" []
        "How long the UNMANAGED device that has been so for longest has been UNMANAGED; 0 if there is none";
    OLDEST_CHECK_SECONDS: Gauge "lockstep_oldest_check_seconds" []
        "How long the synchronized MANAGED device that was not compared for longest has not been compared; 0 if there is none";
    DEVICES_EXPIRED: Gauge "lockstep_devices_expired" []
        "Devices whose state should have ended: the time that an operator noted has passed";
    DEAD_LETTERS: Gauge "lockstep_dead_letters" []
        "Unsettled dead letters: neither requeued nor dropped";
    DUE_WORK: Gauge "lockstep_due_work" []
        "Elements of executions that are due or run, on all workers: the number of workers is scaled by it";
    REPOSITORY_FAILING_SECONDS: Gauge "lockstep_repository_failing_seconds" ["repository"]
        "How long a repository cannot be fetched or its tip is invalid; 0 if it can and is not";
    REPOSITORY_ASKED_SECONDS: Gauge "lockstep_repository_asked_seconds" ["repository"]
        "How long ago a worker last asked the remote of a repository for its tip, and got an answer";
    HTTP_REQUESTS: Counter "lockstep_http_requests_total" ["server", "route", "status"]
        "HTTP requests, by route and status";
    HTTP_REQUEST_SECONDS: Histogram "lockstep_http_request_seconds" ["server", "route"]
        "Duration of HTTP requests";
    HTTP_CLOSED: Counter "lockstep_http_connections_closed_total" ["server", "reason"]
        "Connections that a server closed or refused for a reason of its own";
    WEBHOOKS_REFUSED: Counter "lockstep_webhooks_refused_total" ["forge", "reason"]
        "Webhooks that were refused";
    SPANS_DROPPED: Counter "lockstep_spans_dropped_total" []
        "Spans that were dropped because the exporter is unavailable or too slow";
    BUILD_INFO: Gauge "lockstep_build_info" ["version"]
        "Always 1; the label is the version of the program";
}

/// The upper bounds of the histogram buckets, in seconds.
pub(crate) const BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        let names: BTreeSet<&str> = ALL.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), ALL.len(), "a name is used twice");
        for family in ALL {
            let name = family.name;
            let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(name.starts_with("lockstep_") && plain(name), "{name}");
            assert!(family.labels.iter().all(|label| plain(label)), "{name}");
            assert!(!family.help.is_empty() && !family.help.ends_with('.'), "{name}");
            let fits = match family.form {
                Form::Counter => name.ends_with("_total"),
                Form::Histogram => name.ends_with("_seconds"),
                Form::Gauge => {
                    !name.ends_with("_total") && !name.ends_with("_count") && !name.ends_with("_sum")
                }
            };
            assert!(fits, "{name} is a {:?}", family.form);
        }
        assert!(BUCKETS.is_sorted());
    }
}
