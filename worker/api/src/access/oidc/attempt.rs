use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::access::cookie::Cookie;
use crate::access::secret;

/// How long a login may take.
pub(super) const LASTS: Duration = Duration::from_mins(10);

/// The cookie of a login that was begun.
pub(super) const COOKIE: Cookie = Cookie {
    name: "__Host-lockstep-oidc",
    local_name: "lockstep-oidc",
};

/// What the authentication of the cookie begins with, so that it is none of something else.
const CONTEXT: &str = "lockstep oidc attempt:";

/// A login that a browser began: 256 random bits, from which state, nonce and verifier are derived. Only the browser keeps it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    id: String,
    /// Until when it may be completed.
    pub(super) until: Timestamp,
    /// The path of the console to which it leads.
    pub(super) next: String,
}

impl Attempt {
    /// A new one, which leads to this path.
    pub(super) fn new(now: Timestamp, next: &str) -> Self {
        Self {
            id: secret::new_id(),
            until: now + LASTS,
            next: next.to_owned(),
        }
    }

    /// The value of its cookie: the attempt, authenticated by the secret of the client.
    pub(super) fn cookie(&self, key: &SecretString) -> String {
        let next = URL_SAFE_NO_PAD.encode(&self.next);
        let text = format!("{}.{}.{next}", self.id, self.until.as_second());
        let tag = hex::encode(tag(key, &text).finalize().into_bytes());
        format!("{text}.{tag}")
    }

    /// The attempt in a cookie. `None` if this console did not write it, or if its time is over.
    pub(super) fn read(cookie: &str, key: &SecretString, now: Timestamp) -> Option<Self> {
        let (text, claimed) = cookie.rsplit_once('.')?;
        tag(key, text).verify_slice(&hex::decode(claimed).ok()?).ok()?;
        let mut parts = text.splitn(3, '.');
        let (id, until, next) = (parts.next()?, parts.next()?, parts.next()?);
        let until = Timestamp::from_second(until.parse().ok()?).ok()?;
        let next = String::from_utf8(URL_SAFE_NO_PAD.decode(next).ok()?).ok()?;
        (now < until).then(|| Self {
            id: id.to_owned(),
            until,
            next,
        })
    }

    /// Connects the answer of the provider with the browser.
    pub(super) fn state(&self) -> String {
        self.derived("state")
    }

    /// Connects the ID token with the login.
    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// Proves to the provider that who exchanges the code is who asked for it (RFC 7636).
    pub(super) fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// What the provider compares the verifier with: its SHA-256.
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    fn derived(&self, what: &str) -> String {
        hex::encode(Sha256::digest(format!("lockstep oidc {what}:{}", self.id)))
    }
}

fn tag(key: &SecretString, text: &str) -> Hmac<Sha256> {
    let mut tag = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    tag.update(CONTEXT.as_bytes());
    tag.update(text.as_bytes());
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn only_a_cookie_of_this_console_is_read_until_its_time_is_over() {
        let key = SecretString::from("a secret of the client");
        let attempt = Attempt::new(at(1000), "/devices?state=MANAGED");
        let cookie = attempt.cookie(&key);
        let lasts = i64::try_from(LASTS.as_secs()).unwrap();
        let read = |cookie: &str, second| Attempt::read(cookie, &key, at(second));
        assert!(read(&cookie, 1000 + lasts - 1) == Some(attempt.clone()));
        assert!(read(&cookie, 1000 + lasts).is_none());
        let later = cookie.replacen(".1600.", ".9600.", 1);
        assert_ne!(later, cookie);
        for cookie in [
            later.as_str(),
            "",
            ".",
            "a.b.c.d",
            &cookie[1..],
            &format!("{cookie}0"),
        ] {
            assert!(read(cookie, 1000).is_none(), "{cookie}");
        }
        assert!(Attempt::read(&cookie, &"another secret".into(), at(1000)).is_none());
    }

    #[test]
    fn what_is_derived_differs_and_the_verifier_fits_its_challenge() {
        let attempt = Attempt::new(at(1000), "/");
        let derived = [
            attempt.state(),
            attempt.nonce(),
            attempt.verifier(),
            attempt.challenge(),
        ];
        for (index, one) in derived.iter().enumerate() {
            assert!((43..=128).contains(&one.len()), "{one}");
            assert!(!derived[index + 1..].contains(one));
            assert!(!attempt.cookie(&"a secret".into()).contains(one));
        }
        let other = Attempt::new(at(1000), "/");
        assert_ne!(other.state(), attempt.state());
        // The example of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(
            URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }
}
