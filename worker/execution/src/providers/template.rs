//! Templates and expressions of tasks: what bounds them, and how their errors are told.

use std::fmt::Write as _;
use std::io;

use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::Value;

use crate::StepFailure;

/// The work of one rendering: about half a million instructions, or 32 MiB of texts and lists.
const FUEL: u64 = 500_000;

/// The most bytes that a template renders, or that the result of an expression has as JSON.
const MAX_OUTPUT: usize = 1 << 20;

/// Renders a template. `name` says what it is for in errors.
///
/// # Errors
/// It is wrong, uses what is not defined, or takes too much.
pub(super) fn render(name: &str, source: &str, context: &Value) -> Result<String, StepFailure> {
    render_in(&environment(), name, source, context)
}

/// Renders a template of a part of a URL: what its expressions write is percent-encoded, so no value ends the segment or the parameter that
/// it is in. A value with the filter `safe` is written as it is.
///
/// # Errors
/// As [`render`].
pub(super) fn render_encoded(name: &str, source: &str, context: &Value) -> Result<String, StepFailure> {
    let mut environment = environment();
    environment.set_formatter(|output, _, value| {
        let text = value.to_string();
        if value.is_safe() {
            return Ok(output.write_str(&text)?);
        }
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    output.write_char(char::from(byte))?;
                }
                other => write!(output, "%{other:02X}")?,
            }
        }
        Ok(())
    });
    render_in(&environment, name, source, context)
}

fn render_in(
    environment: &Environment<'_>,
    name: &str,
    source: &str,
    context: &Value,
) -> Result<String, StepFailure> {
    let template = environment.template_from_named_str(name, source);
    let template = template.map_err(|error| failure(name, &error))?;
    let mut output = Bounded(Vec::new());
    let rendered = template.render_captured_to(Serde(context), &mut output);
    rendered.map_err(|error| failure(name, &error))?;
    String::from_utf8(output.0).map_err(|_| too_large(name))
}

/// The value of an expression. `name` says what it is for in errors.
///
/// # Errors
/// It is wrong, it or its value uses what is not defined, or it takes too much.
pub(super) fn evaluate(name: &str, source: &str, context: &Value) -> Result<Value, StepFailure> {
    let environment = environment();
    let expression = environment.compile_expression(source);
    let expression = expression.map_err(|error| failure(name, &error))?;
    let value = expression.eval(Serde(context));
    let value = value.map_err(|error| failure(name, &error))?;
    if value.is_undefined() {
        let reason = format!("{name}: `{}` is undefined", source.trim());
        return Err(StepFailure::new("template-error", reason));
    }
    // Writes it only as far as it is allowed to be long.
    let mut output = Bounded(Vec::new());
    serde_json::to_writer(&mut output, &value).map_err(|_| too_large(name))?;
    serde_json::from_slice(&output.0)
        .map_err(|error| StepFailure::new("template-error", format!("{name}: its value is no JSON: {error}")))
}

/// The names that a template or an expression uses and that are not its own, or `None` if it is wrong.
pub(super) fn names_in(source: &str, is_expression: bool) -> Option<Vec<String>> {
    let environment = environment();
    let names = if is_expression {
        let expression = environment.compile_expression(source).ok()?;
        expression.undeclared_variables(false)
    } else {
        let template = environment.template_from_str(source).ok()?;
        template.undeclared_variables(false)
    };
    Some(names.into_iter().collect())
}

/// It has no loader, so templates read no files, and none includes another one.
fn environment<'a>() -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // Errors name what is undefined.
    environment.set_debug(true);
    environment
}

fn failure(name: &str, error: &Error) -> StepFailure {
    let reason = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too much work or memory; let it do less".to_owned(),
        ErrorKind::WriteFailure => return too_large(name),
        kind => error
            .detail()
            .map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
    };
    let line = error
        .line()
        .map(|line| format!(", line {line}"))
        .unwrap_or_default();
    StepFailure::new("template-error", format!("{name}{line}: {reason}"))
}

fn too_large(name: &str) -> StepFailure {
    let reason = format!("{name}: its result has more than {MAX_OUTPUT} bytes; let it return less");
    StepFailure::new("too-large", reason)
}

