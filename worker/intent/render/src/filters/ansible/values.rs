//! Filters of single values.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr, ValueKind};
use minijinja::{Environment, Value};

use crate::filters::arguments::{Filter, invalid};
use crate::filters::digest;

pub(super) const FILTERS: &[Filter] = &[
    ("bool", "value", |arguments| {
        let value = arguments.value(0);
        let text = match value.kind() {
            ValueKind::String | ValueKind::Bool => value.to_string().to_lowercase(),
            ValueKind::Number => return Ok(Value::from(value == Value::from(1))),
            _ => return Ok(Value::from(false)),
        };
        Ok(Value::from(matches!(text.as_str(), "yes" | "on" | "true" | "1")))
    }),
    ("ternary", "value true_val false_val none_val?", |arguments| {
        if arguments.value(0).is_none()
            && let Some(none) = arguments.some(3)
        {
            return Ok(none.clone());
        }
        Ok(arguments.value(if arguments.is_true(0) { 1 } else { 2 }))
    }),
    ("mandatory", "a msg?", |arguments| {
        let value = arguments.value(0);
        if value.is_undefined() {
            return Err(invalid(arguments.text_or(1, "Mandatory variable not defined.")?));
        }
        Ok(value)
    }),
    ("hash", "data hashtype?", |arguments| {
        let algorithm = arguments.text_or(1, "sha1")?;
        digest::hexadecimal(&algorithm, &digest::bytes(&arguments.value(0)))
            .map(Value::from)
            .ok_or_else(|| invalid(format!("unsupported hash type {algorithm}")))
    }),
    ("checksum", "data", |arguments| {
        let sum = digest::hexadecimal("sha1", &digest::bytes(&arguments.value(0)));
        sum.map(Value::from)
            .ok_or_else(|| invalid("unsupported hash type"))
    }),
    ("type_debug", "obj", |arguments| {
        let value = arguments.value(0);
        Ok(Value::from(match value.kind() {
            ValueKind::Undefined => "Undefined",
            ValueKind::None => "NoneType",
            ValueKind::Bool => "bool",
            ValueKind::Number if value.is_integer() => "int",
            ValueKind::Number => "float",
            ValueKind::String => "str",
            ValueKind::Bytes => "bytes",
            ValueKind::Seq if value.is_tuple() => "tuple",
            ValueKind::Seq => "list",
            ValueKind::Map => "dict",
            ValueKind::Iterable => "generator",
            _ => "object",
        }))
    }),
];

/// The value `omit`, which leaves out the parameter of a task that it is given to. In a template of a text it is a word that is
/// printed, as in Ansible.
#[derive(Debug)]
struct Omit;

impl Object for Omit {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<omit>")
    }
}

/// Whether a value is `omit`.
pub(super) fn is_omit(value: &Value) -> bool {
    value.downcast_object_ref::<Omit>().is_some()
}

pub(super) fn add_omit(environment: &mut Environment<'_>) {
    environment.add_global("omit", Value::from_object(Omit));
}
