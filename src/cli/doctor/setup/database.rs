//! Sets up the database: a login for each role, and the ownership of the schema. `lockstep migrate` as the login that owns it then makes
//! the tables, and gives the other logins their rights.

use lockstep_store::postgres::{DatabaseRole, DatabaseSetUp};

use super::Setup;
use super::credentials::{Credentials, Password};
use super::step::Step;
use crate::cli::UsageError;
use crate::config::{Config, StoreUrl};
use crate::roles;

/// The longest name of a login; the server cuts longer ones.
const LONGEST: usize = 63;

/// Runs the set-up, and returns its steps. All of it is one transaction: after an error nothing has changed, except that files
/// with passwords may be there, which the next run uses.
pub(super) async fn run(setup: &Setup, config: &Config) -> anyhow::Result<Vec<Step>> {
    let (StoreUrl::Postgres(url), Some(store)) = (&config.store.url, roles::postgres(config)?) else {
        return Err(UsageError(
            "--setup-database needs a database in store.url, with an administrator: postgres://ADMIN:PASSWORD@HOST/DATABASE"
                .to_owned(),
        )
        .into());
    };
    super::desired_state::check(&setup.user_prefix).map_err(UsageError)?;
    let credentials = Credentials::new(setup.credentials.clone(), "store-url", url);
    let set_up = store.begin_set_up(&setup.user_prefix).await?;
    let mut steps = Vec::new();
    for role in DatabaseRole::ALL {
        steps.push(login(setup, &credentials, &set_up, *role).await?);
    }
    let secured = set_up.secure().await?;
    steps.extend(secured.into_iter().map(|(what, change)| Step::new(what, change)));
    if !setup.dry_run {
        set_up.commit().await?;
    }
    Ok(steps)
}

async fn login(
    setup: &Setup,
    credentials: &Credentials,
    set_up: &DatabaseSetUp,
    role: DatabaseRole,
) -> anyhow::Result<Step> {
    let (name, folder) = (set_up.name(role), role.as_str());
    if name.len() > LONGEST {
        return Err(UsageError(format!(
            "{name:?} is too long for a login; choose a shorter --user-prefix"
        ))
        .into());
    }
    let known = credentials.read(folder, &name)?;
    let exists = set_up.exists(role).await?;
    let password = credentials.password(folder, &name, known, exists && !setup.renew_passwords)?;
    if let (false, Password::Set { password, new: true }) = (setup.dry_run, &password) {
        // The file comes first: after a crash in between, the next run sets the password from the file.
        credentials.write(folder, &name, password)?;
    }
    let secret = match &password {
        Password::Set { password, .. } => Some(password),
        Password::Keep => None,
    };
    let change = set_up.login(role, secret).await?;
    Ok(Step::login(&format!("login {name}"), change, &password))
}
