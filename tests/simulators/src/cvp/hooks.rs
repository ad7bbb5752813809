use std::fmt;

use super::endpoint::Endpoint;
use super::world::World;

type Action = Box<dyn FnOnce(&mut World) + Send>;

struct Hook {
    endpoint: Endpoint,
    subject: Option<String>,
    remaining: u32,
    action: Action,
}

/// Changes of the world after certain requests.
#[derive(Default)]
pub(crate) struct Hooks(Vec<Hook>);

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.0.iter().map(|hook| (hook.endpoint, hook.remaining));
        f.debug_list().entries(waiting).finish()
    }
}

impl Hooks {
    pub(crate) fn add(&mut self, endpoint: Endpoint, subject: Option<&str>, nth: u32, action: Action) {
        self.0.push(Hook {
            endpoint,
            subject: subject.map(str::to_owned),
            remaining: nth.max(1),
            action,
        });
    }

    /// Counts a request, and runs the changes that are due after it.
    pub(crate) fn fire(&mut self, endpoint: Endpoint, subject: Option<&str>, world: &mut World) {
        let mut waiting = Vec::new();
        for mut hook in self.0.drain(..) {
            let concerned =
                hook.endpoint == endpoint && hook.subject.as_deref().is_none_or(|own| Some(own) == subject);
            if concerned {
                hook.remaining -= 1;
            }
            if hook.remaining == 0 {
                (hook.action)(world);
            } else {
                waiting.push(hook);
            }
        }
        self.0 = waiting;
    }

    pub(crate) fn waiting(&self) -> usize {
        self.0.len()
    }
}
