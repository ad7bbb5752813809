//! Renders parsed templates.

mod calls;
mod expressions;
mod loops;
mod statements;

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use minijinja::{ErrorKind, State, Value};

pub(super) use calls::{Args, Callable};
pub(super) use loops::LoopState;

use super::failure::{Failure, Res, fail};
use super::operators;
use super::print::write_str;
use super::syntax::tree::{Block, Template};
use super::value::{Dict, Key, Val, View};
use super::{Bounds, TemplateSet, Undefined, convert, environment};

/// How deep macros, includes, blocks and recursive loops may be nested.
const MAX_CALLS: usize = 200;

/// The most items of one list or dictionary.
const MAX_ITEMS: usize = 1_000_000;

/// The name of the undefined value of `a if b` without an `else`, which prints nothing even where undefined values are errors.
pub(super) const NO_BRANCH: &str = "";

pub(super) type Variables = HashMap<Arc<str>, Val>;

/// One rendering: what it may still use, and what is there once in it.
pub(super) struct Run<'s> {
    set: &'s TemplateSet,
    variables: &'s Value,
    bounds: Bounds,
    fuel: Cell<u64>,
    memory: Cell<usize>,
    depth: Cell<usize>,
    /// The variables that templates have used, as our values: a list that a template changes stays changed.
    used_variables: RefCell<HashMap<Arc<str>, Option<Val>>>,
    /// Modules imported without context.
    modules: RefCell<HashMap<Arc<str>, Rc<Module>>>,
    foreign: OnceCell<RefCell<State<'static, 'static>>>,
    /// What may contain itself, and is emptied in the end.
    circular: RefCell<Vec<Circular>>,
}

enum Circular {
    Value(Val),
    Frame(Weak<Frame>),
    Context(Weak<Context>),
}

/// The variables of a template, which the templates that it includes and its blocks see.
pub(super) struct Context {
    /// Those that were there before the template.
    outer: Rc<Variables>,
    /// Those that it sets.
    own: RefCell<Variables>,
    /// Those of its own that cannot be imported.
    hidden: RefCell<HashSet<Arc<str>>>,
    /// Whether it sees the variables of the rendering.
    sees_variables: bool,
    /// For each block the ones of this name, that of the last template first.
    blocks: Rc<RefCell<Blocks>>,
}

type Blocks = HashMap<Arc<str>, Vec<(Arc<Template>, Arc<Block>)>>;

/// The variables of a unit.
pub(super) struct Frame {
    slots: RefCell<Vec<Option<Val>>>,
    /// The frame in which its macro was defined.
    parent: Option<Rc<Frame>>,
}

/// The template that a template extends, and the line that says so.
type Extends = OnceCell<(Arc<Template>, u32)>;

/// Where a statement is executed.
#[derive(Clone)]
pub(super) struct Env {
    template: Arc<Template>,
    context: Rc<Context>,
    frame: Rc<Frame>,
    /// The block, and how many templates have one that comes before it.
    block: Option<(Arc<str>, usize)>,
    /// On the first level of a template: the one that it extends.
    extends: Option<Rc<Extends>>,
}

/// An imported template.
pub(super) struct Module {
    pub(super) text: String,
    exports: Variables,
}

impl Frame {
    fn new(slots: usize, parent: Option<Rc<Self>>) -> Rc<Self> {
        Rc::new(Self {
            slots: RefCell::new(vec![None; slots]),
            parent,
        })
    }

    fn set(&self, slot: u16, value: Val) {
        if let Some(place) = self.slots.borrow_mut().get_mut(usize::from(slot)) {
            *place = Some(value);
        }
    }

    fn clear(&self, slots: std::ops::Range<usize>) {
        if !slots.is_empty()
            && let Some(slots) = self.slots.borrow_mut().get_mut(slots)
        {
            slots.fill(None);
        }
    }

    fn get(&self, slot: u16) -> Option<Val> {
        self.slots.borrow().get(usize::from(slot)).cloned().flatten()
    }
}

impl Context {
    /// All variables that templates have set.
    fn all(&self) -> Rc<Variables> {
        let own = self.own.borrow();
        if own.is_empty() {
            return Rc::clone(&self.outer);
        }
        let mut all = (*self.outer).clone();
        all.extend(own.iter().map(|(name, value)| (Arc::clone(name), value.clone())));
        Rc::new(all)
    }

    /// The context of an included template or a scoped block.
    fn derive(&self, locals: Vec<(Arc<str>, Val)>, keeps_blocks: bool) -> Rc<Self> {
        let mut outer = self.all();
        if !locals.is_empty() {
            Rc::make_mut(&mut outer).extend(locals);
        }
        Rc::new(Self {
            outer,
            own: RefCell::default(),
            hidden: RefCell::default(),
            sees_variables: self.sees_variables,
            blocks: if keeps_blocks {
                Rc::clone(&self.blocks)
            } else {
                Rc::default()
            },
        })
    }

