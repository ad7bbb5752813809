//! The arguments of filters, bound as Python binds those of functions.

use std::sync::Arc;

use fancy_regex::Regex;
use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::regex::{Flags, Regexes};

/// The most items that a filter returns, and the most that it computes for one.
pub(super) const MOST_ITEMS: usize = 1 << 17;

pub(super) type Outcome = Result<Value, Error>;

/// A filter: its name, its parameters, and what it does. A parameter with a `?` may be left out; `*name` takes all other positional
/// arguments, and what follows it is given by keyword; `**name` takes all other keywords.
pub(super) type Filter = (&'static str, &'static str, fn(&Arguments) -> Outcome);

/// The arguments of one call, by the position of the parameters.
pub(super) struct Arguments {
    values: Vec<Option<Value>>,
    rest: Vec<Value>,
    keywords: Vec<(String, Value)>,
    regexes: Arc<Regexes>,
}

/// Adds filters to an environment.
pub(super) fn add_filters(environment: &mut Environment<'_>, filters: &[Filter], regexes: &Arc<Regexes>) {
    for &(name, parameters, run) in filters {
        add_filter(environment, name.to_owned(), parameters, run, regexes);
    }
}

/// Adds filters under the name of their collection, such as `ansible.utils.ipaddr`.
pub(super) fn add_filters_of(
    collection: &str,
    environment: &mut Environment<'_>,
    filters: &[Filter],
    regexes: &Arc<Regexes>,
) {
    for &(name, parameters, run) in filters {
        add_filter(
            environment,
            format!("{collection}.{name}"),
            parameters,
            run,
            regexes,
        );
    }
}

fn add_filter(
    environment: &mut Environment<'_>,
    name: String,
    parameters: &'static str,
    run: fn(&Arguments) -> Outcome,
    regexes: &Arc<Regexes>,
) {
    let parameters = Parameters::new(parameters);
    let regexes = Arc::clone(regexes);
    environment.add_filter(name, move |arguments: Rest<ValueOrKwargs>| {
        Arguments::bind(&parameters, arguments.into_values(), &regexes).and_then(|arguments| run(&arguments))
    });
}

/// An error of a filter.
pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// The error for more items than a filter may return.
pub(super) fn too_many() -> Error {
    invalid(format!("the result has more than {MOST_ITEMS} items"))
}

/// The parameters of a filter.
struct Parameters {
    /// Their names, with a `?` if they may be left out.
    names: Vec<&'static str>,
    /// How many of them may be given by position.
    positional: usize,
    takes_rest: bool,
    takes_keywords: bool,
}

impl Parameters {
    fn new(text: &'static str) -> Self {
        let all: Vec<&str> = text.split_whitespace().collect();
        let is_rest = |name: &str| name.starts_with('*') && !name.starts_with("**");
        let rest = all.iter().position(|name| is_rest(name));
        let names: Vec<&str> = all
            .iter()
            .copied()
            .filter(|name| !name.starts_with('*'))
            .collect();
        Self {
            positional: rest.unwrap_or(names.len()),
            names,
            takes_rest: rest.is_some(),
            takes_keywords: all.iter().any(|name| name.starts_with("**")),
        }
    }

    fn position(&self, keyword: &str) -> Option<usize> {
        self.names
            .iter()
            .position(|name| name.trim_end_matches('?') == keyword)
    }
}

impl Arguments {
    fn bind(parameters: &Parameters, mut given: Vec<Value>, regexes: &Arc<Regexes>) -> Result<Self, Error> {
        let keywords = match given.pop() {
            Some(last) if last.is_kwargs() => Some(Kwargs::try_from(last)?),
            Some(last) => {
                given.push(last);
                None
            }
            None => None,
        };
        let most = parameters.positional;
        let rest = given.split_off(most.min(given.len()));
        if !parameters.takes_rest && !rest.is_empty() {
            let message = format!("takes {most} arguments but {} were given", most + rest.len());
            return Err(Error::new(ErrorKind::TooManyArguments, message));
        }
        let mut bound = Self {
            values: given.into_iter().map(Some).collect(),
            rest,
            keywords: Vec::new(),
            regexes: Arc::clone(regexes),
        };
        bound.values.resize(parameters.names.len(), None);
        for name in keywords.iter().flat_map(Kwargs::args) {
            let value: Value = keywords
                .as_ref()
                .map_or(Ok(Value::UNDEFINED), |keywords| keywords.peek(name))?;
            match parameters.position(name) {
                Some(index) if bound.values[index].is_none() => bound.values[index] = Some(value),
                Some(_) => {
                    let message = format!("got multiple values for argument '{name}'");
                    return Err(Error::new(ErrorKind::TooManyArguments, message));
                }
                None if parameters.takes_keywords => bound.keywords.push((name.to_owned(), value)),
                None => {
                    let message = format!("got an unexpected keyword argument '{name}'");
                    return Err(Error::new(ErrorKind::TooManyArguments, message));
                }
            }
        }
        let mut missing = parameters.names.iter().zip(&bound.values);
        if let Some((name, _)) = missing.find(|(name, value)| value.is_none() && !name.ends_with('?')) {
            let message = format!("missing argument '{name}'");
            return Err(Error::new(ErrorKind::MissingArgument, message));
        }
        Ok(bound)
    }

    /// A regex to be used on a text.
    pub(super) fn regex(&self, pattern: &str, flags: Flags, text: &str) -> Result<Arc<Regex>, Error> {
        self.regexes.get(pattern, flags, text)
    }

