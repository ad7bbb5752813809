//! Builds the pool of sessions. Each session has its time-outs before its first statement.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresOptions;
use super::address::Address;
use crate::StoreError;

/// Either end drops a connection whose other end takes nothing and answers nothing for so long.
const PEER_GONE: Duration = Duration::from_secs(20);

/// A pool that opens sessions on demand.
pub(super) fn pool(options: &PostgresOptions) -> Result<Pool, StoreError> {
    let Address { mut config, ca_file } = options.url.expose_secret().parse()?;
    let ca_file = ca_file.or_else(|| options.ca_file.clone());
    configure(&mut config, options);
    // No check on reuse is needed: a session returns to the pool only if it is clean; see `Session::give_back`.
    let manager_config = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = if config.get_ssl_mode() == SslMode::Disable {
        Manager::from_config(config, NoTls, manager_config)
    } else {
        let tls = MakeRustlsConnect::new(tls(ca_file.as_deref())?);
        Manager::from_config(config, tls, manager_config)
    };
    Pool::builder(manager)
        .max_size(options.sessions)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(options.answer_timeout()))
        .create_timeout(Some(options.connect_timeout))
        .recycle_timeout(Some(options.connect_timeout))
        .build()
        .map_err(|error| StoreError::Address {
            reason: error.to_string(),
        })
}

fn configure(config: &mut Config, options: &PostgresOptions) {
    if config.get_application_name().is_none() {
        config.application_name(&options.application_name);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(options.connect_timeout);
    }
    config
        .keepalives(true)
        .keepalives_idle(PEER_GONE / 2)
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(2)
        .tcp_user_timeout(PEER_GONE);
    // By its own time-out for the network, the server notices as early that the other end is gone, also while it sends an answer to it
    // and holds its locks.
    let mut settings = format!(
        "-c lock_timeout={} -c statement_timeout={} -c idle_in_transaction_session_timeout={} \
         -c tcp_user_timeout={} -c tcp_keepalives_idle={} -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2",
        options.lock_timeout.as_millis(),
        options.statement_timeout.as_millis(),
        options.idle_in_transaction_timeout.as_millis(),
        PEER_GONE.as_millis(),
        PEER_GONE.as_secs() / 2,
    );
    // Each statement reads a few rows by an index. Old statistics, such as of a table that was empty a minute ago, must not
    // make the planner choose a sequential scan.
    settings += " -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off";
    // The options of the URL come last, so they override.
    if let Some(given) = config.get_options() {
        settings = format!("{settings} {given}");
    }
    config.options(settings);
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, StoreError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Address {
            reason: error.to_string(),
        })?
        .with_root_certificates(authorities(ca_file)?)
        .with_no_client_auth();
    Ok(config)
}

fn authorities(ca_file: Option<&Path>) -> Result<RootCertStore, StoreError> {
    let mut authorities = RootCertStore::empty();
    let Some(file) = ca_file else {
        // Invalid certificates of the system are skipped, as in other programs. If a server needs one, its verification fails.
        authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(authorities);
    };
    let invalid = |reason: String| StoreError::Address {
        reason: format!("certificate authorities in {}: {reason}", file.display()),
    };
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| invalid(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        authorities
            .add(certificate)
            .map_err(|error| invalid(error.to_string()))?;
    }
    if authorities.is_empty() {
        return Err(invalid("the file has no certificate".to_owned()));
    }
    Ok(authorities)
}
