use async_trait::async_trait;
use lockstep_protocol::EntityType;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde::Deserialize;
use serde_json::{Value, json};

use super::read;
use super::template_context::{run_on, run_on_schema, run_steps};
use super::verdict::done;
use crate::cycle::{CheckResult, Verdict};
use crate::{Provider, ProviderProperties, ProviderType, StepFailure, StepResult, StepRun, Steps};

const KINDS: &[ExecuteOn] = &[ExecuteOn::Group, ExecuteOn::Device];

/// The most names in a reason.
const MAX_NAMES: usize = 20;

/// Checks a group or a device by the checks of its devices or interfaces.
#[derive(Debug)]
pub struct CheckAggregation(ProviderProperties);

#[derive(Deserialize)]
struct Arguments {
    of: Below,
    of_check: String,
    #[serde(default = "all")]
    percent: f64,
    #[serde(default)]
    missing: Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Below {
    Device,
    Interface,
}

/// What an entity without the check counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Missing {
    /// As one that is not ok.
    #[default]
    Nok,
    /// As none.
    Ignored,
}

const fn all() -> f64 {
    100.0
}

impl Default for CheckAggregation {
    fn default() -> Self {
        Self(ProviderProperties {
            name: "check_aggregation".into(),
            short_description: "Checks groups or devices by the checks of their devices or interfaces.".into(),
            description: "Counts how many devices or interfaces of a group, or interfaces of a device, are ok by the newest result of one of \
                their checks. If these are at least `percent` percent, the group or the device is ok. The result becomes its check \
                `check_key`. An entity whose check failed counts as not ok; one without the check, too, unless `missing` is `ignored`. If there \
                is nothing to count, the check fails.\n\n\
                Run it after the task that performs these checks, for example as its post-task. It speaks to no device and changes nothing \
                outside, so it does the same in a dry run: the check is written then, too.\n\n\
                Metrics: how many are `ok`, `nok`, `failed` and `missing`, and the `percent` that are ok.".into(),
            provider_type: ProviderType::Check,
            run_on: None,
            run_on_strict: false,
            run_on_all_if_empty: false,
            run_on_result: None,
            facts_for: Vec::new(),
            lane: Lane::Devices,
            success_message: None,
            repeatable: true,
            deprecated: None,
            ui_schema: Some(json!({
                "type": "VerticalLayout",
                "elements": [
                    {"type": "HorizontalLayout", "elements": [
                        {"type": "Control", "scope": "#/properties/run_on"},
                        {"type": "Control", "scope": "#/properties/check_key"},
                    ]},
                    {"type": "Group", "label": "What is counted", "elements": [
                        {"type": "Control", "scope": "#/properties/of"},
                        {"type": "Control", "scope": "#/properties/of_check"},
                        {"type": "Control", "scope": "#/properties/percent"},
                        {"type": "Control", "scope": "#/properties/missing", "options": {"format": "radio"}},
                    ]},
                ],
            })),
            run_input_ui_schema: None,
            json_schema: json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "title": "Aggregation of checks",
                "type": "object",
                "required": ["run_on", "check_key", "of", "of_check"],
                "properties": {
                    "run_on": run_on_schema(KINDS),
                    "check_key": {
                        "title": "Key of the check",
                        "description": "The result becomes the check with this key of the group or the device.",
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 255,
                    },
                    "of": {
                        "title": "Counted entities",
                        "description": "What is counted: devices of a group or of a controller, or interfaces.",
                        "type": "string",
                        "enum": ["DEVICE", "INTERFACE"],
                    },
                    "of_check": {
                        "title": "Counted check",
                        "description": "The key of the check of theirs that is counted.",
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 255,
                    },
                    "percent": {
                        "title": "Percent",
                        "description": "How many of them have to be ok, in percent.",
                        "type": "number",
                        "minimum": 0,
                        "maximum": 100,
                        "default": 100,
                    },
                    "missing": {
                        "title": "Without the check",
                        "description": "Whether an entity without the check counts as not ok (nok), or not at all (ignored).",
                        "type": "string",
                        "enum": ["nok", "ignored"],
                        "default": "nok",
                    },
                },
                "additionalProperties": false,
            }),
            run_input_json_schema: json!({
                "$schema": "http://json-schema.org/draft-07/schema#",
                "title": "Run of an aggregation of checks",
                "type": "object",
                "additionalProperties": false,
            }),
        })
    }
}

