//! The bus on RabbitMQ, by lapin.
