//! Probes, metrics, and this document itself.

use serde_json::json;

use super::Document;

impl Document {
    pub(super) fn probes(&mut self) {
        let readiness = json!({
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": {"type": "string", "enum": ["alive", "ready", "not-ready"]},
                "away": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "The dependencies that are unavailable.",
                },
            },
        });
        let table = [
            (
                "/healthz",
                "alive",
                "Liveness probe",
                "application/json",
                &readiness,
            ),
            (
                "/readyz",
                "ready",
                "Readiness probe",
                "application/json",
                &readiness,
            ),
            (
                "/metrics",
                "metrics",
                "Metrics in the text format of Prometheus",
                "text/plain",
                &json!({"type": "string"}),
            ),
            (
                "/openapi.json",
                "openapi",
                "This document",
                "application/json",
                &json!({"type": "object"}),
            ),
        ];
        for (path, id, summary, media_type, schema) in table {
            let content = json!({media_type: {"schema": schema}});
            let mut responses = json!({"200": {"description": summary, "content": content}});
            if path == "/readyz" {
                responses["503"] = json!({"description": "Not ready", "content": content});
            }
            let operation =
                json!({"operationId": id, "summary": summary, "security": [], "responses": responses});
            self.add(path, "get", operation);
        }
    }
}
