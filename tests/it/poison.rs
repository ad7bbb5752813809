//! Invalid messages in a full batch: each one is rejected individually, the other messages are applied.

use anyhow::Result;
use lockstep_bus::Outgoing;
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Code, Envelope, Identity, Kind};

use crate::system::load::{dead, flags, hostname, outgoing, raw, update};
use crate::system::{Expected, Ground, Load, Scene, Sent};

const LOAD: Load = Load {
    devices: 20,
    events: 0,
};

/// A structured event with this id, type and data.
fn body(id: &str, kind: &str, data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"urn:lockstep:test","type":"{kind}","data":{data}}}"#
    )
}

fn identity(id: &str) -> Result<Identity> {
    Ok(Identity {
        source: "urn:lockstep:test".to_owned().try_into()?,
        id: id.to_owned().try_into()?,
    })
}

async fn in_a_full_batch(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let bus = scene.bus().await?;
    let fleet = LOAD.fleet();
    let mut sent: Sent = [(fleet.identity.clone(), Expected::Applied { flags: None })].into();
    let mut outgoings = vec![outgoing(&fleet)];
    let kind = Kind::InterfaceUpdated;
    let ghost = r#"{"hostname":"ghost","kind":"configuration","interfaces":[{"name":"Ethernet1"}]}"#;
    let poison = [
        ("unknown-type", "lockstep.nonsense", "{}", Code::UnknownType),
        (
            "wrong-schema",
            kind.as_str(),
            r#"{"hostname":7}"#,
            Code::InvalidData,
        ),
        ("no-data", kind.as_str(), "null", Code::InvalidData),
        ("unknown-host", kind.as_str(), ghost, Code::UnknownDevice),
        (
            "a-result",
            "lockstep.message.rejected",
            r#"{"code":"crashed","reason":""}"#,
            Code::NotAllowed,
        ),
        (
            "internal",
            "lockstep.internal.repository.tip-moved",
            r#"{"repository":"settings","tip":"7777777777777777777777777777777777777777"}"#,
            Code::NotAllowed,
        ),
        (
            "unknown-internal",
            "lockstep.internal.newer",
            "{}",
            Code::UnknownType,
        ),
        (
            "nobody",
            "lockstep.device.removed",
            r#"{"hostname":"gone1"}"#,
            Code::UnknownDevice,
        ),
    ];
    for (number, (id, kind, data, code)) in poison.into_iter().enumerate() {
        let good = update(&hostname(number));
        sent.insert(good.identity.clone(), flags(&good));
        let body = body(id, kind, data);
        let identity = match Envelope::decode(body.as_bytes()) {
            Ok(decoded) if code == Code::NotAllowed => identity(id)?.of_denied(&decoded.digest),
            _ => identity(id)?,
        };
        sent.insert(identity, dead(code));
        outgoings.push(Outgoing {
            destination: Destination::Type(kind.to_owned()),
            ..raw(Kind::InterfaceUpdated, id, body)
        });
        outgoings.push(outgoing(&good));
    }
    for bytes in [b"not json".as_slice(), b"", b"\xff\xfe", b"[1,2,3]"] {
        sent.insert(Identity::of_undecodable(bytes), dead(Code::InvalidJson));
        outgoings.push(raw(kind, "bytes", bytes.to_vec()));
    }
    bus.publish(outgoings).await?;
    bus.close().await;
    let worker = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    let bus = scene.bus().await?;
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_full_batch_on_servers() -> Result<()> {
    in_a_full_batch(Ground::Servers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_full_batch_embedded() -> Result<()> {
    in_a_full_batch(Ground::Embedded).await
}
