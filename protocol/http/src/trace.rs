use axum::http::HeaderMap;
use lockstep_protocol::TraceParent;
use lockstep_telemetry::Span;

/// The trace context for the messages of this request: that of the current span, otherwise that of the sender, otherwise a
/// new one that is not sampled.
pub fn trace_of(headers: &HeaderMap) -> TraceParent {
    Span::current_traceparent()
        .or_else(|| sent_traceparent(headers))
        .unwrap_or_else(new)
}

/// The valid `traceparent` that the sender sent, if any.
pub(crate) fn sent_traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    TraceParent::try_from(text.to_owned()).ok()
}

fn new() -> TraceParent {
    // The lowest bit is set, so that neither id can be all zeros.
    let trace = rand::random::<u128>() | 1;
    let parent = rand::random::<u64>() | 1;
    TraceParent::try_from(format!("00-{trace:032x}-{parent:016x}-00")).expect("the format is version 00's")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(traceparent: &'static str) -> HeaderMap {
        [("traceparent".parse().unwrap(), traceparent.parse().unwrap())]
            .into_iter()
            .collect()
    }

    #[test]
    fn a_valid_traceparent_is_propagated_and_an_invalid_one_replaced() {
        let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_of(&headers(sent)).as_str(), sent);
        let (one, other) = (trace_of(&headers("nonsense")), trace_of(&HeaderMap::new()));
        assert_ne!(one.trace_id(), other.trace_id());
        assert!(!one.is_sampled(), "it is not recorded");
    }
}
