//! The functions of Jinja2.

use std::cell::Cell;
use std::rc::Rc;

use crate::jinja::failure::{Res, fail};
use crate::jinja::interpreter::{Args, Run};
use crate::jinja::value::{Cycler, Dict, Entries, Key, Range, Val};

pub(in crate::jinja) type Function = for<'r> fn(&Run<'r>, &Args) -> Res<Val>;

/// A function of Jinja2.
pub(in crate::jinja) fn function(name: &str) -> Option<Function> {
    Some(match name {
        "range" => range,
        "dict" => dict,
        "namespace" => namespace,
        "cycler" => cycler,
        "joiner" => joiner,
        "lipsum" => lipsum,
        _ => return None,
    })
}

fn range(_run: &Run<'_>, args: &Args) -> Res<Val> {
    let mut numbers = Vec::new();
    for value in &args.positional {
        match value {
            Val::Undefined(name) => return Err(Run::undefined(name.as_deref())),
            _ => match value.as_int() {
                Some(number) => numbers.push(number),
                None => fail!("`range` takes integers, not {}", value.type_name()),
            },
        }
    }
    let (start, end, step) = match (&*numbers, args.named.is_empty()) {
        ([stop], true) => (0, *stop, 1),
        ([start, stop], true) => (*start, *stop, 1),
        ([start, end, step], true) => (*start, *end, *step),
        _ => fail!("`range` takes one to three integers"),
    };
    if step == 0 {
        fail!("the step of `range` is not 0");
    }
    Ok(Val::Range(Rc::new(Range {
        start,
        stop: end,
        step,
    })))
}

fn entries(run: &Run<'_>, callee: &str, args: &Args) -> Res<Entries> {
    let mut entries = Entries::default();
    match &*args.positional {
        [] => {}
        [Val::Dict(dict) | Val::Namespace(dict)] => entries.clone_from(&dict.borrow()),
        [pairs] => {
            for pair in run.iterate(pairs)? {
                let pair = run.iterate(&pair)?;
                let [key, value] = &*pair else {
                    fail!("`{callee}` takes pairs of keys and values");
                };
                entries.insert(Key::new(key.clone())?, value.clone());
            }
        }
        _ => fail!("`{callee}` takes at most one argument without a name"),
    }
    for (name, value) in &args.named {
        entries.insert(Key::new(Val::Str(name.clone()))?, value.clone());
    }
    run.allocate_items(entries.len() * 2 + 2)?;
    Ok(entries)
}

fn dict(run: &Run<'_>, args: &Args) -> Res<Val> {
    Ok(Val::dict(entries(run, "dict", args)?))
}

fn namespace(run: &Run<'_>, args: &Args) -> Res<Val> {
    let dict = Dict::default();
    *dict.borrow_mut() = entries(run, "namespace", args)?;
    Ok(Val::Namespace(Rc::new(dict)))
}

fn cycler(_run: &Run<'_>, args: &Args) -> Res<Val> {
    if args.positional.is_empty() {
        fail!("`cycler` needs values");
    }
    Ok(Val::Cycler(Rc::new(Cycler {
        items: args.positional.clone(),
        position: Cell::new(0),
    })))
}

fn joiner(_run: &Run<'_>, args: &Args) -> Res<Val> {
    let [separator] = args.bind("joiner", ["sep"])?;
    let separator = separator.unwrap_or_else(|| Val::from(", "));
    Ok(Val::Joiner(Rc::new((separator, Cell::new(false)))))
}

fn lipsum(_run: &Run<'_>, _args: &Args) -> Res<Val> {
    fail!("`lipsum` is not supported: a configuration is the same each time it is rendered");
}
