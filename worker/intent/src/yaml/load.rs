use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{KeyKind, Node, Pair, Value, scalar};
use crate::IntentProblem;
use crate::bounds::{MOST_DEPTH, MOST_KEY_BYTES, MOST_NODES, MOST_TEXT_BYTES};
use crate::place::Place;

/// Reads the only document of a file. A file without a document is null.
///
/// # Errors
/// The first problem, with its place: not UTF-8, invalid YAML, a duplicate key, too deep, too large.
pub fn load(path: &[u8], bytes: &[u8]) -> Result<Rc<Node>, IntentProblem> {
    let text = decode(path, bytes)?;
    let mut builder = Builder {
        path,
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let reason = format!("invalid YAML: {}", error.info());
            IntentProblem::at(path, place(error.marker()), reason)
        })?;
        builder.take(event, place(&span.start))?;
    }
    Ok(builder
        .root
        .unwrap_or_else(|| Rc::new(Node::new(Place { line: 1, column: 1 }, Value::Null))))
}

fn decode<'a>(path: &[u8], bytes: &'a [u8]) -> Result<&'a str, IntentProblem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let line = before.split(|byte| *byte == b'\n').count();
        let column = 1 + String::from_utf8_lossy(&before[start..]).chars().count();
        IntentProblem::at(path, Place { line, column }, "not UTF-8; save the file as UTF-8")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn place(marker: &Marker) -> Place {
    Place {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

struct Builder<'a> {
    path: &'a [u8],
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
    root: Option<Rc<Node>>,
}

/// A list or a map that has not ended.
struct Open {
    place: Place,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Rc<Node>>),
    Map {
        pairs: Vec<Pair>,
        keys: HashSet<Rc<str>>,
        /// Maps after `<<`: they supply the keys that this map does not have itself.
        merged: Vec<Rc<Node>>,
        key: Option<Key>,
    },
}

enum Key {
    Name(Rc<str>, KeyKind, Place),
    /// `<<`
    Merge(Place),
}

