//! Starts private RabbitMQ clusters, whose nodes can be killed one by one.

use std::process::Command;

use anyhow::ensure;
use futures_util::future::try_join_all;
use tempfile::TempDir;

use crate::Broker;
use crate::broker::Realm;
use crate::process::Process;

/// A private cluster of a test. Dropping it kills its nodes and removes their data.
pub struct Cluster {
    /// The nodes. A queue declared on one of them exists on all and is led by that one.
    pub nodes: Vec<Broker>,
    // Dropped after the nodes, and separate from them: the remaining nodes need it when one is killed.
    _names: Process,
    _folder: TempDir,
}

impl Cluster {
    /// Starts this number of nodes, and waits until they form a cluster.
    ///
    /// # Errors
    ///
    /// As [`Broker::start`]; or the nodes did not join.
    pub async fn start(size: usize) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("cluster-").tempdir()?;
        let mut realm = Realm::new()?;
        let mut epmd = Command::new("epmd");
        epmd.args(["-address", "127.0.0.1", "-port", &realm.epmd.to_string()]);
        let names = Process::start(&epmd, &folder.path().join("output.log"))?;
        let first = Broker::start_member(realm.clone()).await?;
        realm.join = Some(first.node());
        let others = (1..size).map(|_| Broker::start_member(realm.clone()));
        let mut nodes = vec![first];
        nodes.extend(try_join_all(others).await?);
        let status = nodes[0].ctl(&["cluster_status", "--formatter", "json"]).await?;
        let status: serde_json::Value = serde_json::from_str(&status)?;
        let running = status["running_nodes"].as_array().map_or(0, Vec::len);
        ensure!(running == size, "{running} of {size} nodes joined the cluster");
        Ok(Self {
            nodes,
            _names: names,
            _folder: folder,
        })
    }
}
