//! Logins that begin no session: tokens, signatures, callbacks and providers that are not as they should be.

use std::time::Duration;

use lockstep_clock::Clock;
use lockstep_simulators::oidc::{Endpoint, Fault, Signing};
use serde_json::{Value, json};

use super::super::login::{form, send};
use super::{redirect_uri, site, site_with};
use crate::Algorithm;
use crate::fakes::FixedClock;

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_one_of_this_login_begins_no_session() {
    let now = FixedClock.now().as_second();
    let claims: [(&str, Value, &str); 12] = [
        ("nonce", json!("another"), "another login"),
        ("nonce", Value::Null, "no nonce"),
        ("aud", json!("another"), "another client"),
        (
            "aud",
            json!(["lockstep", "another"]),
            "requested by another client",
        ),
        ("azp", json!("another"), "requested by another client"),
        ("iss", json!("https://evil.example.org"), "one of the issuer"),
        ("exp", json!(now - 60), "is expired"),
        ("exp", Value::Null, "no exp"),
        ("nbf", json!(now + 61), "not valid yet"),
        ("nbf", json!("soon"), "no nbf"),
        ("iat", json!(now + 61), "not valid yet"),
        ("sub", Value::Null, "no sub"),
    ];
    for (claim, value, said) in claims {
        let site = site();
        site.provider().set_claim(claim, value);
        let page = site.log_in("alice").await;
        let entry = site.refused(&page, 502, said, 0);
        assert!(entry.detail.unwrap().contains(said));
        site.provider().reset();
        site.logged_in("alice").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_one_of_a_published_key_by_a_configured_algorithm() {
    for (signing, said) in [
        (Signing::None, "signed by &quot;none&quot;"),
        (Signing::PublicKeyAsSecret, "signed by &quot;HS256&quot;"),
        (Signing::UnknownKey, "a key that the provider does not publish"),
        (Signing::Forged, "a signature that is not one of the provider"),
    ] {
        let site = site();
        site.provider().set_signing(signing);
        let page = site.log_in("alice").await;
        site.refused(&page, 502, said, 0);
    }
    let site = site_with(|options| options.algorithms = vec![Algorithm::Es256]);
    site.provider().set_signing(Signing::Rs256);
    let page = site.log_in("alice").await;
    site.refused(&page, 502, "signed by &quot;RS256&quot;", 0);
    let site = self::site();
    for signing in [Signing::Rs256, Signing::Es256] {
        site.provider().set_signing(signing);
        site.logged_in("alice").await;
    }
}

#[tokio::test(start_paused = true)]
async fn keys_rotate_and_unknown_keys_are_asked_for_at_intervals() {
    let site = site();
    let asked = || site.provider().requests("/keys");
    site.logged_in("alice").await;
    site.logged_in("alice").await;
    assert_eq!(asked(), 1);
    tokio::time::advance(Duration::from_secs(30)).await;
    site.provider().rotate_keys();
    site.logged_in("alice").await;
    assert_eq!(asked(), 2);

    site.provider().set_signing(Signing::UnknownKey);
    for _ in 0..3 {
        let page = site.log_in("alice").await;
        site.refused(&page, 502, "does not publish", 3);
    }
    assert_eq!(asked(), 2, "it was asked a moment ago");
    site.provider().reset();
    site.provider().rotate_keys();
    tokio::time::advance(Duration::from_secs(30)).await;
    site.logged_in("alice").await;
    assert_eq!(asked(), 3);
    // A key that is withdrawn, without another one in use, is refused after an hour.
    tokio::time::advance(Duration::from_hours(1)).await;
    site.logged_in("alice").await;
    assert_eq!(
        (
            asked(),
            site.provider().requests("/.well-known/openid-configuration")
        ),
        (4, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_callback_counts_once_and_only_in_the_browser_that_began() {
    let site = site();
    let (attempt, address) = site.begin("/").await;
    let (other, other_address) = site.begin("/").await;
    let back = site.provider().choose(&address, "alice").unwrap();
    let other_back = site.provider().choose(&other_address, "alice").unwrap();
    let (_, query) = back.split_once('?').unwrap();
    let without = |name: &str| {
        let parts = query.split('&').filter(|part| !part.starts_with(name));
        format!("{}?{}", redirect_uri(), parts.collect::<Vec<_>>().join("&"))
    };
    let evil = format!("{}&iss=https%3A%2F%2Fevil.example.org", without("iss="));
    for (cookies, address, said) in [
        ("", back.clone(), "began no login"),
        ("__Host-lockstep-oidc=made.up.0.0", back.clone(), "began no login"),
        // Without TLS the name counts on this machine only.
        (&attempt.replace("__Host-", ""), back.clone(), "began no login"),
        (&attempt, other_back.clone(), "belongs to another login"),
        (&other, back.clone(), "belongs to another login"),
        (&attempt, without("state="), "belongs to another login"),
        (&attempt, without("code="), "nothing that belongs to a login"),
        (
            &attempt,
            format!("{back}&state=a"),
            "nothing that belongs to a login",
        ),
        (&attempt, without("iss="), "another identity provider"),
    ] {
        let page = site.complete(cookies, &address).await;
        site.refused(&page, 400, said, 0);
    }
    assert_eq!(site.provider().requests("/token"), 0);
    // The audit has ten of a minute.
    tokio::time::advance(Duration::from_mins(1)).await;
    let page = site.complete(&attempt, &evil).await;
    site.refused(&page, 400, "another identity provider", 0);

    let page = site.complete(&attempt, &back).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let page = site.complete(&attempt, &back).await;
    site.refused(&page, 400, "refused the code", 1);
    // A new code for the same login.
    let again = site.provider().choose(&address, "alice").unwrap();
    let page = site.complete(&attempt, &again).await;
    site.refused(&page, 400, "completed before", 1);
    assert_eq!(site.complete(&other, &other_back).await.status, 303);
}

#[tokio::test(start_paused = true)]
async fn the_code_of_another_login_is_of_no_use() {
    let site = site();
    let (_, address) = site.begin("/").await;
    let of_other = site.provider().choose(&address, "alice").unwrap();
    let (attempt, address) = site.begin("/").await;
    let back = site.provider().choose(&address, "vera").unwrap();
    let code = |address: &str| {
        let (_, query) = address.split_once('?').unwrap();
        query.split('&').next().unwrap().to_owned()
    };
    let injected = back.replace(&code(&back), &code(&of_other));
    let page = site.complete(&attempt, &injected).await;
    site.refused(&page, 400, "refused the code", 0);
}

#[tokio::test(start_paused = true)]
async fn without_its_provider_the_console_says_so_and_takes_tokens() {
    use Endpoint::{Discovery, Keys, Token};
    let other = json!({"issuer": "https://evil.example.org", "authorization_endpoint": "https://a", "token_endpoint": "https://a", "jwks_uri": "https://a"});
    for (endpoint, fault, status, said) in [
        (Discovery, Fault::Status(500), 503, "answers 500"),
        (Discovery, Fault::Status(404), 502, "answered 404"),
        (
            Discovery,
            Fault::Redirect("https://evil.example.org".to_owned()),
            502,
            "answered 303",
        ),
        (Discovery, Fault::Body("<html>".to_owned()), 502, "no JSON"),
        (
            Discovery,
            Fault::Body(other.to_string()),
            502,
            "both must be the same text",
        ),
        (Keys, Fault::Status(503), 503, "answers 503"),
        (Keys, Fault::Body("[]".to_owned()), 502, "no set of keys"),
        (
            Keys,
            Fault::Body("{\"keys\": [1, {}]}".to_owned()),
            502,
            "does not publish",
        ),
        (Token, Fault::Status(500), 503, "answers 500"),
        (Token, Fault::Status(403), 502, "answered 403"),
        (
            Token,
            Fault::Body("<html>".to_owned()),
            502,
            "without an ID token",
        ),
        (
            Token,
            Fault::Body("{\"id_token\": \"a.b.c\"}".to_owned()),
            502,
            "not a signed token",
        ),
    ] {
        let site = site();
        if endpoint != Discovery {
            site.begin("/").await;
        }
        site.provider().set_fault(endpoint, fault);
        let page = if endpoint == Discovery {
            send(&site.scene, "GET", "/login/oidc?next=/devices", &[], "").await
        } else {
            site.log_in("alice").await
        };
        site.refused(&page, status, said, 0);
        assert!(
            page.text.contains("value=\"&#x2f;devices\""),
            "it still leads there: {}",
            page.text
        );
        let with_token = form(&site.scene, "/login", &[], "token=root").await;
        assert_eq!(with_token.status, 303);
        site.provider().reset();
        // Keys were asked for a moment ago.
        tokio::time::advance(Duration::from_secs(30)).await;
        site.logged_in("alice").await;
    }
    let site = site_with(|options| options.client_secret = "another secret of a client".into());
    let page = site.log_in("alice").await;
    site.refused(&page, 502, "compare console.oidc.client_id", 0);
}
