//! Templates render as Python's Jinja2 renders them, within bounds, and say what is wrong with them and where.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use lockstep_render::{Bounds, Files, TemplateError, TemplateSet, Undefined};
use minijinja::Value;

/// Templates, variables and what Python's Jinja2 rendered from them.
struct Case {
    name: String,
    files: Files,
    variables: Value,
    expected: String,
}

fn cases() -> Result<Vec<Case>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates");
    let mut cases = Vec::new();
    for folder in fs::read_dir(root)? {
        let folder = folder?.path();
        let name = folder
            .file_name()
            .context("a folder has a name")?
            .to_string_lossy()
            .into_owned();
        let mut files = BTreeMap::new();
        read(&folder, &folder, &mut files)?;
        let expected = files.remove("expected.txt");
        let variables = files.remove("variables.json").with_context(|| name.clone())?;
        if let Some(expected) = expected {
            cases.push(Case {
                files: files
                    .into_iter()
                    .map(|(path, text)| (path, Arc::from(text)))
                    .collect(),
                variables: serde_json::from_str(&variables)?,
                expected,
                name,
            });
        }
    }
    Ok(cases)
}

fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            files.insert(name, fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

fn set(files: &[(&str, &str)], undefined: Undefined) -> TemplateSet {
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), Arc::from(*text)));
    TemplateSet::new(Arc::new(files.collect()), "eos", undefined)
}

fn render(files: &[(&str, &str)], bounds: Bounds) -> Result<String, TemplateError> {
    let variables = Value::from_pairs([
        ("hostname", Value::from("leaf1")),
        ("numbers", Value::from(vec![3, 1, 2])),
    ]);
    set(files, Undefined::Lenient).render("main.j2", &variables, bounds)
}

fn small() -> Bounds {
    Bounds {
        fuel: 100_000,
        output: 1 << 20,
        memory: 16 << 20,
    }
}

#[test]
fn templates_render_byte_for_byte_as_python_renders_them() -> Result<()> {
    let cases = cases()?;
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    for case in cases {
        let set = TemplateSet::new(Arc::new(case.files), "", Undefined::Lenient);
        // The second time uses what the first one parsed.
        for _ in 0..2 {
            let rendered = set.render("main.j2", &case.variables, Bounds::default());
            assert_eq!(rendered.as_deref(), Ok(&*case.expected), "{}", case.name);
        }
    }
    Ok(())
}

