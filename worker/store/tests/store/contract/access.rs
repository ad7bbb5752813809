use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use lockstep_protocol::{AccessLimits, GroupName, Role};
use lockstep_store::{
    AccessToken, LoginSession, NewAccessToken, OidcLogin, OidcLoginOutcome, Records, Rotation, SecretDigest,
};

use super::{Place, Store};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("it is a time")
}

fn secret(byte: u8) -> SecretDigest {
    SecretDigest {
        prefix: format!("lockstep_{byte}"),
        digest: [byte; 32],
    }
}

fn limits(groups: &[&str], tasks: &[&str]) -> AccessLimits {
    AccessLimits {
        groups: groups
            .iter()
            .map(|name| GroupName::try_from((*name).to_owned()).expect("it is a group"))
            .collect(),
        tasks: tasks
            .iter()
            .map(|text| text.parse().expect("it is a pattern"))
            .collect(),
    }
}

fn token(name: &str, person: &str, byte: u8, limits: AccessLimits) -> NewAccessToken {
    NewAccessToken {
        name: name.to_owned(),
        person: person.to_owned(),
        role: Role::Operator,
        reads: vec!["audit".to_owned()],
        sources: vec!["urn:example:a".to_owned()],
        limits,
        secret: secret(byte),
        at: at(1000),
        by: "root".to_owned(),
        expires_at: None,
    }
}

/// A console writes these tables; the owner of the schema may do everything.
fn console(place: &Place) -> &dyn Store {
    &*place.owners[0]
}

async fn with(place: &Place, byte: u8) -> Result<AccessToken> {
    let found = place.other.access_token_with([byte; 32]).await?;
    found.with_context(|| format!("no token has the digest of {byte}"))
}

pub(crate) async fn a_token_is_found_by_its_secret_until_it_is_revoked(place: &Place) -> Result<()> {
    let new = NewAccessToken {
        expires_at: Some(at(5000)),
        ..token("ci", "alice", 1, limits(&["oslo"], &["backup-*"]))
    };
    ensure!(console(place).create_access_token(&new).await?);
    let found = with(place, 1).await?;
    ensure!(
        (found.name.as_str(), found.person.as_str(), found.role) == ("ci", "alice", Role::Operator),
        "{found:?}"
    );
    ensure!(found.limits == new.limits && found.reads == new.reads && found.sources == new.sources);
    ensure!(found.prefix == "lockstep_1" && found.created_at == at(1000) && found.created_by == "root");
    ensure!(found.accepts(&[1; 32], at(4999)) && !found.accepts(&[1; 32], at(5000)));
    ensure!(!found.accepts(&[2; 32], at(1001)));
    ensure!(place.other.access_token_with([2; 32]).await?.is_none());

    for used in [at(1500), at(1200)] {
        console(place).access_token_used("ci", used).await?;
    }
    ensure!(with(place, 1).await?.used_at == Some(at(1500)));

    ensure!(console(place).revoke_access_token("ci", at(2000)).await?);
    ensure!(!console(place).revoke_access_token("ci", at(3000)).await?);
    ensure!(!console(place).revoke_access_token("other", at(3000)).await?);
    let found = with(place, 1).await?;
    ensure!(found.revoked_at == Some(at(2000)) && !found.accepts(&[1; 32], at(1001)));
    Ok(())
}

pub(crate) async fn a_name_of_a_token_is_used_once(place: &Place) -> Result<()> {
    let console = console(place);
    ensure!(
        console
            .create_access_token(&token("ci", "alice", 1, AccessLimits::default()))
            .await?
    );
    let second = token("ci", "bob", 2, AccessLimits::default());
    ensure!(!console.create_access_token(&second).await?);
    console.revoke_access_token("ci", at(2000)).await?;
    ensure!(!console.create_access_token(&second).await?);
    ensure!(console.access_token_with([2; 32]).await?.is_none());
    ensure!(console.access_limits("bob").await?.is_empty());
    Ok(())
}

