use std::rc::Rc;

use crate::jinja::builtins::{integer, truth};
use crate::jinja::failure::{Res, fail};
use crate::jinja::interpreter::{Args, Env, Run, article};
use crate::jinja::operators::equal_within;
use crate::jinja::value::{Dict, Entries, Key, List, Val, View};

pub(super) const LIST: [&str; 11] = [
    "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort",
];

pub(super) fn call(run: &Run<'_>, env: &Env, value: &Val, name: &str, args: &Args) -> Res<Val> {
    match value {
        Val::List(list) => list_method(run, env, value, list, name, args),
        Val::Dict(dict) => dict_method(run, value, dict, name, args),
        Val::Cycler(cycler) => {
            let [] = args.bind(name, [])?;
            let position = if name == "reset" { 0 } else { cycler.position.get() };
            let next = if name == "reset" {
                0
            } else {
                (position + 1) % cycler.items.len()
            };
            cycler.position.set(next);
            Ok(if name == "reset" {
                Val::None
            } else {
                cycler.items[position].clone()
            })
        }
        Val::Float(number) => Ok(Val::Bool(number.fract() == 0.0)),
        Val::Int(_) | Val::Bool(_) => {
            let size = value.as_int().unwrap_or(0).unsigned_abs();
            Ok(Val::Int(i128::from(u128::BITS - size.leading_zeros())))
        }
        _ => search(run, value, name, args),
    }
}

/// `count` and `index` of sequences.
fn search(run: &Run<'_>, value: &Val, name: &str, args: &Args) -> Res<Val> {
    let [Some(wanted), start, stop] = args.bind(name, ["value", "start", "stop"])? else {
        fail!("`{name}` needs a value");
    };
    let items = run.iterate(value)?;
    let length = i128::try_from(items.len()).unwrap_or(i128::MAX);
    let place = |bound: i128| {
        let bound = if bound < 0 { bound + length } else { bound };
        usize::try_from(bound.clamp(0, length)).unwrap_or(0)
    };
    let start = place(integer(start.as_ref(), "start", 0)?);
    let stop = place(integer(stop.as_ref(), "stop", length)?);
    let mut count = 0;
    for (index, item) in items.iter().enumerate().take(stop).skip(start) {
        if equal_within(Some(run), item, &wanted, 0)? {
            if name == "index" {
                return Ok(Val::size(index));
            }
            count += 1;
        }
    }
    if name == "index" {
        fail!("the value is not in the {}", value.type_name());
    }
    Ok(Val::Int(count))
}

fn list_method(run: &Run<'_>, env: &Env, value: &Val, list: &Rc<List>, name: &str, args: &Args) -> Res<Val> {
    match name {
        "append" => {
            let [Some(item)] = args.bind(name, ["object"])? else {
                fail!("`append` needs a value");
            };
            grow(run, list, 1)?;
            run.note_change(value, &item);
            list.borrow_mut().push(item);
        }
        "extend" => {
            let [Some(items)] = args.bind(name, ["iterable"])? else {
                fail!("`extend` needs values");
            };
            let items = run.iterate(&items)?;
            grow(run, list, items.len())?;
            for item in &items {
                run.note_change(value, item);
            }
            list.borrow_mut().extend(items);
        }
        "insert" => {
            let [Some(index), Some(item)] = args.bind(name, ["index", "object"])? else {
                fail!("`insert` needs an index and a value");
            };
            let index = integer(Some(&index), "index", 0)?;
            grow(run, list, 1)?;
            run.note_change(value, &item);
            let mut items = list.borrow_mut();
            run.charge(items.len() as u64 / 64)?;
            let index = place(index, items.len());
            items.insert(index, item);
        }
        "pop" => {
            let [index] = args.bind(name, ["index"])?;
            let index = integer(index.as_ref(), "index", -1)?;
            let mut items = list.borrow_mut();
            run.charge(items.len() as u64 / 64)?;
            let length = i128::try_from(items.len()).unwrap_or(i128::MAX);
            let index = if index < 0 { index + length } else { index };
            return match usize::try_from(index).ok().filter(|index| *index < items.len()) {
                Some(index) => Ok(items.remove(index)),
                None => fail!("`pop` from a list that is too short"),
            };
        }
        "remove" => {
            let index = search(run, value, "index", args)?.as_int();
            if let Some(index) = index.and_then(|index| usize::try_from(index).ok()) {
                let removed = list.borrow_mut().remove(index);
                drop(removed);
            }
        }
        "clear" => drop(list.take()),
        "copy" => {
            let items = list.borrow().clone();
            run.allocate_items(items.len())?;
            return Ok(Val::list(items));
        }
        "reverse" => {
            run.charge(list.borrow().len() as u64)?;
            list.borrow_mut().reverse();
        }
        "sort" => {
            let [key, reverse] = args.bind(name, ["key", "reverse"])?;
            let reverse = truth(run, reverse.as_ref(), false)?;
            let mut pairs = Vec::new();
            for item in run.iterate(value)? {
                let key = match &key {
                    None | Some(Val::None) => item.clone(),
                    Some(key) => {
                        let args = Args {
                            positional: vec![item.clone()],
                            named: Vec::new(),
                        };
                        run.call(key, args, env, 0)?
                    }
                };
                pairs.push((key, item));
            }
            run.sort(&mut pairs, reverse)?;
            *list.borrow_mut() = pairs.into_iter().map(|(_, item)| item).collect();
        }
        _ => return search(run, value, name, args),
    }
    Ok(Val::None)
}