#[test]
fn errors_name_the_template_the_line_and_the_chain_of_includes() {
    let including = "a\n\n{% include 'parts/one.j2' %}\n";
    for (files, expected) in [
        (
            vec![
                ("eos/main.j2", including),
                ("eos/parts/one.j2", "{{ hostname }}\n{% include '../two.j2' %}"),
                ("eos/two.j2", "\n\n{{ a.b }}"),
            ],
            "eos/two.j2:3: `a` is undefined, so it has no attribute `b`\n  included from eos/parts/one.j2:2\n  included from eos/main.j2:3",
        ),
        (
            vec![
                ("eos/main.j2", including),
                ("eos/parts/one.j2", "x\n{% if hostname %}\ny"),
            ],
            "eos/parts/one.j2:3: the block that begins in line 2 is not closed: `{% endif %}` is missing\n  included from eos/main.j2:3",
        ),
        (
            vec![("eos/main.j2", including)],
            "eos/main.j2:3: there is no template `eos/parts/one.j2`; names are relative to the template that names them",
        ),
        (
            vec![
                ("eos/main.j2", "{% include '../junos/main.j2' %}"),
                ("junos/main.j2", ""),
            ],
            "eos/main.j2:1: the template `../junos/main.j2` is outside of the folder `eos`, to which the templates of a platform are bound",
        ),
        (
            vec![
                ("eos/main.j2", "{% import 'm.j2' as m %}\n{{ m.outer([1]) }}"),
                (
                    "eos/m.j2",
                    "{% macro inner(x) %}\n{{ x + 1 }}{% endmacro %}\n{% macro outer(x) %}{{ inner(x) }}{% endmacro %}",
                ),
            ],
            "eos/m.j2:2: `+` is not possible between list and int\n  included from eos/m.j2:3\n  included from eos/main.j2:2",
        ),
        (
            vec![
                (
                    "eos/main.j2",
                    "{% extends 'base.j2' %}\n{% block a %}\n{{ 1 // 0 }}{% endblock %}",
                ),
                ("eos/base.j2", "\n{% block a %}{% endblock %}"),
            ],
            "eos/main.j2:3: division by zero\n  included from eos/base.j2:2\n  included from eos/main.j2:1",
        ),
        (
            vec![("eos/main.j2", "\n{{ hostname | nonsense }}")],
            "eos/main.j2:2: there is no filter `nonsense`",
        ),
        (
            vec![("eos/main.j2", "{{\n hostname\n is nonsense }}")],
            "eos/main.j2:3: there is no test `nonsense`",
        ),
        (
            vec![("eos/main.j2", "{{ hostname")],
            "eos/main.j2:1: a tag is not closed: `}}` is missing",
        ),
        (
            vec![("eos/main.j2", "\n{% nonsense %}")],
            "eos/main.j2:2: unknown tag `nonsense`",
        ),
        (
            vec![("eos/main.j2", "{{ numbers[0] (1) }}")],
            "eos/main.j2:1: an int cannot be called",
        ),
        (
            vec![(
                "eos/main.j2",
                "{{ numbers|sort(attribute='a') }}\n{{ hostname|random }}",
            )],
            "eos/main.j2:2: `random` is not supported: a configuration is the same each time it is rendered",
        ),
        (
            vec![("eos/main.j2", "{{ [1, 'a']|sort }}")],
            "eos/main.j2:1: str and int cannot be ordered",
        ),
        (
            vec![("eos/main.j2", "{% for a, b in [(1, 2, 3)] %}{% endfor %}")],
            "eos/main.j2:1: 3 values cannot be unpacked into 2 names",
        ),
        (
            vec![("eos/main.j2", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}")],
            "eos/main.j2:1: the macro `m` takes at most 1 arguments",
        ),
        (
            vec![("eos/other.j2", "")],
            "eos/main.j2:0: there is no template `eos/main.j2`; names are relative to the template that names them",
        ),
    ] {
        let error = render(&files, Bounds::default()).map_err(|error| error.to_string());
        assert_eq!(error, Err(expected.to_owned()), "{files:?}");
    }
}

#[test]
fn undefined_values_are_errors_only_where_that_is_chosen() {
    for (template, strict) in [
        ("{{ missing }}", Err("eos/main.j2:1: `missing` is undefined")),
        (
            "{% for x in missing %}{% endfor %}",
            Err("eos/main.j2:1: `missing` is undefined"),
        ),
        (
            "{% if missing %}{% endif %}",
            Err("eos/main.j2:1: `missing` is undefined"),
        ),
        (
            "{{ missing == 1 or '' }}",
            Err("eos/main.j2:1: `missing` is undefined"),
        ),
        ("{{ missing|default('') }}", Ok("")),
        ("{{ '' if missing is defined }}", Ok("")),
        ("{{ 'x' if false }}", Ok("")),
    ] {
        let files = [("eos/main.j2", template)];
        let lenient = set(&files, Undefined::Lenient).render("main.j2", &Value::UNDEFINED, small());
        assert_eq!(
            lenient.as_deref().map(|text| text == "False" || text.is_empty()),
            Ok(true),
            "{template}"
        );
        let result = set(&files, Undefined::Strict).render("main.j2", &Value::UNDEFINED, small());
        let result = result.map_err(|error| error.to_string());
        assert_eq!(result.as_deref().map_err(|error| &**error), strict, "{template}");
    }
}

#[test]
fn templates_neither_loop_for_ever_nor_fill_the_memory() {
    let deep_lists =
        "{% set ns = namespace(l=[]) %}{% for i in range(50000) %}{% set ns.l = [ns.l] %}{% endfor %}";
    let deep_tuples =
        "{% set ns = namespace(l=()) %}{% for i in range(50000) %}{% set ns.l = (ns.l,) %}{% endfor %}";
    let shared =
        "{% set ns = namespace(l=[1]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}";
    let shared_tuples =
        "{% set ns = namespace(l=()) %}{% for i in range(90) %}{% set ns.l = (ns.l, ns.l) %}{% endfor %}";
    let itself = "{% set l = [] %}{% do l.append(l) %}";
    let hostile = [
        "{% for i in range(10 ** 9) %}{% endfor %}".to_owned(),
        "{% for i in range(10 ** 30) %}{% endfor %}".to_owned(),
        "{% for a in range(1000) %}{% for b in range(1000) %}{{ a }}{% endfor %}{% endfor %}".to_owned(),
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}".to_owned(),
        "{% set l = [1] %}{% for i in l %}{% do l.append(i) %}{% endfor %}".to_owned(),
        "{{ 'x' * 10 ** 9 }}".to_owned(),
        "{{ [0] * 10 ** 9 }}".to_owned(),
        "{{ (0,) * 10 ** 12 }}".to_owned(),
        "{{ 2 ** (10 ** 9) }}".to_owned(),
        "{{ 10 ** 39 }}".to_owned(),
        "{{ 'x'.ljust(10 ** 9) }}".to_owned(),
        "{{ 'x'.center(10 ** 18) }}".to_owned(),
        "{{ 'x'.zfill(10 ** 30) }}".to_owned(),
        "{{ 'x'|center(10 ** 9) }}".to_owned(),
        "{{ 'x'|indent(10 ** 9, true) }}".to_owned(),
        "{{ '\\t'.expandtabs(10 ** 9) }}".to_owned(),
        "{{ '%1000000000d' % 1 }}".to_owned(),
        "{{ '%.1000000000f' % 1 }}".to_owned(),
        "{{ '%*d' % (10 ** 9, 1) }}".to_owned(),
        "{{ '{:>1000000000}'.format(1) }}".to_owned(),
        "{{ '{:.999999999f}'.format(1) }}".to_owned(),
        "{{ [1]|tojson(indent=10 ** 9) }}".to_owned(),
        "{{ [1]|batch(10 ** 9, 0)|list }}".to_owned(),
        "{{ [1]|slice(10 ** 9)|list }}".to_owned(),
        "{{ range(10 ** 9)|list }}".to_owned(),
        "{{ range(10 ** 9)|sum }}".to_owned(),
        "{{ range(10 ** 9)|map('string')|join }}".to_owned(),
        "{{ ('x' * 100000).replace('x', 'y' * 100000) }}".to_owned(),
        "{{ ('x' * 1000000).replace('', 'y' * 1000) }}".to_owned(),
        "{{ ('y' * 100000).join('x' * 100000) }}".to_owned(),
        "{% set ns = namespace(s='x') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}".to_owned(),
        "{% set ns = namespace(l=[1]) %}{% for i in range(64) %}{% do ns.l.extend(ns.l) %}{% endfor %}".to_owned(),
        "{% set ns = namespace(d={}) %}{% for i in range(999999) %}{% do ns.d.update({i: i}) %}{% endfor %}".to_owned(),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(1) }}".to_owned(),
        "{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}".to_owned(),
        "{% include 'main.j2' %}".to_owned(),
        "{% import 'main.j2' as m %}".to_owned(),
        "{% extends 'main.j2' %}".to_owned(),
        "{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}".to_owned(),
        "{% block a %}{{ self.a() }}{% endblock %}".to_owned(),
        format!("{deep_lists}{{{{ ns.l }}}}"),
        format!("{deep_lists}{{{{ ns.l == ns.l[0] }}}}"),
        format!("{deep_lists}{{{{ ns.l|tojson }}}}"),
        format!("{deep_lists}{{{{ ns.l|pprint }}}}"),
        format!("{deep_tuples}{{{{ {{ns.l: 1}} }}}}"),
        format!("{shared}{{{{ ns.l }}}}"),
        format!("{shared}{{{{ ns.l|tojson }}}}"),
        format!("{shared}{{{{ ns.l|pprint }}}}"),
        format!("{shared}{{% set a = ns.l %}}{}{{{{ a == ns.l }}}}", &shared),
        format!("{shared_tuples}{{{{ {{ns.l: 1}} }}}}"),
        format!("{itself}{{{{ l }}}}"),
        format!("{itself}{{% set k = [] %}}{{% do k.append(k) %}}{{{{ k == l }}}}"),
        format!("{itself}{{{{ l|tojson }}}}"),
        "{{ ".to_owned() + &"(".repeat(20_000) + " }}",
        "{{ ".to_owned() + &"[".repeat(20_000),
        "{{ ".to_owned() + &"not ".repeat(20_000) + "1 }}",
        "{{ ".to_owned() + &"-".repeat(20_000) + "1 }}",
        "{{ 1".to_owned() + &" + 1".repeat(20_000) + " }}",
        "{{ 1".to_owned() + &"|string".repeat(20_000) + " }}",
        "{{ a".to_owned() + &".a".repeat(20_000) + " }}",
        "{{ ".to_owned() + &"1 if 1 else ".repeat(20_000) + "1 }}",
        "{% if 1 %}".repeat(20_000),
        "{% for i in x %}".repeat(1_000),
        "{% set ".to_owned() + &"(".repeat(20_000) + "a",
        "{% set l = 'x' * 500000 %}{% for i in range(9999) %}{{ (l ~ i)|length }}{% endfor %}".to_owned(),
        "{% set l = range(500000)|list %}{% for i in range(9999) %}{{ l|sum }}{% endfor %}".to_owned(),
        "{% set s = 'a' * 500000 %}{% for i in range(9999) %}{{ s|wordcount }}{% endfor %}".to_owned(),
    ];
    for template in &hostile {
        let result = render(&[("eos/main.j2", template)], small());
        let shown: String = template.chars().take(120).collect();
        assert!(result.is_err(), "{shown}");
    }
}

