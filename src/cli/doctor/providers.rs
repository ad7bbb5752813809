//! Checks external providers: their descriptions, and on a worker their programs.

use super::As;
use super::finding::Findings;
use crate::config::Config;
use crate::roles::{ExternalCheck, check_external};

const CHECK: &str = "providers";

pub(super) async fn examine(config: &Config, role: As, findings: &mut Findings) {
    for check in check_external(config).await {
        judge(&check, role, findings);
    }
}

fn judge(check: &ExternalCheck, role: As, findings: &mut Findings) {
    let name = &check.name;
    match (&check.description, &check.program) {
        (Err(reason), _) => findings.failed(
            CHECK,
            format!("{name} is not known: {reason}"),
            "write the description again with `lockstep providers describe COMMAND`",
        ),
        (Ok(_), _) if role != As::Worker => findings.ok(CHECK, format!("{name} is known")),
        (Ok(_), Some(Err(reason))) => findings.failed(
            CHECK,
            format!("{name} is not run here: {reason}"),
            "correct it, or remove the command, so that only other workers run it",
        ),
        (Ok(_), None) => findings.ok(CHECK, format!("{name} is known, and left to other workers")),
        (Ok(_), Some(Ok(_))) => findings.ok(CHECK, format!("{name} is run here")),
    }
}

#[cfg(test)]
mod tests {
    use lockstep_external::Description;
    use serde_json::json;

    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_worker_needs_the_program_and_a_console_only_the_description() {
        let description = json!({
            "protocol": 1, "name": "uptime", "short_description": "x", "provider_type": "EXECUTE", "run_on": "DEVICE",
            "steps": ["run_on_device"],
        });
        let description = || Description::read(&description.to_string()).map_err(|error| error.to_string());
        let missing = || Some(Err("no such file".to_owned()));
        let table = [
            (description(), missing(), As::Worker, State::Failed),
            (description(), missing(), As::Console, State::Ok),
            (description(), None, As::Worker, State::Ok),
            (Err("no such file".to_owned()), None, As::Console, State::Failed),
        ];
        for (description, program, role, expected) in table {
            let check = ExternalCheck {
                name: "uptime".to_owned(),
                description,
                program,
                credentials: false,
            };
            let mut findings = Findings::default();
            judge(&check, role, &mut findings);
            assert_eq!(findings.worst(), expected, "{check:?} {role:?}");
            assert!(findings.lines()[0].contains("uptime"));
        }
    }
}
