//! A git server over HTTP on loopback that answers as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server sends to a request.
pub(crate) enum Reply {
    /// A whole answer.
    Whole(Vec<u8>),
    /// The beginning of an answer that never ends.
    Begun(Vec<u8>),
}

/// Runs until it is dropped, and keeps the requests.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn({
            let (requests, reply) = (requests.clone(), Arc::new(reply));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, requests.clone(), reply.clone()));
                }
            }
        });
        Ok(Self {
            address,
            requests,
            task,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/settings.git", self.address)
    }

    /// The heads of all requests, in lower case.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    requests: Arc<Mutex<Vec<String>>>,
    reply: Arc<impl Fn(&str) -> Reply + Send + Sync>,
) -> Result<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).map_or(0, |rest| {
                rest.lines().next().unwrap_or_default().parse().unwrap_or(0)
            });
            if bytes.len() >= head.len() + 4 + length {
                break head.to_owned();
            }
        }
    };
    lock(&requests).push(head.clone());
    match reply(&head) {
        Reply::Whole(bytes) => stream.write_all(&bytes).await?,
        Reply::Begun(bytes) => {
            stream.write_all(&bytes).await?;
            // Until the client closes the connection.
            while stream.read_buf(&mut Vec::new()).await? > 0 {}
        }
    }
    Ok(())
}

fn lock(requests: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer with a body.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// The list of refs, with one branch, in version 0 of git's protocol.
pub(crate) fn refs(tip: &str) -> Vec<u8> {
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let format = if tip.len() == 64 { "sha256" } else { "sha1" };
    let body = [
        line("# service=git-upload-pack\n"),
        "0000".to_owned(),
        line(&format!(
            "{tip} refs/heads/main\0ofs-delta object-format={format}\n"
        )),
        "0000".to_owned(),
    ];
    let kind = "Content-Type: application/x-git-upload-pack-advertisement\r\n";
    answer("200 OK", kind, body.concat().as_bytes())
}

/// The answer to a fetch: a pack.
pub(crate) fn pack(pack: &[u8]) -> Vec<u8> {
    let kind = "Content-Type: application/x-git-upload-pack-result\r\n";
    answer("200 OK", kind, &[b"0008NAK\n", pack].concat())
}
