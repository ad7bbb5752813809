//! The values of a rendering: what Python's values are to Jinja2. They belong to one rendering and never leave its thread.

use lockstep_protocol::SmolStr;
use std::cell::{Cell, Ref, RefCell, RefMut};
use std::hash::{Hash, Hasher};
use std::mem;
use std::rc::Rc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use minijinja::Value;

use super::convert;
use super::failure::{Res, fail};
use super::interpreter::{Callable, LoopState, Module};

/// How deep values may be nested where they are printed, compared or converted.
pub(super) const MAX_NESTING: usize = 100;

/// How many values a tuple may have, with those of tuples in it, to be a key of a dictionary.
const MAX_KEY_ITEMS: usize = 1_000;

#[derive(Clone)]
pub(super) enum Val {
    /// With the name that is undefined, if there is one.
    Undefined(Option<SmolStr>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(SmolStr),
    List(Rc<List>),
    Tuple(Rc<Tuple>),
    Dict(Rc<Dict>),
    /// The keys, values or items of a dictionary.
    View(View, Rc<Dict>),
    Range(Rc<Range>),
    /// What Python's generators and iterators are: it can be iterated once.
    Iterator(Rc<Iter>),
    Namespace(Rc<Dict>),
    Callable(Rc<Callable>),
    Loop(Rc<LoopState>),
    Module(Rc<Module>),
    Cycler(Rc<Cycler>),
    /// The separator, and whether it was called before.
    Joiner(Rc<(Val, Cell<bool>)>),
    /// An object of a filter that is not ours, such as an address.
    Foreign(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Keys,
    Values,
    Items,
}

/// The content of a list or dictionary. That of a variable is made when it is first used: most templates use little of what is there.
#[derive(Default)]
struct Lazy<T> {
    content: RefCell<T>,
    source: RefCell<Option<Value>>,
}

impl<T: Default> Lazy<T> {
    fn new(content: T) -> Self {
        Self {
            content: RefCell::new(content),
            source: RefCell::default(),
        }
    }

    fn of(source: &Value) -> Self {
        Self {
            content: RefCell::default(),
            source: RefCell::new(Some(source.clone())),
        }
    }

    /// Makes the content, if that was not done before.
    #[inline]
    fn make(&self, make: fn(&Value) -> T) {
        if self.source.borrow().is_some()
            && let Some(source) = self.source.take()
        {
            *self.content.borrow_mut() = make(&source);
        }
    }
}

/// A list, which can be changed.
#[derive(Default)]
pub(super) struct List(Lazy<Vec<Val>>);

/// A tuple, perhaps with names for its items as those of `groupby`.
pub(super) struct Tuple {
    items: Box<[Val]>,
    pub(super) names: &'static [&'static str],
}

pub(super) type Entries = IndexMap<Key, Val, RandomState>;

/// A dictionary in the order of insertion, which can be changed.
#[derive(Default)]
pub(super) struct Dict(Lazy<Entries>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: i128,
    pub(super) stop: i128,
    pub(super) step: i128,
}

/// The values that an iterator still gives.
pub(super) struct Iter {
    /// What Python calls it.
    pub(super) name: &'static str,
    pub(super) rest: RefCell<std::vec::IntoIter<Val>>,
}

pub(super) struct Cycler {
    pub(super) items: Vec<Val>,
    pub(super) position: Cell<usize>,
}

impl Val {
    pub(super) fn str(text: impl AsRef<str>) -> Self {
        Self::Str(SmolStr::new(text))
    }

    pub(super) fn list(items: Vec<Val>) -> Self {
        Self::List(Rc::new(List(Lazy::new(items))))
    }

    pub(super) fn tuple(items: Vec<Val>) -> Self {
        Self::Tuple(Rc::new(Tuple::new(items, &[])))
    }

    pub(super) fn dict(entries: Entries) -> Self {
        Self::Dict(Rc::new(Dict(Lazy::new(entries))))
    }

    /// An iterator, as most filters of Jinja2 give one.
    pub(super) fn generator(items: Vec<Val>) -> Self {
        Self::Iterator(Rc::new(Iter {
            name: "generator",
            rest: RefCell::new(items.into_iter()),
        }))
    }

