use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::respond::respond;
use crate::connection;

/// An address, and its listener while the node is up.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) listening: Option<JoinHandle<()>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

/// Serves connections until it is aborted, which closes the listener and all of them.
pub(crate) async fn accept(listener: TcpListener, tls: Arc<ServerConfig>, shared: Arc<Shared>, node: usize) {
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, acceptor.clone(), shared.clone(), node));
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    // Most likely out of file descriptors; other connections free some when they end.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>, node: usize) {
    let Some(stream) = connection::handshake(stream, &acceptor).await else {
        return;
    };
    shared.state().connections += 1;
    let service = service_fn(move |request| respond(shared.clone(), node, request));
    connection::serve(stream, service).await;
}
