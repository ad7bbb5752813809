//! Stores the state of Lockstep behind small traits: the inbox, the fleet, the causes of its sync flags, leases, dead letters,
//! follow-ups.
//!
//! Messages change it only through the unit of work: [`UnitOfWork::begin`] locks leases and devices and reads the [`Facts`] for the
//! [`Keys`] of the messages; handlers decide; [`Facts::absorb`] applies the [`Effects`] to them, so that the next message
//! of a batch sees them; [`Transaction::commit`] writes effects, completions (inbox rows) and follow-ups together.
//!
//! Most tables have one implementation for both databases, on top of `sql`: `access_limits`, `access_token`, `audit`, `fleet_sample`, `login_session`, `oidc_login`, `dead_letter_table`, `device_name_table`, `entity_table`,
//! `execution_table`, `follow_up_table`, `group_table`, `inventory_source`, `sync_table` and `repository_failure`.
//!
//! Two implementations pass one contract suite: [`postgres`] and [`sqlite`].

mod access_limits;
mod access_token;
mod age;
mod audit;
mod column;
mod dead_letter;
mod dead_letter_table;
mod delivery_attempt;
mod device_counts;
mod device_name_table;
mod device_selector;
mod effects;
mod entities;
mod entity_table;
mod error;
mod error_class;
mod execution;
mod execution_table;
mod expiry;
mod facts;
mod fleet;
mod fleet_sample;
mod follow_up;
mod follow_up_table;
mod former_hostname;
mod group;
mod group_rule;
mod group_table;
mod history;
mod inbox;
mod inventory_source;
mod keys;
mod lease;
mod link;
mod login_session;
mod management_domain;
mod merged;
mod message;
mod message_table;
mod migrated;
mod neighbor;
mod oidc_login;
pub mod postgres;
mod render_facts;
mod render_facts_table;
mod repository;
mod repository_failure;
mod retention;
mod retryability;
mod rows;
mod sql;
pub mod sqlite;
mod stats;
mod surroundings;
mod sync;
mod sync_table;
mod unit_of_work;

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::MessageKey;

