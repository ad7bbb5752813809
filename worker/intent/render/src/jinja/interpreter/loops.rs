use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::statements::Flow;
use super::{Args, Env, Run, view_items};
use crate::jinja::failure::{Res, fail};
use crate::jinja::operators;
use crate::jinja::syntax::tree::{Expr, For, Target};
use crate::jinja::value::{Iter, List, Range, Val, View};

/// The variable `loop`.
pub(in crate::jinja) struct LoopState {
    declaration: Arc<For>,
    env: Env,
    depth: usize,
    source: RefCell<Source>,
    index: Cell<usize>,
    length: Cell<Option<usize>>,
    previous: RefCell<Option<Val>>,
    current: RefCell<Option<Val>>,
    /// What comes next, if that was asked.
    next: RefCell<Next>,
    changed: RefCell<Option<Vec<Val>>>,
}

/// What a loop knows of its next item.
#[derive(Clone, Default)]
enum Next {
    #[default]
    Unknown,
    Known(Option<Val>),
}

/// What a loop iterates. A list may grow meanwhile.
enum Source {
    List(Rc<List>, usize),
    /// The next number, and how many there are.
    Range(Range, usize),
    Items(std::vec::IntoIter<Val>),
    Iterator(Rc<Iter>),
}

impl Source {
    fn next(&mut self) -> Option<Val> {
        match self {
            Self::List(list, index) => {
                let item = list.borrow().get(*index).cloned();
                *index += usize::from(item.is_some());
                item
            }
            Self::Range(range, left) => {
                *left = left.checked_sub(1)?;
                let item = Val::Int(range.start);
                range.start = range.start.saturating_add(range.step);
                Some(item)
            }
            Self::Items(items) => items.next(),
            Self::Iterator(iter) => iter.rest.borrow_mut().next(),
        }
    }
}

impl Run<'_> {
    pub(super) fn for_loop(&self, declaration: &Arc<For>, env: &Env, out: &mut String) -> Res<Flow> {
        let over = self.eval(&declaration.over, env)?;
        self.iterate_loop(declaration, &over, env, 0, out)
    }

    fn iterate_loop(
        &self,
        declaration: &Arc<For>,
        over: &Val,
        env: &Env,
        depth: usize,
        out: &mut String,
    ) -> Res<Flow> {
        let source = match over {
            Val::List(list) => Source::List(Rc::clone(list), 0),
            Val::Range(range) => Source::Range(**range, range.len()),
            Val::Iterator(iter) => Source::Iterator(Rc::clone(iter)),
            Val::Dict(dict) => Source::Items(view_items(View::Keys, dict).into_iter()),
            _ => Source::Items(self.iterate(over)?.into_iter()),
        };
        let length = match over {
            Val::Iterator(_) | Val::Loop(_) | Val::Foreign(_) => None,
            _ if declaration.filter.is_some() => None,
            _ => self.length(over)?,
        };
        let state = Rc::new(LoopState {
            declaration: Arc::clone(declaration),
            env: env.clone(),
            depth,
            source: RefCell::new(source),
            index: Cell::new(0),
            length: Cell::new(length),
            previous: RefCell::default(),
            current: RefCell::default(),
            next: RefCell::default(),
            changed: RefCell::default(),
        });
        let iterated = self.iterations(&state, env, out);
        // The frame has the loop, and the loop has the frame: that ends here.
        env.frame.clear(declaration.body.slots.clone());
        if iterated? {
            return Ok(Flow::Next);
        }
        self.body(&declaration.otherwise, env, out)
    }

    /// Executes the body for each item. Whether there was one.
    fn iterations(&self, state: &Rc<LoopState>, env: &Env, out: &mut String) -> Res<bool> {
        let declaration = &state.declaration;
        let mut iterated = false;
        loop {
            // Nothing asks for the state of a loop without a variable.
            let next = if declaration.loop_slot.is_some() {
                state.advance(self)?
            } else {
                state.pull(self)?
            };
            let Some(item) = next else {
                break;
            };
            self.charge(1)?;
            iterated = true;
            env.frame.clear(declaration.body.slots.clone());
            if let Some(slot) = declaration.loop_slot {
                env.frame.set(slot, Val::Loop(Rc::clone(state)));
            }
            self.assign(&declaration.target, item, env)?;
            if self.nodes(&declaration.body.nodes, env, out)? == Flow::Break {
                break;
            }
        }
        Ok(iterated)
    }

    /// What `loop(…)` in a recursive loop gives: the loop over other items.
    pub(super) fn recurse(&self, state: &LoopState, args: &Args) -> Res<Val> {
        let declaration = &state.declaration;
        if !declaration.recursive {
            fail!("only a loop that is `recursive` can be called");
        }
        let [Some(over)] = args.bind("loop", ["iterable"])? else {
            fail!("`loop` needs what it iterates");
        };
        let env = Env {
            extends: None,
            ..state.env.clone()
        };
        // The variables of the outer iteration come back afterwards.
        let slots = declaration.body.slots.start..declaration.otherwise.slots.end;
        let saved = env.frame.slots.borrow()[slots.clone()].to_vec();
        let mut text = String::new();
        let result = self.nested(|| self.iterate_loop(declaration, &over, &env, state.depth + 1, &mut text));
        if let Some(slots) = env.frame.slots.borrow_mut().get_mut(slots) {
            slots.clone_from_slice(&saved);
        }
        result?;
        self.allocate(text.len())?;
        Ok(Val::from(text))
    }

    /// Whether the filter of a loop lets an item pass.
    fn passes(&self, filter: Option<&(Target, Expr)>, item: &Val, env: &Env) -> Res<bool> {
        let Some((target, condition)) = filter else {
            return Ok(true);
        };
        self.charge(1)?;
        self.assign(target, item.clone(), env)?;
        let passes = self.eval(condition, env)?;
        self.truth(&passes)
    }
}

