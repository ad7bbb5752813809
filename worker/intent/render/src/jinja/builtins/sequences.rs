//! The filters of sequences and dictionaries.

use std::rc::Rc;

use super::{Filter, Path, integer, size, text, truth};
use crate::jinja::failure::{Res, fail};
use crate::jinja::interpreter::{Args, Env, Run};
use crate::jinja::operators::{binary, equal_within, order};
use crate::jinja::syntax::tree::Operator;
use crate::jinja::value::{Entries, Iter, Key, Tuple, Val, View};

/// A filter of sequences.
pub(super) fn filter(name: &str) -> Option<Filter> {
    Some(match name {
        "default" | "d" => default,
        "length" | "count" => length,
        "first" => first,
        "last" => last,
        "list" => list,
        "join" => join,
        "reverse" => reverse,
        "sort" => sort,
        "unique" => unique,
        "min" => |run, _, input, args| extreme(run, "min", input, args),
        "max" => |run, _, input, args| extreme(run, "max", input, args),
        "sum" => sum,
        "map" => map,
        "select" => |run, env, input, args| select(run, env, input, args, None, true),
        "reject" => |run, env, input, args| select(run, env, input, args, None, false),
        "selectattr" => |run, env, input, args| select_by_attribute(run, env, input, args, true),
        "rejectattr" => |run, env, input, args| select_by_attribute(run, env, input, args, false),
        "groupby" => group_by,
        "batch" => batch,
        "slice" => slice,
        "dictsort" => dict_sort,
        "items" => items,
        "attr" => attribute,
        "random" => |_, _, _, _| {
            fail!("`random` is not supported: a configuration is the same each time it is rendered")
        },
        _ => return None,
    })
}

fn default(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [default, boolean] = args.bind("default", ["default_value", "boolean"])?;
    let replaces = input.is_undefined() || (truth(run, boolean.as_ref(), false)? && !run.truth(input)?);
    Ok(if replaces {
        default.unwrap_or_else(|| Val::from(""))
    } else {
        input.clone()
    })
}

fn length(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [] = args.bind("length", [])?;
    match run.length(input)? {
        Some(length) => Ok(Val::size(length)),
        None => fail!(
            "{} has no length; use `|list|length` for what is iterated once",
            input.type_name()
        ),
    }
}

fn first(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [] = args.bind("first", [])?;
    let first = match input {
        Val::Iterator(iter) => iter.rest.borrow_mut().next(),
        Val::List(list) => list.borrow().first().cloned(),
        Val::Tuple(tuple) => tuple.items().first().cloned(),
        _ => run.iterate(input)?.into_iter().next(),
    };
    Ok(first.unwrap_or(Val::Undefined(None)))
}

fn last(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [] = args.bind("last", [])?;
    let last = match input {
        Val::List(list) => list.borrow().last().cloned(),
        Val::Tuple(tuple) => tuple.items().last().cloned(),
        _ => run.iterate(input)?.pop(),
    };
    Ok(last.unwrap_or(Val::Undefined(None)))
}

fn list(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [] = args.bind("list", [])?;
    let items = run.iterate(input)?;
    run.allocate_items(items.len())?;
    Ok(Val::list(items))
}

fn join(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [separator, attribute] = args.bind("join", ["d", "attribute"])?;
    let separator = match &separator {
        Some(separator) => run.text(separator)?,
        None => "".into(),
    };
    let path = Path::new(attribute.as_ref());
    let mut joined = String::new();
    for (index, item) in run.iterate(input)?.iter().enumerate() {
        if index > 0 {
            run.append(&mut joined, &separator)?;
        }
        let item = path.of(run, item, None)?;
        crate::jinja::print::write_str(run, &mut joined, &item)?;
    }
    run.allocate(joined.len())?;
    Ok(Val::from(joined))
}

fn reverse(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [] = args.bind("reverse", [])?;
    if let Val::Str(text) = input {
        run.allocate(text.len())?;
        return Ok(Val::from(text.chars().rev().collect::<String>()));
    }
    let mut items = run.iterate(input)?;
    run.allocate_items(items.len())?;
    items.reverse();
    Ok(match input {
        // Python has no reversed iterator of an iterator, so Jinja2 makes a list.
        Val::Iterator(_) => Val::list(items),
        _ => Val::Iterator(Rc::new(Iter {
            name: "reversed",
            rest: std::cell::RefCell::new(items.into_iter()),
        })),
    })
}

/// The items with the keys by which they are sorted: one or more attributes.
fn with_keys(
    run: &Run<'_>,
    input: &Val,
    attributes: Option<&Val>,
    case_sensitive: bool,
) -> Res<Vec<(Val, Val)>> {
    let paths: Vec<Path> = match attributes {
        Some(Val::Str(attributes)) => attributes
            .split(',')
            .map(|attribute| Path::new(Some(&Val::from(attribute))))
            .collect(),
        other => vec![Path::new(other)],
    };
    let mut keyed = Vec::new();
    for item in run.iterate(input)? {
        let key_of = |path: &Path| run.sort_key(path.of(run, &item, None)?, case_sensitive);
        let key = match &paths[..] {
            [path] => key_of(path)?,
            paths => Val::list(paths.iter().map(key_of).collect::<Res<_>>()?),
        };
        keyed.push((key, item));
    }
    run.allocate_items(keyed.len() * 2)?;
    Ok(keyed)
}

