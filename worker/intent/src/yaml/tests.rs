use std::fmt::Write;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::place::Place;

fn loaded(text: &str) -> String {
    fn write(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Boolean(value) => value.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Number(_) => "number".to_owned(),
            Value::Date(_) => "date".to_owned(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => {
                format!(
                    "[{}]",
                    items.iter().map(|item| write(item)).collect::<Vec<_>>().join(" ")
                )
            }
            Value::Map(pairs) => {
                let pair = |pair: &Pair| {
                    let Place { line, column } = pair.key_place;
                    format!("{}@{line}:{column}={}", pair.key, write(&pair.value))
                };
                format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(" "))
            }
        }
    }
    write(&load(b"x.yml", text.as_bytes()).unwrap())
}

#[test]
fn values_have_places() {
    let table = [
        ("", "null"),
        ("---\n", "null"),
        ("# nothing\n", "null"),
        ("a: 1\nb:\n  - x\n  - 'yes'\n", "{a@1:1=1 b@2:1=[\"x\" \"yes\"]}"),
        ("\u{feff}a: yes", "{a@1:1=true}"),
        ("{a: {b: ~}, 5: !!str 7}", "{a@1:2={b@1:6=null} 5@1:13=\"7\"}"),
        ("a: |\n  two\n  lines\n", "{a@1:1=\"two\\nlines\\n\"}"),
        ("a: &x {p: 1}\nb: *x\n", "{a@1:1={p@1:8=1} b@2:1={p@1:8=1}}"),
        (
            "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n",
            "{a@1:1={p@1:8=1 q@1:14=2} b@2:1={p@1:8=1 q@4:3=3}}",
        ),
        ("räume: 1\nb: 'ä' \n", "{räume@1:1=1 b@2:1=\"ä\"}"),
        ("'<<': 1", "{<<@1:1=1}"),
        ("010: 0o10\n=: 2024-01-01\n", "{8@1:1=\"0o10\" =@2:1=date}"),
        ("a: 1\r\nb: 2\r\n", "{a@1:1=1 b@2:1=2}"),
    ];
    for (text, expected) in table {
        assert_eq!(loaded(text), expected, "{text:?}");
    }
}

#[test]
fn a_problem_has_a_place() {
    let deep = "[".repeat(200);
    let table = [
        ("a: [1, 2\nb: 3\n", "x.yml:2:", "invalid YAML"),
        ("a:\n\t- 1\n", "x.yml:2:", "invalid YAML"),
        ("a: 1\n  b: 2\n", "x.yml:2:", "invalid YAML"),
        ("a: 'x\n", "x.yml:", "invalid YAML"),
        ("a: 1\nb: 2\na: 3\n", "x.yml:3:1: ", "duplicate key a"),
        ("a: *nobody\n", "x.yml:1:4: ", "invalid YAML"),
        ("a: &x [*x]\n", "x.yml:1:8: ", "a value that contains it"),
        ("a: 1\n---\nb: 2\n", "x.yml:2:1: ", "second document"),
        ("a: !secret x\n", "x.yml:1:4: ", "unknown tag !secret"),
        ("? [a, b]\n: 1\n", "x.yml:1:3: ", "a key must be a word"),
        ("<<: 5\n", "x.yml:1:1: ", "needs a map"),
        ("a: =\n", "x.yml:1:4: ", "put it in quotes"),
        ("2024-01-01: a\n", "x.yml:1:1: ", "a key must be a word"),
        (&deep, "x.yml:1:65: ", "too deep"),
    ];
    for (text, place, reason) in table {
        let problem = load(b"x.yml", text.as_bytes()).unwrap_err().to_string();
        assert!(
            problem.starts_with(place) && problem.contains(reason),
            "{text:?}: {problem}"
        );
    }
    let problem = load(b"x.yml", b"a: 1\nb: \xc3\xa4\xff\n").unwrap_err();
    assert_eq!(
        problem.to_string(),
        "x.yml:2:5: not UTF-8; save the file as UTF-8"
    );
}

#[test]
fn aliases_that_multiply_are_rejected_before_they_are_expanded() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let before = level - 1;
        let items = vec![format!("*a{before}"); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{items}]").unwrap();
    }
    let problem = load(b"x.yml", text.as_bytes()).unwrap_err().to_string();
    assert!(
        problem.starts_with("x.yml:6:") && problem.contains("too many values"),
        "{problem}"
    );
}

#[test]
fn a_deeply_nested_file_is_rejected_without_a_stack_overflow() {
    for opening in ["[", "{a: ", "- ", "? "] {
        let text = opening.repeat(100_000);
        assert!(load(b"x.yml", text.as_bytes()).is_err(), "{opening}");
    }
}

#[test]
fn random_text_does_not_panic() {
    let pieces = [
        "a",
        "b: ",
        "- ",
        "? ",
        ": ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\n",
        "\n  ",
        "\t",
        "#",
        "&x ",
        "*x",
        "!t ",
        "!!str ",
        "|\n",
        ">-\n",
        "'",
        "\"",
        "\\",
        "%YAML 1.1\n",
        "---\n",
        "...\n",
        "<<: ",
        "~",
        "é",
        "\u{feff}",
        "\u{2028}",
        "\0",
        "@",
        "`",
        "\r",
        "\r\n",
        "\\x",
    ];
    let mut random = StdRng::seed_from_u64(9);
    let mut valid = 0;
    for _ in 0..20_000 {
        let count = random.random_range(0..16);
        let text: String = (0..count)
            .map(|_| pieces[random.random_range(0..pieces.len())])
            .collect();
        valid += u32::from(load(b"x.yml", text.as_bytes()).is_ok());
    }
    assert!(valid > 1000, "{valid}");
}
