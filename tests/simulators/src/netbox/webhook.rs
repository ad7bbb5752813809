use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha512;

use super::simulator::{Change, Flavor};

/// A webhook, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The body.
    pub body: String,
}

impl Webhook {
    /// The header `X-Hook-Signature` for this secret.
    ///
    /// # Panics
    /// Never: keys have any length.
    pub fn signature(&self, secret: &str) -> String {
        let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).expect("keys have any length");
        mac.update(self.body.as_bytes());
        let code = mac.finalize().into_bytes();
        hex::encode(code)
    }

    pub(super) fn of(flavor: Flavor, change: &Change, time: &str) -> Self {
        let event = match change.action {
            "create" => "created",
            "update" => "updated",
            _ => "deleted",
        };
        let snapshots = json!({"prechange": change.before, "postchange": change.after});
        let mut body = json!({
            "event": event,
            "timestamp": time,
            "username": change.user,
            "request_id": change.request,
            "data": change.object,
            "snapshots": snapshots,
        });
        let model = change.object_type.rsplit('.').next().unwrap_or_default();
        match flavor {
            Flavor::NetBox => body["object_type"] = change.object_type.into(),
            Flavor::NetBox40 | Flavor::Nautobot => body["model"] = model.into(),
        }
        if flavor == Flavor::Nautobot {
            body["snapshots"]["differences"] = json!({"removed": Value::Null, "added": Value::Null});
        }
        Self {
            body: body.to_string(),
        }
    }
}
