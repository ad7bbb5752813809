use std::sync::Arc;

use async_trait::async_trait;
use lockstep_device::CredentialSource;
use lockstep_execution::{
    CycleStep, Provider, ProviderProperties, StepFailure, StepResult, StepRun, Steps, TargetDevice,
};
use lockstep_protocol::Level;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::conversation::Conversation;
use crate::{Description, Program};

/// The reason of elements on a worker that does not run the program.
const NOT_HERE: &str = "no-program";

/// A provider that is a program. Each unit of elements, such as a device with its interfaces, has a process of its own.
#[derive(Clone, Debug)]
pub struct External(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    properties: ProviderProperties,
    steps: Steps,
    /// `None` where it is only described.
    program: Option<Program>,
    /// Gives the program the logins of devices.
    credentials: Option<Arc<dyn CredentialSource>>,
}

impl External {
    /// A provider with this description, which is run by this program. With `credentials`, the program gets the login of its device.
    #[must_use]
    pub fn new(
        description: &Description,
        program: Program,
        credentials: Option<Arc<dyn CredentialSource>>,
    ) -> Self {
        Self::of(description, Some(program), credentials)
    }

    /// The same in a process that does not run it.
    #[must_use]
    pub fn described(description: &Description) -> Self {
        Self::of(description, None, None)
    }

    fn of(
        description: &Description,
        program: Option<Program>,
        credentials: Option<Arc<dyn CredentialSource>>,
    ) -> Self {
        Self(Arc::new(Shared {
            properties: description.properties(),
            steps: description.steps(),
            program,
            credentials,
        }))
    }

    fn unit(&self) -> ExternalUnit {
        ExternalUnit {
            shared: self.0.clone(),
            process: Mutex::new(UnitProcess::NotStarted),
        }
    }

    /// A step by itself, in a process of its own.
    async fn step(&self, step: CycleStep, run: &StepRun<'_>) -> StepResult {
        let unit = self.unit();
        let done = unit.step(step, run).await?;
        unit.end_unit(run.cancel).await?;
        Ok(done)
    }
}

/// The provider while it runs one unit.
#[derive(Debug)]
struct ExternalUnit {
    shared: Arc<Shared>,
    process: Mutex<UnitProcess>,
}

/// The process of a unit. Dropping it kills the process.
#[derive(Debug)]
enum UnitProcess {
    NotStarted,
    Running(Box<Conversation>),
    /// It ended, or was ended, for this reason; there is no second one for the unit.
    Failed(StepFailure),
    Ended,
}

impl ExternalUnit {
    async fn step(&self, step: CycleStep, run: &StepRun<'_>) -> StepResult {
        let mut process = self.process.lock().await;
        let conversation = match &mut *process {
            UnitProcess::Running(conversation) => conversation,
            UnitProcess::Failed(failure) => return Err(failure.clone()),
            UnitProcess::Ended => return Err(StepFailure::new("exited", "the program ended before")),
            UnitProcess::NotStarted => {
                let started = self.start(run)?;
                *process = UnitProcess::Running(Box::new(started));
                match &mut *process {
                    UnitProcess::Running(conversation) => conversation,
                    _ => unreachable!("it was set just now"),
                }
            }
        };
        match conversation.step(step, run).await {
            Ok(answer) => answer,
            Err(error) => {
                let failure = StepFailure::from(error);
                let before = std::mem::replace(&mut *process, UnitProcess::Failed(failure.clone()));
                if let UnitProcess::Running(conversation) = before {
                    conversation.stop().await;
                }
                Err(failure)
            }
        }
    }

    fn start(&self, run: &StepRun<'_>) -> Result<Conversation, StepFailure> {
        let shared = &*self.shared;
        let program = shared.program.as_ref().ok_or_else(|| {
            let message = format!(
                "this worker does not run the program of {}",
                shared.properties.name
            );
            StepFailure::new(NOT_HERE, message)
        })?;
        let device = device(run);
        let login = device.zip(shared.credentials.as_ref());
        let login = login.and_then(|(device, source)| source.credentials(&device.hostname, &device.groups));
        Ok(Conversation::start(
            program,
            &shared.properties.name,
            run,
            device,
            login.as_deref(),
        )?)
    }
}

/// The device that the unit connects to: the device itself, or its controller.
fn device<'a>(run: &'a StepRun<'_>) -> Option<&'a TargetDevice> {
    let above = run.at(Level::NornirDevice).map(|(entity, _)| entity);
    above.unwrap_or(run.entity).device.as_ref()
}

macro_rules! steps_by_name {
    ($provider:ty, { $($own:item)* }, $($name:ident => $step:ident,)*) => {
        #[async_trait]
        impl Provider for $provider {
            $($own)*

            $(
                async fn $name(&self, run: &StepRun<'_>) -> StepResult {
                    self.step(CycleStep::$step, run).await
                }
            )*
        }
    };
}

macro_rules! steps {
    ($provider:ty, $own:tt) => {
        steps_by_name!(
            $provider, $own,
            pre_run_global => PreRunGlobal,
            pre_run_on_device_group => PreRunOnDeviceGroup,
            pre_run_on_client_of_location => PreRunOnClientOfLocation,
            pre_run_on_nornir_device => PreRunOnNornirDevice,
            pre_run_on_device => PreRunOnDevice,
            pre_run_on_interface => PreRunOnInterface,
            pre_run_on_client_of_interface => PreRunOnClientOfInterface,
            run_on_client_of_interface => RunOnClientOfInterface,
            run_on_interface => RunOnInterface,
            run_on_device => RunOnDevice,
            run_on_nornir_device => RunOnNornirDevice,
            run_on_client_of_location => RunOnClientOfLocation,
            run_on_device_group => RunOnDeviceGroup,
            run_global => RunGlobal,
            run_on_item => RunOnItem,
        );
    };
}

steps!(External, {
    fn properties(&self) -> &ProviderProperties {
        &self.0.properties
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        self.0.steps
    }

    fn for_unit(&self) -> Option<Box<dyn Provider>> {
        Some(Box::new(self.unit()))
    }
});

steps!(ExternalUnit, {
    fn properties(&self) -> &ProviderProperties {
        &self.shared.properties
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        self.shared.steps
    }

    async fn end_unit(&self, cancel: &CancellationToken) -> Result<(), StepFailure> {
        let before = std::mem::replace(&mut *self.process.lock().await, UnitProcess::Ended);
        match before {
            UnitProcess::Running(conversation) => Ok(conversation.end(cancel).await?),
            // The steps failed for this reason already.
            UnitProcess::NotStarted | UnitProcess::Failed(_) | UnitProcess::Ended => Ok(()),
        }
    }
});
