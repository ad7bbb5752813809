use serde_json::{Map, Value, json};

use super::cvp;
use super::duration;
use super::token::TokenConfig;
use super::{Config, LogFormat, RepositoryConfig};

impl Config {
    /// The configuration as it is in effect, with secrets masked.
    pub(crate) fn shown(&self) -> Value {
        let token = |token: &TokenConfig| {
            let types: Vec<String> = token.types.iter().map(ToString::to_string).collect();
            json!({"name": token.name, "token": "***", "types": types})
        };
        let tokens = |tokens: &[TokenConfig]| -> Vec<Value> { tokens.iter().map(token).collect() };
        let lanes: Vec<&str> = self.worker.lanes.iter().map(|lane| lane.as_str()).collect();
        let format = match self.log.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        let mut shown = json!({
            "data_dir": self.data_dir,
            "broker": {
                "url": self.broker.url.to_string(),
                "ca_file": self.broker.ca_file,
                "declare": self.broker.declare,
                "trusted_users": self.broker.trusted_users,
            },
            "store": {
                "url": self.store.url.to_string(),
                "ca_file": self.store.ca_file,
                "pool_size": self.store.pool_size,
            },
            "console": {"listen": self.console.listen, "tokens": tokens(&self.console.tokens)},
            "gateway": {
                "listen": self.gateway.listen,
                "tokens": tokens(&self.gateway.tokens),
                "max_body_bytes": self.gateway.max_body_bytes,
                "max_held_bytes": self.gateway.max_held_bytes,
                "max_requests": self.gateway.max_requests,
                "max_connections": self.gateway.max_connections,
                "header_seconds": self.gateway.header_timeout.as_secs(),
                "body_seconds": self.gateway.body_timeout.as_secs(),
                "publish_seconds": self.gateway.publish_timeout.as_secs(),
            },
            "worker": {
                "listen": self.worker.listen,
                "lanes": lanes,
                "prefetch": self.worker.prefetch,
                "batch_size": self.worker.batch_size,
                "batch_linger_ms": u64::try_from(self.worker.batch_linger.as_millis()).unwrap_or(u64::MAX),
                "grace_seconds": self.worker.grace.as_secs(),
            },
            "repositories": {
                "settings": self.repositories.settings.as_ref().map(repository),
                "templates": self.repositories.templates.as_ref().map(repository),
                "poll_seconds": self.repositories.poll.as_secs(),
                "debounce_ms": u64::try_from(self.repositories.debounce.as_millis()).unwrap_or(u64::MAX),
                "timeout_seconds": self.repositories.timeout.as_secs(),
            },
            "reconcile": {"every": duration::shown(self.reconcile.every)},
            "retention": {
                "every": duration::shown(self.retention.every),
                "inbox": duration::shown(self.retention.keep.inbox),
                "causes": duration::shown(self.retention.keep.causes),
                "dead_letters": duration::shown(self.retention.keep.dead_letters),
            },
            "cvp": self.cvp.iter().map(|(name, cluster)| (name.clone(), cvp::shown(cluster))).collect::<Map<_, _>>(),
            "log": {"filter": self.log.filter, "format": format},
            "telemetry": {
                "otlp_endpoint": self.telemetry.otlp_endpoint.as_ref().map(ToString::to_string),
                "service_name": self.telemetry.service_name,
                "sample_ratio": self.telemetry.sample_ratio,
            },
        });
        for section in shown
            .as_object_mut()
            .into_iter()
            .flat_map(|sections| sections.values_mut())
        {
            if let Some(section) = section.as_object_mut() {
                section.retain(|_, value| !value.is_null());
            }
        }
        shown
    }
}

fn repository(repository: &RepositoryConfig) -> Value {
    json!({
        "url": repository.shown_url(),
        "branch": repository.branch,
        "webhook_secret": vec!["***"; repository.webhook_secrets.len()],
        "ssh_key_file": repository.ssh_key_file,
        "known_hosts": repository.known_hosts,
        "token": repository.token.as_ref().map(|_| "***"),
        "username": repository.username,
    })
}
