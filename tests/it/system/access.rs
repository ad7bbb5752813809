//! Broker users for the processes of a scene, each with only the rights of its role.

use anyhow::{Context, Result};
use lockstep_protocol::topology::access::{Rights, Role};
use lockstep_testbed::{User, Vhost};

/// The broker users of the roles.
#[derive(Debug)]
pub(crate) struct Users {
    worker: User,
    gateway: User,
    console: User,
}

impl Users {
    /// Creates the users with their rights on this virtual host.
    pub(super) async fn new(vhost: &Vhost) -> Result<Self> {
        Ok(Self {
            worker: user_of(vhost, Role::Worker).await?,
            gateway: user_of(vhost, Role::Gateway).await?,
            console: user_of(vhost, Role::Console).await?,
        })
    }

    /// The user for `lockstep COMMAND`; `None` if the command needs no broker.
    pub(super) fn of(&self, command: &str) -> Option<&User> {
        match command {
            "worker" => Some(&self.worker),
            "gateway" => Some(&self.gateway),
            "console" => Some(&self.console),
            _ => None,
        }
    }

    /// The users that workers trust about actors, separated by commas.
    pub(super) fn trusted(&self) -> String {
        format!("{},{}", self.gateway.name, self.console.name)
    }
}

/// Creates a user with the rights of this role.
pub(crate) async fn user_of(vhost: &Vhost, role: Role) -> Result<User> {
    user_with(vhost, role.as_str(), |name| role.rights(name)).await
}

/// Creates a user with the rights that its name gets.
pub(crate) async fn user_with(vhost: &Vhost, name: &str, rights: impl Fn(&str) -> Rights) -> Result<User> {
    let user = vhost.create_user(name).await?;
    grant(vhost, &user, &rights(&user.name))
        .await
        .with_context(|| format!("cannot give {name} its rights"))?;
    Ok(user)
}

async fn grant(vhost: &Vhost, user: &User, rights: &Rights) -> Result<()> {
    let Rights {
        configure,
        write,
        read,
        topics,
    } = rights;
    vhost.set_permissions(&user.name, configure, write, read).await?;
    for topic in topics {
        vhost
            .set_topic_permissions(&user.name, topic.exchange, &topic.write, &topic.read)
            .await?;
    }
    Ok(())
}