    fn empty(sees_variables: bool) -> Rc<Self> {
        Rc::new(Self {
            outer: Rc::default(),
            own: RefCell::default(),
            hidden: RefCell::default(),
            sees_variables,
            blocks: Rc::default(),
        })
    }
}

impl<'s> Run<'s> {
    pub(super) fn new(set: &'s TemplateSet, variables: &'s Value, bounds: Bounds) -> Self {
        Self {
            set,
            variables,
            bounds,
            fuel: Cell::new(bounds.fuel),
            memory: Cell::new(bounds.memory),
            depth: Cell::new(0),
            used_variables: RefCell::default(),
            modules: RefCell::default(),
            foreign: OnceCell::new(),
            circular: RefCell::default(),
        }
    }

    /// The text of a template.
    pub(super) fn render(&self, entrypoint: &str) -> Res<String> {
        let template = self.set.template(entrypoint)?;
        let mut out = String::with_capacity(16 << 10);
        self.template(template, &Context::empty(true), &mut out)?;
        Ok(out)
    }

    /// Pays for work.
    pub(super) fn charge(&self, work: u64) -> Res<()> {
        let fuel = self.fuel.get();
        if work > fuel {
            self.fuel.set(0);
            fail!(
                "it takes more than {} steps: let it do less, or look for a loop without an end",
                self.bounds.fuel
            );
        }
        self.fuel.set(fuel - work);
        Ok(())
    }

    /// Pays for reading a text.
    pub(super) fn charge_text(&self, length: usize) -> Res<()> {
        self.charge(length as u64 / 32)
    }

    /// Pays for the memory and the work of a value of so many bytes.
    pub(super) fn allocate(&self, bytes: usize) -> Res<()> {
        let memory = self.memory.get();
        if bytes > self.bounds.output.max(1 << 20) {
            fail!(
                "it makes a value of {bytes} bytes; the most are {}",
                self.bounds.output.max(1 << 20)
            );
        }
        if bytes > memory {
            fail!(
                "its values take more than {} bytes: let it do less, or look for a loop without an end",
                self.bounds.memory
            );
        }
        self.memory.set(memory - bytes);
        self.charge_text(bytes)
    }

    /// Pays for a list of so many items.
    pub(super) fn allocate_items(&self, items: usize) -> Res<()> {
        if items > MAX_ITEMS {
            fail!("it makes a list of {items} items; the most are {MAX_ITEMS}");
        }
        self.charge(items as u64 / 2)?;
        let bytes = items * size_of::<Val>();
        if bytes > self.memory.get() {
            return self.allocate(bytes);
        }
        self.memory.set(self.memory.get() - bytes);
        Ok(())
    }

    /// Appends to a text, as far as it may be long.
    pub(super) fn append(&self, out: &mut String, text: &str) -> Res<()> {
        if out.len() + text.len() > self.bounds.output {
            fail!("it makes a text of more than {} bytes", self.bounds.output);
        }
        out.push_str(text);
        Ok(())
    }

    /// Runs what belongs to a macro, include, block or recursive loop.
    fn nested<T>(&self, run: impl FnOnce() -> Res<T>) -> Res<T> {
        let depth = self.depth.get();
        if depth >= MAX_CALLS {
            fail!(
                "macros, includes and blocks are nested more than {MAX_CALLS} deep: look for a recursion without an end"
            );
        }
        self.depth.set(depth + 1);
        let result = stacker::maybe_grow(512 << 10, 4 << 20, run);
        self.depth.set(depth);
        result
    }

    /// Notes a value that may contain itself from now on.
    pub(super) fn note_change(&self, container: &Val, added: &Val) {
        let is_container = !matches!(
            added,
            Val::Str(_) | Val::Int(_) | Val::Bool(_) | Val::None | Val::Float(_) | Val::Undefined(_)
        );
        if is_container {
            self.circular
                .borrow_mut()
                .push(Circular::Value(container.clone()));
        }
    }

    /// Notes that something in a frame or context refers to it.
    fn note_closure(&self, env: &Env) {
        let mut circular = self.circular.borrow_mut();
        circular.push(Circular::Frame(Rc::downgrade(&env.frame)));
        circular.push(Circular::Context(Rc::downgrade(&env.context)));
    }

    /// The failure of using what is undefined.
    pub(super) fn undefined(name: Option<&str>) -> Failure {
        match name {
            Some(name) if name != NO_BRANCH => Failure::new(format!("`{name}` is undefined")),
            _ => Failure::new("a value is undefined"),
        }
    }

    /// What printing, iterating and comparing an undefined value does.
    pub(super) fn use_undefined(&self, name: Option<&str>) -> Res<()> {
        if self.set.undefined == Undefined::Strict && name != Some(NO_BRANCH) {
            return Err(Self::undefined(name));
        }
        Ok(())
    }

