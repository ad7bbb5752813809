//! What the modes of the proxy do to a connection.

use std::io;
use std::time::Duration;

use anyhow::ensure;
use lockstep_testbed::{FaultProxy, Mode, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Long enough to notice that something did come through.
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
async fn blackhole_keeps_connections_and_carries_nothing() -> anyhow::Result<()> {
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

/// A server that says what it hears.
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
