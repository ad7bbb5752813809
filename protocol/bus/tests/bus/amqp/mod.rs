//! The contract on RabbitMQ, and what only a broker can do to a bus. One virtual host a test.

mod channel_errors;
mod connecting;
mod connection_loss;
mod fixture;
mod log;
mod probing;

mod in_order {
    use super::fixture::Place;

    crate::contract::contract!(Place);
}

mod each {
    use super::fixture::EachPlace;

    crate::contract::contract!(EachPlace);
}
