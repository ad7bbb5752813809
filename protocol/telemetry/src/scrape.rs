//! What a process shows to whoever scrapes it, in the text format of Prometheus.

use std::sync::{Arc, OnceLock};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::families::{ALL, BUCKETS, BUILD_INFO};
use crate::family::Form;
use crate::sample::{Sample, Sampler};

/// What the process counted since its start. There is one in a process.
#[derive(Clone)]
pub struct Exposition(PrometheusHandle);

static EXPOSITION: OnceLock<Exposition> = OnceLock::new();

impl Exposition {
    /// Begins to count, if that was not begun before. What was counted before the beginning is not known.
    pub fn begin(version: &'static str) -> Self {
        let begin = || {
            let recorder = recorder();
            let handle = recorder.handle();
            // Fails only where somebody else counts already: then this one shows nothing, which is what it knows.
            let _ = metrics::set_global_recorder(recorder);
            tell();
            BUILD_INFO.gauge([version]).set(1.0);
            Self(handle)
        };
        EXPOSITION.get_or_init(begin).clone()
    }

    /// Works off what was recorded. To be called every few seconds, also where nobody scrapes: durations pile up.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }

    /// What was counted, and this sample.
    pub fn text(&self, sample: &Sample) -> String {
        let recorder = recorder();
        metrics::with_local_recorder(&recorder, || {
            tell();
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

/// What is shown to whoever scrapes: what was counted, and how things are.
#[derive(Clone, Debug)]
pub struct Scrape {
    exposition: Exposition,
    sampler: Arc<dyn Sampler>,
}

impl Scrape {
    /// The media type of the text.
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// Shows both.
    pub fn new(exposition: Exposition, sampler: Arc<dyn Sampler>) -> Self {
        Self { exposition, sampler }
    }

    /// The text.
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
            .expect("there are buckets")
    });
    builder.build_recorder()
}

fn tell() {
    for family in ALL {
        family.tell();
    }
}

/// What is shown of what this does.
#[cfg(test)]
pub(crate) fn shown(work: impl FnOnce()) -> String {
    let recorder = recorder();
    metrics::with_local_recorder(&recorder, || {
        tell();
        work();
    });
    recorder.handle().render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_that_has_a_value_is_described() {
        let text = shown(|| {
            crate::work::repaired("element", 1);
            crate::store::waited(std::time::Duration::from_millis(1));
        });
        assert!(text.contains("# HELP lockstep_reconcile_repairs_total What the reconcile pass"));
        assert!(text.contains("# TYPE lockstep_reconcile_repairs_total counter"));
        assert!(text.contains("# TYPE lockstep_store_wait_seconds histogram"));
    }
}
