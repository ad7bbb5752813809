use lockstep_protocol::{Level, Stage};

/// A step of the run cycle. The order of the variants is that of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CycleStep {
    /// Step 1, once.
    PreRunGlobal,
    /// Step 2, per group.
    PreRunOnDeviceGroup,
    /// Step 3, per client of a group.
    PreRunOnClientOfLocation,
    /// Step 4, per device that is connected to.
    PreRunOnNornirDevice,
    /// Step 5, per device.
    PreRunOnDevice,
    /// Step 6, per interface of a device.
    PreRunOnInterface,
    /// Step 7, per client of an interface.
    PreRunOnClientOfInterface,
    /// Step 8, as 7.
    RunOnClientOfInterface,
    /// Step 9, as 6.
    RunOnInterface,
    /// Step 10, as 5.
    RunOnDevice,
    /// Step 11, as 4.
    RunOnNornirDevice,
    /// Step 12, as 3.
    RunOnClientOfLocation,
    /// Step 13, as 2.
    RunOnDeviceGroup,
    /// Step 14, as 1.
    RunGlobal,
    /// The step of items that step 1 found. It is none of the fourteen.
    RunOnItem,
}

impl CycleStep {
    /// The fourteen steps in their order, and the one of items.
    pub const ALL: [Self; 15] = [
        Self::PreRunGlobal,
        Self::PreRunOnDeviceGroup,
        Self::PreRunOnClientOfLocation,
        Self::PreRunOnNornirDevice,
        Self::PreRunOnDevice,
        Self::PreRunOnInterface,
        Self::PreRunOnClientOfInterface,
        Self::RunOnClientOfInterface,
        Self::RunOnInterface,
        Self::RunOnDevice,
        Self::RunOnNornirDevice,
        Self::RunOnClientOfLocation,
        Self::RunOnDeviceGroup,
        Self::RunGlobal,
        Self::RunOnItem,
    ];

    /// The name of its method.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreRunGlobal => "pre_run_global",
            Self::PreRunOnDeviceGroup => "pre_run_on_device_group",
            Self::PreRunOnClientOfLocation => "pre_run_on_client_of_location",
            Self::PreRunOnNornirDevice => "pre_run_on_nornir_device",
            Self::PreRunOnDevice => "pre_run_on_device",
            Self::PreRunOnInterface => "pre_run_on_interface",
            Self::PreRunOnClientOfInterface => "pre_run_on_client_of_interface",
            Self::RunOnClientOfInterface => "run_on_client_of_interface",
            Self::RunOnInterface => "run_on_interface",
            Self::RunOnDevice => "run_on_device",
            Self::RunOnNornirDevice => "run_on_nornir_device",
            Self::RunOnClientOfLocation => "run_on_client_of_location",
            Self::RunOnDeviceGroup => "run_on_device_group",
            Self::RunGlobal => "run_global",
            Self::RunOnItem => "run_on_item",
        }
    }

    /// Its number in the seed, from 1 to 14. `None` for items.
    pub const fn number(self) -> Option<u8> {
        match self {
            Self::RunOnItem => None,
            step => Some(step as u8 + 1),
        }
    }

    /// The step with this number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.number() == Some(number))
    }

    /// What it runs on.
    pub const fn level(self) -> Level {
        match self {
            Self::PreRunGlobal | Self::RunGlobal => Level::Global,
            Self::PreRunOnDeviceGroup | Self::RunOnDeviceGroup => Level::Group,
            Self::PreRunOnClientOfLocation | Self::RunOnClientOfLocation => Level::GroupClient,
            Self::PreRunOnNornirDevice | Self::RunOnNornirDevice => Level::NornirDevice,
            Self::PreRunOnDevice | Self::RunOnDevice => Level::Device,
            Self::PreRunOnInterface | Self::RunOnInterface => Level::Interface,
            Self::PreRunOnClientOfInterface | Self::RunOnClientOfInterface => Level::InterfaceClient,
            Self::RunOnItem => Level::Item,
        }
    }

    /// Whether it prepares: a step on the way down.
    pub const fn is_pre_run(self) -> bool {
        (self as u8) < (Self::RunOnClientOfInterface as u8)
    }

    /// The stage that it belongs to.
    pub const fn stage(self) -> Stage {
        match self {
            Self::PreRunGlobal => Stage::PreRunGlobal,
            Self::RunOnItem => Stage::Items,
            Self::PreRunOnDeviceGroup | Self::PreRunOnClientOfLocation => Stage::PreRunGroups,
            Self::PreRunOnNornirDevice
            | Self::PreRunOnDevice
            | Self::PreRunOnInterface
            | Self::PreRunOnClientOfInterface
            | Self::RunOnClientOfInterface
            | Self::RunOnInterface
            | Self::RunOnDevice
            | Self::RunOnNornirDevice => Stage::Devices,
            Self::RunOnClientOfLocation | Self::RunOnDeviceGroup => Stage::RunGroups,
            Self::RunGlobal => Stage::RunGlobal,
        }
    }

    /// The pre-run step, or the run step, of a level.
    pub fn of_level(level: Level, pre_run: bool) -> Option<Self> {
        let found = Self::ALL.into_iter();
        let mut found = found.filter(|step| step.level() == level && step.is_pre_run() == pre_run);
        found.next()
    }
}

