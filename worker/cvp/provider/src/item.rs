use lockstep_cvp::sweep::ListedTask;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::arguments::LookAgain;

/// What step 1 returns about a task, for whichever worker settles it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Item {
    /// The lists keep it: its report.
    Settled(Value),
    /// It is to be read.
    Listed {
        /// The name of the sweep, by which attempts know an earlier one.
        sweep: String,
        /// The task.
        listed: Box<ListedTask>,
    },
    /// The device of a task that was cancelled before.
    LookAgain(LookAgain),
}

impl Item {
    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("items have string keys and no failing serializers")
    }
}
