//! What templates ask of values.

use lockstep_protocol::SmolStr;
use std::borrow::Cow;
use std::rc::Rc;

use minijinja::ErrorKind;

use super::{Callable, NO_BRANCH, Run, article, view_items};
use crate::jinja::failure::{Failure, Res, fail};
use crate::jinja::print::write_str;
use crate::jinja::value::{Key, Val, View};
use crate::jinja::{Undefined, convert, methods, operators};

impl Run<'_> {
    /// The failure of using what is undefined.
    pub(in crate::jinja) fn undefined(name: Option<&str>) -> Failure {
        match name {
            Some(name) if name != NO_BRANCH => Failure::new(format!("`{name}` is undefined")),
            _ => Failure::new("a value is undefined"),
        }
    }

    /// What printing, iterating and comparing an undefined value does.
    pub(in crate::jinja) fn use_undefined(&self, name: Option<&str>) -> Res<()> {
        if self.set.undefined == Undefined::Strict && name != Some(NO_BRANCH) {
            return Err(Self::undefined(name));
        }
        Ok(())
    }

    pub(in crate::jinja) fn use_value(&self, value: &Val) -> Res<()> {
        match value {
            Val::Undefined(name) => self.use_undefined(name.as_deref()),
            _ => Ok(()),
        }
    }

    /// Whether a value is true.
    pub(in crate::jinja) fn truth(&self, value: &Val) -> Res<bool> {
        Ok(match value {
            Val::Undefined(name) => {
                self.use_undefined(name.as_deref())?;
                false
            }
            Val::None => false,
            Val::Bool(truth) => *truth,
            Val::Int(number) => *number != 0,
            Val::Float(number) => *number != 0.0,
            Val::Foreign(object) => object.is_true(),
            _ => self.length(value)? != Some(0),
        })
    }

    /// The length of what has one.
    pub(in crate::jinja) fn length(&self, value: &Val) -> Res<Option<usize>> {
        Ok(match value {
            Val::Undefined(name) => {
                self.use_undefined(name.as_deref())?;
                Some(0)
            }
            Val::Str(text) if text.is_ascii() => Some(text.len()),
            Val::Str(text) => Some(text.chars().count()),
            Val::List(list) => Some(list.borrow().len()),
            Val::Tuple(tuple) => Some(tuple.items().len()),
            Val::Dict(dict) | Val::View(_, dict) => Some(dict.borrow().len()),
            Val::Range(range) => Some(range.len()),
            Val::Foreign(object) => object.len(),
            _ => None,
        })
    }

    /// The text of a value, as Python's `str` has it.
    pub(in crate::jinja) fn text<'v>(&self, value: &'v Val) -> Res<Cow<'v, str>> {
        if let Val::Str(text) = value {
            self.charge_text(text.len())?;
            return Ok(Cow::Borrowed(text));
        }
        let mut text = String::new();
        write_str(self, &mut text, value)?;
        self.charge_text(text.len())?;
        Ok(Cow::Owned(text))
    }

    /// The items of a value. An iterator has none afterwards.
    pub(in crate::jinja) fn iterate(&self, value: &Val) -> Res<Vec<Val>> {
        let items = match value {
            Val::List(list) => list.borrow().clone(),
            Val::Tuple(tuple) => tuple.items().to_vec(),
            Val::Dict(dict) => view_items(View::Keys, dict),
            Val::View(view, dict) => view_items(*view, dict),
            Val::Str(text) => {
                self.allocate_items(text.len())?;
                text.chars()
                    .map(|character| Val::from(character.encode_utf8(&mut [0; 4]) as &str))
                    .collect()
            }
            Val::Range(range) => {
                self.allocate_items(range.len())?;
                (0..range.len()).filter_map(|index| range.get(index)).collect()
            }
            Val::Iterator(iter) => std::mem::take(&mut *iter.rest.borrow_mut()).collect(),
            Val::Undefined(name) => {
                self.use_undefined(name.as_deref())?;
                Vec::new()
            }
            Val::Loop(state) => state.remaining(self)?,
            Val::Foreign(object) => match object.try_iter() {
                Ok(items) => {
                    let mut converted = Vec::new();
                    for item in items {
                        self.allocate_items(1)?;
                        converted.push(convert::from_foreign(self, &item)?);
                    }
                    converted
                }
                Err(_) => fail!("{object} cannot be iterated"),
            },
            _ => fail!("{} cannot be iterated", article(value.type_name())),
        };
        self.charge(items.len() as u64)?;
        Ok(items)
    }

    /// An attribute, or else an item: what `a.b` is.
    pub(in crate::jinja) fn attribute(&self, value: &Val, name: &SmolStr) -> Res<Val> {
        let found = match value {
            Val::Dict(dict) if !methods::is_dict_method(name) => dict.get(name),
            Val::Namespace(dict) => dict.get(name),
            Val::Module(module) => module.exports.get(name).cloned(),
            Val::Loop(state) => state.attribute(self, name)?,
            Val::Tuple(tuple) if !tuple.names.is_empty() => {
                let index = tuple.names.iter().position(|own| **own == **name);
                index.and_then(|index| tuple.items().get(index).cloned())
            }
            Val::Cycler(cycler) if &**name == "current" => cycler.items.get(cycler.position.get()).cloned(),
            Val::Callable(callable) => callable.attribute(name),
            Val::Undefined(undefined) => return Err(Self::undefined(undefined.as_deref())),
            Val::Foreign(object) => match object.get_attr(name) {
                Ok(value) if !value.is_undefined() => Some(convert::from_foreign(self, &value)?),
                Ok(_) => None,
                Err(error) if error.kind() == ErrorKind::UndefinedError => None,
                Err(error) => return Err(convert::failure(&error)),
            },
            _ => None,
        };
        if let Some(found) = found {
            return Ok(found);
        }
        if methods::has_method(value, name) {
            return Ok(Val::Callable(Rc::new(Callable::Method(
                value.clone(),
                name.clone(),
            ))));
        }
        Ok(Val::Undefined(Some(name.clone())))
    }

    /// An item, or else an attribute: what `a[b]` is.
    pub(in crate::jinja) fn item(&self, value: &Val, key: &Val) -> Res<Val> {
        if let Some(index) = key.as_int() {
            let length = match value {
                Val::List(_) | Val::Tuple(_) | Val::Str(_) | Val::Range(_) => self.length(value)?,
                _ => None,
            };
            if let Some(length) = length {
                let length = i128::try_from(length).unwrap_or(i128::MAX);
                let index = if index < 0 { index + length } else { index };
                let found = usize::try_from(index).ok().and_then(|index| match value {
                    Val::List(list) => list.borrow().get(index).cloned(),
                    Val::Tuple(tuple) => tuple.items().get(index).cloned(),
                    Val::Str(text) => text.chars().nth(index).map(|found| Val::from(found.to_string())),
                    Val::Range(range) => range.get(index),
                    _ => None,
                });
                if let Val::Str(text) = value {
                    self.charge_text(text.len())?;
                }
                return Ok(found.unwrap_or_else(|| Val::Undefined(None)));
            }
        }
        match (value, key) {
            (Val::Dict(dict), _) => {
                let found = match key {
                    Val::Str(key) => dict.get(key),
                    _ => Key::new(key.clone())
                        .ok()
                        .and_then(|key| dict.borrow().get(&key).cloned()),
                };
                if let Some(found) = found {
                    return Ok(found);
                }
            }
            (Val::Undefined(name), _) => return Err(Self::undefined(name.as_deref())),
            (Val::Foreign(object), _) => {
                let found = object.get_item(&convert::to_foreign(self, key)?);
                if let Some(found) = found.ok().filter(|found| !found.is_undefined()) {
                    return convert::from_foreign(self, &found);
                }
            }
            _ => {}
        }
        match key {
            Val::Str(name) => self.attribute(value, name),
            _ => Ok(Val::Undefined(None)),
        }
    }

    /// How two values are ordered where letters may be as if lower case.
    pub(in crate::jinja) fn sort_key(&self, value: Val, case_sensitive: bool) -> Res<Val> {
        Ok(match value {
            Val::Str(text) if !case_sensitive => {
                self.charge_text(text.len())?;
                Val::from(text.to_lowercase())
            }
            _ => value,
        })
    }

    /// Sorts by keys, as stable as Python sorts.
    pub(in crate::jinja) fn sort(&self, items: &mut [(Val, Val)], reverse: bool) -> Res<()> {
        let mut failure = None;
        items.sort_by(|(left, _), (right, _)| {
            if failure.is_some() {
                return std::cmp::Ordering::Equal;
            }
            let order = match (left, right) {
                // Python compares only what is not equal.
                (Val::Undefined(name), Val::Undefined(_)) => self
                    .use_undefined(name.as_deref())
                    .map(|()| std::cmp::Ordering::Equal),
                _ => operators::order(self, left, right, 0),
            };
            let order = order.unwrap_or_else(|error| {
                failure = Some(error);
                std::cmp::Ordering::Equal
            });
            if reverse { order.reverse() } else { order }
        });
        failure.map_or(Ok(()), Err)
    }
}