impl LoopState {
    /// The next item, which is the current one from now on.
    fn advance(&self, run: &Run<'_>) -> Res<Option<Val>> {
        let next = self.next.take();
        let next = match next {
            Next::Known(next) => next,
            Next::Unknown => self.pull(run)?,
        };
        if let Some(item) = &next {
            let previous = self.current.replace(Some(item.clone()));
            if previous.is_some() {
                self.index.set(self.index.get() + 1);
            }
            *self.previous.borrow_mut() = previous;
        }
        Ok(next)
    }

    fn pull(&self, run: &Run<'_>) -> Res<Option<Val>> {
        loop {
            let item = self.source.borrow_mut().next();
            let Some(item) = item else {
                return Ok(None);
            };
            if run.passes(self.declaration.filter.as_ref(), &item, &self.env)? {
                return Ok(Some(item));
            }
        }
    }

    fn peek(&self, run: &Run<'_>) -> Res<Option<Val>> {
        let known = self.next.borrow().clone();
        if let Next::Known(next) = known {
            return Ok(next);
        }
        let next = self.pull(run)?;
        *self.next.borrow_mut() = Next::Known(next.clone());
        Ok(next)
    }

    pub(in crate::jinja) fn index(&self) -> usize {
        self.index.get() + 1
    }

    /// How many items there are. Those of an iterator are taken to count them.
    pub(in crate::jinja) fn length(&self, run: &Run<'_>) -> Res<usize> {
        if let Some(length) = self.length.get() {
            return Ok(length);
        }
        let mut rest = Vec::new();
        while let Some(item) = self.pull(run)? {
            run.charge(1)?;
            rest.push(item);
        }
        let peeked = matches!(*self.next.borrow(), Next::Known(Some(_)));
        let length = rest.len() + self.index() + usize::from(peeked);
        *self.source.borrow_mut() = Source::Items(rest.into_iter());
        self.length.set(Some(length));
        Ok(length)
    }

    pub(in crate::jinja) fn remaining(&self, run: &Run<'_>) -> Res<Vec<Val>> {
        let mut items = Vec::new();
        while let Some(item) = self.advance(run)? {
            run.charge(1)?;
            items.push(item);
        }
        Ok(items)
    }

    pub(in crate::jinja) fn attribute(&self, run: &Run<'_>, name: &str) -> Res<Option<Val>> {
        let index = self.index.get();
        let neighbor =
            |item: Option<Val>| item.unwrap_or_else(|| Val::Undefined(Some(format!("loop.{name}").into())));
        Ok(Some(match name {
            "index" => Val::size(index + 1),
            "index0" => Val::size(index),
            "first" => Val::Bool(index == 0),
            "last" => Val::Bool(self.peek(run)?.is_none()),
            "length" => Val::size(self.length(run)?),
            "revindex" => Val::size(self.length(run)?.saturating_sub(index)),
            "revindex0" => Val::size(self.length(run)?.saturating_sub(index + 1)),
            "depth" => Val::size(self.depth + 1),
            "depth0" => Val::size(self.depth),
            "previtem" => neighbor(self.previous.borrow().clone()),
            "nextitem" => neighbor(self.peek(run)?),
            _ => return Ok(None),
        }))
    }

    /// Its methods.
    pub(in crate::jinja) fn call(&self, run: &Run<'_>, name: &str, args: &Args) -> Option<Res<Val>> {
        match name {
            "cycle" => Some(self.cycle(args)),
            "changed" => Some(self.has_changed(run, args)),
            _ => None,
        }
    }

    fn cycle(&self, args: &Args) -> Res<Val> {
        if args.positional.is_empty() {
            fail!("`loop.cycle` needs values");
        }
        Ok(args.positional[self.index.get() % args.positional.len()].clone())
    }

    fn has_changed(&self, run: &Run<'_>, args: &Args) -> Res<Val> {
        let mut last = self.changed.borrow_mut();
        let same = match &*last {
            Some(last) if last.len() == args.positional.len() => {
                let mut same = true;
                for (last, value) in last.iter().zip(&args.positional) {
                    same = same && operators::equal_within(Some(run), last, value, 0)?;
                }
                same
            }
            _ => false,
        };
        if !same {
            *last = Some(args.positional.clone());
        }
        Ok(Val::Bool(!same))
    }
}
