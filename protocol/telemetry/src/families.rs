//! Every metric: its name, its labels, and what it says. A published name never changes its meaning.

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
        "Deliveries that were settled and acknowledged; a message that is tried again is one delivery each time";
    IN_FLIGHT: Gauge "lockstep_in_flight" ["lane"]
        "Deliveries that were taken and are not acknowledged yet";
    BATCH_SECONDS: Histogram "lockstep_batch_seconds" ["lane"]
        "How long a batch took, from taken to acknowledged";
    RUN_SECONDS: Histogram "lockstep_run_seconds" ["lane"]
        "How long a burst of a run lane took, from begun to acknowledged";
    RETRIES: Counter "lockstep_retries_total" ["lane", "delay"]
        "Messages that will be tried again after a failure, by how long they wait";
    DEAD: Counter "lockstep_dead_total" ["lane", "code"]
        "Deliveries of messages that are dead, by why";
    REPAIRS: Counter "lockstep_reconcile_repairs_total" ["what"]
        "What the reconcile pass found undone and did";
    BROKER_CONNECTED: Gauge "lockstep_broker_connected" []
        "1 while the process has all its connections to the broker";
    BROKER_BLOCKED: Gauge "lockstep_broker_blocked" []
        "1 while the broker takes no messages because of a memory or disk alarm";
    BROKER_CHANNELS: Gauge "lockstep_broker_channels" ["state"]
        "Open confirm channels, in use or idle";
    BROKER_CHANNELS_LIMIT: Gauge "lockstep_broker_channels_limit" []
        "The most confirm channels";
    BROKER_CHANNELS_WAITING: Gauge "lockstep_broker_channels_waiting" []
        "Publishers that wait for a channel";
    REPLIES_BYPASSED: Counter "lockstep_replies_bypassed_total" []
        "Answers that went to lockstep.results because the reply queue was full";
    STORE_UP: Gauge "lockstep_store_up" []
        "1 if the store answered when it was asked last";
    STORE_SESSIONS: Gauge "lockstep_store_sessions" ["state"]
        "Open sessions with the store, in use or idle";
    STORE_SESSIONS_LIMIT: Gauge "lockstep_store_sessions_limit" []
        "The most sessions with the store";
    STORE_SESSIONS_WAITING: Gauge "lockstep_store_sessions_waiting" []
        "Work that waits for a session";
    STORE_WAIT_SECONDS: Histogram "lockstep_store_wait_seconds" []
        "How long work waited for a session with the store";
    DEVICES: Gauge "lockstep_devices" ["state"]
        "Devices, by state";
    DEVICES_UNSYNCHRONIZED: Gauge "lockstep_devices_unsynchronized" ["state"]
        "Devices that are not synchronized, by state";
    OLDEST_UNSYNCHRONIZED_SECONDS: Gauge "lockstep_oldest_unsynchronized_seconds" []
        "For how long the MANAGED device has not been synchronized that has waited longest; 0 if all are";
    DEAD_LETTERS: Gauge "lockstep_dead_letters" []
        "Dead letters that nobody requeued or dropped yet";
    HTTP_REQUESTS: Counter "lockstep_http_requests_total" ["server", "route", "status"]
        "Requests that were answered";
    HTTP_REQUEST_SECONDS: Histogram "lockstep_http_request_seconds" ["server", "route"]
        "How long requests took";
    SPANS_DROPPED: Counter "lockstep_spans_dropped_total" []
        "Spans that were not exported: the exporter is away or too slow";
    BUILD_INFO: Gauge "lockstep_build_info" ["version"]
        "1, with the version of the program";
}

/// The upper bounds of the buckets of durations, in seconds.
pub(crate) const BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_what_prometheus_wants() {
        let names: BTreeSet<&str> = ALL.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), ALL.len(), "no name is used twice");
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
