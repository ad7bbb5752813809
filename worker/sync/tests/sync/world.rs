use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_clock::Clock;
use lockstep_device::{CredentialSource, Credentials, DevicePool, PoolOptions};
use lockstep_execution::fake::EmptyStore;
use lockstep_execution::{
    DeviceConnection, DeviceError, Devices, ElementAttempt, Entity, PooledConnection, Provider, StepResult,
    StepRun, TargetDevice,
};
use lockstep_protocol::{CommitId, Level};
use lockstep_simulators::fleet::Options;
use lockstep_store::{DeviceId, ElementOwner, RunningElement, SyncBinding};
use lockstep_sync::{RenderFailure, Renderer, Sync, SyncOptions, SyncServices};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::device::{Driver, FakeDevice};
use crate::store::FakeStore;

/// The number of the device.
pub(crate) const DEVICE: DeviceId = DeviceId(7);

/// The community in every intended configuration, which the renderer says to be secret.
pub(crate) const SECRET: &str = "tpfhemlig";

/// What happens at a call to the device or to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The worker is killed before the call does anything.
    KilledBefore,
    /// The worker is killed after the call did what it does, before it returns.
    KilledAfter,
    /// Another worker may run the element from before the call on.
    LeaseLost,
    /// The run is told to stop before the call.
    Cancelled,
    /// The device, or the store, does not get the call.
    NotReached,
    /// It does what it is asked, and its answer is lost.
    AnswerLost,
    /// The device restarts instead of the call.
    Reboot,
}

/// Everything outside of a run.
#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) device: FakeDevice,
    pub(crate) store: FakeStore,
    /// The calls so far in this run.
    pub(crate) calls: Vec<String>,
    /// The number of the call at which something happens.
    pub(crate) fault: Option<(usize, Fault)>,
    pub(crate) now: Timestamp,
    /// After this call, the clock shows this time.
    pub(crate) clock_jumps: Option<(&'static str, Timestamp)>,
    /// The number of the call before which another configuration becomes intended.
    pub(crate) changes_at: Option<usize>,
    /// What was broken that must always hold.
    pub(crate) violations: Vec<String>,
    /// Why nothing is rendered.
    pub(crate) render: Option<fn() -> RenderFailure>,
    /// Whether the device is another one, which the store cannot look at.
    pub(crate) elsewhere: bool,
    cancel: CancellationToken,
}

#[derive(Clone, Default)]
pub(crate) struct World {
    inner: Arc<Mutex<Inner>>,
    killed: Arc<Notify>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

/// What a call is told to do.
pub(crate) enum Call<T> {
    Returns(T),
    NotReached,
    AnswerLost,
}

impl World {
    /// A MANAGED device with generation 1, which has the configuration of generation 1, and should have that of generation 2.
    pub(crate) fn new() -> Self {
        let world = Self::default();
        world.with(|inner| {
            inner.now = "2026-11-30T08:00:00Z".parse().expect("a time");
            inner.store.commits.insert(1, commit(1));
            inner.device.running = text(1);
            inner.store.configuration_hash = Some(inner.device.hash());
            (inner.store.desired, inner.store.synced) = (1, 1);
            inner.store.change();
        });
        world
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().expect("nobody panics while it is held"))
    }

    /// Binds a new element to the device as it is.
    pub(crate) fn element(&self, change: impl FnOnce(&mut SyncBinding)) -> u64 {
        self.with(|inner| {
            let store = &mut inner.store;
            let element = 1 + store.bindings.len() as u64;
            let mut binding = SyncBinding {
                element,
                execution: element,
                device: DEVICE,
                generation: store.desired,
                settings: store.commits.get(&store.desired).cloned(),
                templates: Some(commit(0)),
                approved: None,
                restores: None,
            };
            change(&mut binding);
            store.bindings.insert(element, binding);
            element
        })
    }

    /// Binds an element to what the dry run of another one showed.
    pub(crate) fn plan_of(&self, element: u64) -> u64 {
        let (bound, hash) = self.with(|inner| {
            let hash = inner.store.diffs[&element].hash.clone();
            (inner.store.bindings[&element].clone(), hash)
        });
        self.element(|binding| {
            *binding = SyncBinding {
                element: binding.element,
                execution: binding.execution,
                approved: Some(hash),
                ..bound
            };
        })
    }