    pub(super) fn use_value(&self, value: &Val) -> Res<()> {
        match value {
            Val::Undefined(name) => self.use_undefined(name.as_deref()),
            _ => Ok(()),
        }
    }

    /// Whether a value is true.
    pub(super) fn truth(&self, value: &Val) -> Res<bool> {
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
    pub(super) fn length(&self, value: &Val) -> Res<Option<usize>> {
        Ok(match value {
            Val::Undefined(name) => {
                self.use_undefined(name.as_deref())?;
                Some(0)
            }
            Val::Str(text) if text.is_ascii() => Some(text.len()),
            Val::Str(text) => Some(text.chars().count()),
            Val::List(list) => Some(list.0.borrow().len()),
            Val::Tuple(tuple) => Some(tuple.items().len()),
            Val::Dict(dict) | Val::View(_, dict) => Some(dict.0.borrow().len()),
            Val::Range(range) => Some(range.len()),
            Val::Foreign(object) => object.len(),
            _ => None,
        })
    }

    /// The text of a value, as Python's `str` has it.
    pub(super) fn text<'v>(&self, value: &'v Val) -> Res<Cow<'v, str>> {
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
    pub(super) fn iterate(&self, value: &Val) -> Res<Vec<Val>> {
        let items = match value {
            Val::List(list) => list.0.borrow().clone(),
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

    /// A variable that no scope of its template has.
    fn resolve(&self, name: &Arc<str>, env: &Env) -> Res<Val> {
        let context = &env.context;
        if let Some(value) = context.own.borrow().get(name) {
            return Ok(value.clone());
        }
        if let Some(value) = context.outer.get(name) {
            return Ok(value.clone());
        }
        if context.sees_variables
            && let Some(value) = self.variable(name)?
        {
            return Ok(value);
        }
        if let Some(function) = super::builtins::function(name) {
            return Ok(Val::Callable(Rc::new(Callable::Function(function))));
        }
        match &**name {
            "super" if env.block.is_some() => {
                return Ok(Val::Callable(Rc::new(Callable::Super(env.clone()))));
            }
            "self" => return Ok(Val::Callable(Rc::new(Callable::This(env.clone())))),
            _ => {}
        }
        if let Some(global) = environment().globals().find(|(global, _)| **global == **name) {
            return Ok(Val::Foreign(global.1));
        }
        Ok(Val::Undefined(Some(Arc::clone(name))))
    }

    fn variable(&self, name: &Arc<str>) -> Res<Option<Val>> {
        if let Some(value) = self.used_variables.borrow().get(name) {
            return Ok(value.clone());
        }
        let value = self
            .variables
            .get_attr(name)
            .ok()
            .filter(|value| !value.is_undefined());
        let value = value
            .map(|value| convert::from_foreign(self, &value))
            .transpose()?;
        self.used_variables
            .borrow_mut()
            .insert(Arc::clone(name), value.clone());
        Ok(value)
    }

    /// An attribute, or else an item: what `a.b` is.
    pub(super) fn attribute(&self, value: &Val, name: &Arc<str>) -> Res<Val> {
        let found = match value {
            Val::Dict(dict) if !super::methods::is_dict_method(name) => dict.get(name),
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
        if super::methods::has_method(value, name) {
            return Ok(Val::Callable(Rc::new(Callable::Method(
                value.clone(),
                Arc::clone(name),
            ))));
        }
        Ok(Val::Undefined(Some(Arc::clone(name))))
    }

    /// An item, or else an attribute: what `a[b]` is.
    pub(super) fn item(&self, value: &Val, key: &Val) -> Res<Val> {
        if let Some(index) = key.as_int() {
            let length = match value {
                Val::List(_) | Val::Tuple(_) | Val::Str(_) | Val::Range(_) => self.length(value)?,
                _ => None,
            };
            if let Some(length) = length {
                let length = i128::try_from(length).unwrap_or(i128::MAX);
                let index = if index < 0 { index + length } else { index };
                let found = usize::try_from(index).ok().and_then(|index| match value {
                    Val::List(list) => list.0.borrow().get(index).cloned(),
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
                        .and_then(|key| dict.0.borrow().get(&key).cloned()),
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

    fn state(&self) -> &RefCell<State<'static, 'static>> {
        self.foreign
            .get_or_init(|| RefCell::new(environment().empty_state()))
    }

    /// Calls a method of an object of a filter.
    pub(super) fn foreign_method(&self, object: &Value, name: &str, args: &[Value]) -> Res<Val> {
        let result = object.call_method(&mut self.state().borrow_mut(), name, args);
        convert::from_foreign(self, &result.map_err(|error| convert::failure(&error))?)
    }

    fn foreign_call(&self, object: &Value, args: &Args) -> Res<Val> {
        let args = self.foreign_args(None, args)?;
        let result = object.call(&mut self.state().borrow_mut(), &args);
        convert::from_foreign(self, &result.map_err(|error| convert::failure(&error))?)
    }

    fn foreign_args(&self, input: Option<&Val>, args: &Args) -> Res<Vec<Value>> {
        let values = input.into_iter().chain(&args.positional);
        let mut foreign = values
            .map(|value| convert::to_foreign(self, value))
            .collect::<Res<Vec<_>>>()?;
        if !args.named.is_empty() {
            let named = args
                .named
                .iter()
                .map(|(name, value)| Ok((name.to_string(), convert::to_foreign(self, value)?)));
            let named = named.collect::<Res<Vec<_>>>()?;
            foreign.push(Value::from(
                named.into_iter().collect::<minijinja::value::Kwargs>(),
            ));
        }
        Ok(foreign)
    }

    /// Applies a filter by its name.
    pub(super) fn filter(&self, env: &Env, name: &str, input: &Val, args: &Args) -> Res<Val> {
        match super::builtins::filter(name) {
            Some(filter) => filter(self, env, input, args),
            None => self.foreign_filter(name, input, args),
        }
    }

    fn foreign_filter(&self, name: &str, input: &Val, args: &Args) -> Res<Val> {
        let args = self.foreign_args(Some(input), args)?;
        let result = self.state().borrow_mut().apply_filter(name, &args);
        match result {
            Ok(value) => convert::from_foreign(self, &value),
            Err(error) if error.kind() == ErrorKind::UnknownFilter => fail!("there is no filter `{name}`"),
            Err(error) => {
                let failure = convert::failure(&error);
                Err(failure.within(&format!("filter `{name}`")))
            }
        }
    }

    /// Performs a test by its name.
    pub(super) fn test(&self, env: &Env, name: &str, input: &Val, args: &Args) -> Res<bool> {
        match super::builtins::test(name) {
            Some(test) => test(self, env, input, args),
            None => self.foreign_test(name, input, args),
        }
    }

    fn foreign_test(&self, name: &str, input: &Val, args: &Args) -> Res<bool> {
        let args = self.foreign_args(Some(input), args)?;
        let result = self.state().borrow_mut().perform_test(name, &args);
        match result {
            Ok(truth) => Ok(truth),
            Err(error) if error.kind() == ErrorKind::UnknownTest => fail!("there is no test `{name}`"),
            Err(error) => {
                let failure = convert::failure(&error);
                Err(failure.within(&format!("test `{name}`")))
            }
        }
    }

    /// Whether there is a filter or test of a name that is not ours.
    pub(super) fn has_foreign(&self, name: &str, is_filter: bool) -> bool {
        let mut state = self.state().borrow_mut();
        if is_filter {
            let result = state.apply_filter(name, &[]);
            result
                .err()
                .is_none_or(|error| error.kind() != ErrorKind::UnknownFilter)
        } else {
            let result = state.perform_test(name, &[]);
            result
                .err()
                .is_none_or(|error| error.kind() != ErrorKind::UnknownTest)
        }
    }

    /// How two values are ordered where letters may be as if lower case.
    pub(super) fn sort_key(&self, value: Val, case_sensitive: bool) -> Res<Val> {
        Ok(match value {
            Val::Str(text) if !case_sensitive => {
                self.charge_text(text.len())?;
                Val::from(text.to_lowercase())
            }
            _ => value,
        })
    }

    /// Sorts by keys, as stable as Python sorts.
    pub(super) fn sort(&self, items: &mut [(Val, Val)], reverse: bool) -> Res<()> {
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

impl Drop for Run<'_> {
    /// Values that contain themselves would never be freed.
    fn drop(&mut self) {
        for circular in self.circular.take() {
            match circular {
                Circular::Value(Val::List(list)) => drop(list.0.take()),
                Circular::Value(Val::Dict(dict) | Val::Namespace(dict)) => drop(dict.0.take()),
                Circular::Value(_) => {}
                Circular::Frame(frame) => {
                    if let Some(frame) = frame.upgrade() {
                        drop(frame.slots.take());
                    }
                }
                Circular::Context(context) => {
                    if let Some(context) = context.upgrade() {
                        drop(context.own.take());
                    }
                }
            }
        }
    }
}

fn view_items(view: View, dict: &Rc<Dict>) -> Vec<Val> {
    let entries = dict.0.borrow();
    match view {
        View::Keys => entries.keys().map(|key| key.value().clone()).collect(),
        View::Values => entries.values().cloned().collect(),
        View::Items => {
            let items = entries
                .iter()
                .map(|(key, value)| Val::tuple(vec![key.value().clone(), value.clone()]));
            items.collect()
        }
    }
}

/// A noun with its article.
pub(super) fn article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'U']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}