pub(crate) async fn a_rotated_token_accepts_its_former_secret_for_a_time(place: &Place) -> Result<()> {
    let console = console(place);
    console
        .create_access_token(&token("ci", "alice", 1, AccessLimits::default()))
        .await?;
    let rotation = |byte, second, expires_at| Rotation {
        secret: secret(byte),
        at: at(second),
        former_until: at(second + 100),
        expires_at,
    };
    ensure!(
        console
            .rotate_access_token("ci", &rotation(2, 2000, Some(at(9000))))
            .await?
    );
    let (present, former) = (with(place, 2).await?, with(place, 1).await?);
    ensure!(
        present == former && present.rotated_at == Some(at(2000)) && present.expires_at == Some(at(9000))
    );
    for (byte, second, accepted) in [
        (1, 2099, true),
        (1, 2100, false),
        (2, 2100, true),
        (2, 9000, false),
    ] {
        ensure!(
            present.accepts(&[byte; 32], at(second)) == accepted,
            "{byte} {second}"
        );
    }
    ensure!(
        console
            .rotate_access_token("ci", &rotation(3, 3000, None))
            .await?
    );
    ensure!(console.access_token_with([1; 32]).await?.is_none());
    ensure!(with(place, 3).await?.expires_at == Some(at(9000)));
    console.revoke_access_token("ci", at(4000)).await?;
    ensure!(
        !console
            .rotate_access_token("ci", &rotation(4, 5000, None))
            .await?
    );
    ensure!(
        !console
            .rotate_access_token("other", &rotation(5, 5000, None))
            .await?
    );
    Ok(())
}

pub(crate) async fn limits_are_those_of_accepted_tokens_and_stay_when_the_last_is_revoked(
    place: &Place,
) -> Result<()> {
    let console = console(place);
    let (oslo, bergen) = (limits(&["oslo"], &[]), limits(&["bergen"], &["backup-*"]));
    let expired = NewAccessToken {
        expires_at: Some(at(1)),
        ..token("c", "alice", 3, AccessLimits::default())
    };
    for new in [
        token("a", "alice", 1, oslo.clone()),
        token("b", "alice", 2, bergen.clone()),
        expired,
        token("d", "bob", 4, AccessLimits::default()),
    ] {
        ensure!(console.create_access_token(&new).await?);
    }
    ensure!(console.has_access_token_of("alice").await? && !console.has_access_token_of("a").await?);
    // Read with the rights of a worker.
    let of = |principal: &'static str| place.other.access_limits(principal);
    ensure!(of("carol").await?.is_empty());
    ensure!(of("bob").await? == [AccessLimits::default()]);
    ensure!(of("alice").await? == [oslo.clone(), bergen.clone()]);
    console.revoke_access_token("a", at(2000)).await?;
    ensure!(of("alice").await? == std::slice::from_ref(&bergen));
    console.revoke_access_token("b", at(2000)).await?;
    ensure!(of("alice").await? == [oslo, bergen, AccessLimits::default()]);
    Ok(())
}

pub(crate) async fn tokens_are_paged_by_name(place: &Place) -> Result<()> {
    for (name, byte) in [("b", 1), ("a", 2), ("c", 3)] {
        console(place)
            .create_access_token(&token(name, "alice", byte, AccessLimits::default()))
            .await?;
    }
    for (after, limit, expected) in [
        (None, 2, vec!["a", "b"]),
        (Some("b"), 2, vec!["c"]),
        (Some("c"), 2, vec![]),
    ] {
        let page = place.other.access_tokens(after, limit).await?;
        let names: Vec<&str> = page.iter().map(|token| token.name.as_str()).collect();
        ensure!(names == expected, "{after:?}: {names:?}");
    }
    ensure!(place.other.access_token("b").await?.is_some());
    ensure!(place.other.access_token("d").await?.is_none());
    Ok(())
}

/// A session: the first with a token, the others by the identity provider.
fn session(byte: u8) -> LoginSession {
    let with_token = byte == 1;
    LoginSession {
        digest: [byte; 32],
        principal: "alice".to_owned(),
        token: with_token.then(|| "ci".to_owned()),
        role: (!with_token).then_some(Role::Viewer),
        begun_at: at(1000),
        used_at: at(1000),
        expires_at: at(2000),
        address: Some("127.0.0.1".to_owned()),
        reads: if with_token {
            Vec::new()
        } else {
            vec!["device-output".to_owned()]
        },
        limits: if with_token {
            AccessLimits::default()
        } else {
            limits(&["oslo"], &["backup-*"])
        },
    }
}

pub(crate) async fn a_session_is_kept_until_its_end(place: &Place) -> Result<()> {
    let console = console(place);
    for byte in [1, 2] {
        console.begin_login_session(&session(byte)).await?;
        let found = console.login_session([byte; 32]).await?;
        ensure!(found == Some(session(byte)), "{found:?}");
    }
    for second in [1500, 1400] {
        console.login_session_used([1; 32], at(second)).await?;
    }
    let found = console
        .login_session([1; 32])
        .await?
        .context("the session is there")?;
    ensure!(found.used_at == at(1500), "{found:?}");
    ensure!(console.end_login_session([1; 32]).await?);
    ensure!(!console.end_login_session([1; 32]).await?);
    ensure!(console.login_session([1; 32]).await?.is_none());
    for (before, deleted) in [(2000, 0), (2001, 1)] {
        let expired = place
            .store
            .expire(&Records::LoginSessions, at(before), 0, 10)
            .await?;
        ensure!(expired.deleted == deleted, "{before}: {expired:?}");
    }
    Ok(())
}

