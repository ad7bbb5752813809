//! Loads what the fields of one level ask for together: one statement, however many objects the level has.
//!
//! The fields of all objects of a level are resolved concurrently, by one task. Each asks the [`DataLoader`] of the request. A batch is
//! loaded when that task can do nothing more without it: not after some time, which would be too short on a busy machine.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use async_graphql::dataloader::DataLoader;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute};
use async_graphql::{Data, Response};
use async_trait::async_trait;
use tokio::task::JoinSet;

use super::loads::Loads;
use crate::context::Shared;

/// The data loader of a request.
pub(super) type Batches = DataLoader<Loads>;

type Load = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Gives each request its [`Batches`].
pub(super) struct Batching;

impl ExtensionFactory for Batching {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for Batching {
    async fn execute(
        &self,
        context: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        let shared = Arc::clone(context.data_unchecked::<Arc<Shared>>());
        let waiting: Arc<Mutex<Vec<Load>>> = Arc::default();
        let spawner = {
            let waiting = Arc::clone(&waiting);
            move |load: Load| waiting.lock().unwrap_or_else(PoisonError::into_inner).push(load)
        };
        let batches: Batches = DataLoader::new(Loads::new(shared), spawner)
            .delay(Duration::ZERO)
            .max_batch_size(usize::MAX);
        let mut data = Data::default();
        data.insert(batches);
        batched(next.run_with_data(context, operation_name, data), &waiting).await
    }
}

/// Runs an execution, and the loads that it waits for whenever it is idle. Loads that are not done at its end are cancelled.
async fn batched<T>(execution: impl Future<Output = T>, waiting: &Mutex<Vec<Load>>) -> T {
    let mut execution = pin!(execution);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut loads = JoinSet::new();
    poll_fn(|context| {
        woken.by(context.waker());
        let polled = execution.as_mut().poll(&mut TaskContext::from_waker(&waker));
        if polled.is_ready() {
            return polled;
        }
        // Otherwise a part of the execution goes on at once, and may ask for more.
        if !woken.is_set() {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for load in waiting.drain(..) {
                loads.spawn(load);
            }
            while loads.try_join_next().is_some() {}
        }
        Poll::Pending
    })
    .await
}

/// Whether an execution was woken since it began to run last.
#[derive(Default)]
struct Woken {
    set: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Woken {
    /// The execution begins to run, in a task with this waker.
    fn by(&self, task: &Waker) {
        self.set.store(false, Ordering::SeqCst);
        let mut known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.as_ref().is_some_and(|known| known.will_wake(task)) {
            *known = Some(task.clone());
        }
    }

    fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set.store(true, Ordering::SeqCst);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::sync::oneshot;

    use super::*;

    /// Many futures in sets within sets, as GraphQL makes them: a set returns early, to let others run.
    #[tokio::test]
    async fn loads_run_when_all_fields_of_a_level_have_asked() {
        let waiting: Arc<Mutex<Vec<Load>>> = Arc::default();
        let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
        let asked: Arc<Mutex<Vec<oneshot::Sender<()>>>> = Arc::default();
        let ask = async || {
            let (sender, receiver) = oneshot::channel();
            let is_first = {
                let mut all = asked.lock().unwrap();
                all.push(sender);
                all.len() == 1
            };
            if is_first {
                let (asked, sizes) = (Arc::clone(&asked), Arc::clone(&sizes));
                waiting.lock().unwrap().push(Box::pin(async move {
                    let all = std::mem::take(&mut *asked.lock().unwrap());
                    sizes.lock().unwrap().push(all.len());
                    for sender in all {
                        sender.send(()).unwrap();
                    }
                }));
            }
            receiver.await.unwrap();
        };
        let object = async || {
            join_all((0..40).map(async |_| ask().await)).await;
            ask().await;
        };
        batched(join_all((0..50).map(async |_| object().await)), &waiting).await;
        assert_eq!(*sizes.lock().unwrap(), [2000, 50]);
    }
}
