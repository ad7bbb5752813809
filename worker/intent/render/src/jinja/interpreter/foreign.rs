//! Filters, tests and objects of minijinja.

use std::cell::RefCell;

use minijinja::{ErrorKind, State, Value};

use super::{Args, Env, Run};
use crate::jinja::builtins::{Filter, Test};
use crate::jinja::failure::{Res, fail};
use crate::jinja::value::Val;
use crate::jinja::{convert, environment};

impl Run<'_> {
    pub(in crate::jinja) fn state(&self) -> &RefCell<State<'static, 'static>> {
        self.foreign
            .get_or_init(|| RefCell::new(environment().empty_state()))
    }

    /// Calls a method of an object of a filter.
    pub(in crate::jinja) fn foreign_method(&self, object: &Value, name: &str, args: &[Value]) -> Res<Val> {
        let result = object.call_method(&mut self.state().borrow_mut(), name, args);
        convert::from_foreign(self, &result.map_err(|error| convert::failure(&error))?)
    }

    pub(in crate::jinja) fn foreign_call(&self, object: &Value, args: &Args) -> Res<Val> {
        let args = self.foreign_args(None, args)?;
        let result = object.call(&mut self.state().borrow_mut(), &args);
        convert::from_foreign(self, &result.map_err(|error| convert::failure(&error))?)
    }

    pub(in crate::jinja) fn foreign_args(&self, input: Option<&Val>, args: &Args) -> Res<Vec<Value>> {
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

    /// Applies a filter: one of ours, or else the one of that name.
    pub(in crate::jinja) fn filter(
        &self,
        env: &Env,
        filter: Option<Filter>,
        name: &str,
        input: &Val,
        args: &Args,
    ) -> Res<Val> {
        match filter {
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

    /// Performs a test: one of ours, or else the one of that name.
    pub(in crate::jinja) fn test(
        &self,
        env: &Env,
        test: Option<Test>,
        name: &str,
        input: &Val,
        args: &Args,
    ) -> Res<bool> {
        match test {
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
    pub(in crate::jinja) fn has_foreign(&self, name: &str, is_filter: bool) -> bool {
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
}
