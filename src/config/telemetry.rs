use reqwest::Url;

use super::reader::Reader;

/// `[telemetry]`
#[derive(Debug)]
pub(crate) struct TelemetryConfig {
    /// Where traces go, by OTLP over HTTP; nowhere without.
    pub(crate) otlp_endpoint: Option<Url>,
    /// What traces call this process.
    pub(crate) service_name: String,
    /// The share of traces that is recorded, of those that begin here.
    pub(crate) sample_ratio: f64,
}

/// The variables that OpenTelemetry gave names to.
pub(super) const VARIABLES: [(&str, &str); 2] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
];

impl TelemetryConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        Self {
            otlp_endpoint: endpoint(reader),
            service_name: reader
                .text("telemetry.service_name")
                .unwrap_or_else(|| "lockstep".to_owned()),
            sample_ratio: reader.share("telemetry.sample_ratio", 1.0),
        }
    }
}

/// An address with a password would be shown where addresses are; a collector that wants one takes it as a header.
fn endpoint(reader: &mut Reader) -> Option<Url> {
    const KEY: &str = "telemetry.otlp_endpoint";
    let origin = reader.origin(KEY);
    let text = reader.text(KEY)?;
    let url = Url::parse(&text).ok().filter(|url| {
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && plain
    });
    if url.is_none() {
        let reason = "must be http://HOST:PORT or https://HOST:PORT of an OTLP collector, without user and password \
                      (headers come from OTEL_EXPORTER_OTLP_HEADERS)";
        reader.problem(KEY, origin.as_ref(), reason);
    }
    url
}