    /// A call, counted, with what happens at it. `effect` is what it does.
    pub(crate) async fn call<T>(&self, name: &str, effect: impl FnOnce(&mut Inner) -> T) -> Call<T> {
        let fault = self.with(|inner| {
            inner.device.tick();
            let index = inner.calls.len();
            if inner.changes_at == Some(index) {
                inner.store.change();
                inner.changes_at = None;
            }
            inner.calls.push(name.to_owned());
            let fault = inner.fault.filter(|(at, _)| *at == index).map(|(_, fault)| fault);
            match fault {
                Some(Fault::LeaseLost) => inner.store.running = None,
                Some(Fault::Cancelled) => inner.cancel.cancel(),
                Some(Fault::Reboot) => inner.device.reboot(),
                _ => {}
            }
            fault
        });
        match fault {
            Some(Fault::KilledBefore) => self.killed().await,
            Some(Fault::NotReached | Fault::Reboot) => return Call::NotReached,
            _ => {}
        }
        let value = self.with(|inner| {
            let value = effect(inner);
            if let Some((after, now)) = inner.clock_jumps
                && name == after
            {
                inner.now = now;
            }
            value
        });
        match fault {
            Some(Fault::KilledAfter) => self.killed().await,
            Some(Fault::AnswerLost) => Call::AnswerLost,
            _ => Call::Returns(value),
        }
    }

    async fn killed<T>(&self) -> T {
        self.killed.notify_one();
        std::future::pending().await
    }

    /// Runs an element as the engine does. `None` if its worker was killed.
    pub(crate) async fn run_with(
        &self,
        element: u64,
        dry_run: bool,
        arguments: Value,
        options: SyncOptions,
        fault: Option<(usize, Fault)>,
    ) -> Option<StepResult> {
        let devices = Pool::of(self);
        self.run_on(&devices, "192.0.2.1", element, dry_run, arguments, options, fault)
            .await
    }

    /// Runs an element on a device that is reached at this address.
    #[expect(clippy::too_many_arguments, reason = "each test gives others")]
    pub(crate) async fn run_on(
        &self,
        devices: &dyn Devices,
        address: &str,
        element: u64,
        dry_run: bool,
        arguments: Value,
        options: SyncOptions,
        fault: Option<(usize, Fault)>,
    ) -> Option<StepResult> {
        let cancel = CancellationToken::new();
        let attempt = self.with(|inner| {
            inner.calls.clear();
            inner.fault = fault;
            inner.cancel = cancel.clone();
            let attempts = inner.store.attempts.entry(element).or_default();
            *attempts += 1;
            let attempt = RunningElement {
                element,
                attempt: *attempts,
                owner: ElementOwner(Uuid::from_u128(u128::from(element) << 32 | u128::from(*attempts))),
            };
            inner.store.running = Some(attempt);
            attempt
        });
        let services = SyncServices {
            runs: Arc::new(self.clone()),
            flags: Arc::new(self.clone()),
            renderer: Arc::new(self.clone()),
            clock: Arc::new(self.clone()),
        };
        let provider = Sync::new(services, options);
        let target = TargetDevice {
            hostname: "leaf1".to_owned(),
            address: address.parse().expect("an address"),
            platform: Some("eos".to_owned()),
            groups: vec!["campus".to_owned()],
        };
        let entity = Entity {
            level: Level::Device,
            id: DEVICE.number(),
            name: "leaf1".to_owned(),
            device: Some(target),
            item: None,
        };
        let run = StepRun {
            element: ElementAttempt {
                element,
                execution: element,
                attempt: attempt.attempt,
                owner: attempt.owner.0,
            },
            entity: &entity,
            above: &[],
            pre_run: &Value::Null,
            below: &[],
            results: &EmptyStore,
            entities: &EmptyStore,
            dry_run,
            arguments: &arguments,
            run_arguments: &json!({}),
            cancel: &cancel,
            devices,
            children: None,
        };
        let result = tokio::select! {
            biased;
            result = provider.run_on_device(&run) => Some(result),
            () = self.killed.notified() => None,
        };
        self.with(|inner| {
            inner.store.running = None;
            inner.fault = None;
        });
        result
    }