#[test]
fn values_that_contain_themselves_or_are_nested_deep_are_dropped() {
    for template in [
        "{% set l = [] %}{% do l.append(l) %}{{ l|length }}",
        "{% set d = {} %}{% do d.update(d=d) %}{{ d|length }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(30000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l|length }}",
        "{% set ns = namespace(l=()) %}{% for i in range(30000) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ ns.l|length }}",
        "{% set ns = namespace(l={}) %}{% for i in range(30000) %}{% set ns.l = {'a': ns.l} %}{% endfor %}{{ ns.l|length }}",
    ] {
        let rendered = render(&[("eos/main.j2", template)], Bounds::default());
        assert_eq!(rendered.as_deref(), Ok("1"), "{template}");
    }
}

#[test]
fn damaged_templates_are_errors_and_nothing_worse() -> Result<()> {
    // A linear congruential generator: the same templates each time.
    let mut state = 42_u64;
    let mut random = |below: usize| -> usize {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
    };
    let pieces = [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|",
        "'",
        "\"",
        "\\",
        "-",
        "+",
        "~",
        "if",
        "endif",
        "for",
        "endfor",
        "set",
        "loop",
        "é",
        "\n",
        "0",
        "99999999999999999999999999999999999999999",
        "1e999",
        ".",
        ":",
        "**",
        "%",
        "is",
        "not",
        "in",
        "recursive",
    ];
    for case in cases()? {
        let main = case.files.get("main.j2").context("there is a main.j2")?;
        for _ in 0..40 {
            let mut damaged: Vec<char> = main.chars().collect();
            for _ in 0..=random(3) {
                let at = random(damaged.len());
                let end = (at + random(12)).min(damaged.len());
                let piece = pieces[random(pieces.len())];
                damaged.splice(at..end, piece.chars());
            }
            let damaged: String = damaged.into_iter().collect();
            let mut files: Vec<(String, Arc<str>)> = case
                .files
                .below("")
                .map(|(path, text)| (path.to_owned(), Arc::clone(text)))
                .collect();
            files.retain(|(path, _)| path != "main.j2");
            files.push(("main.j2".to_owned(), damaged.into()));
            let set = TemplateSet::new(Arc::new(files.into_iter().collect()), "", Undefined::Lenient);
            if let Err(error) = set.render("main.j2", &case.variables, small()) {
                assert!(!error.reason.is_empty(), "{error}");
            }
        }
    }
    Ok(())
}

#[test]
fn many_threads_render_from_one_set() -> Result<()> {
    let cases = cases()?;
    let case = cases
        .iter()
        .find(|case| case.name == "eos_access")
        .context("there is the case")?;
    let set = TemplateSet::new(Arc::new(case.files.clone()), "", Undefined::Lenient);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let rendered = set.render("main.j2", &case.variables, Bounds::default());
                    assert_eq!(rendered.as_deref(), Ok(&*case.expected));
                }
            });
        }
    });
    Ok(())
}

#[test]
fn a_rendering_leaves_the_variables_as_they_were() {
    let files = [("eos/main.j2", "{% do numbers.append(4) %}{{ numbers }}")];
    let set = set(&files, Undefined::Lenient);
    let variables: Value = serde_json::from_str(r#"{"numbers": [1]}"#).unwrap();
    for _ in 0..2 {
        assert_eq!(
            set.render("main.j2", &variables, Bounds::default()).as_deref(),
            Ok("[1, 4]")
        );
    }
}
