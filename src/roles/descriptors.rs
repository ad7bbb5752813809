//! File descriptors: each connection needs one, and so do the broker, the store, git and the log.

use lockstep_api::ConsoleLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// What is left for the broker, git, files, the runtime, and for connections that are being closed, 64 of each server.
const RESERVE: usize = 256;
/// What a session of the store needs: one for `PostgreSQL`, three for `SQLite`.
const PER_SESSION: usize = 3;
/// What the listener of a worker needs.
const WORKER_LISTENER: usize = lockstep_api::health::Listener::CONNECTIONS;
/// The fewest connections with which a server is of use.
const FEWEST: usize = 32;

/// The most connections of the servers of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connections {
    pub(crate) gateway: usize,
    pub(crate) console: usize,
}

/// The process may have too few file descriptors for any connection.
#[derive(Debug, thiserror::Error)]
#[error(
    "the process may open {limit} files, which is too few: it needs {reserve} without connections and {FEWEST} for each server; \
     raise the hard limit of open files (`ulimit -Hn`, LimitNOFILE= of systemd, ulimits of a container)"
)]
pub(crate) struct TooFewDescriptors {
    limit: usize,
    reserve: usize,
}

/// Raises the limit of open files to the maximum that the process may set itself. Called at the start of the program.
pub(crate) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // If it fails, the present limit holds, and the servers have fewer connections.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        );
    }
}

/// The limit of open files.
pub(crate) fn limit() -> usize {
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// What the configuration needs besides connections.
pub(crate) fn reserve(config: &Config) -> usize {
    let listener = config.worker.listen.map_or(0, |_| WORKER_LISTENER);
    RESERVE + usize::from(config.store.pool_size) * PER_SESSION + listener
}

/// The connections that the servers may have: those that are `wanted`, or if the limit of open files is too low, their shares of
/// what it leaves. A server with none wanted gets none.
pub(crate) fn shares(
    limit: usize,
    reserve: usize,
    wanted: Connections,
) -> Result<Connections, TooFewDescriptors> {
    let sum = wanted.gateway + wanted.console;
    let left = limit
        .checked_sub(reserve)
        .ok_or(TooFewDescriptors { limit, reserve })?;
    if left >= sum {
        return Ok(wanted);
    }
    let share = |wanted: usize| match wanted * left / sum {
        share if share >= FEWEST.min(wanted) => Ok(share),
        _ => Err(TooFewDescriptors { limit, reserve }),
    };
    Ok(Connections {
        gateway: share(wanted.gateway)?,
        console: share(wanted.console)?,
    })
}

/// The servers of a process that have many connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Servers {
    pub(crate) gateway: bool,
    pub(crate) console: bool,
}

impl Servers {
    pub(crate) const NONE: Self = Self {
        gateway: false,
        console: false,
    };
    pub(crate) const GATEWAY: Self = Self {
        gateway: true,
        console: false,
    };
    pub(crate) const CONSOLE: Self = Self {
        gateway: false,
        console: true,
    };
    pub(crate) const BOTH: Self = Self {
        gateway: true,
        console: true,
    };

    /// The connections that they may have by their configuration.
    pub(crate) fn wanted(self, config: &Config) -> Connections {
        let gateway = self.gateway.then_some(config.gateway.max_connections);
        let console = self.console.then(|| ConsoleLimits::default().connections);
        Connections {
            gateway: gateway.unwrap_or_default(),
            console: console.unwrap_or_default(),
        }
    }
}

/// The connections that the servers of this process may have. Warns if they are fewer than configured.
///
/// # Errors
/// If there are too few file descriptors.
pub(super) fn granted(config: &Config, servers: Servers) -> Result<Connections, TooFewDescriptors> {
    let (limit, wanted) = (limit(), servers.wanted(config));
    let granted = shares(limit, reserve(config), wanted)?;
    if granted != wanted {
        tracing::warn!(
            limit,
            connections = granted.gateway + granted.console,
            wanted = wanted.gateway + wanted.console,
            "the limit of open files allows fewer connections than configured; raise its hard limit"
        );
    }
    Ok(granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(gateway: usize, console: usize) -> Connections {
        Connections { gateway, console }
    }

    #[test]
    fn servers_share_what_the_limit_leaves() {
        let table = [
            (usize::MAX, connections(1024, 2048), Some(connections(1024, 2048))),
            (3272, connections(1024, 2048), Some(connections(1024, 2048))),
            (1024, connections(1024, 0), Some(connections(824, 0))),
            (1024, connections(1024, 2048), Some(connections(274, 549))),
            (1024, connections(0, 0), Some(connections(0, 0))),
            (199, connections(0, 0), None),
            (210, connections(8, 0), Some(connections(8, 0))),
            (210, connections(1024, 0), None),
            (0, connections(1024, 2048), None),
        ];
        for (limit, wanted, expected) in table {
            assert_eq!(shares(limit, 200, wanted).ok(), expected, "{limit} {wanted:?}");
        }
    }
}
