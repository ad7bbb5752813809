//! The broker's objects, users, rights and policies in the format RabbitMQ imports and exports.

use serde_json::{Map, Value, json};

use crate::topology::access::{self, Policy, Role};
use crate::topology::{Argument, ExchangeDeclaration, QueueDeclaration, Topology};

/// The roles that every installation has; producers are added one by one.
pub const STANDING_ROLES: &[Role] = &[
    Role::Setup,
    Role::Worker,
    Role::Gateway,
    Role::Console,
    Role::Monitor,
];

/// A definitions file for this virtual host, for `POST /api/definitions`, `rabbitmqctl import_definitions` and
/// `load_definitions` of RabbitMQ 3.10 and later. It has no passwords: its users have an empty hash, with which nobody can
/// log in. The names of its users are `prefix`, a hyphen and the role, such as `lockstep-worker`.
pub fn broker_definitions(vhost: &str, prefix: &str) -> Value {
    let topology = Topology::new(1.0);
    let users: Vec<(Role, String)> = STANDING_ROLES
        .iter()
        .map(|role| (*role, format!("{prefix}-{role}")))
        .collect();
    let permissions = users.iter().map(|(role, user)| {
        let rights = role.rights(user);
        json!({"user": user, "vhost": vhost, "configure": rights.configure, "write": rights.write, "read": rights.read})
    });
    let topic_permissions = users.iter().flat_map(|(role, user)| {
        role.rights(user).topics.into_iter().map(move |topic| {
            json!({"user": user, "vhost": vhost, "exchange": topic.exchange, "write": topic.write, "read": topic.read})
        })
    });
    let bindings = topology.bindings.iter().map(|binding| {
        json!({
            "source": binding.exchange, "vhost": vhost, "destination": binding.queue, "destination_type": "queue",
            "routing_key": binding.key, "arguments": {},
        })
    });
    json!({
        "vhosts": [{"name": vhost}],
        "users": users.iter().map(|(role, user)| json!({
            "name": user, "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": role.tag(),
        })).collect::<Vec<_>>(),
        "permissions": permissions.collect::<Vec<_>>(),
        "topic_permissions": topic_permissions.collect::<Vec<_>>(),
        "policies": access::policies(access::INGRESS_MAX_LENGTH).iter().map(|policy| in_vhost(vhost, policy_body(policy), policy.name)).collect::<Vec<_>>(),
        "exchanges": topology.exchanges.iter().map(|exchange| in_vhost(vhost, exchange_body(exchange), exchange.name)).collect::<Vec<_>>(),
        "queues": topology.queues.iter().map(|queue| in_vhost(vhost, queue_body(queue), queue.name)).collect::<Vec<_>>(),
        "bindings": bindings.collect::<Vec<_>>(),
    })
}

/// A policy as the body of a request to the management API.
pub fn policy_body(policy: &Policy) -> Map<String, Value> {
    object(json!({
        "pattern": policy.pattern, "apply-to": "queues", "priority": 0,
        "definition": {
            "max-length": policy.max_length,
            "max-length-bytes": policy.max_length_bytes,
            "overflow": "reject-publish",
        },
    }))
}

fn exchange_body(exchange: &ExchangeDeclaration) -> Map<String, Value> {
    let arguments = match exchange.alternate {
        Some(alternate) => json!({"alternate-exchange": alternate}),
        None => json!({}),
    };
    object(
        json!({"type": exchange.kind, "durable": true, "auto_delete": false, "internal": false, "arguments": arguments}),
    )
}

fn queue_body(queue: &QueueDeclaration) -> Map<String, Value> {
    let argument = |(name, value): &(&'static str, Argument)| ((*name).to_owned(), json!(value));
    let arguments: Map<String, Value> = queue.arguments.iter().map(argument).collect();
    object(json!({"durable": true, "auto_delete": false, "arguments": arguments}))
}

fn in_vhost(vhost: &str, mut body: Map<String, Value>, name: &str) -> Value {
    body.insert("vhost".to_owned(), vhost.into());
    body.insert("name".to_owned(), name.into());
    Value::Object(body)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
