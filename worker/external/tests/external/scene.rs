use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use lockstep_device::{CredentialSource, Credentials};
use lockstep_execution::cycle::{
    CheckResult, Half, PhaseRole, Produced, Results, Stopped, Unit, UnitRun, UnitTree, run_unit,
};
use lockstep_execution::fake::NoDevices;
use lockstep_execution::{CycleResult, ElementAttempt, Entity, EntityData, Provider, TargetDevice};
use lockstep_external::{Description, EnvironmentValue, External, Program, ProgramLimits};
use lockstep_protocol::{ElementState, EntityType, Level};
use lockstep_testbed::wait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long processes may take to be gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// A variable that all processes of a program inherit, whatever else they do.
const MARK: &str = "EXTERNAL_TEST";

/// A program in a folder, and a unit of a device with its interfaces on which it runs.
pub(crate) struct Scene {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) limits: ProgramLimits,
    pub(crate) cancel: CancellationToken,
    pub(crate) environment: BTreeMap<String, EnvironmentValue>,
    pub(crate) arguments: Value,
    pub(crate) target: TargetDevice,
    /// The user and the password that the program gets.
    pub(crate) login: Option<(String, String)>,
    mark: String,
}

impl Scene {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("temporary"))?;
        Ok(Self {
            folder,
            limits: ProgramLimits {
                timeout: Duration::from_mins(1),
                grace: Duration::from_millis(500),
                ..ProgramLimits::default()
            },
            cancel: CancellationToken::new(),
            environment: BTreeMap::new(),
            arguments: json!({}),
            target: TargetDevice {
                hostname: "leaf1".to_owned(),
                address: "192.0.2.1:8443".parse()?,
                platform: Some("eos".to_owned()),
                groups: vec!["campus".to_owned()],
            },
            login: None,
            mark: Uuid::new_v4().to_string(),
        })
    }

    /// A program of the shell.
    pub(crate) fn shell(&self, script: &str) -> Result<Program> {
        let path = self.folder.path().join("program.sh");
        fs::write(&path, script)?;
        Ok(self.program(vec!["/bin/sh".to_owned(), path.display().to_string()]))
    }

    /// A program of the shell that says that it is ready, reads the first step, and then does this.
    pub(crate) fn at_the_first_step(&self, script: &str) -> Result<Program> {
        self.shell(&format!(
            "read -r begin; echo '{{\"type\":\"ready\",\"protocol\":1}}'; read -r step\n{script}\n"
        ))
    }

    pub(crate) fn program(&self, command: Vec<String>) -> Program {
        let mut program = Program::new(command);
        program.supervisor = PathBuf::from(env!("CARGO_BIN_EXE_lockstep-external-supervisor"));
        program.temporary = self.folder.path().join("temporary");
        program.limits = self.limits;
        program.environment.clone_from(&self.environment);
        let mark = EnvironmentValue::Fixed(self.mark.as_str().into());
        program.environment.insert(MARK.to_owned(), mark);
        program
    }

    /// An executable in the folder.
    pub(crate) fn executable(&self, name: &str, content: &str, mode: u32) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    }

    /// The results of a program with these steps, of which one is that of devices: that of the device comes first.
    pub(crate) async fn run(&self, program: Program, steps: &[&str]) -> (Vec<CycleResult>, Produced) {
        let (run, stopped) = self.run_to_the_end(program, steps).await;
        assert!(stopped.is_ok(), "{run:?}");
        (run.results, run.produced)
    }

    /// As [`Self::run`], whether it was stopped or not.
    pub(crate) async fn run_to_the_end(
        &self,
        program: Program,
        steps: &[&str],
    ) -> (UnitRun, Result<(), Stopped>) {
        self.run_unit(&description(steps), program).await
    }

    /// As [`Self::run`], with the program's own description.
    pub(crate) async fn run_as(
        &self,
        description: &Description,
        program: Program,
    ) -> (Vec<CycleResult>, Produced) {
        let (run, stopped) = self.run_unit(description, program).await;
        assert!(stopped.is_ok(), "{run:?}");
        (run.results, run.produced)
    }

    async fn run_unit(&self, description: &Description, program: Program) -> (UnitRun, Result<(), Stopped>) {
        let login = self.login.clone().map(|(username, password)| {
            let keyring = Keyring(Arc::new(Credentials::new(&username, &password)));
            Arc::new(keyring) as Arc<dyn CredentialSource>
        });
        let external = External::new(description, program, login);
        let tree = self.tree();
        let mut run = UnitRun::begin(&tree, Vec::new(), &[]);
        let unit = Unit {
            children: None,
            element: ElementAttempt {
                element: 7,
                execution: 3,
                attempt: 2,
                owner: Uuid::nil(),
            },
            steps: external.steps(&self.arguments),
            provider: &external,
            role: PhaseRole::Main,
            tree: &tree,
            half: Half::Both,
            above: &[],
            dry_run: true,
            arguments: &self.arguments,
            run_arguments: &json!({}),
            cancel: &self.cancel,
            devices: &NoDevices,
            entities: &Stored,
            results: &Stored,
            journal: None,
        };
        let stopped = run_unit(&unit, &mut run).await;
        (run, stopped)
    }

    fn tree(&self) -> UnitTree {
        let entity = |level, id, name: &str| Entity {
            level,
            id,
            name: name.to_owned(),
            device: Some(self.target.clone()),
            item: None,
        };
        let mut tree = UnitTree::default();
        let root = tree.add(None, Level::NornirDevice, entity(Level::NornirDevice, 5, "leaf1"));
        let device = tree.add(Some(root), Level::Device, entity(Level::Device, 5, "leaf1"));
        for (id, name) in [(11, "Ethernet1"), (12, "Ethernet2")] {
            tree.add(Some(device), Level::Interface, entity(Level::Interface, id, name));
        }
        tree
    }

    /// Waits until no process of a program is left, nor a folder of it.
    pub(crate) async fn nothing_is_left(&self) -> Result<()> {
        let gone = wait::until("all processes to be gone", PATIENCE, async || {
            let processes = self.processes().map_err(|error| error.to_string())?;
            let folders =
                fs::read_dir(self.folder.path().join("temporary")).map_err(|error| error.to_string())?;
            let folders = folders.count();
            if processes.is_empty() && folders == 0 {
                Ok(())
            } else {
                Err(format!("processes {processes:?}, {folders} folders"))
            }
        })
        .await;
        Ok(gone?)
    }

    /// The processes that have the mark of this scene in their environment.
    pub(crate) fn processes(&self) -> Result<Vec<i32>> {
        let mut found = Vec::new();
        let mark = format!("{MARK}={}", self.mark);
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            if environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes())
            {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Waits until the program has written this file in the folder of the scene.
    pub(crate) async fn written(&self, name: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        let written = wait::until("the program to write a file", PATIENCE, async || {
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            if text.ends_with('\n') {
                Ok(text.trim().to_owned())
            } else {
                Err(format!("it has {text:?}"))
            }
        })
        .await;
        Ok(written?)
    }
}

