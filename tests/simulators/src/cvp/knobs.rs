use std::time::Duration;

/// The behaviour of the simulated CloudVision. Where the behaviour of a real one is unknown, both ways can be chosen; the
/// README lists these cases.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one answer to one open question about CloudVision"
)]
pub struct Knobs {
    /// Latency of each request.
    pub latency: Duration,
    /// Time from the response to `cancelTask.do` until the task is Cancelled.
    pub cancel_delay: Duration,
    /// Time from `executeTask.do` until the task is Completed.
    pub execution_delay: Duration,
    /// Time from a change of a device's configuration until CloudVision shows the new compliance code.
    pub compliance_lag: Duration,
    /// Number of requests after which new sessions expire; `None`: never.
    pub session_requests: Option<u32>,
    /// Whether network provisioning is on. Without it there is no `checkCompliance.do`, as in new installations of 2025.2.
    pub provisioning: bool,
    /// Whether the per-task diff service exists.
    pub per_task_diff: bool,
    /// Whether the diff service omits fields that are zero, false or empty.
    pub zeros_left_out: bool,
    /// Whether cancelling a cancelled task succeeds again, or is an error.
    pub cancel_twice_succeeds: bool,
    /// Whether a task in an open change control cannot be cancelled.
    pub change_control_protects: bool,
    /// Whether `endIndex` of `getTasks.do` is inclusive.
    pub end_index_inclusive: bool,
    /// Whether ids of tasks are numbers in JSON.
    pub ids_as_numbers: bool,
    /// Whether empty texts of tasks and of compliance are null, as in CVP 2016.
    pub nulls: bool,
    /// Whether the task list never ends: every page is full of new tasks of devices that are not in the inventory.
    pub endless_tasks: bool,
}

impl Default for Knobs {
    /// A CloudVision without delays and with the common behaviour.
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
            endless_tasks: false,
        }
    }
}
