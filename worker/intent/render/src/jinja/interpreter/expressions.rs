use lockstep_protocol::SmolStr;

use foldhash::fast::RandomState;

use super::{Args, Env, NO_BRANCH, Run};
use crate::jinja::failure::{Res, fail};
use crate::jinja::operators;
use crate::jinja::print::write_str;
use crate::jinja::syntax::scopes::Name;
use crate::jinja::syntax::tree::{Arguments, Call, Const, Expr, FilterCall, TestCall};
use crate::jinja::value::{Entries, Key, Val};

impl Run<'_> {
    /// The value of an expression.
    pub(super) fn eval(&self, expression: &Expr, env: &Env) -> Res<Val> {
        match expression {
            Expr::Const(value) => Ok(match value {
                Const::None => Val::None,
                Const::Bool(truth) => Val::Bool(*truth),
                Const::Int(number) => Val::Int(*number),
                Const::Float(number) => Val::Float(*number),
                Const::Text(text) => Val::Str(text.clone()),
            }),
            Expr::Name(name) => self.name(*name, env),
            Expr::Slot(slot) => Ok(env.frame.get(*slot).unwrap_or(Val::Undefined(None))),
            _ => stacker::maybe_grow(256 << 10, 2 << 20, || self.eval_compound(expression, env)),
        }
    }

    fn eval_compound(&self, expression: &Expr, env: &Env) -> Res<Val> {
        self.charge(1)?;
        match expression {
            Expr::Attribute(base, name) => {
                let value = self.eval(base, env)?;
                if value.is_undefined() {
                    fail!(
                        "`{}` is undefined, so it has no attribute `{name}`",
                        describe(base, env)
                    );
                }
                self.attribute(&value, name)
            }
            Expr::Item(base, key) => {
                let value = self.eval(base, env)?;
                if value.is_undefined() {
                    fail!("`{}` is undefined, so it has no items", describe(base, env));
                }
                self.item(&value, &self.eval(key, env)?)
            }
            Expr::Not(value) => {
                let value = self.eval(value, env)?;
                Ok(Val::Bool(!self.truth(&value)?))
            }
            Expr::And(left, right) => {
                let left = self.eval(left, env)?;
                if self.truth(&left)? {
                    self.eval(right, env)
                } else {
                    Ok(left)
                }
            }
            Expr::Or(left, right) => {
                let left = self.eval(left, env)?;
                if self.truth(&left)? {
                    Ok(left)
                } else {
                    self.eval(right, env)
                }
            }
            Expr::If(condition, value, otherwise) => {
                let condition = self.eval(condition, env)?;
                if self.truth(&condition)? {
                    self.eval(value, env)
                } else {
                    match otherwise {
                        Some(otherwise) => self.eval(otherwise, env),
                        None => Ok(Val::Undefined(Some(NO_BRANCH.into()))),
                    }
                }
            }
            Expr::Filter(call) => self.filter_call(call, env),
            Expr::Test(call) => self.test_call(call, env),
            Expr::Call(call) => self.call_expression(call, env),
            Expr::Compare(first, rest) => {
                let mut left = self.eval(first, env)?;
                for (comparison, right) in rest {
                    let right = self.eval(right, env)?;
                    if !operators::compare(self, *comparison, &left, &right)? {
                        return Ok(Val::Bool(false));
                    }
                    left = right;
                }
                Ok(Val::Bool(true))
            }
            Expr::Binary(operator, left, right) => {
                let left = self.eval(left, env)?;
                operators::binary(self, *operator, &left, &self.eval(right, env)?)
            }
            _ => self.eval_rare(expression, env),
        }
    }

    fn eval_rare(&self, expression: &Expr, env: &Env) -> Res<Val> {
        match expression {
            Expr::Concat(parts) => {
                let mut text = String::new();
                for part in parts {
                    write_str(self, &mut text, &self.eval(part, env)?)?;
                }
                self.allocate(text.len())?;
                Ok(Val::from(text))
            }
            Expr::List(items) => Ok(Val::list(self.eval_all(items, env)?)),
            Expr::Tuple(items) => Ok(Val::tuple(self.eval_all(items, env)?)),
            Expr::Dict(pairs) => {
                self.allocate_items(pairs.len() * 2 + 2)?;
                let mut entries = Entries::with_capacity_and_hasher(pairs.len(), RandomState::default());
                for (key, value) in pairs {
                    entries.insert(Key::new(self.eval(key, env)?)?, self.eval(value, env)?);
                }
                Ok(Val::dict(entries))
            }
            Expr::Slice(value, bounds) => {
                let value = self.eval(value, env)?;
                let [start, end, step] = &**bounds;
                let eval =
                    |bound: &Option<Expr>| bound.as_ref().map(|bound| self.eval(bound, env)).transpose();
                operators::slice(self, &value, &[eval(start)?, eval(end)?, eval(step)?])
            }
            Expr::Negative(value) => operators::negative(&self.eval(value, env)?),
            Expr::Positive(value) => {
                let value = self.eval(value, env)?;
                match &value {
                    Val::Int(_) | Val::Float(_) => Ok(value),
                    Val::Bool(truth) => Ok(Val::Int(i128::from(*truth))),
                    _ => fail!("`+` is not possible before {}", value.type_name()),
                }
            }
            _ => self.eval(expression, env),
        }
    }

    fn eval_all(&self, expressions: &[Expr], env: &Env) -> Res<Vec<Val>> {
        self.allocate_items(expressions.len() + 2)?;
        expressions
            .iter()
            .map(|expression| self.eval(expression, env))
            .collect()
    }

    /// The value of a name, an index into the names of the template.
    pub(super) fn name(&self, index: u32, env: &Env) -> Res<Val> {
        let Some(name) = env.template.names.get(index as usize) else {
            return Ok(Val::Undefined(None));
        };
        match Self::local(name, env) {
            Some(value) => Ok(value),
            None => self.resolve(&name.name, env),
        }
    }

    /// The value of a name in the scopes of its template.
    pub(super) fn local(name: &Name, env: &Env) -> Option<Val> {
        name.slots.iter().find_map(|slot| {
            let mut frame = &env.frame;
            for _ in 0..slot.up {
                frame = frame.parent.as_ref()?;
            }
            frame.get(slot.slot)
        })
    }

    pub(super) fn arguments(&self, arguments: &Arguments, env: &Env) -> Res<Args> {
        let mut args = Args::default();
        args.positional.reserve(arguments.positional.len());
        for argument in &arguments.positional {
            args.positional.push(self.eval(argument, env)?);
        }
        for (name, argument) in &arguments.named {
            args.named.push((name.clone(), self.eval(argument, env)?));
        }
        if let Some(rest) = &arguments.rest {
            args.positional.extend(self.iterate(&self.eval(rest, env)?)?);
        }
        if let Some(rest) = &arguments.named_rest {
            let rest = self.eval(rest, env)?;
            let Val::Dict(dict) = &rest else {
                fail!("what follows `**` is a dict, not {}", rest.type_name());
            };
            for (key, value) in &*dict.borrow() {
                let Val::Str(name) = key.value() else {
                    fail!("the names of arguments are texts");
                };
                args.named.push((name.clone(), value.clone()));
            }
        }
        Ok(args)
    }

    fn filter_call(&self, call: &FilterCall, env: &Env) -> Res<Val> {
        let input = self.eval(&call.input, env)?;
        let args = self.arguments(&call.arguments, env)?;
        let result = self.filter(env, call.filter, &call.name, &input, &args);
        result.map_err(|failure| failure.at(&env.template.path, call.line))
    }

    fn test_call(&self, call: &TestCall, env: &Env) -> Res<Val> {
        let input = self.eval(&call.input, env)?;
        let args = self.arguments(&call.arguments, env)?;
        let result = self.test(env, call.test, &call.name, &input, &args);
        result
            .map(Val::Bool)
            .map_err(|failure| failure.at(&env.template.path, call.line))
    }

    fn call_expression(&self, call: &Call, env: &Env) -> Res<Val> {
        let args = self.arguments(&call.arguments, env)?;
        self.invoke(&call.callee, args, env, call.line)
    }

    /// Calls what an expression is: a method without making a value of it.
    pub(super) fn invoke(&self, callee: &Expr, args: Args, env: &Env, line: u32) -> Res<Val> {
        let result = if let Expr::Attribute(base, name) = callee {
            let value = self.eval(base, env)?;
            if value.is_undefined() {
                fail!(
                    "`{}` is undefined, so it has no method `{name}`",
                    describe(base, env)
                );
            }
            self.call_method(&value, name, args, env, line)
        } else {
            let value = self.eval(callee, env)?;
            if value.is_undefined() {
                fail!("`{}` is undefined, so it cannot be called", describe(callee, env));
            }
            self.call(&value, args, env, line)
        };
        result.map_err(|failure| failure.at(&env.template.path, line))
    }

    fn call_method(&self, value: &Val, name: &SmolStr, args: Args, env: &Env, line: u32) -> Res<Val> {
        if let Some(result) = crate::jinja::methods::call(self, env, value, name, &args) {
            return result;
        }
        if let Val::Foreign(object) = value {
            let args = self.foreign_args(None, &args)?;
            return self.foreign_method(object, name, &args);
        }
        let callee = self.attribute(value, name)?;
        if callee.is_undefined() {
            fail!("{} has no method `{name}`", super::article(value.type_name()));
        }
        self.call(&callee, args, env, line)
    }
}

/// An expression as an error names it.
fn describe(expression: &Expr, env: &Env) -> String {
    match expression {
        Expr::Name(index) => {
            let name = env.template.names.get(*index as usize);
            name.map_or_else(String::new, |name| name.name.to_string())
        }
        Expr::Attribute(base, name) => format!("{}.{name}", describe(base, env)),
        Expr::Item(base, key) => match &**key {
            Expr::Const(Const::Text(key)) => format!("{}['{key}']", describe(base, env)),
            Expr::Const(Const::Int(key)) => format!("{}[{key}]", describe(base, env)),
            Expr::Name(_) | Expr::Attribute(..) => format!("{}[{}]", describe(base, env), describe(key, env)),
            _ => format!("{}[…]", describe(base, env)),
        },
        Expr::Call(call) => format!("{}(…)", describe(&call.callee, env)),
        Expr::Filter(call) => format!("{}|{}", describe(&call.input, env), call.name),
        _ => "…".to_owned(),
    }
}