/// Pays for the growth of a list.
fn grow(run: &Run<'_>, list: &List, items: usize) -> Res<()> {
    let length = list.borrow().len();
    if length + items > 1_000_000 {
        fail!("a list has more than 1000000 items");
    }
    run.allocate_items(items)
}

fn place(index: i128, length: usize) -> usize {
    let length = i128::try_from(length).unwrap_or(i128::MAX);
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index.clamp(0, length)).unwrap_or(0)
}

fn dict_method(run: &Run<'_>, value: &Val, dict: &Rc<Dict>, name: &str, args: &Args) -> Res<Val> {
    match name {
        "get" => {
            let [Some(key), default] = args.bind(name, ["key", "default"])? else {
                fail!("`get` needs a key");
            };
            let found = match &key {
                Val::Str(key) => dict.get(key),
                _ => dict.borrow().get(&Key::new(key)?).cloned(),
            };
            Ok(found.or(default).unwrap_or(Val::None))
        }
        "items" => Ok(Val::View(View::Items, Rc::clone(dict))),
        "keys" => Ok(Val::View(View::Keys, Rc::clone(dict))),
        "values" => Ok(Val::View(View::Values, Rc::clone(dict))),
        "update" => {
            let mut added = match &*args.positional {
                [] => Entries::default(),
                [Val::Dict(other) | Val::Namespace(other)] => other.borrow().clone(),
                [pairs] => {
                    let mut entries = Entries::default();
                    for pair in run.iterate(pairs)? {
                        let pair = run.iterate(&pair)?;
                        let [key, value] = &*pair else {
                            fail!("`update` takes pairs of keys and values");
                        };
                        entries.insert(Key::new(key.clone())?, value.clone());
                    }
                    entries
                }
                _ => fail!("`update` takes one dict"),
            };
            for (name, value) in &args.named {
                added.insert(Key::text(name), value.clone());
            }
            run.allocate_items(added.len() * 2)?;
            for item in added.values() {
                run.note_change(value, item);
            }
            dict.borrow_mut().extend(added);
            check_size(dict)?;
            Ok(Val::None)
        }
        "setdefault" => {
            let [Some(key), default] = args.bind(name, ["key", "default"])? else {
                fail!("`setdefault` needs a key");
            };
            let default = default.unwrap_or(Val::None);
            run.allocate_items(2)?;
            run.note_change(value, &default);
            let found = dict.borrow_mut().entry(Key::new(key)?).or_insert(default).clone();
            check_size(dict)?;
            Ok(found)
        }
        "pop" => {
            let [Some(key), default] = args.bind(name, ["key", "default"])? else {
                fail!("`pop` needs a key");
            };
            run.charge(dict.borrow().len() as u64 / 64)?;
            let found = dict.borrow_mut().shift_remove(&Key::new(key)?);
            match found.or(default) {
                Some(found) => Ok(found),
                None => fail!("`pop` of a key that is not in the dict"),
            }
        }
        "popitem" => match dict.borrow_mut().pop() {
            Some((key, value)) => Ok(Val::tuple(vec![key.value().clone(), value])),
            None => fail!("`popitem` of an empty dict"),
        },
        "clear" => {
            drop(dict.take());
            Ok(Val::None)
        }
        "copy" => {
            run.allocate_items(dict.borrow().len() * 2)?;
            Ok(Val::dict(dict.borrow().clone()))
        }
        "fromkeys" => {
            let [Some(keys), default] = args.bind(name, ["iterable", "value"])? else {
                fail!("`fromkeys` needs keys");
            };
            let mut entries = Entries::default();
            for key in run.iterate(&keys)? {
                entries.insert(Key::new(key)?, default.clone().unwrap_or(Val::None));
            }
            run.allocate_items(entries.len() * 2)?;
            Ok(Val::dict(entries))
        }
        _ => fail!("{} has no method `{name}`", article("dict")),
    }
}

fn check_size(dict: &Dict) -> Res<()> {
    if dict.borrow().len() > 1_000_000 {
        fail!("a dict has more than 1000000 items");
    }
    Ok(())
}
