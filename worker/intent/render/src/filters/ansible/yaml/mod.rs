//! YAML as `PyYAML` writes it.

mod emitter;
mod scalar;

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use self::emitter::Emitter;
use super::collections::pairs;
use crate::filters::address;
use crate::filters::arguments::{Arguments, Filter, Outcome, integer, invalid, list};

const MOST_DEPTH: usize = 64;
const OPTIONS: &str = "a indent? default_flow_style? sort_keys? width? **options";

pub(super) const FILTERS: &[Filter] = &[
    ("to_yaml", OPTIONS, |arguments| dump(arguments, 2, Style::Leaves)),
    ("to_nice_yaml", OPTIONS, |arguments| {
        dump(arguments, 4, Style::Block)
    }),
    ("from_yaml", "data", |arguments| {
        let data = arguments.value(0);
        match data.as_str() {
            Some(text) => read(text),
            None => Ok(data),
        }
    }),
    ("from_yaml_all", "data", |arguments| {
        let text = arguments.text(0)?;
        let documents = serde_norway::Deserializer::from_str(&text);
        documents
            .map(|document| {
                let value: Result<Value, _> = serde::Deserialize::deserialize(document);
                value.map_err(|error| not_yaml(&error))
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Value::from)
    }),
];

/// Which mappings and lists are written in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// None.
    Block,
    /// Those that contain no other.
    Leaves,
    /// All.
    Flow,
}

fn not_yaml(error: &serde_norway::Error) -> Error {
    invalid(format!("no YAML: {error}"))
}

fn read(text: &str) -> Outcome {
    serde_norway::from_str(text).map_err(|error| not_yaml(&error))
}

/// A value to be written.
enum Node {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    fn is_leaf(&self) -> bool {
        let scalar = |node: &Node| matches!(node, Node::Scalar { .. });
        match self {
            Self::Scalar { .. } => true,
            Self::List(items) => items.iter().all(scalar),
            Self::Map(pairs) => pairs.iter().all(|(key, value)| scalar(key) && scalar(value)),
        }
    }
}

fn dump(arguments: &Arguments, indent: i128, style: Style) -> Outcome {
    let style = match arguments.some(2) {
        Some(flow) if flow.is_true() => Style::Flow,
        Some(_) => Style::Block,
        None if arguments.has(2) => Style::Leaves,
        None => style,
    };
    let sorted = arguments.some(3).is_none_or(Value::is_true);
    let indent = arguments.some(1).map_or(Ok(indent), integer)?;
    let width = arguments.some(4).map_or(Ok(80), integer)?;
    let node = node(&arguments.value(0), sorted, 0)?;
    let indent = usize::try_from(indent)
        .ok()
        .filter(|indent| (2..10).contains(indent))
        .unwrap_or(2);
    let width = usize::try_from(width)
        .ok()
        .filter(|width| *width > indent * 2)
        .unwrap_or(80);
    Ok(Value::from(Emitter::new(indent, width).document(&node, style)))
}

fn node(value: &Value, sorted: bool, depth: usize) -> Result<Node, Error> {
    if depth > MOST_DEPTH {
        return Err(invalid(format!("the value is nested deeper than {MOST_DEPTH}")));
    }
    let plain = |text: String| Node::Scalar { text, plain: true };
    Ok(match value.kind() {
        _ if address::is_address(value) => Node::Scalar {
            text: value.to_string(),
            plain: false,
        },
        ValueKind::Map => {
            let mut all = pairs(value)?;
            if sorted {
                all.sort_by(|left, right| left.0.cmp(&right.0));
            }
            Node::Map(
                all.iter()
                    .map(|(key, value)| Ok((node(key, sorted, depth + 1)?, node(value, sorted, depth + 1)?)))
                    .collect::<Result<_, Error>>()?,
            )
        }
        ValueKind::Seq | ValueKind::Iterable => Node::List(
            list(value)?
                .iter()
                .map(|item| node(item, sorted, depth + 1))
                .collect::<Result<_, Error>>()?,
        ),
        ValueKind::None => plain("null".to_owned()),
        ValueKind::Bool => plain(value.is_true().to_string()),
        ValueKind::Number if value.is_integer() => plain(value.to_string()),
        ValueKind::Number => plain(scalar::float(f64::try_from(value.clone())?)),
        ValueKind::String => Node::Scalar {
            text: value.to_string(),
            plain: false,
        },
        _ => return Err(invalid(format!("{value:?} cannot be written as YAML"))),
    })
}
