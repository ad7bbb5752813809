//! Lists all tasks in a status, page by page.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::Cvp;
use crate::client::CvpError;
use crate::wire::{Task, TaskId, TaskPage};

/// The most rows, pages and bytes of one list. A list that reaches one of them ends with an error, since it may never be complete.
const MOST_ROWS: usize = 100_000;
const MOST_PAGES: usize = 1000;
const MOST_BYTES: usize = 512 << 20;

struct Listing {
    cvp: Arc<dyn Cvp>,
    /// Only tasks in this status.
    status: String,
    /// The most rows of a page.
    page: usize,
    /// Tasks that were received and not returned yet.
    ready: VecDeque<Task>,
    /// The first row of the next page; `None` at the end.
    next: Option<usize>,
    seen: HashSet<TaskId>,
    pages: usize,
    bytes: usize,
}

/// Returns each task once, beginning with those of the first page. Ends at the first error, since an incomplete list does not tell
/// whether a device has several tasks.
pub(super) fn tasks(
    cvp: Arc<dyn Cvp>,
    status: String,
    page: usize,
    first: TaskPage,
) -> BoxStream<'static, Result<Task, CvpError>> {
    let mut listing = Listing {
        cvp,
        status,
        page,
        ready: VecDeque::new(),
        next: Some(0),
        seen: HashSet::new(),
        pages: 0,
        bytes: 0,
    };
    listing.take(0, first);
    futures_util::stream::unfold(listing, |mut listing| async move {
        loop {
            if let Some(task) = listing.ready.pop_front() {
                return Some((Ok(task), listing));
            }
            let start = listing.next?;
            if let Some(error) = listing.reached_limit(start) {
                listing.next = None;
                return Some((Err(error), listing));
            }
            match listing.cvp.tasks(&listing.status, start, listing.page).await {
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
    /// The error of a list that goes on for too long.
    fn reached_limit(&self, rows: usize) -> Option<CvpError> {
        let reached = rows >= MOST_ROWS || self.pages >= MOST_PAGES || self.bytes >= MOST_BYTES;
        let reason = format!(
            "it goes on after {rows} rows, {} pages and {} MiB (the most are {MOST_ROWS}, {MOST_PAGES} and {}); nothing was cancelled, because the list is not complete",
            self.pages,
            self.bytes >> 20,
            MOST_BYTES >> 20
        );
        reached.then_some(CvpError::Unreadable {
            call: "list tasks",
            reason,
        })
    }

    /// Adds a page. Rows move while they are listed, and it is not known whether `endIndex` is included. So the next page begins after
    /// the received rows, and repeated tasks are left out.
    fn take(&mut self, start: usize, page: TaskPage) {
        let TaskPage {
            tasks,
            others,
            received,
            total,
            bytes,
        } = page;
        self.pages += 1;
        self.bytes += bytes;
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
