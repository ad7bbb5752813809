mod config;
mod inventory;
fn main() {}
