use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lockstep_clock::{Clock, SystemClock};
use lockstep_execution::{Schedule, ScheduleError};
use lockstep_sync::{FreezeWindow, FreezeWindows, WindowKind};

use super::reader::Reader;

const DAY: Duration = Duration::from_hours(24);

/// `[sync]` and `[freeze.NAME]`: how devices are synchronized. All workers should have the same.
#[derive(Debug)]
pub(crate) struct SyncConfig {
    /// Whether devices are changed only by plans that somebody else approved.
    pub(crate) approval: Approval,
    /// How long a device waits for the confirmation of a commit before it rolls back.
    pub(crate) commit_timer: Duration,
    /// How long to wait after a commit before the device is looked at over a new connection.
    pub(crate) read_back_pause: Duration,
    /// How long after its end a plan may be approved and applied.
    pub(crate) plan_expires: Duration,
    /// How long an approval counts.
    pub(crate) approval_valid: Duration,
    /// How long a device may wait for the end of freeze windows.
    pub(crate) park_expires: Duration,
    /// When devices may not be changed.
    pub(crate) windows: FreezeWindows,
}

/// Whether changes need a plan that somebody else approved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Approval {
    /// They do not.
    #[default]
    None,
    /// They do.
    Required,
}

/// The kind of a window, as it is written.
struct KindWord(WindowKind);

impl SyncConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let minute = Duration::from_mins(1);
        let timer = minute..=Duration::from_hours(1);
        let expires = minute..=30 * DAY;
        Self {
            approval: reader.value("sync.approval", Approval::None, "\"none\" or \"required\""),
            commit_timer: reader.duration("sync.commit_timer", 5 * minute, timer, ""),
            read_back_pause: reader.duration(
                "sync.read_back_pause",
                Duration::from_secs(1),
                Duration::ZERO..=Duration::from_secs(30),
                "",
            ),
            plan_expires: reader.duration("sync.plan_expires", DAY, expires.clone(), ""),
            approval_valid: reader.duration(
                "sync.approval_valid",
                Duration::from_hours(8),
                expires.clone(),
                "",
            ),
            park_expires: reader.duration("sync.park_expires", DAY, expires, ""),
            windows: windows(reader),
        }
    }
}

fn windows(reader: &mut Reader) -> FreezeWindows {
    let names = reader.sections("freeze", "year-end");
    FreezeWindows::new(
        names
            .into_iter()
            .filter_map(|name| window(reader, name))
            .collect(),
    )
}

fn window(reader: &mut Reader, name: String) -> Option<FreezeWindow> {
    let key = |key: &str| format!("freeze.{name}.{key}");
    let origin = reader.origin_within(&format!("freeze.{name}"));
    let cron_origin = reader.origin(&key("cron")).or_else(|| origin.clone());
    let cron = reader.text(&key("cron"));
    let time_zone = reader.text_or(&key("time_zone"), "UTC");
    let begins = if let Some(cron) = &cron {
        let schedule = Schedule::new(cron, &time_zone, SystemClock.now());
        let problem =
            |error: ScheduleError| reader.problem(&key("cron"), cron_origin.as_ref(), format!("{error}"));
        schedule.map_err(problem).ok()
    } else {
        let reason = "is missing; set when the window begins, such as \"0 8 * * MON-FRI\"";
        reader.problem(&key("cron"), origin.as_ref(), reason);
        None
    };
    let is_set = reader.origin(&key("length")).is_some();
    if !is_set {
        let reason = "is missing; set how long the window lasts, such as \"4h\"";
        reader.problem(&key("length"), origin.as_ref(), reason);
    }
    let bounds = Duration::from_mins(1)..=366 * DAY;
    let length = reader.duration(&key("length"), Duration::from_hours(1), bounds, "");
    let groups_origin = reader.origin(&key("groups"));
    let groups: Vec<String> = reader.list(&key("groups"), Vec::new());
    if groups.iter().any(String::is_empty) {
        reader.problem(
            &key("groups"),
            groups_origin.as_ref(),
            "has an empty text; name groups",
        );
    }
    let kind = reader
        .value(&key("kind"), KindWord(WindowKind::Deny), "\"deny\" or \"allow\"")
        .0;
    Some(FreezeWindow {
        begins: begins.filter(|_| is_set)?,
        length,
        groups,
        kind,
        name,
    })
}

impl fmt::Display for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Required => "required",
        })
    }
}

impl FromStr for Approval {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "none" => Ok(Self::None),
            "required" => Ok(Self::Required),
            _ => Err(()),
        }
    }
}

impl fmt::Display for KindWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            WindowKind::Deny => "deny",
            WindowKind::Allow => "allow",
        })
    }
}

impl FromStr for KindWord {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "deny" => Ok(Self(WindowKind::Deny)),
            "allow" => Ok(Self(WindowKind::Allow)),
            _ => Err(()),
        }
    }
}
