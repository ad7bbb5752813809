//! Processes the messages of the executions lane, each in one unit of work.

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::results::CommandApplied;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Message, WorkResult};
use lockstep_store::{ExecutionRow, ExecutionTransaction, Facts, InboxState, StoreError};
use uuid::Uuid;

use super::advance::{Aftermath, log_end};
use super::announce::Announcer;
use super::settle::{release_stopped, settle};
use super::{
    ExecutionContext, ExecutionMessage, approvals, control, relaunch, schedules, start, sweep, sync, tasks,
};
use crate::handlers::Rejection;
use crate::runtime::{Attempt, ProcessingError, RunContext, RunEnd, Runner, TransactionRetry};

/// Processes the commands about tasks, schedules and executions: the runner of the executions lane.
#[derive(Debug)]
pub struct ExecutionRunner {
    context: ExecutionContext,
    announcer: Announcer,
}

/// What a command does within its transaction.
pub(super) struct Command<'a> {
    pub(super) context: &'a ExecutionContext,
    pub(super) executions: &'a mut (dyn ExecutionTransaction + 'a),
    pub(super) facts: &'a mut Facts,
    pub(super) attempt: &'a Attempt,
    pub(super) now: Timestamp,
}

/// What a command did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) result: WorkResult,
    /// The execution that the message began, if it ended at once: the lane publishes the follow-ups after the result.
    pub(super) ended: Option<ExecutionRow>,
    pub(super) aftermath: Aftermath,
    /// The number of a new execution, the lane of its elements, and how many of these are queued, at most.
    pub(super) started: Option<(u64, Lane, u64)>,
    pub(super) rest: Rest,
}

/// What is left for later transactions. The periodic task does it, too, if this process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    #[default]
    Nothing,
    /// Elements of this execution are to be skipped.
    Settle(u64),
    /// Elements that wait for the end of a stop are to be queued.
    Release,
}

/// The outcome of a command: done, or why it cannot be done; the outer error is the store's.
pub(super) type Decided = Result<Result<Done, Rejection>, StoreError>;

impl Done {
    /// Done, and nothing follows.
    pub(super) fn applied(changed: bool, message: impl Into<String>) -> Self {
        Self::with(WorkResult::CommandApplied(CommandApplied {
            changed,
            message: message.into(),
            number: None,
            execution: None,
        }))
    }

    /// Done with this result, and nothing follows.
    pub(super) fn with(result: WorkResult) -> Self {
        Self {
            result,
            ended: None,
            aftermath: Aftermath::default(),
            started: None,
            rest: Rest::Nothing,
        }
    }

    /// About the task or schedule with this number.
    pub(super) fn numbered(mut self, about: u64) -> Self {
        if let WorkResult::CommandApplied(applied) = &mut self.result {
            applied.number = Some(about);
        }
        self
    }

    /// About this execution.
    pub(super) fn about(mut self, about: Uuid) -> Self {
        if let WorkResult::CommandApplied(applied) = &mut self.result {
            applied.execution = Some(about);
        }
        self
    }
}

impl ExecutionRunner {
    /// A runner with these providers, connections and limits.
    pub fn new(context: ExecutionContext) -> Self {
        Self {
            announcer: Announcer::new(&context),
            context,
        }
    }

    /// Processes a message, and repeats that while concurrent transactions are first.
    async fn attempt(&self, context: &RunContext<'_>, attempt: &Attempt) -> Result<RunEnd, ProcessingError> {
        let message = ExecutionMessage::try_from(&attempt.envelope.message)?;
        let mut retry = TransactionRetry::default();
        loop {
            match self.once(context, attempt, message).await {
                Ok(end) => return Ok(end?),
                Err(error) => tokio::time::sleep(retry.after_conflict(error)?).await,
            }
        }
    }

    async fn once(
        &self,
        context: &RunContext<'_>,
        attempt: &Attempt,
        message: ExecutionMessage<'_>,
    ) -> Result<Result<RunEnd, Rejection>, StoreError> {
        let (mut facts, mut transaction) = context.begin(&attempt.keys()).await?;
        if let Some(row) = facts.message(&attempt.key)
            && row.state == InboxState::Applied
        {
            return Ok(Ok(RunEnd::Committed(row.clone())));
        }
        let now = self.context.now(&facts);
        let decided = {
            let mut executions = transaction.executions();
            let command = Command {
                context: &self.context,
                executions: &mut *executions,
                facts: &mut facts,
                attempt,
                now,
            };
            command.decide(message).await?
        };
        let done = match decided {
            Ok(done) => done,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let row = attempt.apply(&mut facts, done.result, done.ended.is_some(), now);
        transaction.commit(&facts).await?;
        done.ended.iter().for_each(log_end);
        let mut announcement = self.announcer.of(done.aftermath);
        announcement.started.extend(done.started);
        self.announcer.announce_soon(announcement);
        self.go_on(done.rest);
        Ok(Ok(RunEnd::Committed(row)))
    }

    /// Goes on in the background with what one transaction could not do.
    fn go_on(&self, rest: Rest) {
        let announcer = self.announcer.clone();
        match rest {
            Rest::Nothing => {}
            Rest::Settle(execution) => drop(tokio::spawn(async move { settle(&announcer, execution).await })),
            Rest::Release => drop(tokio::spawn(async move { release_stopped(&announcer).await })),
        }
    }
}

impl Command<'_> {
    async fn decide(self, message: ExecutionMessage<'_>) -> Decided {
        match message {
            ExecutionMessage::TaskRequested(request) => start::run(self, request).await,
            ExecutionMessage::RelaunchRequested(request) => relaunch::relaunch(self, request).await,
            ExecutionMessage::TaskSaveRequested(request) => tasks::save(self, request).await,
            ExecutionMessage::TaskDeleteRequested(request) => tasks::delete(self, request).await,
            ExecutionMessage::ScheduleSaveRequested(request) => schedules::save(self, request).await,
            ExecutionMessage::ScheduleDeleteRequested(request) => schedules::delete(self, request).await,
            ExecutionMessage::CancelRequested(request) => control::cancel(self, request).await,
            ExecutionMessage::PauseRequested(request) => control::pause(self, request.execution).await,
            ExecutionMessage::ResumeRequested(request) => control::resume(self, request.execution).await,
            ExecutionMessage::ApproveRequested(request) => approvals::approve(self, request).await,
            ExecutionMessage::WithdrawApprovalRequested(request) => approvals::withdraw(self, request).await,
            ExecutionMessage::StopAllRequested(request) => control::stop_all(self, request).await,
            ExecutionMessage::SyncRequested(request) => sync::sync(self, request).await,
            ExecutionMessage::SweepRequested(request) => sweep::sweep(self, request).await,
            ExecutionMessage::LookDue(due) => sweep::look_again(self, due).await,
            ExecutionMessage::ResumeAllRequested(_) => control::resume_all(self).await,
        }
    }
}

#[async_trait]
impl Runner for ExecutionRunner {
    fn key(&self, _message: &Message) -> Option<String> {
        None
    }

    fn leases(&self, _attempts: &[Attempt]) -> Vec<String> {
        Vec::new()
    }

    async fn run(&self, context: &RunContext<'_>, attempts: &[Attempt]) -> Vec<RunEnd> {
        let mut ends = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            let end = self.attempt(context, attempt).await;
            ends.push(end.unwrap_or_else(RunEnd::Failed));
        }
        ends
    }
}
