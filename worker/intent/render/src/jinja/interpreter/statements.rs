use lockstep_protocol::SmolStr;
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use super::{Args, Callable, Context, Env, Frame, Module, Run};
use crate::jinja::failure::{Failure, Res, fail};
use crate::jinja::print::write_str;
use crate::jinja::syntax::tree::{Body, Call, Expr, Macro, Node, NodeKind, Target, Template, Unit};
use crate::jinja::value::Val;

/// What a statement does to the loop around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

impl Run<'_> {
    /// Renders a template, and those that it extends.
    pub(super) fn template(
        &self,
        template: &Arc<Template>,
        context: &Rc<Context>,
        out: &mut String,
    ) -> Res<()> {
        let mut template = Arc::clone(template);
        let mut extended: Vec<(SmolStr, u32)> = Vec::new();
        loop {
            for block in &template.blocks {
                let mut blocks = context.blocks.borrow_mut();
                let same = blocks.entry(block.name.clone()).or_default();
                same.push((Arc::clone(&template), Arc::clone(block)));
            }
            let extends = Rc::new(OnceCell::new());
            let env = Env {
                template: Arc::clone(&template),
                context: Rc::clone(context),
                frame: Frame::new(template.root.slots, None),
                block: None,
                extends: Some(Rc::clone(&extends)),
            };
            let result = self.nodes(&template.root.body, &env, out);
            result.map_err(|failure| {
                let chain = extended.iter().rev();
                chain.fold(failure, |failure, (path, line)| {
                    failure.included_from(path, *line)
                })
            })?;
            let Some((parent, line)) = extends.get() else {
                return Ok(());
            };
            if extended.len() >= super::MAX_CALLS {
                fail!("templates extend each other in a circle");
            }
            extended.push((template.path.clone(), *line));
            template = Arc::clone(parent);
        }
    }

    /// Renders what has variables of its own.
    pub(super) fn unit(&self, unit: &Unit, env: &Env, out: &mut String) -> Res<()> {
        self.nodes(&unit.body, env, out).map(|_| ())
    }

    pub(super) fn nodes(&self, nodes: &[Node], env: &Env, out: &mut String) -> Res<Flow> {
        for node in nodes {
            self.charge(1)?;
            match self.node(node, env, out) {
                Ok(Flow::Next) => {}
                Ok(flow) => return Ok(flow),
                Err(failure) => return Err(failure.at(&env.template.path, node.line)),
            }
        }
        Ok(Flow::Next)
    }

    /// Executes the body of a scope, whose variables begin unset.
    pub(super) fn body(&self, body: &Body, env: &Env, out: &mut String) -> Res<Flow> {
        env.frame.clear(body.slots.clone());
        self.nodes(&body.nodes, env, out)
    }

    fn node(&self, node: &Node, env: &Env, out: &mut String) -> Res<Flow> {
        match &node.kind {
            NodeKind::Text(text) => {
                if !is_silent(env) {
                    self.append(out, text)?;
                }
            }
            NodeKind::Emit(expression) => {
                if !is_silent(env) {
                    write_str(self, out, &self.eval(expression, env)?)?;
                }
            }
            NodeKind::If(branches, otherwise) => {
                for (condition, nodes) in branches {
                    let condition = self.eval(condition, env)?;
                    if self.truth(&condition)? {
                        return self.nodes(nodes, env, out);
                    }
                }
                return self.nodes(otherwise, env, out);
            }
            NodeKind::For(declaration) => return self.for_loop(declaration, env, out),
            NodeKind::Set(target, expression) => {
                let value = self.eval(expression, env)?;
                self.assign(target, value, env)?;
            }
            NodeKind::Do(expression) => {
                self.eval(expression, env)?;
            }
            NodeKind::Macro(target, declaration) => {
                self.allocate(size_of::<Env>())?;
                self.note_closure(env);
                let value = Callable::Macro(Arc::clone(declaration), env.clone());
                self.assign(target, Val::Callable(Rc::new(value)), env)?;
            }
            NodeKind::CallBlock(call, caller) => self.call_block(call, caller, env, out)?,
            NodeKind::With(assigned, body) => return self.with(assigned, body, env, out),
            NodeKind::FilterBlock(body, slot, filter) => {
                let flow = self.capture(body, *slot, env)?;
                write_str(self, out, &self.eval(filter, env)?)?;
                return Ok(flow);
            }
            NodeKind::SetBlock(target, body, slot, filter) => {
                let flow = self.capture(body, *slot, env)?;
                let value = self.eval(filter, env)?;
                self.assign(target, value, env)?;
                return Ok(flow);
            }
            NodeKind::Block(name, view) => {
                if !is_silent(env) {
                    let context = match view {
                        Some(view) => env.context.derive(Self::visible(*view, env), true),
                        None => Rc::clone(&env.context),
                    };
                    self.block(name, 0, &context, out)
                        .map_err(|failure| failure.included_from(&env.template.path, node.line))?;
                }
            }
            NodeKind::Extends(name) => {
                let (parent, _) = self.named_template(&self.eval(name, env)?, env)?;
                let extends = env.extends.as_ref();
                if extends.is_none_or(|extends| extends.set((parent, node.line)).is_err()) {
                    fail!("a template extends only one other");
                }
            }
            NodeKind::Include {
                name,
                ignore_missing,
                view,
            } => {
                self.include(name, *ignore_missing, *view, env, out)
                    .map_err(|failure| failure.included_from(&env.template.path, node.line))?;
            }
            NodeKind::Import { name, target, view } => {
                let module = self.import(name, *view, env, node.line)?;
                self.assign_hidden(target, Val::Module(module), env)?;
            }
            NodeKind::FromImport { name, names, view } => {
                let module = self.import(name, *view, env, node.line)?;
                for (name, target) in names {
                    let value = module.exports.get(name).cloned();
                    let value = value.unwrap_or_else(|| Val::Undefined(Some(name.clone())));
                    self.assign_hidden(target, value, env)?;
                }
            }
            NodeKind::Break => return Ok(Flow::Break),
            NodeKind::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn with(&self, assigned: &[(Target, Expr)], body: &Body, env: &Env, out: &mut String) -> Res<Flow> {
        let values = assigned
            .iter()
            .map(|(_, value)| self.eval(value, env))
            .collect::<Res<Vec<_>>>()?;
        env.frame.clear(body.slots.clone());
        for ((target, _), value) in assigned.iter().zip(values) {
            self.assign(target, value, env)?;
        }
        self.nodes(&body.nodes, env, out)
    }

    /// Renders a body into its slot.
    fn capture(&self, body: &Body, slot: u16, env: &Env) -> Res<Flow> {
        let mut captured = String::new();
        let inner = Env {
            extends: None,
            ..env.clone()
        };
        let flow = self.body(body, &inner, &mut captured)?;
        self.allocate(captured.len())?;
        env.frame.set(slot, Val::from(captured));
        Ok(flow)
    }

    pub(super) fn assign(&self, target: &Target, value: Val, env: &Env) -> Res<()> {
        match target {
            Target::Local(slot) => env.frame.set(*slot, value),
            Target::Global(name) => {
                env.context.hidden.borrow_mut().remove(name);
                env.context.own.borrow_mut().insert(name.clone(), value);
            }
            Target::Unpack(targets) => match &value {
                Val::Tuple(tuple) => self.unpack(targets, tuple.items(), env)?,
                _ => self.unpack(targets, &self.iterate(&value)?, env)?,
            },
            Target::Attribute(name, attribute) => {
                let namespace = self.name(*name, env)?;
                let Val::Namespace(dict) = &namespace else {
                    fail!("only attributes of a namespace can be set");
                };
                self.note_change(&namespace, &value);
                self.allocate_items(1)?;
                dict.insert(attribute, value);
            }
        }
        Ok(())
    }

    fn unpack(&self, targets: &[Target], items: &[Val], env: &Env) -> Res<()> {
        if items.len() != targets.len() {
            fail!(
                "{} values cannot be unpacked into {} names",
                items.len(),
                targets.len()
            );
        }
        let mut pairs = targets.iter().zip(items);
        pairs.try_for_each(|(target, item)| self.assign(target, item.clone(), env))
    }

    /// Assigns what cannot be imported from the template.
    fn assign_hidden(&self, target: &Target, value: Val, env: &Env) -> Res<()> {
        self.assign(target, value, env)?;
        if let Target::Global(name) = target {
            env.context.hidden.borrow_mut().insert(name.clone());
        }
        Ok(())
    }

    fn call_block(&self, call: &Call, caller: &Arc<Macro>, env: &Env, out: &mut String) -> Res<()> {
        self.allocate(size_of::<Env>())?;
        let inner = Env {
            extends: None,
            ..env.clone()
        };
        let caller = Val::Callable(Rc::new(Callable::Macro(Arc::clone(caller), inner)));
        let mut args = self.arguments(&call.arguments, env)?;
        args.named.push(("caller".into(), caller));
        let value = self.call_with(call, args, env)?;
        write_str(self, out, &value)
    }

    /// The variables that are visible at a place.
    fn visible(view: u32, env: &Env) -> Vec<(SmolStr, Val)> {
        let names = env.template.views.get(view as usize);
        let names = names.into_iter().flatten();
        let values = names.filter_map(|name| Some((name.name.clone(), Self::local(name, env)?)));
        values.collect()
    }

    /// Renders a block, or the one that it overrides.
    pub(super) fn block(
        &self,
        name: &SmolStr,
        level: usize,
        context: &Rc<Context>,
        out: &mut String,
    ) -> Res<()> {
        let found = context.blocks.borrow().get(name).and_then(|same| {
            let (template, block) = same.get(level)?;
            Some((Arc::clone(template), Arc::clone(block), same.len()))
        });
        let Some((template, block, count)) = found else {
            fail!("there is no block `{name}`");
        };
        if block.required && count <= 1 {
            fail!("the block `{name}` is required: a template that extends this one must have it");
        }
        let env = Env {
            template,
            context: Rc::clone(context),
            frame: Frame::new(block.unit.slots, None),
            block: Some((name.clone(), level)),
            extends: None,
        };
        self.nested(|| self.unit(&block.unit, &env, out))
    }

    /// A template by a name, or the first that is there of several names.
    fn named_template(&self, name: &Val, env: &Env) -> Res<(Arc<Template>, SmolStr)> {
        let names = match name {
            Val::Str(_) => vec![name.clone()],
            Val::List(_) | Val::Tuple(_) => self.iterate(name)?,
            Val::Undefined(undefined) => return Err(Self::undefined(undefined.as_deref())),
            _ => fail!("the name of a template is a str, not {}", name.type_name()),
        };
        let mut missing = None;
        for name in &names {
            let Some(name) = name.as_str() else {
                fail!("the name of a template is a str, not {}", name.type_name());
            };
            match self
                .set
                .relative(&env.template.path, name)
                .and_then(|path| self.set.template(&path))
            {
                Ok(template) => return Ok((Arc::clone(template), template.path.clone())),
                Err(failure) if failure.is_missing() => missing = missing.or(Some(failure)),
                Err(failure) => return Err(failure),
            }
        }
        Err(missing.unwrap_or_else(|| Failure::missing("the list of templates is empty")))
    }

    fn include(
        &self,
        name: &Expr,
        ignore_missing: bool,
        view: Option<u32>,
        env: &Env,
        out: &mut String,
    ) -> Res<()> {
        let name = self.eval(name, env)?;
        let template = match self.named_template(&name, env) {
            Err(failure) if ignore_missing && failure.is_missing() => return Ok(()),
            found => found?.0,
        };
        let context = Self::inner_context(view, env);
        self.nested(|| self.template(&template, &context, out))
    }

    fn inner_context(view: Option<u32>, env: &Env) -> Rc<Context> {
        match view {
            Some(view) => env.context.derive(Self::visible(view, env), false),
            None => Context::empty(false),
        }
    }

    fn import(&self, name: &Expr, view: Option<u32>, env: &Env, line: u32) -> Res<Rc<Module>> {
        let name = self.eval(name, env)?;
        let (template, path) = self.named_template(&name, env)?;
        if view.is_none()
            && let Some(module) = self.modules.borrow().get(&path)
        {
            return Ok(Rc::clone(module));
        }
        let context = Self::inner_context(view, env);
        let mut text = String::new();
        let rendered = self.nested(|| self.template(&template, &context, &mut text));
        rendered.map_err(|failure| failure.included_from(&env.template.path, line))?;
        self.allocate(text.len())?;
        let hidden = context.hidden.borrow();
        let own = context.own.borrow();
        let exported = own
            .iter()
            .filter(|(name, _)| !name.starts_with('_') && !hidden.contains(*name));
        let exports = exported
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let module = Rc::new(Module { text, exports });
        if view.is_none() {
            self.modules.borrow_mut().insert(path, Rc::clone(&module));
        }
        Ok(module)
    }

    /// The arguments and the call, where an argument is added.
    fn call_with(&self, call: &Call, args: Args, env: &Env) -> Res<Val> {
        self.invoke(&call.callee, args, env, call.line)
    }
}

/// Whether a template extends another one, so that its own text is not printed.
fn is_silent(env: &Env) -> bool {
    env.extends
        .as_ref()
        .is_some_and(|extends| extends.get().is_some())
}
