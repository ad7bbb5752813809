//! The gateway over HTTP: the real router, on a bus that does as it is told, on the embedded bus, and on RabbitMQ.

mod buses;
mod events;
mod limits;
mod scene;
mod sockets;
mod webhooks;
