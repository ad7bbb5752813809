//! Makes a throw-away certificate authority and one server certificate for 127.0.0.1 and localhost.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tokio::process::Command;

#[derive(Debug)]
pub(crate) struct Certificates {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Makes the certificates in `folder` by the `openssl` command.
    pub(crate) async fn make(folder: &Path) -> anyhow::Result<Self> {
        let file = |name: &str| folder.join(name);
        let (ca, ca_key) = (file("ca.pem"), file("ca.key"));
        let (certificate, key) = (file("server.pem"), file("server.key"));

        openssl(
            "-subj /CN=testbed-ca -addext basicConstraints=critical,CA:TRUE \
             -addext keyUsage=critical,keyCertSign",
            &[("-keyout", &ca_key), ("-out", &ca)],
        )
        .await?;
        openssl(
            "-subj /CN=localhost -addext basicConstraints=critical,CA:FALSE \
             -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext extendedKeyUsage=serverAuth",
            &[
                ("-CA", &ca),
                ("-CAkey", &ca_key),
                ("-keyout", &key),
                ("-out", &certificate),
            ],
        )
        .await?;
        Ok(Self { ca, certificate, key })
    }
}

async fn openssl(words: &str, files: &[(&str, &PathBuf)]) -> anyhow::Result<()> {
    let mut command = Command::new("openssl");
    command
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2".split(' '))
        .args(words.split_whitespace());
    for (option, file) in files {
        command.arg(option).arg(file);
    }
    let output = command.output().await.context("run openssl")?;
    ensure!(
        output.status.success(),
        "openssl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
