//! The gateway over HTTP, on a fake bus, on the embedded bus and on RabbitMQ.

mod attacks;
mod buses;
mod events;
mod inventories;
mod limits;
mod scene;
mod sockets;
mod webhooks;