fn sort(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [reverse, case_sensitive, attribute] =
        args.bind("sort", ["reverse", "case_sensitive", "attribute"])?;
    let case_sensitive = truth(run, case_sensitive.as_ref(), false)?;
    let mut keyed = with_keys(run, input, attribute.as_ref(), case_sensitive)?;
    run.sort(&mut keyed, truth(run, reverse.as_ref(), false)?)?;
    Ok(Val::list(keyed.into_iter().map(|(_, item)| item).collect()))
}

fn unique(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [case_sensitive, attribute] = args.bind("unique", ["case_sensitive", "attribute"])?;
    let case_sensitive = truth(run, case_sensitive.as_ref(), false)?;
    let path = Path::new(attribute.as_ref());
    let mut seen = Entries::default();
    for item in run.iterate(input)? {
        let key = path.of(run, &item, None)?;
        let key = Key::new(run.sort_key(key, case_sensitive)?)?;
        seen.entry(key).or_insert(item);
    }
    run.allocate_items(seen.len())?;
    Ok(Val::generator(seen.into_values().collect()))
}

fn extreme(run: &Run<'_>, name: &str, input: &Val, args: &Args) -> Res<Val> {
    let [case_sensitive, attribute] = args.bind(name, ["case_sensitive", "attribute"])?;
    let case_sensitive = truth(run, case_sensitive.as_ref(), false)?;
    let path = Path::new(attribute.as_ref());
    let mut best: Option<(Val, Val)> = None;
    for item in run.iterate(input)? {
        let key = path.of(run, &item, None)?;
        let key = run.sort_key(key, case_sensitive)?;
        let is_better = match &best {
            None => true,
            Some((best, _)) if name == "min" => order(run, &key, best, 0)?.is_lt(),
            Some((best, _)) => order(run, &key, best, 0)?.is_gt(),
        };
        if is_better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Val::Undefined(None), |(_, item)| item))
}

fn sum(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [attribute, start] = args.bind("sum", ["attribute", "start"])?;
    let mut sum = start.unwrap_or(Val::Int(0));
    if let Val::Str(_) = sum {
        fail!("`sum` does not add texts; use `join`");
    }
    let path = Path::new(attribute.as_ref());
    for item in run.iterate(input)? {
        let item = path.of(run, &item, None)?;
        sum = binary(run, Operator::Add, &sum, &item)?;
    }
    Ok(sum)
}

fn map(run: &Run<'_>, env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let items = run.iterate(input)?;
    let mut mapped = Vec::with_capacity(items.len());
    match args.positional.first() {
        None => {
            let [attribute, default] = args.bind("map", ["attribute", "default"])?;
            let Some(attribute) = attribute else {
                fail!("`map` needs a filter or an attribute");
            };
            let path = Path::new(Some(&attribute));
            for item in items {
                mapped.push(path.of(run, &item, default.as_ref())?);
            }
        }
        Some(Val::Str(name)) => {
            let args = args.skip(1);
            let filter = super::filter(name);
            for item in items {
                mapped.push(run.filter(env, filter, name, &item, &args)?);
            }
        }
        Some(other) => fail!("`map` takes the name of a filter, not {}", other.type_name()),
    }
    run.allocate_items(mapped.len())?;
    Ok(Val::generator(mapped))
}

/// What passes a test, or does not.
fn select(
    run: &Run<'_>,
    env: &Env,
    input: &Val,
    args: &Args,
    attribute: Option<&Val>,
    keeps: bool,
) -> Res<Val> {
    let rest = args.skip(1);
    let path = Path::new(attribute);
    let test = args
        .positional
        .first()
        .map(|name| (name.as_str().and_then(super::test), name));
    let mut selected = Vec::new();
    for item in run.iterate(input)? {
        let value = path.of(run, &item, None)?;
        let passes = match test {
            None => run.truth(&value)?,
            Some((test, Val::Str(name))) => run.test(env, test, name, &value, &rest)?,
            Some((_, other)) => fail!("a test is named by a str, not {}", other.type_name()),
        };
        if passes == keeps {
            selected.push(item);
        }
    }
    run.allocate_items(selected.len())?;
    Ok(Val::generator(selected))
}

fn select_by_attribute(run: &Run<'_>, env: &Env, input: &Val, args: &Args, keeps: bool) -> Res<Val> {
    let Some(attribute) = args.positional.first() else {
        fail!("`selectattr` and `rejectattr` need an attribute");
    };
    select(run, env, input, &args.skip(1), Some(attribute), keeps)
}

