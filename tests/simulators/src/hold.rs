use std::sync::{Arc, Weak};

use tokio::sync::{Semaphore, watch};

/// Stops matching requests or commands before they are executed, until they are released. Dropping it releases all of them.
#[derive(Debug)]
#[must_use = "dropping it releases all requests"]
pub struct Hold {
    door: Arc<Door>,
}

#[derive(Debug)]
struct Door {
    passes: Semaphore,
    arrived: watch::Sender<usize>,
}

impl Hold {
    /// Waits until this number of requests has arrived, including released ones.
    pub async fn arrived(&self, requests: usize) {
        let mut arrived = self.door.arrived.subscribe();
        // It fails only if the sender is dropped, and `self` owns the sender.
        let _ = arrived.wait_for(|count| *count >= requests).await;
    }

    /// Releases this number of requests, waiting ones first.
    pub fn let_pass(&self, requests: usize) {
        self.door.passes.add_permits(requests);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.door.passes.close();
    }
}

/// All active holds, with what each of them stops.
#[derive(Debug)]
pub(crate) struct Holds<Stopped>(Vec<(Stopped, Weak<Door>)>);

impl<Stopped> Default for Holds<Stopped> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// The hold that stops a request.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Door>);

impl<Stopped> Holds<Stopped> {
    pub(crate) fn add(&mut self, stopped: Stopped) -> Hold {
        let door = Arc::new(Door {
            passes: Semaphore::new(0),
            arrived: watch::Sender::new(0),
        });
        self.0.retain(|(_, door)| door.strong_count() > 0);
        self.0.push((stopped, Arc::downgrade(&door)));
        Hold { door }
    }

    /// The first hold that stops what this describes.
    pub(crate) fn find(&self, is_stopped: impl Fn(&Stopped) -> bool) -> Option<Waiting> {
        let mut doors = self.0.iter().filter(|(stopped, _)| is_stopped(stopped));
        doors.find_map(|(_, door)| door.upgrade()).map(Waiting)
    }
}

impl Waiting {
    pub(crate) async fn pass(self) {
        self.0.arrived.send_modify(|count| *count += 1);
        // The channel is closed: the hold was dropped.
        if let Ok(pass) = self.0.passes.acquire().await {
            pass.forget();
        }
    }
}