    pub(super) fn size(length: usize) -> Self {
        Self::Int(i128::try_from(length).unwrap_or(i128::MAX))
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    /// The integer that Python takes it for.
    pub(super) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(truth) => Some(i128::from(*truth)),
            _ => None,
        }
    }

    /// The number that Python takes it for.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            _ => self.as_int().map(float_of),
        }
    }

    /// What Python calls its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::View(View::Keys, _) => "dict_keys",
            Self::View(View::Values, _) => "dict_values",
            Self::View(View::Items, _) => "dict_items",
            Self::Range(_) => "range",
            Self::Iterator(iter) => iter.name,
            Self::Namespace(_) => "Namespace",
            Self::Callable(callable) => callable.type_name(),
            Self::Loop(_) => "LoopContext",
            Self::Module(_) => "TemplateModule",
            Self::Cycler(_) => "Cycler",
            Self::Joiner(_) => "Joiner",
            Self::Foreign(_) => "object",
        }
    }
}

impl From<bool> for Val {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<&str> for Val {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

/// The closest float.
#[expect(clippy::cast_precision_loss, reason = "Python rounds, too")]
pub(super) fn float_of(number: i128) -> f64 {
    number as f64
}

/// The integer part of a float, if an integer can hold it.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn int_of(number: f64) -> Option<i128> {
    (number.abs() < 1.7e38).then_some(number as i128)
}

impl Tuple {
    pub(super) fn new(items: Vec<Val>, names: &'static [&'static str]) -> Self {
        Self {
            items: items.into_boxed_slice(),
            names,
        }
    }

    pub(super) fn items(&self) -> &[Val] {
        &self.items
    }
}

impl List {
    /// The variable that it is, as long as nothing has used it.
    pub(super) fn unused(&self) -> Option<Value> {
        self.0.source.borrow().clone()
    }

    /// A list with the items of a variable, a `Vec<Value>`.
    pub(super) fn of(source: &Value) -> Self {
        Self(Lazy::of(source))
    }

    pub(super) fn borrow(&self) -> Ref<'_, Vec<Val>> {
        self.0.make(convert::items);
        self.0.content.borrow()
    }

    pub(super) fn borrow_mut(&self) -> RefMut<'_, Vec<Val>> {
        self.0.make(convert::items);
        self.0.content.borrow_mut()
    }

    pub(super) fn take(&self) -> Vec<Val> {
        self.0.source.take();
        self.0.content.take()
    }
}

impl Dict {
    /// The variable that it is, as long as nothing has used it.
    pub(super) fn unused(&self) -> Option<Value> {
        self.0.source.borrow().clone()
    }

    /// A dictionary with the entries of a variable, an `IndexMap<Value, Value>`.
    pub(super) fn of(source: &Value) -> Self {
        Self(Lazy::of(source))
    }

    pub(super) fn borrow(&self) -> Ref<'_, Entries> {
        self.0.make(convert::entries);
        self.0.content.borrow()
    }

    pub(super) fn borrow_mut(&self) -> RefMut<'_, Entries> {
        self.0.make(convert::entries);
        self.0.content.borrow_mut()
    }

    pub(super) fn take(&self) -> Entries {
        self.0.source.take();
        self.0.content.take()
    }

    pub(super) fn get(&self, key: &str) -> Option<Val> {
        self.borrow().get(&Text(key)).cloned()
    }

    pub(super) fn insert(&self, key: &SmolStr, value: Val) {
        let key = Key(Val::Str(key.clone()));
        self.borrow_mut().insert(key, value);
    }
}

impl Range {
    pub(super) fn len(&self) -> usize {
        let (distance, step) = if self.step > 0 {
            (self.stop.saturating_sub(self.start), self.step)
        } else {
            (self.start.saturating_sub(self.stop), self.step.saturating_neg())
        };
        let length = if distance <= 0 {
            0
        } else {
            (distance - 1) / step + 1
        };
        usize::try_from(length).unwrap_or(usize::MAX)
    }

    pub(super) fn get(&self, index: usize) -> Option<Val> {
        let index = (index < self.len()).then(|| i128::try_from(index).ok())??;
        let value = self.start.checked_add(self.step.checked_mul(index)?)?;
        Some(Val::Int(value))
    }
}

/// A key of a dictionary: a value that Python can hash.
#[derive(Clone)]
pub(super) struct Key(Val);

