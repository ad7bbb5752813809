//! The methods of Python's values.

mod containers;
mod strings;

use lockstep_protocol::SmolStr;

use super::failure::Res;
use super::interpreter::{Args, Env, Run};
use super::value::Val;

pub(super) use strings::{capitalize, centered, replaced, split_lines, trim};

/// Calls a method, if the value has it.
pub(super) fn call(run: &Run<'_>, env: &Env, value: &Val, name: &SmolStr, args: &Args) -> Option<Res<Val>> {
    if !has_method(value, name) {
        return None;
    }
    match value {
        Val::Str(text) => Some(strings::call(run, text, name, args)),
        Val::Loop(state) => state.call(run, name, args),
        _ => Some(containers::call(run, env, value, name, args)),
    }
}

/// Whether a value has a method.
pub(super) fn has_method(value: &Val, name: &str) -> bool {
    match value {
        Val::Str(_) => strings::is_method(name),
        Val::List(_) => containers::LIST.contains(&name),
        Val::Tuple(_) | Val::Range(_) => matches!(name, "count" | "index"),
        Val::Dict(_) => is_dict_method(name),
        Val::Loop(_) => matches!(name, "cycle" | "changed"),
        Val::Cycler(_) => matches!(name, "next" | "reset"),
        Val::Int(_) | Val::Bool(_) => name == "bit_length",
        Val::Float(_) => name == "is_integer",
        _ => false,
    }
}

/// Whether dictionaries have a method, which comes before a key of the same name.
pub(super) fn is_dict_method(name: &str) -> bool {
    matches!(
        name,
        "clear"
            | "copy"
            | "fromkeys"
            | "get"
            | "items"
            | "keys"
            | "pop"
            | "popitem"
            | "setdefault"
            | "update"
            | "values"
    )
}
