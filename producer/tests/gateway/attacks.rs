//! Clients without a token or a secret that occupy what they can, and who is served meanwhile.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::scene::PUSH;
use crate::sockets::{Served, head, serve};
use lockstep_producer::gateway::GatewayLimits;

const EVENT: &str = r#"{"hostname": "sw1", "kind": "configuration", "interfaces": [{"name": "Ethernet1"}]}"#;

impl Served {
    /// Health, a signed webhook and an event with a token are served, each on a new connection.
    async fn serves_everybody(&self) {
        let health = self
            .answer_to("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await;
        assert!(health.starts_with("HTTP/1.1 200"), "{health}");
        let webhook = self.answer_to(&(head(PUSH.len()) + PUSH)).await;
        assert!(webhook.starts_with("HTTP/1.1 202"), "{webhook}");
        let event = self
            .answer_to(&format!(
                "POST /v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer all\r\n\
                 content-type: application/json\r\nce-specversion: 1.0\r\nce-id: 1\r\nce-source: urn:example:x\r\n\
                 ce-type: lockstep.interface.updated\r\ncontent-length: {}\r\n\r\n{EVENT}",
                EVENT.len()
            ))
            .await;
        assert!(event.starts_with("HTTP/1.1 202"), "{event}");
    }

    /// Opens connections that each send this.
    async fn attacked(&self, connections: usize, sent: &[u8]) -> Vec<TcpStream> {
        let mut all = Vec::new();
        for _ in 0..connections {
            let mut stream = self.connect().await;
            stream.write_all(sent).await.expect("it reads");
            all.push(stream);
        }
        all
    }
}

/// Limits with which the attackers may keep all their connections, so that only the bodies matter.
fn many_connections() -> GatewayLimits {
    GatewayLimits {
        connections_per_address: 1024,
        ..GatewayLimits::default()
    }
}

#[tokio::test]
async fn announced_bodies_occupy_nothing() {
    let served = serve(many_connections()).await;
    let mut attackers = Vec::new();
    // What is too much for all bodies together, then what would fill the rest.
    for kib in [25 * 1024, 4 * 1024, 1024, 256, 64, 16, 4, 1] {
        attackers.extend(served.attacked(22, head(kib * 1024).as_bytes()).await);
    }
    served.serves_everybody().await;
    drop(attackers);
    served.end().await;
}

#[tokio::test]
async fn bodies_of_ten_bytes_that_never_arrive_occupy_nothing() {
    let served = serve(many_connections()).await;
    let attackers = served.attacked(256, head(10).as_bytes()).await;
    served.serves_everybody().await;
    drop(attackers);
    served.end().await;
}

#[tokio::test]
async fn bodies_without_a_signature_that_fill_the_room_keep_out_no_smaller_ones() {
    const MIB: usize = 1024 * 1024;
    let served = serve(GatewayLimits {
        held_bytes: 8 * MIB,
        body_bytes: 2 * MIB,
        ..GatewayLimits::default()
    })
    .await;
    let attack = [head(2 * MIB).into_bytes(), vec![b' '; MIB]].concat();
    let attackers = served.attacked(20, &attack).await;
    for _ in 0..10 {
        served.serves_everybody().await;
    }
    drop(attackers);
    served.end().await;
}
