//! Starts the broker and the database in containers.

use std::time::Duration;

use anyhow::{Context, ensure};
use lockstep_testbed::environment;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt};

/// Timeout of pull and start together.
const TIMEOUT: Duration = Duration::from_mins(3);
const LOGIN: &str = "lockstep";

pub(crate) struct BrokerContainer {
    pub(crate) amqp: String,
    pub(crate) management: String,
    container: Box<ContainerAsync<GenericImage>>,
}

impl BrokerContainer {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let image = image(environment::RABBITMQ_IMAGE, "rabbitmq:4-management")
            .with_exposed_port(5672.tcp())
            .with_exposed_port(15672.tcp())
            .with_wait_for(WaitFor::message_on_stdout("Server startup complete"))
            .with_env_var("RABBITMQ_DEFAULT_USER", LOGIN)
            .with_env_var("RABBITMQ_DEFAULT_PASS", LOGIN)
            // As in a private broker: the figures of the management API are fresh.
            .with_copy_to(
                "/etc/rabbitmq/advanced.config",
                b"[{rabbit, [{quorum_tick_interval, 250}]}].\n".to_vec(),
            );
        let container = start(image).await?;
        let place = async |port: u16| -> anyhow::Result<String> {
            let host = container.get_host().await?;
            let port = container.get_host_port_ipv4(port).await?;
            Ok(format!("{LOGIN}:{LOGIN}@{host}:{port}"))
        };
        Ok(Self {
            amqp: format!("amqp://{}", place(5672).await?),
            management: format!("http://{}", place(15672).await?),
            container: Box::new(container),
        })
    }

    pub(crate) async fn remove(self) {
        remove(*self.container).await;
    }
}

pub(crate) struct DatabaseContainer {
    pub(crate) url: String,
    container: Box<ContainerAsync<GenericImage>>,
}

impl DatabaseContainer {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let ready = "database system is ready to accept connections";
        let image = image(environment::POSTGRES_IMAGE, "postgres:15")
            .with_exposed_port(5432.tcp())
            // The message appears once during the set-up and once after it; the image writes the latter to standard error.
            .with_wait_for(WaitFor::message_on_stdout(ready))
            .with_wait_for(WaitFor::message_on_stderr(ready))
            .with_env_var("POSTGRES_USER", LOGIN)
            .with_env_var("POSTGRES_PASSWORD", LOGIN)
            .with_cmd(["-c", "max_connections=300"]);
        let container = start(image).await?;
        let host = container.get_host().await?;
        let port = container.get_host_port_ipv4(5432).await?;
        Ok(Self {
            url: format!("postgres://{LOGIN}:{LOGIN}@{host}:{port}/{LOGIN}"),
            container: Box::new(container),
        })
    }

    pub(crate) async fn remove(self) {
        remove(*self.container).await;
    }
}

/// The image named by the environment variable, or the usual one.
fn image(variable: &str, usual: &str) -> GenericImage {
    let name = environment::variable(variable).unwrap_or_else(|| usual.to_owned());
    let last_segment = name.rfind('/').unwrap_or(0);
    match name[last_segment..].rfind(':') {
        Some(colon) => {
            let (name, tag) = name.split_at(last_segment + colon);
            GenericImage::new(name, &tag[1..])
        }
        None => GenericImage::new(name.as_str(), "latest"),
    }
}

async fn start(image: ContainerRequest<GenericImage>) -> anyhow::Result<ContainerAsync<GenericImage>> {
    ensure!(docker_is_there(), "no Docker engine");
    let image = image.with_startup_timeout(TIMEOUT);
    tokio::time::timeout(TIMEOUT, image.start())
        .await
        .context("the Docker engine was too slow")?
        .context("start a container")
}

fn docker_is_there() -> bool {
    environment::variable("DOCKER_HOST").is_some() || std::path::Path::new("/var/run/docker.sock").exists()
}

async fn remove(container: ContainerAsync<GenericImage>) {
    if let Err(error) = container.rm().await {
        eprintln!("testbed: a container is left: {error}");
    }
}
