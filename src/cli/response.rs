//! Reads responses of limited size, since an address may be that of another server.

use anyhow::Context;
use reqwest::Response;

/// The most bytes of an answer. A dead letter with an escaped body of 4 MiB fits.
const LONGEST: usize = 64 << 20;

/// Reads the whole body.
///
/// # Errors
/// If it ends early or is too long.
pub(super) async fn body(mut response: Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the response ended early")? {
        if body.len() + chunk.len() > LONGEST {
            anyhow::bail!("the response is longer than {LONGEST} bytes; is this the right address?");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::roles;

    #[tokio::test]
    async fn an_endless_response_is_cut_off() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_buf(&mut Vec::new()).await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            stream.write_all(head).await.unwrap();
            let part = vec![b' '; 1 << 20];
            let mut sent = 0_usize;
            while stream.write_all(&part).await.is_ok() {
                sent += part.len();
            }
            sent
        });
        let client = roles::http_client().unwrap();
        let response = client.get(format!("http://{address}/")).send().await.unwrap();
        let error = body(response).await.unwrap_err();
        assert!(
            error.to_string().contains("longer than 67108864 bytes"),
            "{error}"
        );
        // What the sockets hold is on its way, too.
        assert!(server.await.unwrap() < LONGEST * 2);
    }
}
