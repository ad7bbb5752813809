//! Trace spans of requests and messages.

use std::borrow::Cow;
use std::future::Future;
use std::sync::OnceLock;

use lockstep_protocol::TraceParent;
use lockstep_protocol::topology::Lane;
use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{
    FutureExt, Link, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};

static TRACER: OnceLock<BoxedTracer> = OnceLock::new();

/// A span. It ends when it is dropped. Without an exporter the constructors return `None`.
#[derive(Clone, Debug)]
pub struct Span(Context);

impl Span {
    /// Installs the tracer that creates spans. Later calls have no effect.
    pub fn trace_with(tracer: BoxedTracer) {
        let _ = TRACER.set(tracer);
    }

    /// Whether a tracer is installed.
    pub fn are_made() -> bool {
        TRACER.get().is_some()
    }

    /// Starts the span of a request that a server processes, as a child of this `traceparent`.
    pub fn request(method: &str, route: &str, parent: Option<&TraceParent>) -> Option<Self> {
        let builder = SpanBuilder::from_name(format!("{method} {route}"))
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("http.request.method", method.to_owned()),
                KeyValue::new("http.route", route.to_owned()),
            ]);
        Self::start(builder, &remote(parent))
    }

    /// Starts the span of publishing messages, as a child of the current span. `None` without a current span.
    pub fn publish() -> Option<Self> {
        let current = Context::current();
        if !current.has_active_span() {
            return None;
        }
        Self::start(publication("messages"), &current)
    }

    /// Starts the span of processing a message. `None` if its trace is not sampled. A message without a trace starts a new
    /// one.
    pub fn work(lane: Lane, kind: &str, id: &str, parent: Option<&TraceParent>) -> Option<Self> {
        if !Self::are_made() || parent.is_some_and(|parent| !parent.is_sampled()) {
            return None;
        }
        let builder = SpanBuilder::from_name(format!("process {kind}"))
            .with_kind(SpanKind::Consumer)
            .with_attributes([
                KeyValue::new("messaging.operation.type", "process"),
                KeyValue::new("messaging.destination.name", lane.queue()),
                KeyValue::new("messaging.message.id", id.to_owned()),
                KeyValue::new("lockstep.message.type", kind.to_owned()),
                KeyValue::new("lockstep.lane", lane.as_str()),
            ]);
        Self::start(builder, &remote(parent)).filter(|span| span.0.span().span_context().is_sampled())
    }

    /// Starts the span of processing several messages together: a child of the first one's span, linked to the others.
    pub fn together<'a>(
        name: &'static str,
        messages: usize,
        works: impl IntoIterator<Item = &'a Self>,
    ) -> Option<Self> {
        let mut works = works.into_iter();
        let first = works.next()?;
        let links = works.map(|work| Link::with_context(work.0.span().span_context().clone()));
        let builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Internal)
            .with_links(links.collect())
            .with_attributes([KeyValue::new(
                "messaging.batch.message_count",
                i64::try_from(messages).unwrap_or(i64::MAX),
            )]);
        Self::start(builder, &first.0)
    }

    /// Starts the span of publishing a result, as a child of its message's span.
    pub fn result(&self, kind: &str) -> Option<Self> {
        Self::start(publication(kind), &self.0)
    }

    /// The trace context of this span, for follow-up messages.
    #[expect(
        clippy::missing_panics_doc,
        reason = "unreachable; the message of `expect` gives the reason"
    )]
    pub fn traceparent(&self) -> TraceParent {
        traceparent(self.0.span().span_context()).expect("`start` creates only spans with a valid context")
    }

    /// The trace context of the current span.
    pub fn current_traceparent() -> Option<TraceParent> {
        if Self::are_made() {
            Context::map_current(|context| traceparent(context.span().span_context()))
        } else {
            None
        }
    }

    /// Sets the outcome of the message.
    pub fn outcome(&self, outcome: &'static str) {
        self.0
            .span()
            .set_attribute(KeyValue::new("lockstep.outcome", outcome));
    }

    /// Sets the response status of the request.
    pub fn answered(&self, status: u16) {
        let span = self.0.span();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            span.set_status(Status::error(""));
        }
    }

    /// Marks the span as failed. `why` must be a fixed text, never content of a message.
    pub fn failed(&self, why: impl Into<Cow<'static, str>>) {
        self.0.span().set_status(Status::error(why));
    }

    /// Ends the span, even if clones exist.
    pub fn end(self) {
        self.0.span().end();
    }

    fn start(builder: SpanBuilder, parent: &Context) -> Option<Self> {
        let tracer = TRACER.get()?;
        let span = Self(parent.with_span(tracer.build_with_context(builder, parent)));
        // The context is invalid after the exporter was shut down.
        let known = span.0.span().span_context().is_valid();
        known.then_some(span)
    }
}

