use std::sync::{Arc, Weak};

use tokio::sync::{Semaphore, watch};

use super::endpoint::Endpoint;

/// Requests that wait at the door, not yet done, until they are let pass; dropping this lets all pass.
#[derive(Debug)]
#[must_use = "dropping it lets all requests pass"]
pub struct Hold {
    door: Arc<Door>,
}

#[derive(Debug)]
struct Door {
    endpoint: Endpoint,
    subject: Option<String>,
    passes: Semaphore,
    arrived: watch::Sender<usize>,
}

impl Hold {
    /// Waits until so many requests have come to the door, those that were let pass included.
    pub async fn arrived(&self, requests: usize) {
        let mut arrived = self.door.arrived.subscribe();
        // It fails only when the sender is gone, and that is ours.
        let _ = arrived.wait_for(|count| *count >= requests).await;
    }

    /// Lets so many requests pass, those that wait first.
    pub fn let_pass(&self, requests: usize) {
        self.door.passes.add_permits(requests);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.door.passes.close();
    }
}

/// All doors that are closed.
#[derive(Debug, Default)]
pub(crate) struct Holds(Vec<Weak<Door>>);

/// The door a request has to wait at.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Door>);

impl Holds {
    pub(crate) fn add(&mut self, endpoint: Endpoint, subject: Option<&str>) -> Hold {
        let door = Arc::new(Door {
            endpoint,
            subject: subject.map(str::to_owned),
            passes: Semaphore::new(0),
            arrived: watch::Sender::new(0),
        });
        self.0.retain(|door| door.strong_count() > 0);
        self.0.push(Arc::downgrade(&door));
        Hold { door }
    }

    pub(crate) fn of(&self, endpoint: Endpoint, subject: Option<&str>) -> Option<Waiting> {
        let mut doors = self.0.iter().filter_map(Weak::upgrade);
        let door = doors.find(|door| {
            let about = door.subject.as_deref();
            door.endpoint == endpoint && about.is_none_or(|about| Some(about) == subject)
        });
        door.map(Waiting)
    }
}

impl Waiting {
    pub(crate) async fn pass(self) {
        self.0.arrived.send_modify(|count| *count += 1);
        // Closed: the hold was dropped.
        if let Ok(pass) = self.0.passes.acquire().await {
            pass.forget();
        }
    }
}
