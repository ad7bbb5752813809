//! Tests of the proxy's modes.

use std::io;
use std::time::Duration;

use anyhow::ensure;
use lockstep_testbed::{FaultProxy, Mode, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Long enough for bytes to pass, if they pass.
const SHORT: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn pass_carries_both_ways() -> anyhow::Result<()> {
    let proxy = FaultProxy::to(echo().await?).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    assert_eq!(ask(&mut client, b"hello").await?, b"hello");
    client.shutdown().await?;
    assert_eq!(client.read(&mut [0]).await?, 0);
    wait::until("the end of the connection", TIMEOUT, async || {
        proxy.connections() == 0
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn refuse_resets_and_refuses_until_it_passes() -> anyhow::Result<()> {
    let proxy = FaultProxy::to(echo().await?).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    ask(&mut client, b"hello").await?;

    proxy.set(Mode::Refuse).await?;
    assert_reset(&mut client).await?;
    let refused = TcpStream::connect(proxy.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

    proxy.set(Mode::Pass).await?;
    ask(&mut TcpStream::connect(proxy.addr()).await?, b"again").await?;
    Ok(())
}

#[tokio::test]
async fn a_black_hole_keeps_connections_and_passes_no_bytes() -> anyhow::Result<()> {
    let proxy = FaultProxy::to(echo().await?).await?;
    let mut old = TcpStream::connect(proxy.addr()).await?;
    ask(&mut old, b"hello").await?;

    proxy.set(Mode::Blackhole).await?;
    let mut new = TcpStream::connect(proxy.addr()).await?;
    for client in [&mut old, &mut new] {
        ensure!(timeout(SHORT, ask(client, b"late")).await.is_err());
    }

    proxy.set(Mode::Pass).await?;
    for client in [&mut old, &mut new] {
        let mut answer = [0; 4];
        timeout(TIMEOUT, client.read_exact(&mut answer)).await??;
        assert_eq!(&answer, b"late");
    }
    Ok(())
}

#[tokio::test]
async fn one_blocked_direction_leaves_the_other_one_open() -> anyhow::Result<()> {
    for (mode, heard) in [(Mode::Deaf, false), (Mode::Mute, true)] {
        let upstream = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = FaultProxy::to(upstream.local_addr()?).await?;
        let mut client = TcpStream::connect(proxy.addr()).await?;
        let (mut server, _) = upstream.accept().await?;
        proxy.set(mode).await?;
        client.write_all(b"up").await?;
        server.write_all(b"down").await?;
        let (mut up, mut down) = ([0; 2], [0; 4]);
        ensure!(timeout(SHORT, server.read_exact(&mut up)).await.is_ok() == heard);
        ensure!(timeout(SHORT, client.read_exact(&mut down)).await.is_ok() != heard);

        proxy.set(Mode::Pass).await?;
        if heard {
            timeout(TIMEOUT, client.read_exact(&mut down)).await??;
        } else {
            timeout(TIMEOUT, server.read_exact(&mut up)).await??;
        }
        assert_eq!((&up, &down), (b"up", b"down"));
    }
    Ok(())
}

#[tokio::test]
async fn low_bandwidth_delays_bytes_until_everything_passes() -> anyhow::Result<()> {
    let proxy = FaultProxy::to(echo().await?).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    proxy.set(Mode::Thin(1_000_000)).await?;
    ensure!(timeout(SHORT, ask(&mut client, b"slow")).await.is_err());
    let mut answer = [0; 4];
    timeout(TIMEOUT, client.read_exact(&mut answer)).await??;
    assert_eq!(&answer, b"slow");

    // One byte per second, unless the mode changes.
    proxy.set(Mode::Thin(1)).await?;
    client.write_all(&[0; 1000]).await?;
    proxy.set(Mode::Pass).await?;
    timeout(TIMEOUT, client.read_exact(&mut [0; 1000])).await??;
    Ok(())
}

#[tokio::test]
async fn cut_resets_connections_and_takes_new_ones() -> anyhow::Result<()> {
    let proxy = FaultProxy::to(echo().await?).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    ask(&mut client, b"hello").await?;
    proxy.cut();
    assert_reset(&mut client).await?;
    ask(&mut TcpStream::connect(proxy.addr()).await?, b"again").await?;
    Ok(())
}

#[tokio::test]
async fn cut_after_some_bytes_happens_once() -> anyhow::Result<()> {
    let proxy = FaultProxy::to(echo().await?).await?;
    let mut client = TcpStream::connect(proxy.addr()).await?;
    proxy.set(Mode::CutAfter(5)).await?;
    ask(&mut client, b"hello").await?;
    client.write_all(b"!").await?;
    assert_reset(&mut client).await?;
    ask(&mut TcpStream::connect(proxy.addr()).await?, b"again and again").await?;
    Ok(())
}

/// An echo server.
async fn echo() -> anyhow::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    Ok(addr)
}

async fn ask(client: &mut TcpStream, question: &[u8]) -> io::Result<Vec<u8>> {
    client.write_all(question).await?;
    let mut answer = vec![0; question.len()];
    client.read_exact(&mut answer).await?;
    Ok(answer)
}

async fn assert_reset(client: &mut TcpStream) -> anyhow::Result<()> {
    let error = timeout(TIMEOUT, client.read(&mut [0]))
        .await?
        .expect_err("it is open");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    Ok(())
}
