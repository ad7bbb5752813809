//! A bounded queue of spans. Recording never waits; spans that do not fit or that the collector does not take are dropped and
//! counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lockstep_telemetry::traces;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

/// The most spans that wait or are being exported.
const CAPACITY: usize = 4096;
/// The most spans in one request.
const BATCH: usize = 512;
/// How long a request waits for more spans.
const LINGER: Duration = Duration::from_secs(1);

/// Batches spans for an exporter, on a thread of its own. Drops spans when it is full.
#[derive(Debug)]
pub(super) struct SpanQueue {
    batches: BatchSpanProcessor,
    queued: Arc<AtomicUsize>,
}

impl SpanQueue {
    pub(super) fn new(exporter: impl SpanExporter + 'static) -> Self {
        let queued = Arc::new(AtomicUsize::new(0));
        let exporter = CountedExporter {
            exporter,
            queued: queued.clone(),
            failing: AtomicBool::new(false),
        };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(CAPACITY)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(LINGER)
            .build();
        let batches = BatchSpanProcessor::builder(exporter)
            .with_batch_config(config)
            .build();
        Self { batches, queued }
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.queued.fetch_add(1, Ordering::Relaxed) < CAPACITY {
            self.batches.on_end(span);
        } else {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            traces::dropped(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// An exporter that counts failures. It logs the first failure and the recovery, and no batch in between.
#[derive(Debug)]
struct CountedExporter<E> {
    exporter: E,
    queued: Arc<AtomicUsize>,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.exporter.export(batch).await;
        self.queued.fetch_sub(spans, Ordering::Relaxed);
        let was_failing = self.failing.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Ok(()) if was_failing => tracing::info!("the collector of traces accepts spans again"),
            Ok(()) => {}
            Err(error) => {
                traces::dropped(spans);
                if !was_failing {
                    tracing::warn!(%error, "the collector of traces does not accept spans; they are dropped and counted until it does");
                }
            }
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use lockstep_telemetry::{Exposition, Sample};
    use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
    use opentelemetry_sdk::error::OTelSdkError;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// Reports each request, and waits for the answer of the test.
    #[derive(Debug)]
    struct ScriptedExporter {
        requests: Sender<usize>,
        answers: Mutex<Receiver<OTelSdkResult>>,
    }

    impl SpanExporter for ScriptedExporter {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.requests.send(batch.len()).unwrap();
            self.answers.lock().unwrap().recv().unwrap()
        }
    }

    fn dropped(metrics: &Exposition) -> usize {
        let text = metrics.text(&Sample::default());
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("lockstep_spans_dropped_total "));
        line.map_or(0, |number| number.parse().unwrap())
    }

    #[test]
    fn a_collector_that_hangs_or_fails_only_drops_spans() {
        let metrics = Exposition::begin("test");
        let (requests, received) = channel();
        let (answer, answers) = channel();
        let answers = Mutex::new(answers);
        let span_queue = SpanQueue::new(ScriptedExporter { requests, answers });
        let provider = SdkTracerProvider::builder()
            .with_span_processor(span_queue)
            .build();
        let tracer = provider.tracer("test");
        let end_a_span = || tracer.start("work").end();

        end_a_span();
        let first = received.recv_timeout(Duration::from_secs(20)).unwrap();
        // The collector hangs: the queue fills up, and further spans are dropped without waiting.
        for _ in 0..CAPACITY - first + 7 {
            end_a_span();
        }
        assert_eq!(dropped(&metrics), 7);

        answer
            .send(Err(OTelSdkError::InternalFailure("unavailable".to_owned())))
            .unwrap();
        let second = received.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(dropped(&metrics), 7 + first, "the spans of the failed request");
        assert!(second <= BATCH);

        // The collector recovers: all queued spans arrive.
        let recovered = std::thread::spawn(move || {
            let mut arrived = second;
            while arrived < CAPACITY - first {
                answer.send(Ok(())).unwrap();
                arrived += received.recv_timeout(Duration::from_secs(20)).unwrap();
            }
            answer.send(Ok(())).unwrap();
            arrived
        });
        provider.force_flush().unwrap();
        assert_eq!(recovered.join().unwrap(), CAPACITY - first);
        assert_eq!(dropped(&metrics), 7 + first);
    }
}
