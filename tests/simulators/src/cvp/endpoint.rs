/// An endpoint, independent of prefix and alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    Login,
    Logout,
    /// `GET /api/v1/rest/`, by which a client checks its token.
    Probe,
    /// `getCvpInfo.do`
    Info,
    /// `getTasks.do`
    Tasks,
    /// `getTaskById.do`
    Task,
    /// `getTaskStatusById.do`
    TaskStatus,
    /// `cancelTask.do`
    Cancel,
    /// `executeTask.do`
    Execute,
    /// `addNoteToTask.do`
    Note,
    /// `getLogsById.do` and `audit/getLogs.do`
    Logs,
    /// `checkCompliance.do`
    Compliance,
    /// `GetConfigDiffSummaryForTask`
    DiffSummary,
    /// `GetConfigDiffForTask`
    Diff,
    /// `GetImageDiffForTask`
    ImageDiff,
    /// `inventory/devices`
    Devices,
    /// `inventory/containers`
    Containers,
    /// `getContainerInfoById.do`
    ContainerInfo,
    /// `searchTopology.do`
    OldTopology,
    /// `v3/searchTopology.do`
    Topology,
    /// `ChangeControl/all`
    ChangeControls,
    /// `ChangeControl?key.id=`
    ChangeControl,
    /// `inventory/v1/Device/all`
    DeviceResources,
    /// `inventory/v1/Device` of the resource API
    DeviceResource,
    /// `configstatus/v1/Summary` of the resource API
    ConfigStatus,
    /// Any other path.
    Unknown,
}

/// A feature of the installation that an endpoint needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    Provisioning,
    PerTaskDiff,
    Resources,
    NewTopology,
}

/// Paths below `/web` and `/cvpservice`.
const LEGACY: &[(&str, &str, Endpoint)] = &[
    ("POST", "/login/authenticate.do", Endpoint::Login),
    ("POST", "/login/logout.do", Endpoint::Logout),
    ("GET", "/cvpInfo/getCvpInfo.do", Endpoint::Info),
    ("GET", "/task/getTasks.do", Endpoint::Tasks),
    ("GET", "/workflow/getTasks.do", Endpoint::Tasks),
    ("GET", "/task/getTaskById.do", Endpoint::Task),
    ("GET", "/task/getTaskStatusById.do", Endpoint::TaskStatus),
    ("POST", "/task/cancelTask.do", Endpoint::Cancel),
    ("POST", "/task/executeTask.do", Endpoint::Execute),
    ("POST", "/workflow/executeTask.do", Endpoint::Execute),
    ("POST", "/task/addNoteToTask.do", Endpoint::Note),
    ("GET", "/task/getLogsById.do", Endpoint::Logs),
    ("POST", "/audit/getLogs.do", Endpoint::Logs),
    ("POST", "/provisioning/checkCompliance.do", Endpoint::Compliance),
    ("POST", "/ztp/checkCompliance.do", Endpoint::Compliance),
    ("GET", "/inventory/devices", Endpoint::Devices),
    ("GET", "/inventory/containers", Endpoint::Containers),
    (
        "GET",
        "/provisioning/getContainerInfoById.do",
        Endpoint::ContainerInfo,
    ),
    ("GET", "/provisioning/searchTopology.do", Endpoint::OldTopology),
    ("GET", "/provisioning/v3/searchTopology.do", Endpoint::Topology),
];

/// Paths at the root.
const ROOT: &[(&str, &str, Endpoint)] = &[
    ("GET", "/api/v1/rest/", Endpoint::Probe),
    (
        "POST",
        "/api/v3/services/compliancecheck.Compliance/GetConfigDiffSummaryForTask",
        Endpoint::DiffSummary,
    ),
    (
        "POST",
        "/api/v3/services/compliancecheck.Compliance/GetConfigDiffForTask",
        Endpoint::Diff,
    ),
    (
        "POST",
        "/api/v3/services/compliancecheck.Compliance/GetImageDiffForTask",
        Endpoint::ImageDiff,
    ),
    (
        "GET",
        "/api/resources/changecontrol/v1/ChangeControl/all",
        Endpoint::ChangeControls,
    ),
    (
        "GET",
        "/api/resources/changecontrol/v1/ChangeControl",
        Endpoint::ChangeControl,
    ),
    (
        "GET",
        "/api/resources/inventory/v1/Device/all",
        Endpoint::DeviceResources,
    ),
    (
        "GET",
        "/api/resources/inventory/v1/Device",
        Endpoint::DeviceResource,
    ),
    (
        "GET",
        "/api/resources/configstatus/v1/Summary",
        Endpoint::ConfigStatus,
    ),
];

impl Endpoint {
    pub(crate) fn of(method: &str, path: &str) -> Self {
        let legacy = path
            .strip_prefix("/web")
            .or_else(|| path.strip_prefix("/cvpservice"));
        let (table, path) = match legacy {
            Some(path) => (LEGACY, path),
            None => (ROOT, path),
        };
        let found = table.iter().find(|(m, p, _)| *m == method && *p == path);
        found.map_or(Self::Unknown, |(_, _, endpoint)| *endpoint)
    }

    pub(crate) fn need(self) -> Need {
        match self {
            Self::Compliance | Self::ContainerInfo | Self::OldTopology => Need::Provisioning,
            Self::Topology => Need::NewTopology,
            Self::DiffSummary | Self::Diff | Self::ImageDiff => Need::PerTaskDiff,
            Self::ChangeControls
            | Self::ChangeControl
            | Self::DeviceResources
            | Self::DeviceResource
            | Self::ConfigStatus => Need::Resources,
            _ => Need::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_prefixes_and_aliases_lead_to_the_same() {
        for (method, path, endpoint) in [
            ("GET", "/web/task/getTasks.do", Endpoint::Tasks),
            ("GET", "/cvpservice/workflow/getTasks.do", Endpoint::Tasks),
            ("POST", "/web/ztp/checkCompliance.do", Endpoint::Compliance),
            ("POST", "/cvpservice/audit/getLogs.do", Endpoint::Logs),
            ("GET", "/api/v1/rest/", Endpoint::Probe),
            ("GET", "/web/task/cancelTask.do", Endpoint::Unknown),
            ("GET", "/task/getTasks.do", Endpoint::Unknown),
            ("GET", "/web/api/v1/rest/", Endpoint::Unknown),
        ] {
            assert_eq!(Endpoint::of(method, path), endpoint, "{method} {path}");
        }
    }
}
