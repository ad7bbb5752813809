//! Renders parsed templates.

mod bounds;
mod calls;
mod expressions;
mod foreign;
mod loops;
mod statements;
mod values;

use lockstep_protocol::SmolStr;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use foldhash::fast::RandomState;
use minijinja::{State, Value};

pub(super) use calls::{Args, Callable};
pub(super) use loops::LoopState;

use super::failure::Res;
use super::syntax::tree::{Block, Template};
use super::value::{Dict, Val, View};
use super::{Bounds, TemplateSet, convert, environment};

/// How deep macros, includes, blocks and recursive loops may be nested.
const MAX_CALLS: usize = 200;

/// The most items of one list or dictionary.
const MAX_ITEMS: usize = 1_000_000;

/// The name of the undefined value of `a if b` without an `else`, which prints nothing even where undefined values are errors.
pub(super) const NO_BRANCH: &str = "";

pub(super) type Variables = HashMap<SmolStr, Val, RandomState>;

/// One rendering: what it may still use, and what is there once in it.
pub(super) struct Run<'s> {
    set: &'s TemplateSet,
    variables: &'s Value,
    bounds: Bounds,
    fuel: Cell<u64>,
    memory: Cell<usize>,
    depth: Cell<usize>,
    /// The variables that templates have used, as our values: a list that a template changes stays changed.
    used_variables: RefCell<HashMap<SmolStr, Option<Val>, RandomState>>,
    /// Modules imported without context.
    modules: RefCell<HashMap<SmolStr, Rc<Module>>>,
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
    hidden: RefCell<HashSet<SmolStr, RandomState>>,
    /// Whether it sees the variables of the rendering.
    sees_variables: bool,
    /// For each block the ones of this name, that of the last template first.
    blocks: Rc<RefCell<Blocks>>,
}

type Blocks = HashMap<SmolStr, Vec<(Arc<Template>, Arc<Block>)>>;

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
    block: Option<(SmolStr, usize)>,
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

    #[inline]
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

    #[inline]
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
        all.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
        Rc::new(all)
    }

    /// The context of an included template or a scoped block.
    fn derive(&self, locals: Vec<(SmolStr, Val)>, keeps_blocks: bool) -> Rc<Self> {
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

    /// A variable that no scope of its template has.
    fn resolve(&self, name: &SmolStr, env: &Env) -> Res<Val> {
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
        Ok(Val::Undefined(Some(name.clone())))
    }

    fn variable(&self, name: &SmolStr) -> Res<Option<Val>> {
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
            .insert(name.clone(), value.clone());
        Ok(value)
    }
}

impl Drop for Run<'_> {
    /// Values that contain themselves would never be freed.
    fn drop(&mut self) {
        for circular in self.circular.take() {
            match circular {
                Circular::Value(Val::List(list)) => drop(list.take()),
                Circular::Value(Val::Dict(dict) | Val::Namespace(dict)) => drop(dict.take()),
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
    let entries = dict.borrow();
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
