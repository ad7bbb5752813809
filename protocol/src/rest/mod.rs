//! Defines the JSON bodies of the console's HTTP API, shared by the server and the command line.

mod access;
mod age;
mod approval;
mod dead_letter;
mod device;
mod element;
mod entity_result;
mod execution;
mod explanation;
mod fleet_history;
mod group;
mod history;
mod message;
mod problem;
mod provider;
mod repository;
mod schedule;
mod selection;
mod sync;
mod task;

pub use access::{
    AuditPage, AuditView, SessionsEnd, SessionsEnded, TokenPage, TokenRequest, TokenRevocation,
    TokenRotation, TokenSecret, TokenView,
};
pub use age::{AgeOf, AgeOfError, AgedDevice, FleetAges};
pub use approval::ApprovalView;
pub use dead_letter::{DeadLetterCounts, DeadLetterDetail, DeadLetterGroup, DeadLetterPage, DeadLetterView};
pub use device::{
    CauseView, DevicePage, DeviceView, HostnameList, LinkedInterfaceView, ManagementDomainView, MarkView,
    SurroundingsView,
};
pub use element::{CheckList, CheckView, ElementDetail, ElementPage, ElementView, FactList, FactView};
pub use entity_result::{EntityResultPage, EntityResultView};
pub use execution::{ExecutionPage, ExecutionView, ParentView, StageView, StopView};
pub use explanation::{
    ExplainedCause, ExplainedDevice, ExplainedElement, ExplainedThing, ExplanationPart, ExplanationView,
    NotAllowedPart, RuleView,
};
pub use fleet_history::{FleetHistory, FleetSampleView, HistoryPeriod, HistoryPeriodError};
pub use group::{GroupDetail, GroupPage, GroupRuleView, GroupView};
pub use history::{HistoryEventView, HistoryPage};
pub use message::{Accepted, MessageDetail, MessageMatches, MessageView};
pub use problem::Problem;
pub use provider::{ProviderList, ProviderView, StepView};
pub use repository::{RepositoryList, RepositoryView};
pub use schedule::{SchedulePage, ScheduleView};
pub use selection::{SelectionPage, SkippedDevice};
pub use sync::{SyncConfigurationView, SyncDevicePage, SyncDeviceView};
pub use task::{TaskForm, TaskPage, TaskProblem, TaskValidation, TaskView};
