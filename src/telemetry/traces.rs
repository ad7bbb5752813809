//! Starts and ends the export of spans, if a collector is configured.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use lockstep_telemetry::Span;
use opentelemetry::KeyValue;
use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use super::HttpClientBuilder;
use super::collector::Collector;
use super::span_queue::SpanQueue;
use crate::config::TelemetryConfig;

/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last export may take at the end of the process.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Records spans and exports them, if a collector is configured.
///
/// # Errors
/// If the HTTP client or the exporter cannot be built.
pub(super) fn start(config: &TelemetryConfig, client: HttpClientBuilder) -> anyhow::Result<()> {
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(());
    };
    let collector = Collector::new(client()?, EXPORT_TIMEOUT, tokio::runtime::Handle::current());
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_endpoint(format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/')))
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .context("cannot export traces")?;
    let resource = Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(SpanQueue::new(exporter))
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            config.sample_ratio,
        ))))
        .with_resource(resource)
        .build();
    Span::trace_with(BoxedTracer::new(Box::new(provider.tracer("lockstep"))));
    let _ = PROVIDER.set(provider);
    tracing::info!(%endpoint, sample_ratio = config.sample_ratio, "exporting traces");
    Ok(())
}

/// Exports the remaining spans. An unavailable collector delays the end of the process by a few seconds at most.
pub(super) async fn end() {
    let Some(provider) = PROVIDER.get() else { return };
    // The shutdown blocks its thread.
    let shutdown_timeout = tokio::task::spawn_blocking(|| provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
    match tokio::time::timeout(SHUTDOWN_TIMEOUT * 2, shutdown_timeout).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans were not exported"),
        Ok(Err(_)) | Err(_) => tracing::warn!("the last spans were not exported in time"),
    }
}