fn group_by(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [attribute, default, case_sensitive] =
        args.bind("groupby", ["attribute", "default", "case_sensitive"])?;
    let Some(attribute) = attribute else {
        fail!("`groupby` needs an attribute");
    };
    let case_sensitive = truth(run, case_sensitive.as_ref(), false)?;
    let path = Path::new(Some(&attribute));
    let key_of = |item: &Val| path.of(run, item, default.as_ref());
    let mut keyed = Vec::new();
    for item in run.iterate(input)? {
        keyed.push((run.sort_key(key_of(&item)?, case_sensitive)?, item));
    }
    run.allocate_items(keyed.len() * 2)?;
    run.sort(&mut keyed, false)?;
    let mut groups: Vec<(Val, Vec<Val>)> = Vec::new();
    for (key, item) in keyed {
        match groups.last_mut() {
            Some((last, items)) if equal_within(Some(run), last, &key, 0)? => items.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    let groups = groups.into_iter().map(|(_, items)| {
        let key = items.first().map_or(Ok(Val::None), key_of)?;
        let group = Tuple::new(vec![key, Val::list(items)], &["grouper", "list"]);
        Ok(Val::Tuple(Rc::new(group)))
    });
    Ok(Val::list(groups.collect::<Res<_>>()?))
}

fn batch(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [Some(count), fill] = args.bind("batch", ["linecount", "fill_with"])? else {
        fail!("`batch` needs a number");
    };
    let count = size(Some(&count), "linecount", 1)?.max(1);
    let items = run.iterate(input)?;
    let mut batches: Vec<Vec<Val>> = items.chunks(count).map(<[Val]>::to_vec).collect();
    run.allocate_items(items.len())?;
    let fill = fill.filter(|fill| !matches!(fill, Val::None));
    if let (Some(fill), Some(last)) = (fill, batches.last_mut()) {
        run.allocate_items(count)?;
        last.resize(count, fill);
    }
    Ok(Val::generator(batches.into_iter().map(Val::list).collect()))
}

fn slice(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [Some(count), fill] = args.bind("slice", ["slices", "fill_with"])? else {
        fail!("`slice` needs a number");
    };
    let count = integer(Some(&count), "slices", 1)?;
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
        fail!("`slice` needs a positive number");
    };
    let items = run.iterate(input)?;
    run.allocate_items(items.len().saturating_add(count))?;
    let (each, with_more) = (items.len() / count, items.len() % count);
    let fill = fill.filter(|fill| !matches!(fill, Val::None));
    let mut items = items.into_iter();
    let slices = (0..count).map(|index| {
        let mut part: Vec<Val> = items
            .by_ref()
            .take(each + usize::from(index < with_more))
            .collect();
        if index >= with_more {
            part.extend(fill.clone());
        }
        Val::list(part)
    });
    Ok(Val::generator(slices.collect()))
}

fn dict_sort(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [case_sensitive, by, reverse] = args.bind("dictsort", ["case_sensitive", "by", "reverse"])?;
    let case_sensitive = truth(run, case_sensitive.as_ref(), false)?;
    let by = text(by.as_ref(), "by", "key")?;
    let by_value = match &*by {
        "key" => false,
        "value" => true,
        _ => fail!("`dictsort` sorts by `key` or `value`"),
    };
    let Val::Dict(dict) = input else {
        fail!("`dictsort` takes a dict, not {}", input.type_name());
    };
    let mut keyed = Vec::new();
    for (key, value) in &*dict.borrow() {
        let by = if by_value { value } else { key.value() };
        let item = Val::tuple(vec![key.value().clone(), value.clone()]);
        keyed.push((run.sort_key(by.clone(), case_sensitive)?, item));
    }
    run.allocate_items(keyed.len() * 4)?;
    run.sort(&mut keyed, truth(run, reverse.as_ref(), false)?)?;
    Ok(Val::list(keyed.into_iter().map(|(_, item)| item).collect()))
}

fn items(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [] = args.bind("items", [])?;
    match input {
        Val::Undefined(_) => Ok(Val::generator(Vec::new())),
        Val::Dict(dict) => Ok(Val::generator(
            run.iterate(&Val::View(View::Items, Rc::clone(dict)))?,
        )),
        _ => fail!("`items` takes a dict, not {}", input.type_name()),
    }
}

fn attribute(run: &Run<'_>, _env: &Env, input: &Val, args: &Args) -> Res<Val> {
    let [Some(name)] = args.bind("attr", ["name"])? else {
        fail!("`attr` needs a name");
    };
    let name = text(Some(&name), "name", "")?;
    match input {
        // An attribute of a dictionary is a method, never an item.
        Val::Dict(_) if !crate::jinja::methods::is_dict_method(&name) => Ok(Val::Undefined(Some(name))),
        _ => run.attribute(input, &name),
    }
}
