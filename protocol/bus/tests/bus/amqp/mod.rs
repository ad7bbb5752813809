//! The contract on RabbitMQ, and what only a broker can do to a bus. One virtual host a test.

mod breaking;
mod connecting;
mod log;
mod place;
mod probing;
mod refusing;

mod in_order {
    use super::place::Place;

    crate::contract::contract!(Place);
}

mod each {
    use super::place::EachPlace;

    crate::contract::contract!(EachPlace);
}