impl Key {
    /// # Errors
    /// Lists and dictionaries are no keys.
    pub(super) fn new(value: Val) -> Res<Self> {
        check_hashable(&value, 0, &mut 0)?;
        Ok(Self(value))
    }

    pub(super) fn text(text: &str) -> Self {
        Self(Val::str(text))
    }

    pub(super) fn value(&self) -> &Val {
        &self.0
    }
}

/// Keys are hashed and compared without fuel, so they are small.
fn check_hashable(value: &Val, depth: usize, items: &mut usize) -> Res<()> {
    *items += 1;
    if depth > MAX_NESTING || *items > MAX_KEY_ITEMS {
        fail!("a key of a dictionary is too large");
    }
    match value {
        Val::List(_) | Val::Dict(_) => fail!("a {} cannot be a key of a dictionary", value.type_name()),
        Val::Tuple(tuple) => {
            let mut parts = tuple.items().iter();
            parts.try_for_each(|item| check_hashable(item, depth + 1, items))
        }
        _ => Ok(()),
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(&self.0, state);
    }
}

fn hash<H: Hasher>(value: &Val, state: &mut H) {
    match value {
        Val::Str(text) => text.hash(state),
        Val::Bool(truth) => i128::from(*truth).hash(state),
        Val::Int(number) => number.hash(state),
        Val::Float(number) => match int_of(*number) {
            Some(integer) if float_of(integer).to_bits() == number.to_bits() => integer.hash(state),
            _ => number.to_bits().hash(state),
        },
        Val::Tuple(tuple) => tuple.items().iter().for_each(|item| hash(item, state)),
        Val::Foreign(object) => object.to_string().hash(state),
        _ => mem::discriminant(value).hash(state),
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        super::operators::equal(&self.0, &other.0, 0).unwrap_or(false)
    }
}

impl Eq for Key {}

/// A key that is looked up by its text.
#[derive(Hash)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl indexmap::Equivalent<Key> for Text<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.0.as_str() == Some(self.0)
    }
}

/// Drops values that nothing else holds without recursion: a template can nest them as deep as it has fuel.
fn dismantle(mut values: Vec<Val>) {
    while let Some(value) = values.pop() {
        match value {
            Val::List(list) => {
                if let Some(list) = Rc::into_inner(list) {
                    values.append(&mut list.take());
                }
            }
            Val::Dict(dict) | Val::Namespace(dict) => {
                if let Some(dict) = Rc::into_inner(dict) {
                    values.extend(dict.take().into_iter().flat_map(|(key, value)| [key.0, value]));
                }
            }
            Val::Tuple(tuple) => {
                if let Some(mut tuple) = Rc::into_inner(tuple) {
                    values.append(&mut mem::take(&mut tuple.items).into_vec());
                }
            }
            Val::Iterator(iter) => {
                if let Some(iter) = Rc::into_inner(iter) {
                    values.extend(iter.rest.take());
                }
            }
            _ => {}
        }
    }
}

fn holds_values(value: &Val) -> bool {
    matches!(
        value,
        Val::List(_) | Val::Dict(_) | Val::Tuple(_) | Val::Namespace(_) | Val::Iterator(_)
    )
}

/// Drops the values of a container: by recursion as long as that is not deep.
fn release(values: Vec<Val>) {
    thread_local! {
        static DEPTH: Cell<usize> = const { Cell::new(0) };
    }
    let depth = DEPTH.get();
    if depth < 50 {
        DEPTH.set(depth + 1);
        drop(values);
        DEPTH.set(depth);
    } else {
        dismantle(values);
    }
}

impl Drop for List {
    fn drop(&mut self) {
        let items = self.0.content.get_mut();
        if items.iter().any(holds_values) {
            release(mem::take(items));
        }
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        let entries = self.0.content.get_mut();
        if entries
            .iter()
            .any(|(key, value)| holds_values(&key.0) || holds_values(value))
        {
            let entries = mem::take(entries).into_iter();
            release(
                entries
                    .flat_map(|(key, value)| [key.0, value])
                    .filter(holds_values)
                    .collect(),
            );
        }
    }
}

impl Drop for Tuple {
    fn drop(&mut self) {
        if self.items.iter().any(holds_values) {
            release(mem::take(&mut self.items).into_vec());
        }
    }
}
