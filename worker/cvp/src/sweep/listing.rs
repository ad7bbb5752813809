//! Lists all tasks in a status, page by page.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::Sweep;
use crate::client::CvpError;
use crate::wire::{Task, TaskId, TaskPage};

struct Listing {
    sweep: Arc<Sweep>,
    /// Tasks that were received and not returned yet.
    ready: VecDeque<Task>,
    /// The first row of the next page; `None` at the end.
    next: Option<usize>,
    seen: HashSet<TaskId>,
}

/// Returns each task once, beginning with those of the first page. Ends at the first error, since an incomplete list does not tell
/// whether a device has several tasks.
pub(super) fn tasks(sweep: Arc<Sweep>, first: TaskPage) -> BoxStream<'static, Result<Task, CvpError>> {
    let mut listing = Listing {
        sweep,
        ready: VecDeque::new(),
        next: Some(0),
        seen: HashSet::new(),
    };
    listing.take(0, first);
    futures_util::stream::unfold(listing, |mut listing| async move {
        loop {
            if let Some(task) = listing.ready.pop_front() {
                return Some((Ok(task), listing));
            }
            let start = listing.next?;
            let options = &listing.sweep.options;
            let page = listing
                .sweep
                .context
                .cvp
                .tasks(&options.status, start, options.page)
                .await;
            match page {
                Ok(page) => listing.take(start, page),
                Err(error) => {
                    listing.next = None;
                    return Some((Err(error), listing));
                }
            }
        }
    })
    .boxed()
}

impl Listing {
    /// Adds a page. Rows move while they are listed, and it is not known whether `endIndex` is included. So the next page begins after
    /// the received rows, and repeated tasks are left out.
    fn take(&mut self, start: usize, page: TaskPage) {
        let TaskPage {
            tasks,
            others,
            received,
            total,
        } = page;
        let before = self.seen.len();
        self.seen.extend(others);
        let nameless = |task: &Task| task.id.text().is_empty();
        for task in tasks {
            if nameless(&task) || self.seen.insert(task.task_id()) {
                self.ready.push_back(task);
            }
        }
        let next = start + received;
        let complete = total.is_some_and(|total| next >= total);
        // A server without paging sends the same rows again.
        let progressed = self.seen.len() > before;
        self.next = (received > 0 && !complete && progressed).then_some(next);
    }
}
