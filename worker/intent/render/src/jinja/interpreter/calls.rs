use lockstep_protocol::SmolStr;
use std::rc::Rc;
use std::sync::Arc;

use super::{Env, Frame, Run, article};
use crate::jinja::builtins::Function;
use crate::jinja::failure::{Res, fail};
use crate::jinja::syntax::tree::Macro;
use crate::jinja::value::{Dict, Val};

/// The arguments of a call.
#[derive(Default)]
pub(in crate::jinja) struct Args {
    pub(in crate::jinja) positional: Vec<Val>,
    pub(in crate::jinja) named: Vec<(SmolStr, Val)>,
}

impl Args {
    /// The arguments by the names of the parameters.
    pub(in crate::jinja) fn bind<const N: usize>(
        &self,
        callee: &str,
        names: [&str; N],
    ) -> Res<[Option<Val>; N]> {
        if self.positional.len() > N {
            fail!(
                "`{callee}` takes at most {N} arguments, not {}",
                self.positional.len()
            );
        }
        let mut bound = [const { None }; N];
        for (place, value) in bound.iter_mut().zip(&self.positional) {
            *place = Some(value.clone());
        }
        for (name, value) in &self.named {
            match names.iter().position(|parameter| **parameter == **name) {
                Some(index) if bound[index].is_none() => bound[index] = Some(value.clone()),
                Some(_) => fail!("`{callee}` has the argument `{name}` twice"),
                None => fail!("`{callee}` has no argument `{name}`"),
            }
        }
        Ok(bound)
    }

    /// The same without the first ones.
    pub(in crate::jinja) fn skip(&self, count: usize) -> Self {
        Self {
            positional: self.positional.iter().skip(count).cloned().collect(),
            named: self.named.clone(),
        }
    }

    /// Takes an argument that is given by its name.
    fn take_named(&mut self, name: &str) -> Option<Val> {
        let index = self.named.iter().position(|(own, _)| **own == *name)?;
        Some(self.named.remove(index).1)
    }
}

/// What can be called.
pub(in crate::jinja) enum Callable {
    /// With the place of its definition.
    Macro(Arc<Macro>, Env),
    Method(Val, SmolStr),
    Function(Function),
    /// The block that this one overrides.
    Super(Env),
    /// The same, as many times as it is asked for.
    Block(Env, SmolStr, usize),
    /// `self`, whose attributes are the blocks.
    This(Env),
}

impl Callable {
    pub(in crate::jinja) fn type_name(&self) -> &'static str {
        match self {
            Self::Macro(..) => "Macro",
            Self::Method(..) => "builtin_function_or_method",
            Self::Function(_) => "function",
            Self::Super(_) | Self::Block(..) => "BlockReference",
            Self::This(_) => "TemplateReference",
        }
    }

    pub(in crate::jinja) fn describe(&self) -> String {
        match self {
            Self::Macro(declaration, _) => {
                format!("<Macro {}>", crate::jinja::print::quoted(&declaration.name))
            }
            Self::Method(value, name) => format!("<built-in method {name} of {} object>", value.type_name()),
            _ => format!("<{}>", self.type_name()),
        }
    }

    pub(in crate::jinja) fn attribute(&self, name: &SmolStr) -> Option<Val> {
        match self {
            Self::Macro(declaration, _) => match &**name {
                "name" => Some(Val::Str(declaration.name.clone())),
                "arguments" => {
                    let names = declaration.parameters.iter();
                    Some(Val::tuple(
                        names.map(|(name, _, _)| Val::Str(name.clone())).collect(),
                    ))
                }
                "catch_kwargs" => Some(Val::Bool(declaration.kwargs.is_some())),
                "catch_varargs" => Some(Val::Bool(declaration.varargs.is_some())),
                "caller" => Some(Val::Bool(declaration.caller.is_some())),
                _ => None,
            },
            Self::This(env) => {
                let is_block = env.context.blocks.borrow().contains_key(name);
                is_block.then(|| Val::Callable(Rc::new(Self::Block(env.clone(), name.clone(), 0))))
            }
            Self::Super(env) if &**name == "super" => {
                let (block, level) = env.block.clone()?;
                Some(Val::Callable(Rc::new(Self::Block(env.clone(), block, level + 2))))
            }
            Self::Block(env, block, level) if &**name == "super" => Some(Val::Callable(Rc::new(
                Self::Block(env.clone(), block.clone(), level + 1),
            ))),
            _ => None,
        }
    }
}