/// Takes as many bytes as a result may have.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn device() -> Value {
        json!({
            "device": {
                "hostname": "leaf1",
                "model": null,
                "facts": { "vlans": [{ "id": 10 }, { "id": 20 }], "version": "4.30" },
            },
            "input": { "most": 3 },
        })
    }

    #[test]
    fn expressions_have_values_or_say_what_is_wrong_and_where() {
        let too_much = "((((device.facts.vlans * 1000) * 1000) * 1000) * 1000)|length";
        for (source, expected) in [
            ("device.facts.vlans|length <= input.most", Ok(json!(true))),
            ("device.facts.version == '4.31'", Ok(json!(false))),
            (
                "{'result': 'nok', 'n': device.facts.vlans[0].id}",
                Ok(json!({"result": "nok", "n": 10})),
            ),
            ("device.facts.spanning is defined", Ok(json!(false))),
            ("device.facts.spanning|default(7)", Ok(json!(7))),
            ("device.model", Ok(json!(null))),
            (
                "device.facts.spanning",
                Err("template-error: the test: `device.facts.spanning` is undefined"),
            ),
            (
                "device.facts.spanning.mode == 'mstp'",
                Err(
                    "template-error: the test, line 1: undefined value: `device.facts.spanning` is undefined",
                ),
            ),
            (
                "hostname == 'x' and",
                Err(
                    "template-error: the test, line 1: syntax error: unexpected end of input, expected expression",
                ),
            ),
            (too_much, Err("template-error: the test, line 1")),
            (
                "'x' * 2000000",
                Err("too-large: the test: its result has more than 1048576 bytes; let it return less"),
            ),
        ] {
            let found = evaluate("the test", source, &device());
            let found = found.map_err(|failure| format!("{}: {}", failure.reason, failure.message));
            match expected {
                Ok(value) => assert_eq!(found, Ok(value), "{source}"),
                Err(reason) => {
                    let told = found.expect_err(source);
                    assert!(told.starts_with(reason), "{source}: {told}");
                }
            }
        }
    }

    #[test]
    fn templates_render_texts_or_say_what_is_wrong_and_where() {
        let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}";
        for (source, expected) in [
            (
                "{{ device.hostname }} has {{ device.facts.vlans|length }} VLANs",
                Ok("leaf1 has 2 VLANs"),
            ),
            (
                "{{ device.facts.vlans|map(attribute='id')|list|tojson }}",
                Ok("[10, 20]"),
            ),
            (
                "line\n{{ device.site }}",
                Err("template-error: the text, line 2: undefined value: `device.site` is undefined"),
            ),
            (
                "{{ nobody }}",
                Err("template-error: the text, line 1: undefined value: `nobody` is undefined"),
            ),
            (
                "{% include '/etc/hostname' %}",
                Err("template-error: the text, line 1: syntax error"),
            ),
            ("{% if %}", Err("template-error: the text, line 1: syntax error")),
            (
                endless,
                Err("template-error: the text, line 1: it takes too much work or memory; let it do less"),
            ),
            (
                "{{ 'x' * 1048577 }}",
                Err("too-large: the text: its result has more than 1048576 bytes; let it return less"),
            ),
        ] {
            let found = render("the text", source, &device());
            let found = found.map_err(|failure| format!("{}: {}", failure.reason, failure.message));
            match expected {
                Ok(text) => assert_eq!(found.as_deref(), Ok(text), "{source}"),
                Err(reason) => {
                    let told = found.expect_err(source);
                    assert!(told.starts_with(reason), "{source}: {told}");
                }
            }
        }
    }

    #[test]
    fn values_in_addresses_are_percent_encoded() {
        let context = json!({ "name": "a/../b?c=1&d #é", "query": "a=1&b=2", "id": 7 });
        for (source, expected) in [
            (
                "/x/{{ name }}/{{ id }}",
                "/x/a%2F..%2Fb%3Fc%3D1%26d%20%23%C3%A9/7",
            ),
            ("/x?{{ query|safe }}", "/x?a=1&b=2"),
        ] {
            assert_eq!(render_encoded("path", source, &context).as_deref(), Ok(expected));
        }
        let failure = render_encoded("path", "/x/{{ lost }}", &context).expect_err("undefined");
        assert_eq!(failure.reason, "template-error");
    }

    #[test]
    fn the_names_that_are_used_are_known_before() {
        let sorted = |names: Option<Vec<String>>| {
            names.map(|mut names| {
                names.sort_unstable();
                names
            })
        };
        let names = names_in("device.facts.a == input.b and [x for_ y]", true);
        assert_eq!(names, None);
        let names = names_in("device.facts.a == input.b", true);
        assert_eq!(sorted(names), Some(vec!["device".to_owned(), "input".to_owned()]));
        let names = names_in("{% for one in group.facts %}{{ one }}{% endfor %}", false);
        assert_eq!(names, Some(vec!["group".to_owned()]));
    }
}
