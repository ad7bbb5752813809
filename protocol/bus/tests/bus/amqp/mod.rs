//! The contract suite on RabbitMQ, and tests of the AMQP implementation. Each test has its own virtual host.

mod channel_errors;
mod connecting;
mod connection_loss;
mod fixture;
mod log;
mod probing;

mod in_order {
    use super::fixture::InOrder;

    crate::contract::contract!(InOrder);
}

mod each {
    use super::fixture::Each;

    crate::contract::contract!(Each);
}
