//! Spans on their way out: never more than fit, never waited for, and counted if they do not arrive.

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
const ROOM: usize = 4096;
/// The most spans in one request.
const BATCH: usize = 512;
/// How long spans wait for more of them.
const PAUSE: Duration = Duration::from_secs(1);

/// Batches spans for an exporter, on a thread of its own. What finds no room is dropped.
#[derive(Debug)]
pub(super) struct Outbox {
    batches: BatchSpanProcessor,
    inside: Arc<AtomicUsize>,
}

impl Outbox {
    pub(super) fn new(exporter: impl SpanExporter + 'static) -> Self {
        let inside = Arc::new(AtomicUsize::new(0));
        let watched = Watched {
            exporter,
            inside: inside.clone(),
            away: AtomicBool::new(false),
        };
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(ROOM)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(PAUSE)
            .build();
        let batches = BatchSpanProcessor::builder(watched)
            .with_batch_config(config)
            .build();
        Self { batches, inside }
    }
}

impl SpanProcessor for Outbox {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.inside.fetch_add(1, Ordering::Relaxed) < ROOM {
            self.batches.on_end(span);
        } else {
            self.inside.fetch_sub(1, Ordering::Relaxed);
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

/// An exporter whose failures are counted, and logged when they begin and end: not with every batch.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    inside: Arc<AtomicUsize>,
    away: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.exporter.export(batch).await;
        self.inside.fetch_sub(spans, Ordering::Relaxed);
        let was_away = self.away.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Ok(()) if was_away => tracing::info!("the collector of traces is back"),
            Ok(()) => {}
            Err(error) => {
                traces::dropped(spans);
                if !was_away {
                    tracing::warn!(%error, "the collector of traces is away; spans are dropped and counted until it is back");
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

    /// Tells that it was asked, and answers what it is told.
    #[derive(Debug)]
    struct Puppet {
        asked: Sender<usize>,
        answers: Mutex<Receiver<OTelSdkResult>>,
    }

    impl SpanExporter for Puppet {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.asked.send(batch.len()).unwrap();
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
    fn a_collector_that_hangs_or_fails_costs_spans_and_nothing_else() {
        let metrics = Exposition::begin("test");
        let (asked, questions) = channel();
        let (answer, answers) = channel();
        let answers = Mutex::new(answers);
        let outbox = Outbox::new(Puppet { asked, answers });
        let provider = SdkTracerProvider::builder().with_span_processor(outbox).build();
        let tracer = provider.tracer("test");
        let end_a_span = || tracer.start("work").end();

        end_a_span();
        let first = questions.recv_timeout(Duration::from_secs(20)).unwrap();
        // It hangs: all further room is taken, and what finds none does not wait.
        for _ in 0..ROOM - first + 7 {
            end_a_span();
        }
        assert_eq!(dropped(&metrics), 7);

        answer
            .send(Err(OTelSdkError::InternalFailure("away".to_owned())))
            .unwrap();
        let second = questions.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(dropped(&metrics), 7 + first, "what was not exported");
        assert!(second <= BATCH);

        // It is back: everything that had room arrives.
        let back = std::thread::spawn(move || {
            let mut arrived = second;
            while arrived < ROOM - first {
                answer.send(Ok(())).unwrap();
                arrived += questions.recv_timeout(Duration::from_secs(20)).unwrap();
            }
            answer.send(Ok(())).unwrap();
            arrived
        });
        provider.force_flush().unwrap();
        assert_eq!(back.join().unwrap(), ROOM - first);
        assert_eq!(dropped(&metrics), 7 + first);
    }
}
