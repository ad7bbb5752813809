//! The login at an identity provider, by HTTP, at a running `lockstep up`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lockstep_simulators::oidc::{Endpoint, Fault, Simulator};
use lockstep_testbed::free_port;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::executions_cli::private;
use crate::system::{Process, shell};

const SECRET: &str = "a secret of the client";

const FLEET: &str = "devices:
- {hostname: sw1, device_type: ACCESS, platform: eos, state: MANAGED, synchronized: true, groups: [oslo]}
- {hostname: sw2, device_type: ACCESS, platform: eos, state: MANAGED, synchronized: true, groups: [bergen]}
";

struct Site {
    folder: tempfile::TempDir,
    console: String,
    provider: Simulator,
    browser: Client,
    up: Process,
}

/// Where a login is that the provider has confirmed and the console has not.
struct Confirmed {
    attempt: String,
    back: String,
}

impl Site {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let console = format!("http://127.0.0.1:{port}");
        let redirect = format!("{console}/login/oidc/callback");
        let provider = Simulator::start("127.0.0.1:0".parse()?, SECRET, &redirect).await?;
        let accounts = provider.provider();
        accounts.account("alice", &json!({"groups": ["net-admins"]}));
        accounts.account("oscar", &json!({"groups": ["net-oslo"]}));
        let config = format!(
            "[console.oidc]\nname = \"the lab\"\nissuer = \"{}\"\nclient_id = \"lockstep\"\nclient_secret = \"{SECRET}\"\n\
             redirect_uri = \"{redirect}\"\nprincipal_claim = \"preferred_username\"\n\
             [[console.oidc.roles]]\nvalue = \"net-admins\"\nrole = \"admin\"\n\
             [[console.oidc.roles]]\nvalue = \"net-oslo\"\nrole = \"operator\"\ngroups = [\"oslo\"]\n",
            accounts.issuer()
        );
        private(folder.path(), "lockstep.toml", &config)?;
        let listen = format!("127.0.0.1:{port}");
        let arguments = ["up", "--listen", &listen, "--gateway-listen", "127.0.0.1:0"];
        let up = Process::start(folder.path(), &arguments, &[])?;
        up.prints("lockstep messages show").await?;
        std::fs::write(folder.path().join("fleet.yml"), FLEET)?;
        shell(folder.path(), "lockstep devices import fleet.yml")?;
        Ok(Self {
            folder,
            console,
            provider,
            browser: browser()?,
            up,
        })
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn get(&self, address: &str, cookie: &str) -> Result<Response> {
        let request = self.browser.get(address).header(COOKIE, cookie);
        Ok(request.send().await?)
    }

    /// Goes from the page of the login to the provider, and chooses an account in its form.
    async fn confirmed(&self, account: &str) -> Result<Confirmed> {
        let page = self
            .get(&format!("{}/login?next=/devices", self.console), "")
            .await?;
        let text = page.text().await?;
        ensure!(text.contains("Log in with the lab"), "{text}");
        let begun = self
            .get(&format!("{}/login/oidc?next=/devices", self.console), "")
            .await?;
        ensure!(begun.status() == 303, "{begun:?}");
        let attempt = cookie(&begun, "lockstep-oidc=").context("no cookie of the login")?;
        let form = self.get(&location(&begun)?, "").await?.text().await?;
        let mut fields: Vec<(String, String)> = form.split("<input ").skip(1).filter_map(field).collect();
        ensure!(fields.len() >= 8 && form.contains(account), "{form}");
        fields.push(("account".to_owned(), account.to_owned()));
        let address = format!("{}/authorize", self.provider.provider().issuer());
        // The encoding of a query is that of a form.
        let encoded = reqwest::Url::parse_with_params(&address, &fields)?;
        let body = encoded.query().context("no fields")?.to_owned();
        let chosen = self.browser.post(address).body(body).send().await?;
        ensure!(chosen.status() == 303, "{chosen:?}");
        Ok(Confirmed {
            attempt,
            back: location(&chosen)?,
        })
    }

    /// The cookie of a new session.
    async fn logged_in(&self, account: &str) -> Result<String> {
        let confirmed = self.confirmed(account).await?;
        let page = self.get(&confirmed.back, &confirmed.attempt).await?;
        ensure!(page.status() == 303 && location(&page)? == "/devices", "{page:?}");
        cookie(&page, "lockstep=").context("no cookie of a session")
    }

    /// Checks that no session begins while the provider fails, and that the page says this.
    async fn fails(&self, confirmed: &Confirmed, said: &str) -> Result<()> {
        let page = self.get(&confirmed.back, &confirmed.attempt).await?;
        let (status, cookie) = (page.status(), cookie(&page, "lockstep="));
        let text = page.text().await?;
        ensure!(status == 503 && cookie.is_none(), "{status}: {text}");
        ensure!(
            text.contains(said) && text.contains("log in with a token"),
            "{text}"
        );
        Ok(())
    }
}

fn browser() -> Result<Client> {
    // Fails if another test of this process has installed the provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "a client of this test only")]
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    Ok(client)
}

fn location(response: &Response) -> Result<String> {
    let location = response.headers().get(LOCATION).context("no redirect")?;
    Ok(location.to_str()?.to_owned())
}

