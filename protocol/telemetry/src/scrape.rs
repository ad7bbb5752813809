//! Renders the metrics of the process in the text format of Prometheus.

use std::sync::{Arc, OnceLock};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::families::{ALL, BUCKETS, BUILD_INFO};
use crate::family::Form;
use crate::sample::{Sample, Sampler};

/// The counters and histograms of the process. There is one recorder in a process.
#[derive(Clone)]
pub struct Exposition(PrometheusHandle);

static EXPOSITION: OnceLock<Exposition> = OnceLock::new();

impl Exposition {
    /// Installs the recorder unless it is installed already. Earlier measurements are lost.
    pub fn begin(version: &'static str) -> Self {
        let begin = || {
            let recorder = recorder();
            let handle = recorder.handle();
            // Fails only if another recorder is installed; then this one stays empty.
            let _ = metrics::set_global_recorder(recorder);
            register_families();
            BUILD_INFO.gauge([version]).set(1.0);
            crate::traces::begin();
            Self(handle)
        };
        EXPOSITION.get_or_init(begin).clone()
    }

    /// Aggregates recorded durations. Call it every few seconds, even without scrapes: otherwise memory grows.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }

    /// Renders the recorded metrics and this sample.
    pub fn text(&self, sample: &Sample) -> String {
        let recorder = recorder();
        metrics::with_local_recorder(&recorder, || {
            register_families();
            sample.set();
        });
        self.0.render() + &recorder.handle().render()
    }
}

impl std::fmt::Debug for Exposition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exposition")
    }
}

/// The content of `/metrics`: recorded metrics and a sample.
#[derive(Clone, Debug)]
pub struct Scrape {
    exposition: Exposition,
    sampler: Arc<dyn Sampler>,
}

impl Scrape {
    /// The media type of the text.
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// Combines the recorder and a sampler.
    pub fn new(exposition: Exposition, sampler: Arc<dyn Sampler>) -> Self {
        Self { exposition, sampler }
    }

    /// Takes a sample and renders all metrics.
    pub async fn text(&self) -> String {
        let sample = self.sampler.sample().await;
        self.exposition.text(&sample)
    }
}

fn recorder() -> PrometheusRecorder {
    let histograms = ALL.iter().filter(|family| family.form == Form::Histogram);
    let builder = histograms.fold(PrometheusBuilder::new(), |builder, family| {
        let matcher = Matcher::Full(family.name.to_owned());
        builder
            .set_buckets_for_metric(matcher, BUCKETS)
            .expect("the list of buckets is not empty")
    });
    builder.build_recorder()
}

fn register_families() {
    for family in ALL {
        family.register();
    }
}

/// Renders the metrics that `work` records.
#[cfg(test)]
pub(crate) fn shown(work: impl FnOnce()) -> String {
    let recorder = recorder();
    metrics::with_local_recorder(&recorder, || {
        register_families();
        work();
    });
    recorder.handle().render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_with_a_value_has_help_and_type() {
        let text = shown(|| {
            crate::work::repaired("element", 1);
            crate::store::waited(std::time::Duration::from_millis(1));
        });
        assert!(text.contains("# HELP lockstep_reconcile_repairs_total Repairs by the reconcile pass"));
        assert!(text.contains("# TYPE lockstep_reconcile_repairs_total counter"));
        assert!(text.contains("# TYPE lockstep_store_wait_seconds histogram"));
    }
}
