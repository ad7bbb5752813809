//! Counts what the tasks of a sweep came to. Pure.

use lockstep_cvp::sweep::Summary;
use lockstep_execution::CycleResult;
use lockstep_protocol::{ElementOutcome, counted};
use serde_json::Value;

/// Counts the result of a task. One that did not run is kept for the reason that its element has.
pub(crate) fn count(summary: &mut Summary, result: &CycleResult) {
    summary.listed += 1;
    let of_data = result.data["reasons"].as_array();
    let reasons: Vec<&str> = of_data.into_iter().flatten().filter_map(Value::as_str).collect();
    match (result.data["action"].as_str(), result.state.outcome()) {
        (Some("cancelled"), _) => {
            summary.cancelled += 1;
            summary.alerts += u64::from(reasons.contains(&"no-longer-compliant"));
        }
        (Some("looked"), _) => {
            summary.kept += 1;
            summary.alerts += u64::from(reasons.contains(&"no-longer-compliant"));
        }
        (Some("gone"), _) => summary.gone += 1,
        (Some("kept"), _) => keep(summary, reasons),
        (None, Some(ElementOutcome::Skipped)) => keep(summary, result.reason.as_deref()),
        _ => summary.failed += 1,
    }
}

fn keep<'a>(summary: &mut Summary, reasons: impl IntoIterator<Item = &'a str>) {
    summary.kept += 1;
    for reason in reasons {
        *summary.reasons.entry(reason.to_owned()).or_default() += 1;
    }
}

/// The counts for people.
pub(crate) fn message(summary: &Summary, dry_run: bool) -> String {
    let Summary {
        listed,
        cancelled,
        kept,
        failed,
        gone,
        alerts,
        reasons,
    } = summary;
    let would = reasons.get("dry-run").copied().unwrap_or(0);
    let tasks = counted(*listed, "task");
    let alerts = match alerts {
        0 => String::new(),
        alerts => format!("; {} no longer compliant", counted(*alerts, "device")),
    };
    if dry_run {
        let kept = kept.saturating_sub(would);
        return format!("{tasks}: would cancel {would}, keep {kept}; {failed} failed, {gone} gone{alerts}");
    }
    format!("{tasks}: {cancelled} cancelled, {kept} kept, {failed} failed, {gone} gone{alerts}")
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::{ElementState, Level};
    use serde_json::json;

    use super::*;

    fn result(state: ElementState, reason: Option<&str>, data: Value) -> CycleResult {
        CycleResult {
            level: Level::Item,
            entity: 1,
            name: "1".to_owned(),
            parent: None,
            state,
            reason: reason.map(str::to_owned),
            message: None,
            changed: false,
            pre_run: Value::Null,
            data,
        }
    }

    #[test]
    fn every_task_counts_once_whatever_became_of_its_element() {
        use ElementState::{Aborted, Failed, Successful};
        let results = [
            result(Successful, None, json!({"action": "cancelled", "reasons": []})),
            result(
                Failed,
                Some("no-longer-compliant"),
                json!({"action": "cancelled", "reasons": ["no-longer-compliant"]}),
            ),
            result(
                Successful,
                None,
                json!({"action": "kept", "reasons": ["too-young", "busy"]}),
            ),
            result(Successful, None, json!({"action": "gone", "reasons": []})),
            result(
                Failed,
                Some("cancel-lost"),
                json!({"action": "failed", "reasons": ["cancel-lost"]}),
            ),
            result(Failed, Some("interrupted"), Value::Null),
            result(Aborted, Some("cancelled"), Value::Null),
        ];
        let mut summary = Summary::default();
        for result in &results {
            count(&mut summary, result);
        }
        let reasons = ["busy", "cancelled", "too-young"].map(|reason| (reason.to_owned(), 1));
        let expected = Summary {
            listed: 7,
            cancelled: 2,
            kept: 2,
            failed: 2,
            gone: 1,
            alerts: 1,
            reasons: reasons.into(),
        };
        assert_eq!(summary, expected);
        assert_eq!(
            message(&summary, false),
            "7 tasks: 2 cancelled, 2 kept, 2 failed, 1 gone; 1 device no longer compliant"
        );
    }

    #[test]
    fn a_dry_run_tells_what_it_would_cancel() {
        let mut summary = Summary::default();
        for reason in ["dry-run", "dry-run", "not-compliant"] {
            let data = json!({"action": "kept", "reasons": [reason]});
            count(&mut summary, &result(ElementState::Successful, None, data));
        }
        assert_eq!(
            message(&summary, true),
            "3 tasks: would cancel 2, keep 1; 0 failed, 0 gone"
        );
    }
}
