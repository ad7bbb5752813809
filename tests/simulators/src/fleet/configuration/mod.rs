//! A small model of the configuration of an EOS device: sections of lines, commands that change them, and their text in the order of
//! the device. Commands that the model does not know are lines.

mod difference;
mod editor;
mod grammar;
mod json;
mod order;
mod pattern;
mod print;
mod read;
mod section;

pub(crate) use difference::difference;
pub use editor::Refused;
pub(crate) use editor::{Command, Editor, Moved, indentation};
pub(crate) use json::json;
pub(crate) use pattern::Pattern;
pub(crate) use print::print;
pub(crate) use read::read;
pub(crate) use section::Section;

#[cfg(test)]
mod tests;