/// A set of steps: those that a provider has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps(u16);

impl Steps {
    /// These steps.
    pub const fn of(steps: &[CycleStep]) -> Self {
        let mut set = 0;
        let mut index = 0;
        while index < steps.len() {
            set |= 1 << steps[index] as u16;
            index += 1;
        }
        Self(set)
    }

    /// Whether the step is one of them.
    pub const fn contains(self, step: CycleStep) -> bool {
        self.0 & (1 << step as u16) != 0
    }

    /// Whether one of them runs at this level.
    pub fn at(self, level: Level) -> bool {
        self.iter().any(|step| step.level() == level)
    }

    /// Whether one of them belongs to this stage.
    pub fn in_stage(self, stage: Stage) -> bool {
        self.iter().any(|step| step.stage() == stage)
    }

    /// The steps, in their order.
    pub fn iter(self) -> impl Iterator<Item = CycleStep> {
        CycleStep::ALL
            .into_iter()
            .filter(move |step| self.contains(*step))
    }
}

impl FromIterator<CycleStep> for Steps {
    fn from_iter<I: IntoIterator<Item = CycleStep>>(steps: I) -> Self {
        let set = steps.into_iter().fold(0, |set, step| set | 1 << step as u16);
        Self(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourteen_steps_are_numbered_in_their_order_and_lie_in_stages_of_that_order() {
        let numbers: Vec<_> = CycleStep::ALL.into_iter().filter_map(CycleStep::number).collect();
        assert_eq!(numbers, (1..=14).collect::<Vec<u8>>());
        let stages: Vec<Stage> = CycleStep::ALL[..14].iter().map(|step| step.stage()).collect();
        assert!(stages.is_sorted());
        for number in 1..=7 {
            let (pre, run) = (CycleStep::of_number(number), CycleStep::of_number(15 - number));
            let (pre, run) = (pre.unwrap(), run.unwrap());
            assert_eq!(pre.level(), run.level());
            assert!(pre.is_pre_run() && !run.is_pre_run());
            assert_eq!(CycleStep::of_level(pre.level(), true), Some(pre));
            assert_eq!(CycleStep::of_level(pre.level(), false), Some(run));
        }
        assert_eq!(CycleStep::of_number(15), None);
    }

    #[test]
    fn a_set_has_the_steps_that_it_was_made_of() {
        let steps = Steps::of(&[CycleStep::RunGlobal, CycleStep::PreRunOnDevice]);
        assert!(steps.iter().eq([CycleStep::PreRunOnDevice, CycleStep::RunGlobal]));
        assert_eq!(steps.iter().collect::<Steps>(), steps);
        assert!(steps.at(Level::Device) && !steps.at(Level::NornirDevice));
        assert!(steps.in_stage(Stage::Devices) && !steps.in_stage(Stage::PreRunGlobal));
    }
}
