use std::time::Duration;

/// How the simulated CloudVision behaves. Where nobody knows what a real one does, both ways can be chosen; the README says
/// where that is so.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one answer to one open question about CloudVision"
)]
pub struct Knobs {
    /// How long each request takes.
    pub latency: Duration,
    /// From the answer to `cancelTask.do` until the task is Cancelled.
    pub cancel_delay: Duration,
    /// From `executeTask.do` until the task is Completed.
    pub execution_delay: Duration,
    /// From a change of a device's configuration until CloudVision says another compliance code.
    pub compliance_lag: Duration,
    /// Requests after which a session that begins from now on is over; `None`: never.
    pub session_requests: Option<u32>,
    /// Whether network provisioning is on; without it there is no `checkCompliance.do`, as in new installations of 2025.2.
    pub provisioning: bool,
    /// Whether the per-task diff service is there.
    pub per_task_diff: bool,
    /// Whether the diff service leaves fields out that are zero, false or empty.
    pub zeros_left_out: bool,
    /// Whether cancelling a cancelled task succeeds again, or is an error.
    pub cancel_twice_succeeds: bool,
    /// Whether a task in an open change control cannot be cancelled.
    pub change_control_protects: bool,
    /// Whether `endIndex` of `getTasks.do` is the last row, or the one behind it.
    pub end_index_inclusive: bool,
    /// Whether ids of tasks are numbers in JSON.
    pub ids_as_numbers: bool,
    /// Whether empty texts of tasks and of compliance are null, as CVP 2016 answered.
    pub nulls: bool,
}

impl Default for Knobs {
    /// A quick and kind CloudVision.
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            cancel_delay: Duration::ZERO,
            execution_delay: Duration::ZERO,
            compliance_lag: Duration::ZERO,
            session_requests: None,
            provisioning: true,
            per_task_diff: true,
            zeros_left_out: false,
            cancel_twice_succeeds: false,
            change_control_protects: false,
            end_index_inclusive: false,
            ids_as_numbers: false,
            nulls: false,
        }
    }
}
