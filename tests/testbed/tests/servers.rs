//! Tests of private servers: they start, keep their data in a crash, and restart with the same address.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use lockstep_testbed::{Broker, Database, FaultProxy, Mode, Schema, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn private_broker_keeps_its_data_when_killed() -> anyhow::Result<()> {
    let mut broker = Broker::start_with_tls().await?;
    let vhost = broker.vhost().await?;
    amqp_handshake(&vhost.url()).await?;
    tls_handshake(&broker.tls_url().context("no TLS")?, &broker, &[]).await?;

    broker.kill().await?;
    ensure!(TcpStream::connect(broker.addr()).await.is_err());

    broker.restart().await?;
    amqp_handshake(&vhost.url()).await?;
    ensure!(broker.ctl(&["list_vhosts"]).await?.contains(vhost.name()));

    broker.stop().await?;
    ensure!(TcpStream::connect(broker.addr()).await.is_err());
    Ok(())
}

#[tokio::test]
async fn private_database_keeps_its_data_when_killed() -> anyhow::Result<()> {
    let mut database = Database::start_with_tls().await?;
    let schema = database.schema().await?;
    let client = schema.connect().await?;
    client
        .batch_execute("CREATE TABLE kept AS SELECT 42 AS value")
        .await?;

    database.kill().await?;
    ensure!(client.simple_query("SELECT 1").await.is_err());

    database.restart().await?;
    let row = schema
        .connect()
        .await?
        .query_one("SELECT value FROM kept", &[])
        .await?;
    assert_eq!(row.get::<_, i32>(0), 42);

    let proxy = FaultProxy::to(database.addr()).await?;
    proxy.set(Mode::CutAfter(1_000_000)).await?;
    let (client, connection) = tokio_postgres::connect(
        &Schema::through(&schema.url(), proxy.addr()),
        tokio_postgres::NoTls,
    )
    .await?;
    tokio::spawn(connection);
    client.query_one("SELECT value FROM kept", &[]).await?;

    let ca = database.ca_file().context("no TLS")?.display().to_string();
    let place = format!("localhost:{}", database.addr().port());
    s_client(&place, &ca, &["-starttls", "postgres"]).await?;
    database.stop().await?;
    Ok(())
}

#[tokio::test]
async fn vhost_is_administered_over_http() -> anyhow::Result<()> {
    let vhost = lockstep_testbed::vhost().await?;
    let user = vhost.create_user("producer").await?;
    vhost.set_permissions(&user.name, "^$", "^x$", "^$").await?;
    vhost
        .set_topic_permissions(&user.name, "amq.topic", "^a$", "^$")
        .await?;
    let limit = serde_json::json!({"max-length": 10});
    vhost.set_policy("limit", "^lane", limit).await?;
    ensure!(vhost.queues().await?.is_empty());
    ensure!(vhost.queue("lane").await?.is_none());
    ensure!(vhost.delete_queue("lane").await.is_err());

    let mut stream = amqp_handshake(&user.url).await?;
    let seen = wait::until("the connection", TIMEOUT, async || {
        vhost.connections().await.ok()?.pop()
    })
    .await?;
    assert_eq!(seen.user, user.name);
    assert_eq!(vhost.close_all_connections().await?, 1);
    // The broker sends the reason (connection.close) or just closes the connection.
    let mut said = [0; 512];
    let length = stream.read(&mut said).await.unwrap_or(0);
    ensure!(length == 0 || said[7..11] == [0, 10, 0, 50], "{said:?}");
    Ok(())
}

#[tokio::test]
async fn connections_of_a_schema_work_in_it() -> anyhow::Result<()> {
    let (one, other) = (
        lockstep_testbed::schema().await?,
        lockstep_testbed::schema().await?,
    );
    for schema in [&one, &other] {
        let client = schema.connect().await?;
        client.batch_execute("CREATE TABLE t (a int)").await?;
        let found = client.query_one("SELECT current_schema()", &[]).await?;
        assert_eq!(found.get::<_, &str>(0), schema.name());
    }
    let name = one.name().to_owned();
    drop(one);
    let left = other
        .connect()
        .await?
        .query("SELECT FROM pg_namespace WHERE nspname = $1", &[&name])
        .await?;
    ensure!(left.is_empty());
    Ok(())
}

/// Opens a connection by raw AMQP 0-9-1 frames, so that this crate needs no AMQP client.
async fn amqp_handshake(url: &str) -> anyhow::Result<TcpStream> {
    let (login, place) = url
        .strip_prefix("amqp://")
        .and_then(|rest| rest.rsplit_once('@'))
        .context("not amqp")?;
    let (user, password) = login.split_once(':').context("no login")?;
    let (authority, vhost) = place.split_once('/').context("no vhost")?;
    let login = format!("\0{user}\0{password}");

    let mut stream = TcpStream::connect(authority).await?;
    stream.write_all(b"AMQP\0\0\x09\x01").await?;
    expect(&mut stream, 10).await?;
    let mut start_ok = vec![0, 0, 0, 0];
    start_ok.extend(short("PLAIN")?);
    start_ok.extend(u32::try_from(login.len())?.to_be_bytes());
    start_ok.extend(login.as_bytes());
    start_ok.extend(short("en_US")?);
    send(&mut stream, 11, &start_ok).await?;
    expect(&mut stream, 30).await?;
    // 2,047 channels, frames of 128 KiB, no heartbeats.
    send(&mut stream, 31, &[7, 255, 0, 2, 0, 0, 0, 0]).await?;
    send(&mut stream, 40, &[&short(vhost)?[..], &[0, 0]].concat()).await?;
    expect(&mut stream, 41).await?;
    Ok(stream)
}

fn short(text: &str) -> anyhow::Result<Vec<u8>> {
    Ok([&[u8::try_from(text.len())?], text.as_bytes()].concat())
}

/// A method of the class `connection`.
async fn send(stream: &mut TcpStream, method: u8, arguments: &[u8]) -> anyhow::Result<()> {
    let length = u32::try_from(arguments.len() + 4)?.to_be_bytes();
    let head = [&[1, 0, 0][..], &length, &[0, 10, 0, method]].concat();
    stream.write_all(&[&head, arguments, &[0xCE]].concat()).await?;
    Ok(())
}

async fn expect(stream: &mut TcpStream, method: u8) -> anyhow::Result<()> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let mut rest = vec![0; usize::try_from(length)? + 1];
    stream.read_exact(&mut rest).await?;
    ensure!(rest[..4] == [0, 10, 0, method], "not {method}: {rest:?}");
    Ok(())
}

async fn tls_handshake(url: &str, broker: &Broker, more: &[&str]) -> anyhow::Result<()> {
    let ca = broker.ca_file().context("no TLS")?.display().to_string();
    let (_, place) = url.rsplit_once('@').context("no login")?;
    s_client(place, &ca, more).await
}

/// Checks by `openssl` that the server's certificate is valid for `localhost` under this authority.
async fn s_client(place: &str, ca: &str, more: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", place, "-CAfile", ca])
        .args(["-verify_return_error", "-verify_hostname", "localhost"])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