pub(crate) async fn all_sessions_of_a_principal_end_together(place: &Place) -> Result<()> {
    let console = console(place);
    let bob = LoginSession {
        principal: "bob".to_owned(),
        ..session(3)
    };
    for session in [session(1), session(2), bob] {
        console.begin_login_session(&session).await?;
    }
    ensure!(console.end_login_sessions_of("alice").await? == 2);
    ensure!(console.end_login_sessions_of("alice").await? == 0);
    ensure!(console.login_session([3; 32]).await?.is_some());
    Ok(())
}

/// A login of an account as a principal, with the state of this byte.
fn login(byte: u8, subject: &str, principal: &str) -> OidcLogin {
    OidcLogin {
        state: [byte; 32],
        state_until: at(1600),
        issuer: "https://id.example.org".to_owned(),
        subject: subject.to_owned(),
        principal: principal.to_owned(),
        role: Role::Operator,
        limits: AccessLimits::default(),
        at: at(1000),
        expires_at: at(2000),
    }
}

pub(crate) async fn a_login_is_accepted_once_and_an_account_is_one_principal(place: &Place) -> Result<()> {
    let console = console(place);
    let other_issuer = OidcLogin {
        issuer: "https://other.example.org".to_owned(),
        ..login(6, "1", "alice")
    };
    let renamed = OidcLoginOutcome::OtherPrincipal("alice".to_owned());
    for (login, expected) in [
        (login(1, "1", "alice"), OidcLoginOutcome::Accepted),
        (login(1, "1", "alice"), OidcLoginOutcome::StateUsed),
        (login(2, "1", "alice"), OidcLoginOutcome::Accepted),
        (login(3, "1", "alice2"), renamed),
        (login(4, "2", "alice"), OidcLoginOutcome::OtherAccount),
        // The state of a login that was refused was not used.
        (login(4, "2", "bob"), OidcLoginOutcome::Accepted),
        (other_issuer, OidcLoginOutcome::OtherAccount),
    ] {
        let outcome = console.record_oidc_login(&login).await?;
        ensure!(outcome == expected, "{login:?}: {outcome:?}");
    }
    ensure!(console.release_oidc_principal("alice").await?);
    ensure!(!console.release_oidc_principal("alice").await?);
    let outcome = console.record_oidc_login(&login(7, "1", "alice2")).await?;
    ensure!(outcome == OidcLoginOutcome::Accepted, "{outcome:?}");
    let outcome = console.record_oidc_login(&login(8, "3", "alice")).await?;
    ensure!(outcome == OidcLoginOutcome::Accepted, "{outcome:?}");
    // A state is forgotten when its time is over: whoever asks has checked that.
    let later = OidcLogin {
        at: at(1601),
        state_until: at(2200),
        ..login(1, "2", "bob")
    };
    let outcome = console.record_oidc_login(&later).await?;
    ensure!(outcome == OidcLoginOutcome::Accepted, "{outcome:?}");
    Ok(())
}

pub(crate) async fn the_last_login_limits_a_principal_as_a_token_does(place: &Place) -> Result<()> {
    let console = console(place);
    let (oslo, bergen) = (limits(&["oslo"], &["sync"]), limits(&["bergen"], &[]));
    let in_a_day = at(4_000_000_000);
    let login = |byte, limits: &AccessLimits, expires_at| OidcLogin {
        limits: limits.clone(),
        expires_at,
        ..login(byte, "1", "alice")
    };
    // Read with the rights of a worker.
    let of = || place.other.access_limits("alice");
    console.record_oidc_login(&login(1, &oslo, in_a_day)).await?;
    ensure!(of().await? == std::slice::from_ref(&oslo));
    console.record_oidc_login(&login(2, &bergen, in_a_day)).await?;
    ensure!(of().await? == std::slice::from_ref(&bergen));
    console
        .create_access_token(&token("ci", "alice", 1, oslo.clone()))
        .await?;
    ensure!(of().await? == [bergen.clone(), oslo.clone()]);
    // Its session is over.
    console.record_oidc_login(&login(3, &bergen, at(2000))).await?;
    ensure!(of().await? == std::slice::from_ref(&oslo));
    console.revoke_access_token("ci", at(2000)).await?;
    ensure!(of().await? == [bergen, oslo]);
    Ok(())
}