impl Builder<'_> {
    fn problem(&self, place: Place, reason: impl Into<String>) -> IntentProblem {
        IntentProblem::at(self.path, place, reason)
    }

    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), IntentProblem> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => Err(self.problem(
                place,
                "a second document begins here; write one document per file",
            )),
            Event::Scalar(text, style, anchor, tag) => {
                let key = self.key_expected() && style == ScalarStyle::Plain && text == "<<" && tag.is_none();
                if key {
                    self.merge_key(place);
                    return Ok(());
                }
                let value = self.scalar(&text, style, tag.as_deref(), place)?;
                self.add(anchor, Node::new(place, value))
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.problem(place, "the alias refers to a value that contains it"));
                };
                self.count(node.size, place)?;
                self.attach(node, place)
            }
            Event::SequenceStart(anchor, tag) => {
                self.known_tag(tag.as_deref(), place)?;
                self.open(place, anchor, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.known_tag(tag.as_deref(), place)?;
                let kind = OpenKind::Map {
                    pairs: Vec::new(),
                    keys: HashSet::new(),
                    merged: Vec::new(),
                    key: None,
                };
                self.open(place, anchor, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<Value, IntentProblem> {
        self.known_tag(tag, place)?;
        if text.len() > MOST_TEXT_BYTES {
            let reason = format!(
                "a text has {} bytes, more than the limit of {MOST_TEXT_BYTES}; split it",
                text.len()
            );
            return Err(self.problem(place, reason));
        }
        let is_text = match tag {
            None => style != ScalarStyle::Plain,
            Some(tag) => tag.suffix == "str",
        };
        if is_text {
            Ok(Value::Text(text.to_owned()))
        } else {
            scalar::plain(text, self.key_expected()).map_err(|reason| self.problem(place, reason))
        }
    }

    /// Refuses tags that are not those of YAML itself, at once: the parser copies the prefix of a tag at each of its uses.
    fn known_tag(&self, tag: Option<&Tag>, place: Place) -> Result<(), IntentProblem> {
        match tag {
            Some(tag) if !tag.is_yaml_core_schema() => {
                Err(self.problem(place, format!("unknown tag {tag}; remove it")))
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, nodes: usize, place: Place) -> Result<(), IntentProblem> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MOST_NODES {
            let reason = format!("too many values: with its aliases, the file has more than {MOST_NODES}");
            return Err(self.problem(place, reason));
        }
        Ok(())
    }

    fn open(&mut self, place: Place, anchor: usize, kind: OpenKind) -> Result<(), IntentProblem> {
        if self.key_expected() {
            return Err(self.problem(place, "a key must be a word, not a list or a map"));
        }
        if self.open.len() == MOST_DEPTH {
            let reason = format!("too deep: lists and maps may be nested {MOST_DEPTH} times at most");
            return Err(self.problem(place, reason));
        }
        self.open.push(Open { place, anchor, kind });
        Ok(())
    }

    fn close(&mut self) -> Result<(), IntentProblem> {
        let Some(Open { place, anchor, kind }) = self.open.pop() else {
            return Ok(());
        };
        let value = match kind {
            OpenKind::List(items) => Value::List(items),
            OpenKind::Map { pairs, merged, .. } if merged.is_empty() => Value::Map(pairs),
            OpenKind::Map { pairs, merged, .. } => Value::Map(with_merged(pairs, &merged)),
        };
        self.add(anchor, Node::new(place, value))
    }

    /// Counts and attaches a new node. The values in it were counted before.
    fn add(&mut self, anchor: usize, node: Node) -> Result<(), IntentProblem> {
        let place = node.place;
        self.count(1, place)?;
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(node, place)
    }

    fn key_expected(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                kind: OpenKind::Map { key: None, .. },
                ..
            })
        )
    }

    fn merge_key(&mut self, place: Place) {
        if let Some(Open {
            kind: OpenKind::Map { key, .. },
            ..
        }) = self.open.last_mut()
        {
            *key = Some(Key::Merge(place));
        }
    }

    fn attach(&mut self, node: Rc<Node>, place: Place) -> Result<(), IntentProblem> {
        let path = self.path;
        let problem = |place, reason: String| Err(IntentProblem::at(path, place, reason));
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map {
                pairs,
                keys,
                merged,
                key,
            }) => match key.take() {
                None => {
                    let Some((name, kind)) = name(&node.value) else {
                        return problem(place, "a key must be a word, not a list or a map".to_owned());
                    };
                    if name.len() > MOST_KEY_BYTES {
                        let reason = format!(
                            "a key has {} bytes, more than the limit of {MOST_KEY_BYTES}; shorten it",
                            name.len()
                        );
                        return problem(place, reason);
                    }
                    if !keys.insert(Rc::clone(&name)) {
                        return problem(place, format!("duplicate key {name}; remove one of them"));
                    }
                    *key = Some(Key::Name(name, kind, place));
                }
                Some(Key::Name(name, key_kind, key_place)) => pairs.push(Pair {
                    key: name,
                    key_kind,
                    key_place,
                    value: node,
                }),
                Some(Key::Merge(key_place)) => match &node.value {
                    Value::Map(_) => merged.push(node),
                    Value::List(maps) if maps.iter().all(|map| map.as_map().is_some()) => {
                        merged.extend(maps.iter().cloned());
                    }
                    _ => return problem(key_place, "`<<` needs a map or a list of maps".to_owned()),
                },
            },
        }
        Ok(())
    }
}

/// The keys of a map after those that are merged into it, which come first, as in Python. Of the same key in several maps the first one
/// counts, and the map's own key before them all.
fn with_merged(own: Vec<Pair>, merged: &[Rc<Node>]) -> Vec<Pair> {
    let mut places: HashMap<Rc<str>, usize> = HashMap::new();
    let mut pairs: Vec<Pair> = Vec::new();
    let merged = merged
        .iter()
        .rev()
        .flat_map(|map| map.as_map().unwrap_or_default().iter().cloned());
    for pair in merged.chain(own) {
        match places.entry(Rc::clone(&pair.key)) {
            Entry::Occupied(place) => pairs[*place.get()] = pair,
            Entry::Vacant(place) => {
                place.insert(pairs.len());
                pairs.push(pair);
            }
        }
    }
    pairs
}

/// A key as text, and what it is.
fn name(value: &Value) -> Option<(Rc<str>, KeyKind)> {
    match value {
        Value::Text(text) => Some((text.as_str().into(), KeyKind::Text)),
        Value::Integer(number) => Some((number.to_string().into(), KeyKind::Integer(*number))),
        Value::Boolean(value) => Some((value.to_string().into(), KeyKind::Boolean(*value))),
        Value::Null => Some(("null".into(), KeyKind::Null)),
        Value::Number(_) | Value::Date(_) | Value::List(_) | Value::Map(_) => None,
    }
}
