//! Dead letters.

use lockstep_http::ReadScope;
use lockstep_protocol::DeadLetterState;
use lockstep_protocol::rest::{DeadLetterCounts, DeadLetterDetail, DeadLetterPage};
use serde_json::{Value, json};

use super::Document;

impl Document {
    pub(super) fn dead_letters(&mut self) {
        let [code, lane, kind] = [
            self.query::<String>("code", "Only dead letters with this code."),
            self.query::<String>("lane", "Only dead letters of this lane."),
            self.query::<String>("type", "Only dead letters of messages of this type."),
        ];
        let states: Vec<Value> = [DeadLetterState::Dead, DeadLetterState::Requeued]
            .into_iter()
            .chain([DeadLetterState::Processed, DeadLetterState::Dropped])
            .map(|state| state.to_string().into())
            .chain(["all".into()])
            .collect();
        let mut state = self.query::<String>("state", "Only dead letters in this state; `dead` if absent.");
        state["schema"] = json!({"type": "string", "enum": states});
        let parameters = [
            state,
            code.clone(),
            lane.clone(),
            kind.clone(),
            self.query::<u64>("before", "The end of the page before: its `next`."),
            self.limit(),
            self.total(),
        ];
        let scope = Some(ReadScope::DeadLetters);
        self.get::<DeadLetterPage>(
            "/v1/dead",
            "list_dead_letters",
            "Dead letters, newest first",
            scope,
            &parameters,
        );
        self.get::<DeadLetterCounts>(
            "/v1/dead/counts",
            "count_dead_letters",
            "How many dead letters are unsettled, by lane, type and code",
            scope,
            &[code, lane, kind],
        );
        self.get::<DeadLetterDetail>(
            "/v1/dead/{number}",
            "dead_letter",
            "One dead letter, with its body",
            Some(ReadScope::DeadLetterBodies),
            &[],
        );
    }
}
