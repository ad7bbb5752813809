//! One run: it has begun when it has its leases and its turn, and it is contained, cancelled and awaited.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt;
use futures_util::future::Either;
use lockstep_store::AttemptStart;
use tokio::time::Instant;

use super::lane::{Abandoned, contain, panic_text};
use super::lease::HeldLeases;
use super::poison::{self, PoisonCheck};
use super::processing_error::ProcessingError;
use super::run::RunLane;
use super::run_context::RunContext;
use super::runner::{Attempt, RunEnd};
use crate::fail_point::{self, FailPoint};

impl RunLane {
    /// One run under its leases. It has begun when it has them, and its turn. Returns as many ends as attempts.
    pub(super) async fn run_once(
        &self,
        attempts: &[Attempt],
        starts: &BTreeSet<AttemptStart>,
        check: PoisonCheck,
        deadline: Instant,
    ) -> Result<Vec<RunEnd>, Abandoned> {
        let all = |error: ProcessingError| Ok(vec![RunEnd::Failed(error); attempts.len()]);
        let names = match contain(|| self.runner.leases(attempts)) {
            Ok(names) => names,
            Err(error) => return all(error),
        };
        let wanted = names.join(", ");
        let options = &self.options;
        let acquired = HeldLeases::acquire(
            self.context.leases.clone(),
            names,
            options.lease_time,
            options.lease_wait,
        );
        let acquired = self.context.with_store(async { Ok(acquired.await) });
        let leases = match acquired.await? {
            Ok(Some(leases)) => leases,
            Ok(None) => {
                let reason = format!("another worker holds the lease of {wanted}");
                return all(ProcessingError::later(reason));
            }
            Err(error) => return all(error.into()),
        };
        let ends = match self.turn(check, deadline).await {
            Ok(Some(_turn)) => {
                fail_point::pass(FailPoint::AfterLease);
                self.run_counted(&leases, attempts, starts, deadline).await
            }
            Ok(None) => all(ProcessingError::later("other runs did not end in time")),
            Err(Abandoned) => Err(Abandoned),
        };
        leases.release().await;
        ends
    }

    /// Waits until a run may begin beside the others. `None` at the deadline.
    async fn turn(&self, check: PoisonCheck, deadline: Instant) -> Result<Option<impl Sized>, Abandoned> {
        let turn = async {
            match check {
                PoisonCheck::Isolated | PoisonCheck::Poison => Either::Left(self.turns.write().await),
                PoisonCheck::Shared => Either::Right(self.turns.read().await),
            }
        };
        tokio::select! {
            biased;
            () = self.context.abandon.cancelled() => Err(Abandoned),
            turn = turn => Ok(Some(turn)),
            () = tokio::time::sleep_until(deadline) => Ok(None),
        }
    }

    /// One run whose start is counted until it ends.
    async fn run_counted(
        &self,
        leases: &HeldLeases,
        attempts: &[Attempt],
        starts: &BTreeSet<AttemptStart>,
        deadline: Instant,
    ) -> Result<Vec<RunEnd>, Abandoned> {
        self.context.record_starts(starts).await?;
        let ends = self.run_under(leases, attempts, starts, deadline).await;
        poison::give_back(&*self.context.delivery_attempts, starts).await;
        ends
    }

    /// One run, contained: it may panic, hang, or return too few ends.
    async fn run_under(
        &self,
        leases: &HeldLeases,
        attempts: &[Attempt],
        starts: &BTreeSet<AttemptStart>,
        deadline: Instant,
    ) -> Result<Vec<RunEnd>, Abandoned> {
        for attempt in attempts {
            fail_point::pass_with(attempt.envelope.subject.as_deref());
        }
        let context = RunContext::new(leases, &*self.context.store, deadline)
            .counting(starts, &*self.context.delivery_attempts);
        let run = AssertUnwindSafe(async { self.runner.run(&context, attempts).await }).catch_unwind();
        tokio::pin!(run);
        let ended = match self.until_cancelled(&context, run.as_mut()).await {
            Ok(ended) => Ok(ended),
            Err(reason) => {
                context.cancel.cancel();
                let graceful = tokio::time::timeout(self.options.grace, run).await;
                graceful.map_err(|_| reason)
            }
        };
        let all = |error: ProcessingError| Ok(vec![RunEnd::Failed(error); attempts.len()]);
        match ended {
            Ok(Ok(mut ends)) => {
                ends.resize_with(attempts.len(), || {
                    ProcessingError::transient("the run returned no end for it").into()
                });
                Ok(ends)
            }
            Ok(Err(panic)) => all(ProcessingError::panicked(&panic_text(&*panic))),
            Err(CancelReason::Abandoned) => Err(Abandoned),
            Err(CancelReason::LeaseLost) => all(ProcessingError::later("the lease was lost")),
            Err(CancelReason::Deadline) => {
                let step = context
                    .progress
                    .step()
                    .map(|step| format!(", in the step {step}"));
                let reason = format!(
                    "the run took longer than {:?}{}",
                    self.options.deadline,
                    step.unwrap_or_default()
                );
                all(ProcessingError::transient(reason))
            }
        }
    }

    /// Waits for the end of a run, or for a reason to cancel it. When the worker stops, the run is cancelled and awaited.
    async fn until_cancelled<F: Future>(
        &self,
        context: &RunContext<'_>,
        mut run: Pin<&mut F>,
    ) -> Result<F::Output, CancelReason> {
        loop {
            tokio::select! {
                biased;
                () = self.context.abandon.cancelled() => return Err(CancelReason::Abandoned),
                ended = run.as_mut() => return Ok(ended),
                () = context.leases.lost().cancelled() => return Err(CancelReason::LeaseLost),
                () = tokio::time::sleep_until(context.deadline) => return Err(CancelReason::Deadline),
                () = self.context.stop.cancelled(), if !context.cancel.is_cancelled() => {
                    context.cancel.cancel();
                }
            }
        }
    }
}

/// Why a run is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CancelReason {
    Abandoned,
    LeaseLost,
    Deadline,
}
