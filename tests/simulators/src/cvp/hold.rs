use std::sync::{Arc, Weak};

use tokio::sync::{Semaphore, watch};

use super::endpoint::Endpoint;

/// Stops matching requests before they are executed, until they are released. Dropping it releases all of them.
#[derive(Debug)]
#[must_use = "dropping it releases all requests"]
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

/// All active holds.
#[derive(Debug, Default)]
pub(crate) struct Holds(Vec<Weak<Door>>);

/// The hold that stops a request.
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
        // The channel is closed: the hold was dropped.
        if let Ok(pass) = self.0.passes.acquire().await {
            pass.forget();
        }
    }
}
