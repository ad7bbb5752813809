//! Groups, and the selection of devices.

use lockstep_http::ReadScope;
use lockstep_protocol::rest::{GroupDetail, GroupPage, SelectionPage};
use lockstep_protocol::{DeviceType, GroupName, Hostname};

use super::Document;

impl Document {
    pub(super) fn groups(&mut self) {
        let scope = Some(ReadScope::Devices);
        let pages = [
            self.query::<GroupName>("after", "The end of the page before: its `next`."),
            self.limit(),
        ];
        self.get::<GroupPage>(
            "/v1/groups",
            "list_groups",
            "Groups with the numbers of their members, ordered by name",
            scope,
            &pages,
        );
        self.get::<GroupDetail>(
            "/v1/groups/{name}",
            "group",
            "One group, with its first members",
            scope,
            &[],
        );
        let parameters = [
            self.query::<bool>("all", "Whether every device is the target."),
            self.query::<Hostname>("hostname", "The device that is the target, whatever its flag."),
            self.query::<DeviceType>("device_type", "The type whose devices are the target."),
            self.query::<GroupName>("group", "The group whose members are the target."),
            self.query::<bool>("resync", "Whether to contact synchronized devices, too."),
            self.query::<Hostname>("after", "The end of the page before: its `next`."),
            self.limit(),
        ];
        self.get::<SelectionPage>(
            "/v1/sync/selection",
            "select_devices",
            "The devices that a sync run would contact, and those that it would skip, with the reason; name exactly one target",
            scope,
            &parameters,
        );
    }
}
