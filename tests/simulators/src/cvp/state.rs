use tokio::time::Instant;

use super::answer::SimulatedResponse;
use super::api::{self, Call};
use super::endpoint::{Endpoint, Need};
use super::fault::Faults;
use super::hooks::Hooks;
use super::knobs::Knobs;
use super::log::{Credential, Log};
use super::scenario::Scenario;
use super::serve::NodeMode;
use super::sessions::Sessions;
use super::version::Version;
use super::world::World;
use crate::hold::Holds;

/// The state that all nodes share, behind one lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) knobs: Knobs,
    pub(crate) version: Version,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) faults: Faults,
    /// Each stops requests to an endpoint, of all subjects or of one.
    pub(crate) holds: Holds<(Endpoint, Option<String>)>,
    pub(crate) hooks: Hooks,
    pub(crate) log: Log,
    /// Ids of tasks whose cancellation was triggered, in that order.
    pub(crate) cancelled: Vec<String>,
    pub(crate) connections: usize,
    /// The behaviour of each node.
    pub(crate) modes: Vec<NodeMode>,
}

/// The accepted credentials.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) token: String,
}

impl State {
    pub(crate) fn new(scenario: Scenario, accounts: Accounts, nodes: usize) -> Self {
        Self {
            world: scenario.world,
            knobs: scenario.knobs,
            version: scenario.version,
            accounts,
            sessions: Sessions::default(),
            faults: Faults::default(),
            holds: Holds::default(),
            hooks: Hooks::default(),
            log: Log::default(),
            cancelled: Vec::new(),
            connections: 0,
            modes: vec![NodeMode::default(); nodes],
        }
    }

    /// Applies everything that is due.
    pub(crate) fn settle(&mut self) {
        self.world.settle(Instant::now(), &self.knobs);
    }

    /// Executes a request if it is authorized and possible, then the changes that are due after it.
    pub(crate) fn answer(&mut self, call: &Call) -> SimulatedResponse {
        self.settle();
        if call.endpoint != Endpoint::Login && !self.is_authenticated(call) {
            return api::expired(self.version, call);
        }
        if !self.serves(call) {
            return api::unknown(self.version, call);
        }
        let answer = api::dispatch(self, call);
        self.hooks
            .fire(call.endpoint, call.subject.as_deref(), &mut self.world);
        answer
    }

    fn is_authenticated(&mut self, call: &Call) -> bool {
        let Some(secret) = &call.secret else { return false };
        let token = self.version.has_tokens()
            && call.credential != Credential::SessionHeader
            && *secret == self.accounts.token;
        token || self.sessions.admit(secret)
    }

    fn serves(&self, call: &Call) -> bool {
        if self.version.is_cvaas() && call.path.starts_with("/web/") {
            return false;
        }
        let provisioning = self.knobs.provisioning;
        match call.endpoint.need() {
            Need::Nothing => call.endpoint != Endpoint::Unknown,
            Need::Provisioning => provisioning,
            Need::NewTopology => provisioning && self.version.has_new_topology(),
            Need::PerTaskDiff => self.knobs.per_task_diff,
            Need::Resources => self.version.has_resources(),
        }
    }
}