pub use access_token::{AccessToken, AccessTokens, NewAccessToken, Rotation, SecretDigest};
pub use age::{AgeQuery, AgedDevice, Ages};
pub use audit::{
    AuditActor, AuditDecision, AuditEntry, AuditLog, AuditQuery, NewAuditDecision, NewAuditEntry,
};
pub use dead_letter::{
    DeadLetter, DeadLetterCountQuery, DeadLetterGroupCount, DeadLetterQuery, DeadLetterSelector,
    DeadLetterState, DeadLetterSummary, DeadLetterTotals, DeadLetters, MessageProperties, NewDeadLetter,
};
pub use delivery_attempt::{AttemptStart, DeliveryAttempt, DeliveryAttempts};
pub use device_counts::DeviceCount;
pub use device_selector::{DevicePredicate, DeviceSelector, Flagged};
pub use effects::{DeviceEffect, Effects, SettleDeadLetters};
pub use entities::{
    Bounded, ByteBudget, Client, ClientsOf, ElementFilter, Entities, GroupEntity, Interface, Page, Pages,
    Relation, ResultPosition, TotalOf,
};
pub use error::StoreError;
pub use execution::{
    BeginElement, BegunStage, CandidateElement, Candidates, CapScope, CheckRow, ElementCounts, ElementDetail,
    ElementDevice, ElementEnd, ElementLevels, ElementOwner, ElementQuery, ElementRow, ElementSource,
    EndedElement, EntityResult, EntityResultQuery, ExecutionQuery, ExecutionReference, ExecutionRow,
    ExecutionTransaction, Executions, ExpiredElement, FactRow, Halt, HeldBack, JournalEntry, JsonText,
    LeftOut, ManagementEndpoint, NamedEntities, NewCheck, NewExecution, NewFact, NewSchedule, NewTask,
    OpenExecution, ParentStep, ParkedElement, Parking, PhaseTask, PlannedStage, QueuedElement,
    RenewedElements, RunCycle, SavedRow, ScheduleRow, StageRow, StartedExecution, StopRow, StoppedElement,
    SyncBound, SyncDevices, SyncSource, TaskRow, Tasks, UnitDevice, UnitEntities, UnitEntity, UnitLevels,
};
pub use facts::{
    Facts, Flips, NewCause, NewFormerHostname, NewHistory, Origin, RenamedDevice, SettledDeadLetters,
};
pub use fleet::{CauseId, CauseRow, Device, DeviceId, DeviceQuery, Fleet};
pub use fleet_sample::{FleetSample, FleetSamples, FleetTrend, SampleInterval};
pub use follow_up::{
    FollowUp, FollowUpKey, FollowUpRequest, FollowUpTarget, FollowUps, NewFollowUp, ReplyAddress,
    UNPUBLISHED_GRACE, UnknownFollowUpKey,
};
pub use former_hostname::FormerHostname;
pub use group::{Group, GroupQuery, GroupRuleSummary};
pub use group_rule::{
    DEFAULT_GROUP, GroupMatches, GroupRule, GroupRuleMembers, GroupRules, GroupsByRule, MatchGroups,
    NewGroupRules,
};
pub use history::{
    HistoryChange, HistoryEntry, HistoryEvent, HistoryPosition, HistoryRow, HistoryWhat, InvalidPosition,
};
pub use inbox::{Completion, InboxRow, InboxState};
pub use inventory_source::{InventorySourceRow, InventorySources, SourceCursor, SourceError};
pub use keys::Keys;
pub use lease::{Lease, Leases};
pub use link::{Link, LinkAddresses, LinkChange, LinkEnd, LinkRow};
pub use login_session::{LoginSession, LoginSessions};
pub use management_domain::{ManagementDomainChange, ManagementDomainRow};
pub use message::{MOST_SOURCES, MessageRow, Messages};
pub use oidc_login::{OidcLogin, OidcLoginOutcome, OidcLogins};
pub use render_facts::{DeviceSurroundings, FactsDevice, FactsLink, ManagementDomain, RenderFacts};
pub use repository::{Advance, Repositories, RepositoryChange, RepositoryRow};
pub use repository_failure::{RepositoryFailure, RepositoryFailures};
pub use retention::{Expired, OpenCauses, Records, Retention};
pub use retryability::Retryability;
pub use rows::{
    Attributes, ClientRow, DeviceData, DeviceRow, GroupRow, InterfaceRow, Lifecycle, Mark, SyncState, Version,
};
pub use stats::{DevicesInState, RepositoryState, Sessions, Stats, Summary};
pub use surroundings::{Hostnames, LinkedInterface, Surroundings};
pub use sync::{
    PlanApproval, RunningElement, SyncBinding, SyncDiff, SyncElement, SyncElementQuery, SyncIntent,
    SyncPlans, SyncRuns, SyncedDevice, SyncedTo,
};
pub use unit_of_work::{Transaction, UnitOfWork};

/// Reads the records of processed messages.
#[async_trait]
pub trait Inbox: Debug + Send + Sync + 'static {
    /// The inbox row of a message. `None` if it was not processed.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn outcome(&self, message: &MessageKey) -> Result<Option<InboxRow>, StoreError>;
}

/// Migrates the schema, and tells whether the store is usable.
#[async_trait]
pub trait Schema: Debug + Send + Sync + 'static {
    /// Migrates the schema to the version of this program. Concurrent migrations wait for one another. A newer schema that this
    /// program may use stays unchanged.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn migrate(&self) -> Result<Migrated, StoreError>;

    /// Checks that the store answers and that this program may use its schema.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn ping(&self) -> Result<(), StoreError>;

    /// The time of the store, which also measures leases.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn now(&self) -> Result<Timestamp, StoreError>;
}

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version of the schema now.
    pub version: u32,
    /// The version for which this program is made.
    pub known: u32,
    /// The migrations that were applied, by name.
    pub applied: Vec<String>,
    /// The logins that were given the rights of their roles. Always empty on SQLite.
    pub granted: Vec<String>,
}
