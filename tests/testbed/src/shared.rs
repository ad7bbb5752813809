//! Starts the broker and the database that all tests of a run share.

use lockstep_testbed::{Broker, Database, environment, install};

use crate::containers::{BrokerContainer, DatabaseContainer};

/// The URLs that the tests get.
pub(crate) struct Urls {
    pub(crate) amqp: String,
    /// URL of the management API; `None`: on the host of the broker, at the usual port.
    pub(crate) management: Option<String>,
    pub(crate) database: String,
}

pub(crate) struct Shared {
    pub(crate) urls: Urls,
    broker: SharedBroker,
    database: SharedDatabase,
}

enum SharedBroker {
    Given {
        amqp: String,
        management: Option<String>,
    },
    Container(BrokerContainer),
    Private(Broker),
}

enum SharedDatabase {
    Given(String),
    Container(DatabaseContainer),
    Private(Database),
}

/// Starts both servers concurrently, unless the environment names them.
pub(crate) async fn start() -> anyhow::Result<Shared> {
    let (broker, database) = tokio::try_join!(named_or_container_broker(), named_or_container_database())?;
    if broker.is_none() || database.is_none() {
        install::missing(&install::SERVERS).await?;
    }
    let (broker, database) = tokio::try_join!(
        async {
            match broker {
                Some(broker) => Ok(broker),
                None => Broker::start().await.map(SharedBroker::Private),
            }
        },
        async {
            match database {
                Some(database) => Ok(database),
                None => Database::start().await.map(SharedDatabase::Private),
            }
        }
    )?;
    let (amqp, management) = match &broker {
        SharedBroker::Given { amqp, management } => (amqp.clone(), management.clone()),
        SharedBroker::Container(broker) => (broker.amqp.clone(), Some(broker.management.clone())),
        SharedBroker::Private(broker) => (broker.url(), Some(broker.management_url())),
    };
    let url = match &database {
        SharedDatabase::Given(url) => url.clone(),
        SharedDatabase::Container(database) => database.url.clone(),
        SharedDatabase::Private(database) => database.url(),
    };
    Ok(Shared {
        urls: Urls {
            amqp,
            management,
            database: url,
        },
        broker,
        database,
    })
}

impl Shared {
    /// Ends the servers that were started here. A graceful stop is not needed.
    pub(crate) async fn stop(self) {
        match self.broker {
            SharedBroker::Container(broker) => broker.remove().await,
            SharedBroker::Given { .. } | SharedBroker::Private(_) => {}
        }
        match self.database {
            SharedDatabase::Container(database) => database.remove().await,
            SharedDatabase::Given(_) | SharedDatabase::Private(_) => {}
        }
    }
}

async fn named_or_container_broker() -> anyhow::Result<Option<SharedBroker>> {
    if let Some(amqp) = environment::variable(environment::AMQP_URL) {
        let management = environment::variable(environment::MANAGEMENT_URL);
        return Ok(Some(SharedBroker::Given { amqp, management }));
    }
    // An explicit root has precedence over containers.
    if environment::variable(environment::RABBITMQ_ROOT).is_some() {
        return Ok(None);
    }
    let started = BrokerContainer::start().await;
    Ok(or_private("RabbitMQ", started).map(SharedBroker::Container))
}

async fn named_or_container_database() -> anyhow::Result<Option<SharedDatabase>> {
    if let Some(url) = environment::variable(environment::DATABASE_URL) {
        return Ok(Some(SharedDatabase::Given(url)));
    }
    let started = DatabaseContainer::start().await;
    Ok(or_private("PostgreSQL", started).map(SharedDatabase::Container))
}

fn or_private<C>(what: &str, started: anyhow::Result<C>) -> Option<C> {
    started
        .inspect_err(|error| eprintln!("testbed: no container ({error:#}); {what} is a private process"))
        .ok()
}