pub(crate) fn description(steps: &[&str]) -> Description {
    let text = json!({
        "protocol": 1, "name": "tested", "short_description": "Is tested.", "provider_type": "FACTS", "run_on": "DEVICE",
        "steps": steps, "success_message": "well done",
    });
    Description::read(&text.to_string()).expect("it is valid")
}

#[derive(Debug)]
struct Keyring(Arc<Credentials>);

impl CredentialSource for Keyring {
    fn credentials(&self, hostname: &str, _groups: &[String]) -> Option<Arc<Credentials>> {
        (hostname == "leaf1").then(|| self.0.clone())
    }
}

/// A store with two results.
#[derive(Debug)]
struct Stored;

#[async_trait]
impl Results for Stored {
    async fn page(
        &self,
        level: Level,
        of: Option<u64>,
        after: Option<u64>,
    ) -> Result<Vec<CycleResult>, String> {
        if level != Level::Device {
            return Err("only devices have results here".to_owned());
        }
        let rows = [(3, "leaf3"), (4, "leaf4")].into_iter();
        let rows = rows.filter(|(id, _)| Some(*id) > after && of.is_none());
        Ok(rows
            .map(|(entity, name)| CycleResult {
                level,
                entity,
                name: name.to_owned(),
                parent: None,
                state: ElementState::Successful,
                reason: None,
                message: None,
                changed: false,
                pre_run: Value::Null,
                data: json!({"vlans": 3}),
            })
            .collect())
    }
}

#[async_trait]
impl EntityData for Stored {
    async fn entity(&self, entity_type: EntityType, id: u64) -> Result<Value, String> {
        Ok(json!({"type": entity_type, "id": id, "facts": {"vlans": [7]}}))
    }

    async fn checks_below(
        &self,
        _: EntityType,
        _: u64,
        _: EntityType,
        _: &str,
    ) -> Result<Vec<(String, Option<CheckResult>)>, String> {
        Ok(Vec::new())
    }
}