#[async_trait]
impl Provider for CheckAggregation {
    fn properties(&self) -> &ProviderProperties {
        &self.0
    }

    fn run_on(&self, arguments: &Value) -> Result<ExecuteOn, String> {
        run_on(arguments, KINDS)
    }

    fn steps(&self, arguments: &Value) -> Steps {
        run_steps(run_on(arguments, KINDS).ok())
    }

    async fn run_on_device_group(&self, run: &StepRun<'_>) -> StepResult {
        aggregate(run).await
    }

    async fn run_on_device(&self, run: &StepRun<'_>) -> StepResult {
        aggregate(run).await
    }
}

async fn aggregate(run: &StepRun<'_>) -> StepResult {
    let arguments: Arguments = read(run.arguments)?;
    let of = match arguments.of {
        Below::Device => EntityType::Device,
        Below::Interface => EntityType::Interface,
    };
    let entity = run.entity;
    let kind = entity.level.entity_type();
    let checks = run
        .entities
        .checks_below(kind, entity.id, of, &arguments.of_check);
    let checks = checks
        .await
        .map_err(|error| StepFailure::new("store-unavailable", error))?;
    Ok(done(&verdict(&arguments, &checks)?))
}

/// What the checks of these entities come to together.
fn verdict(arguments: &Arguments, checks: &[(String, Option<CheckResult>)]) -> Result<Verdict, StepFailure> {
    let count = |result| checks.iter().filter(|(_, found)| *found == result).count();
    let (ok, nok) = (count(Some(CheckResult::Ok)), count(Some(CheckResult::Nok)));
    let (failed, missing) = (count(Some(CheckResult::Failed)), count(None));
    let counted = match arguments.missing {
        Missing::Nok => checks.len(),
        Missing::Ignored => checks.len() - missing,
    };
    let what = match arguments.of {
        Below::Device => "device",
        Below::Interface => "interface",
    };
    if counted == 0 {
        let reason = format!("no {what} is there that has the check {:?}", arguments.of_check);
        return Err(StepFailure::new("nothing-to-count", reason));
    }
    let percent = share(ok, counted);
    let mut verdict = Verdict::from(percent >= arguments.percent);
    if verdict.result != CheckResult::Ok {
        let not_ok = checks.iter().filter_map(|(name, found)| match found {
            Some(CheckResult::Ok) => None,
            Some(CheckResult::Nok) => Some(name.clone()),
            Some(CheckResult::Failed) => Some(format!("{name} (failed)")),
            None => (arguments.missing == Missing::Nok).then(|| format!("{name} (not checked)")),
        });
        let names: Vec<String> = not_ok.take(MAX_NAMES).collect();
        let more = counted - ok - names.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let (needed, names) = (arguments.percent, names.join(", "));
        verdict.reason = Some(format!(
            "{ok} of {counted} {what}s are ok, {needed} % have to be; not ok: {names}{more}"
        ));
    }
    verdict.metrics =
        json!({ "ok": ok, "nok": nok, "failed": failed, "missing": missing, "percent": percent });
    Ok(verdict)
}