    pub(crate) async fn run(&self, element: u64, dry_run: bool) -> StepResult {
        let ended = self.run_with(element, dry_run, json!({}), SyncOptions::default(), None);
        ended.await.expect("nothing kills the worker")
    }

    pub(crate) async fn run_as(&self, element: u64, dry_run: bool, arguments: Value) -> StepResult {
        let ended = self.run_with(element, dry_run, arguments, SyncOptions::default(), None);
        ended.await.expect("nothing kills the worker")
    }

    /// Lets commit timers end.
    pub(crate) async fn after_timers(&self) {
        tokio::time::advance(Duration::from_mins(10)).await;
        self.with(|inner| inner.device.tick());
    }

    /// What must hold at any time between runs, once timers are over.
    pub(crate) fn check(&self, what: &str) {
        self.with(|inner| {
            assert!(
                inner.violations.is_empty(),
                "{what}: {:#?}\n{:#?}",
                inner.violations,
                inner.calls
            );
            let flagged = inner.store.synced == inner.store.desired;
            if flagged && !inner.device.changed_by_hand {
                let intended = text_of(inner.store.commits.get(&inner.store.desired));
                assert_eq!(
                    inner.device.running, intended,
                    "{what}: the flag is not true\n{:#?}",
                    inner.calls
                );
            }
            assert!(
                inner.device.confirmed.contains(&inner.device.running) || inner.device.changed_by_hand,
                "{what}: an unconfirmed change is there: {:?}",
                inner.device.running
            );
        });
    }

    pub(crate) fn flag(&self) -> bool {
        self.with(|inner| inner.store.synced == inner.store.desired)
    }

    pub(crate) fn runs(&self, generation: i64) -> bool {
        self.with(|inner| inner.device.running == text(generation))
    }

    pub(crate) fn called(&self, name: &str) -> usize {
        self.with(|inner| inner.calls.iter().filter(|call| *call == name).count())
    }
}

/// The commit that a generation is rendered from.
pub(crate) fn commit(generation: i64) -> CommitId {
    format!("{generation:040x}").parse().expect("40 digits")
}

/// The intended configuration of a generation, as it is rendered.
pub(crate) fn text(generation: i64) -> String {
    format!("hostname leaf1\nsnmp-server community {SECRET} ro\nvlan {generation}\n")
}

fn text_of(commit: Option<&CommitId>) -> String {
    let number =
        commit.map(|commit| i64::from_str_radix(commit.as_str(), 16).expect("the number of a generation"));
    text(number.unwrap_or_default())
}

#[async_trait]
impl Renderer for World {
    async fn render(
        &self,
        _: DeviceId,
        settings: &CommitId,
        templates: &CommitId,
    ) -> Result<String, RenderFailure> {
        self.with(|inner| match inner.render {
            Some(failure) => Err(failure()),
            None if *templates != commit(0) => Err(RenderFailure::Invalid(
                "no such commit of the templates".to_owned(),
            )),
            None => Ok(text_of(Some(settings))),
        })
    }

    fn secrets(&self) -> Vec<SecretString> {
        vec![SECRET.into()]
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.with(|inner| inner.now)
    }
}

#[derive(Debug)]
pub(crate) struct Pool(pub(crate) DevicePool);

/// The user of simulated devices.
#[derive(Debug)]
pub(crate) struct Login;

impl CredentialSource for Login {
    fn credentials(&self, _: &str, _: &[String]) -> Option<Arc<Credentials>> {
        let Options {
            username, password, ..
        } = Options::default();
        Some(Arc::new(Credentials::new(&username, &password)))
    }
}

impl Pool {
    fn of(world: &World) -> Self {
        let driver = Arc::new(Driver(world.clone()));
        Self(DevicePool::new(driver, Arc::new(Login), PoolOptions::default()))
    }
}

#[async_trait]
impl Devices for Pool {
    async fn connect(&self, device: &TargetDevice) -> Result<PooledConnection, DeviceError> {
        self.0
            .get(&device.hostname, &device.groups, &device.address)
            .await
    }

    async fn connect_anew(&self, device: &TargetDevice) -> Result<Box<dyn DeviceConnection>, DeviceError> {
        self.0
            .open(&device.hostname, &device.groups, &device.address)
            .await
    }
}

/// Values for tests that look at maps.
pub(crate) type Commits = BTreeMap<i64, CommitId>;