    /// Whether an argument was given.
    pub(super) fn has(&self, index: usize) -> bool {
        self.values[index].is_some()
    }

    /// An argument; undefined if it was not given.
    pub(super) fn value(&self, index: usize) -> Value {
        self.values[index].clone().unwrap_or(Value::UNDEFINED)
    }

    /// An argument that is given and not none.
    pub(super) fn some(&self, index: usize) -> Option<&Value> {
        self.values[index]
            .as_ref()
            .filter(|value| !value.is_none() && !value.is_undefined())
    }

    pub(super) fn rest(&self) -> &[Value] {
        &self.rest
    }

    pub(super) fn keywords(&self) -> &[(String, Value)] {
        &self.keywords
    }

    /// A text.
    pub(super) fn text(&self, index: usize) -> Result<String, Error> {
        text(&self.value(index))
    }

    pub(super) fn text_or(&self, index: usize, default: &str) -> Result<String, Error> {
        self.some(index).map_or_else(|| Ok(default.to_owned()), text)
    }

    /// An integer.
    pub(super) fn integer(&self, index: usize) -> Result<i128, Error> {
        integer(&self.value(index))
    }

    pub(super) fn integer_or(&self, index: usize, default: i128) -> Result<i128, Error> {
        self.some(index).map_or(Ok(default), integer)
    }

    /// Whether an argument is true, as Python sees it.
    pub(super) fn is_true(&self, index: usize) -> bool {
        self.values[index].as_ref().is_some_and(Value::is_true)
    }

    /// The items of a list.
    pub(super) fn list(&self, index: usize) -> Result<Vec<Value>, Error> {
        list(&self.value(index))
    }

    /// The texts of a list.
    pub(super) fn texts(&self, index: usize) -> Result<Vec<String>, Error> {
        self.list(index)?.iter().map(text).collect()
    }
}

/// Items one after another, with an error after as many as a filter returns.
pub(super) fn lazily<I>(items: impl Fn() -> I + Send + Sync + 'static) -> Value
where
    I: Iterator<Item = Value> + Send + Sync + 'static,
{
    Value::make_iterable(move || bounded(items()))
}

/// The same items, and an error after as many as a filter returns.
pub(super) fn bounded<I: Iterator<Item = Value>>(items: I) -> impl Iterator<Item = Value> + use<I> {
    let numbered = items.take(MOST_ITEMS + 1).enumerate();
    numbered.map(|(index, item)| {
        if index == MOST_ITEMS {
            Value::from(too_many())
        } else {
            item
        }
    })
}

/// The text of a value that is one.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None if value.is_undefined() => Err(invalid("expected a text, but the value is undefined")),
        None if super::address::is_address(value) => Ok(value.to_string()),
        None => Err(invalid(format!("expected a text, got {value:?}"))),
    }
}

/// The integer of a value that is one. Booleans are integers in Python.
pub(super) fn integer(value: &Value) -> Result<i128, Error> {
    let number = match value.kind() {
        ValueKind::Bool => Some(i128::from(value.is_true())),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok(),
        _ => None,
    };
    number.ok_or_else(|| invalid(format!("expected an integer, got {value:?}")))
}

/// What `int()` of Python makes of a value.
pub(super) fn to_integer(value: &Value) -> Result<i128, Error> {
    if let Some(text) = value.as_str() {
        return python_int(text)
            .ok_or_else(|| invalid(format!("invalid literal for int() with base 10: {value:?}")));
    }
    if let Some(number) = super::address::as_number(value) {
        return i128::try_from(number).map_err(|_| invalid("the number is too large"));
    }
    match f64::try_from(value.clone()) {
        // A float that has no integer of this size saturates.
        #[expect(clippy::cast_possible_truncation, reason = "int() truncates")]
        Ok(number) if value.is_number() && !value.is_integer() => Ok(number.trunc() as i128),
        _ => integer(value),
    }
}

/// `int()` of a text: white space around it, a sign, and underscores between digits are allowed.
pub(super) fn python_int(text: &str) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let valid = !digits.is_empty()
        && !digits.starts_with('_')
        && !digits.ends_with('_')
        && !digits.contains("__")
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if !valid {
        return None;
    }
    let number: i128 = digits.replace('_', "").parse().ok()?;
    Some(if negative { -number } else { number })
}

/// The items of a value that has some, bounded.
pub(super) fn list(value: &Value) -> Result<Vec<Value>, Error> {
    if matches!(value.kind(), ValueKind::Undefined | ValueKind::None) {
        return Err(invalid(format!("expected a list, got {value:?}")));
    }
    let mut items = Vec::new();
    for item in value.try_iter()?.checked() {
        if items.len() == MOST_ITEMS {
            return Err(too_many());
        }
        items.push(item?);
    }
    Ok(items)
}

/// A list of texts.
pub(super) fn texts<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Value {
    items.into_iter().map(|item| Value::from(item.into())).collect()
}

/// An integer as a value; one that is larger than the engine counts is its text, which prints the same.
pub(super) fn number(number: u128) -> Value {
    match (i64::try_from(number), i128::try_from(number)) {
        (Ok(number), _) => Value::from(number),
        (_, Ok(number)) => Value::from(number),
        _ => Value::from(number.to_string()),
    }
}

/// A none, as Python returns it.
pub(super) fn none() -> Value {
    Value::from(())
}