/// How many percent the part is of the whole, rounded down to a tenth, so that 100 is all of it.
fn share(part: usize, whole: usize) -> f64 {
    let tenths = u32::try_from(part.saturating_mul(1000) / whole.max(1)).unwrap_or(1000);
    f64::from(tenths) / 10.0
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::check_arguments;

    #[test]
    fn enough_of_the_counted_have_to_be_ok() {
        use CheckResult::{Failed, Nok, Ok as Fine};
        const ALL: f64 = 100.0;
        for (results, percent, missing, expected) in [
            (vec![Some(Fine), Some(Fine)], ALL, Missing::Nok, Ok((Fine, 100.0))),
            (vec![Some(Fine), Some(Nok)], ALL, Missing::Nok, Ok((Nok, 50.0))),
            (vec![Some(Fine), Some(Nok)], 50.0, Missing::Nok, Ok((Fine, 50.0))),
            (vec![Some(Fine), Some(Nok)], 50.1, Missing::Nok, Ok((Nok, 50.0))),
            (
                vec![Some(Fine), Some(Failed)],
                ALL,
                Missing::Ignored,
                Ok((Nok, 50.0)),
            ),
            (vec![Some(Fine), None], ALL, Missing::Nok, Ok((Nok, 50.0))),
            (vec![Some(Fine), None], ALL, Missing::Ignored, Ok((Fine, 100.0))),
            (vec![Some(Nok)], 0.0, Missing::Nok, Ok((Fine, 0.0))),
            // Two of three are 66.6 %, not 66.7 %.
            (
                vec![Some(Fine), Some(Fine), None],
                66.6,
                Missing::Nok,
                Ok((Fine, 66.6)),
            ),
            (vec![None], ALL, Missing::Ignored, Err("nothing-to-count")),
            (vec![], ALL, Missing::Nok, Err("nothing-to-count")),
        ] {
            let arguments = Arguments {
                of: Below::Device,
                of_check: "version".to_owned(),
                percent,
                missing,
            };
            let checks: Vec<_> = results.iter().map(|result| ("sw".to_owned(), *result)).collect();
            let found = verdict(&arguments, &checks).map_err(|failure| failure.reason);
            let told = found.map(|verdict| (verdict.result, verdict.metrics["percent"].as_f64().unwrap()));
            assert_eq!(
                told,
                expected.map_err(Cow::Borrowed),
                "{results:?} {percent} {missing:?}"
            );
        }
    }

    #[test]
    fn who_is_not_ok_is_named_up_to_a_bound() {
        let arguments: Arguments = read(&json!({"of": "INTERFACE", "of_check": "up"})).unwrap();
        let checks = vec![
            ("Ethernet1".to_owned(), Some(CheckResult::Ok)),
            ("Ethernet2".to_owned(), Some(CheckResult::Nok)),
            ("Ethernet3".to_owned(), Some(CheckResult::Failed)),
            ("Ethernet4".to_owned(), None),
        ];
        let data = done(&verdict(&arguments, &checks).unwrap()).data;
        assert_eq!(
            data["reason"],
            "1 of 4 interfaces are ok, 100 % have to be; not ok: Ethernet2, Ethernet3 (failed), Ethernet4 (not checked)"
        );
        assert_eq!(
            data["metrics"],
            json!({"ok": 1, "nok": 1, "failed": 1, "missing": 1, "percent": 25.0})
        );
        let many: Vec<_> = (0..30).map(|number| (format!("e{number}"), None)).collect();
        let reason = verdict(&arguments, &many).unwrap().reason.unwrap();
        assert!(reason.ends_with("e19 (not checked) and 10 more"), "{reason}");
    }

    #[test]
    fn its_schema_knows_what_is_counted_for_each_kind() {
        let provider = CheckAggregation::default();
        let schema = &provider.properties().json_schema;
        for (arguments, valid) in [
            (
                json!({"run_on": "GROUP", "check_key": "c", "of": "DEVICE", "of_check": "v"}),
                true,
            ),
            (
                json!({"run_on": "DEVICE", "check_key": "c", "of": "INTERFACE", "of_check": "v", "percent": 90.5}),
                true,
            ),
            (
                json!({"run_on": "INTERFACE", "check_key": "c", "of": "INTERFACE", "of_check": "v"}),
                false,
            ),
            (
                json!({"run_on": "GROUP", "check_key": "c", "of": "CLIENT", "of_check": "v"}),
                false,
            ),
            (
                json!({"run_on": "GROUP", "check_key": "c", "of": "DEVICE", "of_check": "v", "percent": 101}),
                false,
            ),
        ] {
            assert_eq!(check_arguments(schema, &arguments).is_ok(), valid, "{arguments}");
            if valid {
                assert_eq!(provider.steps(&arguments).iter().count(), 1);
            }
        }
    }
}