/// Runs a future within a span, if there is one.
pub async fn within<T>(span: Option<&Span>, work: impl Future<Output = T>) -> T {
    match span {
        Some(span) => work.with_context(span.0.clone()).await,
        None => work.await,
    }
}

fn publication(kind: &str) -> SpanBuilder {
    SpanBuilder::from_name(format!("publish {kind}"))
        .with_kind(SpanKind::Producer)
        .with_attributes([KeyValue::new("messaging.operation.type", "send")])
}

fn remote(parent: Option<&TraceParent>) -> Context {
    let root = Context::new();
    match parent.and_then(span_context) {
        Some(parent) => root.with_remote_span_context(parent),
        None => root,
    }
}

fn span_context(parent: &TraceParent) -> Option<SpanContext> {
    let flags = u8::from(parent.is_sampled());
    Some(SpanContext::new(
        opentelemetry::TraceId::from_hex(parent.trace_id()).ok()?,
        opentelemetry::SpanId::from_hex(parent.parent_id()).ok()?,
        opentelemetry::TraceFlags::new(flags),
        true,
        TraceState::default(),
    ))
}

fn traceparent(context: &SpanContext) -> Option<TraceParent> {
    let (trace, span) = (context.trace_id(), context.span_id());
    let flags = u8::from(context.is_sampled());
    // Without a span the ids are all zeros, which is not a valid traceparent.
    TraceParent::try_from(format!("00-{trace}-{span}-{flags:02x}")).ok()
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};

    use super::*;

    fn parent(flags: &str) -> TraceParent {
        TraceParent::try_from(format!(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}"
        ))
        .unwrap()
    }

    /// One test, since a process has one tracer.
    #[tokio::test]
    async fn a_trace_connects_request_message_and_result() {
        assert!(
            Span::request("POST", "/v1/events", None).is_none(),
            "no tracer is installed"
        );
        assert_eq!(Span::current_traceparent(), None);

        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .build();
        Span::trace_with(BoxedTracer::new(Box::new(provider.tracer("test"))));

        let request = Span::request("POST", "/v1/events", Some(&parent("01"))).unwrap();
        let carried = within(Some(&request), async {
            drop(Span::publish().unwrap());
            Span::current_traceparent().unwrap()
        })
        .await;
        assert_eq!(carried, request.traceparent());
        assert_eq!(carried.trace_id(), parent("01").trace_id());
        request.answered(202);
        drop(request);
        assert_eq!(Span::current_traceparent(), None, "the request has ended");
        assert!(Span::publish().is_none(), "there is no current span");

        let work = Span::work(Lane::Events, "lockstep.interface.updated", "1", Some(&carried)).unwrap();
        let other = Span::work(Lane::Events, "lockstep.interface.updated", "2", None).unwrap();
        let batch = Span::together("batch", 2, [&work, &other]).unwrap();
        let result = work.result("lockstep.event.applied").unwrap();
        assert!(result.traceparent().is_sampled());
        drop((result, batch));
        work.failed("dead");
        drop((work, other));

        let untraced = Span::work(
            Lane::Events,
            "lockstep.interface.updated",
            "3",
            Some(&parent("00")),
        );
        assert!(untraced.is_none(), "its trace is not sampled");
        let unsampled = Span::request("GET", "/v1/devices", Some(&parent("00"))).unwrap();
        assert!(
            !unsampled.traceparent().is_sampled(),
            "follow-up messages are not sampled either"
        );
        drop(unsampled);

        let spans = exporter.get_finished_spans().unwrap();
        let span = |name: &str| -> &SpanData { spans.iter().find(|span| span.name == name).unwrap() };
        let id = |span: &SpanData| span.span_context.span_id();
        let ours = |span: &SpanData| span.span_context.trace_id().to_string() == carried.trace_id();
        assert_eq!(spans.len(), 6);
        let (request, work) = (
            span("POST /v1/events"),
            span("process lockstep.interface.updated"),
        );
        assert_eq!(request.parent_span_id.to_string(), parent("01").parent_id());
        assert_eq!(span("publish messages").parent_span_id, id(request));
        assert_eq!(work.parent_span_id, id(request));
        assert_eq!(span("publish lockstep.event.applied").parent_span_id, id(work));
        assert_eq!(span("batch").parent_span_id, id(work));
        assert_eq!(span("batch").links.len(), 1);
        assert_eq!(spans.iter().filter(|span| ours(span)).count(), 5);
    }
}