/// A cookie that a response sets, with its name; `None` if it does not, or removes it.
fn cookie(response: &Response, name: &str) -> Option<String> {
    let set = response.headers().get_all(SET_COOKIE).iter();
    let mut pairs = set.filter_map(|value| value.to_str().ok()?.split(';').next());
    let pair = pairs.find(|pair| pair.starts_with(name))?;
    (pair.len() > name.len()).then(|| pair.to_owned())
}

/// Name and value of a hidden field.
fn field(input: &str) -> Option<(String, String)> {
    let mut texts = input.split('"');
    let (name, value) = (texts.nth(3)?, texts.nth(1)?);
    Some((name.to_owned(), value.replace("&amp;", "&")))
}

#[tokio::test(flavor = "multi_thread")]
async fn people_log_in_at_an_identity_provider_within_their_limits_until_their_sessions_are_ended()
-> Result<()> {
    let site = Site::start().await?;
    let session = site.logged_in("oscar").await?;
    let page = site
        .get(&format!("{}/devices", site.console), &session)
        .await?
        .text()
        .await?;
    ensure!(page.contains("oscar") && page.contains("sw1"), "{page}");
    let (_, id) = session.split_once('=').context("a cookie")?;
    let csrf = hex::encode(Sha256::digest(format!("lockstep csrf:{id}")));
    for (number, hostname, applied) in [(1, "sw1", true), (2, "sw2", false)] {
        let command = json!({
            "specversion": "1.0", "id": format!("oscar-{number}"), "source": "urn:example:browser",
            "type": "lockstep.device.mark-requested", "data": {"hostname": hostname, "synchronized": false},
        });
        let request = site
            .browser
            .post(format!("{}/v1/events", site.console))
            .header(COOKIE, &session)
            .header("x-csrf-token", &csrf)
            .header("content-type", "application/cloudevents+json")
            .body(command.to_string());
        let accepted = request.send().await?;
        ensure!(accepted.status() == 202, "{}", accepted.text().await?);
        let show =
            format!("lockstep messages show oscar-{number} --source urn:example:browser --by oscar || true");
        let outcome = shell(site.folder(), &show)?;
        ensure!(outcome.contains("applied") == applied, "{hostname}: {outcome}");
        ensure!(
            outcome.contains("not-allowed") != applied,
            "{hostname}: {outcome}"
        );
    }

    let alice = site.logged_in("alice").await?;
    let audit = site
        .get(&format!("{}/v1/audit?kind=login", site.console), &alice)
        .await?;
    ensure!(audit.status() == 200, "{audit:?}");
    let audit: Value = audit.json().await?;
    ensure!(audit["entries"][0]["principal"] == "alice", "{audit}");
    ensure!(audit["entries"][1]["token"] == "oidc:oscar", "{audit}");

    let ended = shell(
        site.folder(),
        "lockstep sessions end oscar --reason 'left the company'",
    )?;
    ensure!(ended.contains("oscar: ended 1 session"), "{ended}");
    let page = site.get(&format!("{}/devices", site.console), &session).await?;
    ensure!(
        page.status() == 303 && location(&page)?.starts_with("/login?"),
        "{page:?}"
    );
    ensure!(
        site.get(&format!("{}/devices", site.console), &alice)
            .await?
            .status()
            == 200
    );
    let listed = shell(site.folder(), "lockstep audit list --kind sessions-ended --json")?;
    ensure!(
        listed.contains("left the company") && listed.contains("oscar"),
        "{listed}"
    );
    let released = shell(
        site.folder(),
        "lockstep sessions end oscar --release-account --json",
    )?;
    ensure!(released.contains("\"released\": true"), "{released}");
    let checked = shell(site.folder(), "lockstep doctor --role console || true")?;
    ensure!(checked.contains("begins logins for lockstep"), "{checked}");
    site.up.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_begins_no_session_and_holds_nobody_up() -> Result<()> {
    let site = Site::start().await?;
    for (fault, said) in [
        (Fault::Status(500), "answers 500"),
        (Fault::Large(3 << 20), "answers with more than 1048576 bytes"),
        (Fault::Hang, "does not answer in time"),
    ] {
        let confirmed = site.confirmed("alice").await?;
        site.provider.provider().set_fault(Endpoint::Token, fault);
        site.fails(&confirmed, said).await?;
        site.provider.provider().reset();
    }
    let confirmed = site.confirmed("alice").await?;
    let redirect = Fault::Redirect(format!("{}/token", site.console));
    site.provider.provider().set_fault(Endpoint::Token, redirect);
    let page = site.get(&confirmed.back, &confirmed.attempt).await?;
    ensure!(page.status() == 502, "{page:?}");
    site.provider.provider().reset();

    let confirmed = site.confirmed("alice").await?;
    let Site {
        provider, up, folder, ..
    } = site;
    drop(provider);
    let page = browser()?.get(&confirmed.back).header(COOKIE, &confirmed.attempt);
    let page = page.send().await?;
    let (status, text) = (page.status(), page.text().await?);
    ensure!(
        status == 503 && text.contains("cannot be reached"),
        "{status}: {text}"
    );
    let checked = shell(folder.path(), "lockstep doctor --role console || true")?;
    ensure!(
        checked.contains("FAILED") && checked.contains("identity provider"),
        "{checked}"
    );
    up.stop().await
}
