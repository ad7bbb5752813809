//! Devices, and the repositories.

use lockstep_http::ReadScope;
use lockstep_protocol::rest::{
    AgeOf, CheckList, DevicePage, DeviceView, FactList, FleetAges, FleetHistory, HistoryPage, HistoryPeriod,
    RepositoryList, SurroundingsView,
};
use lockstep_protocol::{DeviceState, DeviceType, GroupName, Hostname};
use serde_json::json;

use super::{Document, required};

impl Document {
    pub(super) fn fleet(&mut self) {
        let parameters = [
            self.query::<bool>("synchronized", "Only devices that are synchronized, or are not."),
            self.query::<DeviceState>("state", "Only devices in this state."),
            self.query::<DeviceType>("device_type", "Only devices of this type."),
            self.query::<GroupName>("group", "Only members of this group."),
            self.query::<Hostname>("after", "The end of the page before: its `next`."),
            self.limit(),
            self.total(),
        ];
        let scope = Some(ReadScope::Devices);
        self.get::<DevicePage>(
            "/v1/devices",
            "list_devices",
            "Devices, ordered by hostname",
            scope,
            &parameters,
        );
        self.get::<DeviceView>("/v1/devices/{hostname}", "device", "One device", scope, &[]);
        let mut events = self.query::<u32>("limit", "The most events, 1 to 100; 20 if absent.");
        events["schema"] = json!({"type": "integer", "minimum": 1, "maximum": 100});
        let pages = [
            self.query::<String>("before", "The end of the page before: its `next`."),
            events,
        ];
        self.get::<HistoryPage>(
            "/v1/devices/{hostname}/history",
            "device_history",
            "What happened to a device, newest first: its states and names, why it was not synchronized, and what closed that",
            scope,
            &pages,
        );
        let mut limit = self.query::<u32>("limit", "The most entries of one key, 1 to 100; 20 if absent.");
        limit["schema"] = json!({"type": "integer", "minimum": 1, "maximum": 100});
        let history = [
            self.query::<String>("key", "Only this key, with its history."),
            limit,
        ];
        self.get::<FactList>(
            "/v1/devices/{hostname}/facts",
            "device_facts",
            "What providers found out about a device; with `key`, the values that one fact had, the newest first",
            Some(ReadScope::DeviceOutput),
            &history,
        );
        self.get::<CheckList>(
            "/v1/devices/{hostname}/checks",
            "device_checks",
            "The newest checks of a device; with `key`, the results that one check had, the newest first",
            Some(ReadScope::DeviceOutput),
            &history,
        );
        self.get::<SurroundingsView>(
            "/v1/devices/{hostname}/surroundings",
            "device_surroundings",
            "What belongs to a device, and where its links lead",
            scope,
            &[],
        );
        let mut limit = self.limit();
        limit["description"] = "The most devices of each list; 100 if absent.".into();
        let ages = [
            required(self.query::<AgeOf>("of", "Which age is measured.")),
            required(self.query::<u64>("warning", "The lower threshold, in seconds.")),
            required(self.query::<u64>("critical", "The upper threshold, in seconds.")),
            self.query::<DeviceType>("device_type", "Only devices of this type."),
            self.query::<GroupName>("group", "Only members of this group."),
            limit,
        ];
        self.get::<FleetAges>(
            "/v1/fleet/ages",
            "fleet_ages",
            "How long devices have been unsynchronized or UNMANAGED, and whose state should have ended",
            scope,
            &ages,
        );
        let period = [self.query::<HistoryPeriod>("period", "The time until now; `6h` if absent.")];
        self.get::<FleetHistory>(
            "/v1/fleet/history",
            "fleet_history",
            "How many MANAGED devices were synchronized and not synchronized, over time",
            scope,
            &period,
        );
        self.get::<RepositoryList>(
            "/v1/repositories",
            "list_repositories",
            "Repositories and their accepted commits",
            Some(ReadScope::Repositories),
            &[],
        );
    }
}