impl Run<'_> {
    /// Calls a value.
    pub(in crate::jinja) fn call(&self, callee: &Val, args: Args, env: &Env, line: u32) -> Res<Val> {
        match callee {
            Val::Callable(callable) => match &**callable {
                Callable::Macro(declaration, definition) => {
                    let result = self.call_macro(declaration, definition, args);
                    result.map_err(|failure| failure.included_from(&env.template.path, line))
                }
                Callable::Method(value, name) => {
                    match crate::jinja::methods::call(self, env, value, name, &args) {
                        Some(result) => result,
                        None => fail!("{} has no method `{name}`", article(value.type_name())),
                    }
                }
                Callable::Function(function) => function(self, &args),
                Callable::Super(place) => {
                    let Some((block, level)) = &place.block else {
                        fail!("`super` belongs into a block");
                    };
                    self.call_block_of(place, block, level + 1, line, env)
                }
                Callable::Block(place, block, level) => self.call_block_of(place, block, *level, line, env),
                Callable::This(_) => fail!("`self` cannot be called; call one of its blocks"),
            },
            Val::Loop(state) => self.recurse(state, &args),
            Val::Joiner(joiner) => {
                let was_called = joiner.1.replace(true);
                Ok(if was_called {
                    joiner.0.clone()
                } else {
                    Val::from("")
                })
            }
            Val::Foreign(object) => self.foreign_call(object, &args),
            Val::Undefined(name) => Err(Run::undefined(name.as_deref())),
            _ => fail!("{} cannot be called", article(callee.type_name())),
        }
    }

    fn call_block_of(&self, place: &Env, block: &SmolStr, level: usize, line: u32, env: &Env) -> Res<Val> {
        let count = place.context.blocks.borrow().get(block).map_or(0, Vec::len);
        if level >= count {
            fail!("there is no parent block called `{block}`");
        }
        let mut text = String::new();
        let result = self.block(block, level, &place.context, &mut text);
        result.map_err(|failure| failure.included_from(&env.template.path, line))?;
        self.allocate(text.len())?;
        Ok(Val::from(text))
    }

    fn call_macro(&self, declaration: &Arc<Macro>, definition: &Env, mut args: Args) -> Res<Val> {
        let name = &declaration.name;
        let frame = Frame::new(declaration.unit.slots, Some(Rc::clone(&definition.frame)));
        self.allocate_items(declaration.unit.slots)?;
        let env = Env {
            frame,
            extends: None,
            ..definition.clone()
        };
        let takes_caller = declaration.caller.is_some()
            || declaration
                .parameters
                .iter()
                .any(|(name, _, _)| &**name == "caller");
        if !takes_caller && args.named.iter().any(|(name, _)| &**name == "caller") {
            fail!("the macro `{name}` does not use its caller, so `call` cannot call it");
        }
        let mut positional = args.positional.drain(..);
        let mut missing = Vec::new();
        for (parameter, slot, default) in &declaration.parameters {
            let given = match positional.next() {
                Some(given) if args.named.iter().any(|(name, _)| name == parameter) => {
                    drop(given);
                    fail!("the macro `{name}` has the argument `{parameter}` twice");
                }
                Some(given) => Some(given),
                None => args
                    .named
                    .iter()
                    .position(|(name, _)| name == parameter)
                    .map(|index| args.named.remove(index).1),
            };
            match given {
                Some(given) => env.frame.set(*slot, given),
                None => missing.push((parameter, *slot, default)),
            }
        }
        let rest: Vec<Val> = positional.collect();
        for (parameter, slot, default) in missing {
            let value = match default {
                Some(default) => self.eval(default, &env)?,
                None => Val::Undefined(Some(parameter.clone())),
            };
            env.frame.set(slot, value);
        }
        match declaration.varargs {
            Some(slot) => env.frame.set(slot, Val::tuple(rest)),
            None if !rest.is_empty() => fail!(
                "the macro `{name}` takes at most {} arguments",
                declaration.parameters.len()
            ),
            None => {}
        }
        if let Some(slot) = declaration.caller {
            let caller = args.take_named("caller");
            env.frame.set(
                slot,
                caller.unwrap_or_else(|| Val::Undefined(Some("caller".into()))),
            );
        }
        match declaration.kwargs {
            Some(slot) => {
                let kwargs = Dict::default();
                for (name, value) in &args.named {
                    kwargs.insert(name, value.clone());
                }
                env.frame.set(slot, Val::Dict(Rc::new(kwargs)));
            }
            None => {
                if let Some((argument, _)) = args.named.first() {
                    fail!("the macro `{name}` has no argument `{argument}`");
                }
            }
        }
        let mut text = String::new();
        self.nested(|| self.unit(&declaration.unit, &env, &mut text))?;
        self.allocate(text.len())?;
        Ok(Val::from(text))
    }
}
