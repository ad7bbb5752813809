//! Parses the URL of a PostgreSQL, including parameters that `tokio_postgres` does not support (`verify-full`, `sslrootcert`).

use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::StoreError;

/// A parsed URL.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) ca_file: Option<PathBuf>,
}

fn invalid(reason: impl Into<String>) -> StoreError {
    StoreError::Address {
        reason: reason.into(),
    }
}

impl FromStr for Address {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self, StoreError> {
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(invalid("it must begin with postgres:// or postgresql://"));
        }
        // A password may contain a question mark.
        let credentials_end = url.find('@').unwrap_or(0);
        let query_start = url[credentials_end..].find('?').map(|at| at + credentials_end);
        let (base, query) = match query_start {
            Some(at) => (&url[..at], &url[at + 1..]),
            None => (url, ""),
        };

        let mut mode = None;
        let mut ca_file = None;
        let mut rest = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", value)) => mode = Some(ssl_mode(value)?),
                Some(("sslrootcert", value)) => ca_file = Some(PathBuf::from(percent_decode(value)?)),
                _ => rest.push(parameter),
            }
        }
        let mut config: Config = format!("{base}?{}", rest.join("&"))
            .parse()
            .map_err(|error| describe(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(invalid("it names no host"));
        }
        if let Some(mode) = mode {
            config.ssl_mode(mode);
        }
        Ok(Self { config, ca_file })
    }
}

fn ssl_mode(text: &str) -> Result<SslMode, StoreError> {
    match text {
        "disable" => Ok(SslMode::Disable),
        "prefer" => Ok(SslMode::Prefer),
        // Lockstep always verifies the certificate if it uses TLS, so these modes are equal.
        "require" | "verify-full" => Ok(SslMode::Require),
        other => Err(invalid(format!(
            "sslmode {other:?} is none of disable, prefer, require, verify-full"
        ))),
    }
}

/// The errors of the parser name the parameter, but no value, which may be secret.
fn describe(error: &tokio_postgres::Error) -> StoreError {
    let reason = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    invalid(reason)
}

fn percent_decode(text: &str) -> Result<String, StoreError> {
    let refused = || invalid("sslrootcert is not percent-encoded UTF-8");
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(refused());
        };
        decoded.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte"));
    }
    String::from_utf8(decoded).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(query: &str) -> Result<SslMode, String> {
        format!("postgres://u:secret@db.example.org/lockstep{query}")
            .parse::<Address>()
            .map(|address| address.config.get_ssl_mode())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn tls_modes_are_those_of_libpq_and_tls_is_always_verified() {
        assert_eq!(mode(""), Ok(SslMode::Prefer));
        assert_eq!(mode("?sslmode=disable"), Ok(SslMode::Disable));
        assert_eq!(mode("?sslmode=require&connect_timeout=3"), Ok(SslMode::Require));
        assert_eq!(
            mode("?connect_timeout=3&sslmode=verify-full"),
            Ok(SslMode::Require)
        );
        let error = mode("?sslmode=verify-ca").unwrap_err();
        assert!(error.contains("\"verify-ca\""), "{error}");
    }

    #[test]
    fn other_parameters_reach_the_driver() {
        let url = "postgres://u:a?b@h/d?options=-csearch_path%3Dtest&sslrootcert=%2Fetc%2Fa%20b.pem";
        let address: Address = url.parse().unwrap();
        assert_eq!(address.config.get_options(), Some("-csearch_path=test"));
        assert_eq!(address.config.get_password(), Some(&b"a?b"[..]));
        assert_eq!(address.ca_file, Some(PathBuf::from("/etc/a b.pem")));
    }

    #[test]
    fn the_error_about_an_invalid_address_has_no_password() {
        for url in [
            "mysql://u:secret@h/d",
            "postgres://u:secret@h/d?colour=red",
            "postgres://u:secret@h:port/d",
            "postgres:///d?user=u&password=secret",
            "postgres://u:secret@h/d?sslrootcert=%zz",
        ] {
            let error = url.parse::<Address>().err().unwrap();
            assert!(matches!(error, StoreError::Address { .. }), "{url}: {error:?}");
            assert!(!error.to_string().contains("secret"), "{url}: {error}");
        }
    }
}
