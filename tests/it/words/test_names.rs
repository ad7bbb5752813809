//! The names of tests in the tables of a document, and whether these tests exist.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// A row of a table whose last column names tests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestedRow<'a> {
    pub(super) line: usize,
    /// Each as `file::test`: the end of a path without `.rs`, with `::` for `/`, and the name of the function.
    pub(super) tests: Vec<&'a str>,
    /// The text of the last column.
    pub(super) text: &'a str,
}

/// The rows of all tables whose last column has the heading `test`.
pub(super) fn tested_rows(document: &str) -> Vec<TestedRow<'_>> {
    let mut found = Vec::new();
    let mut names_tests = None;
    for (content, line) in document.lines().zip(1..) {
        let Some(row) = content
            .trim()
            .strip_prefix('|')
            .and_then(|row| row.strip_suffix('|'))
        else {
            names_tests = None;
            continue;
        };
        let text = row.rsplit('|').next().unwrap_or_default().trim();
        match names_tests {
            None => names_tests = Some(text == "test"),
            Some(true) if !text.starts_with("---") => {
                let tests = text.split('`').skip(1).step_by(2).collect();
                found.push(TestedRow { line, tests, text });
            }
            Some(_) => {}
        }
    }
    found
}

/// The tests of a repository: the paths of sources, without `.rs`, by the names of the test functions in them.
#[derive(Debug, Default)]
pub(super) struct Tests(BTreeMap<String, Vec<String>>);

impl Tests {
    /// The tests of these sources, given as path and text.
    pub(super) fn of<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let sources: BTreeMap<&str, &str> = sources.into_iter().collect();
        let mut tests = Self::default();
        for (path, source) in &sources {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let beside = sources.get(format!("{folder}/mod.rs").as_str()).copied();
            let module = path.strip_suffix(".rs").unwrap_or(path);
            let module = module.strip_suffix("/mod").unwrap_or(module);
            for name in test_functions(source, beside.unwrap_or_default()) {
                tests.0.entry(name).or_default().push(module.to_owned());
            }
        }
        tests
    }

    /// Fails unless `file::test` is a test.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        let (file, function) = name.rsplit_once("::").unwrap_or(("", name));
        ensure!(!file.is_empty(), "`{name}` names no file: write `file::test`");
        let modules = self.0.get(function).map_or(&[][..], Vec::as_slice);
        ensure!(!modules.is_empty(), "`{name}`: no test has the name {function}");
        let end = file.replace("::", "/");
        let is_there = |module: &String| *module == end || module.ends_with(&format!("/{end}"));
        let places = modules.join(", ");
        ensure!(
            modules.iter().any(is_there),
            "`{name}`: the test {function} is in {places}"
        );
        Ok(())
    }
}

/// The functions of a source that are tests: by an attribute, or because a macro that makes tests of functions lists them, in the same
/// file or in the `mod.rs` beside it, each in a line of its own.
fn test_functions(source: &str, beside: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut has_attribute = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            has_attribute |= line.contains("test]") || line.contains("test(");
            continue;
        }
        if let Some(name) = function(line) {
            let listed = format!("{name},");
            let is_listed = |text: &str| text.lines().any(|line| line.trim() == listed);
            if has_attribute || is_listed(source) || is_listed(beside) {
                found.push(name.to_owned());
            }
        }
        has_attribute &= line.starts_with("//");
    }
    found
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let is_modifier = |word: &str| ["async", "pub", "pub(crate)", "pub(super)"].contains(&word);
    let name = rest.split(['(', '<']).next()?;
    (before.split_whitespace().all(is_modifier) && !name.is_empty()).then_some(name)
}

#[test]
fn rows_of_tables_about_tests_are_found() {
    let document = "| a | `b::c` |\n| --- | --- |\n| d | `e::f` |\n\ntext | `x::y` |\n\n| what | test |\n| --- | --- |\n\
        | one `a` | `b::c`, `d::e` |\n| two | not yet |\n";
    let expected = [
        TestedRow {
            line: 9,
            tests: vec!["b::c", "d::e"],
            text: "`b::c`, `d::e`",
        },
        TestedRow {
            line: 10,
            tests: vec![],
            text: "not yet",
        },
    ];
    assert_eq!(tested_rows(document), expected);
}

#[test]
fn tests_are_found_by_attribute_and_by_the_macro_that_lists_them() {
    let source = "on_both! {\n    listed,\n}\n\n#[test]\nfn plain() {}\n\n/// A comment.\n#[tokio::test(start_paused = true)]\n\
        // Another one.\n#[expect(unused, reason = \"\")]\nasync fn paused() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn inner() {}\n}\n\
        async fn listed(place: Place) {}\npub(crate) async fn beside(place: &Place) {}\nfn helper() {}\n#[cfg(test)]\nfn other() {}\n";
    let contract = "contract! {\n    element_ends {\n        beside,\n    }\n}\n";
    let tests = Tests::of([
        ("worker/a/tests/life/claims.rs", source),
        ("worker/a/tests/life/mod.rs", contract),
        ("tests/it/elements.rs", "#[test]\nfn plain() {}"),
    ]);
    for good in [
        "claims::plain",
        "life::claims::plain",
        "worker::a::tests::life::claims::plain",
        "claims::paused",
        "claims::inner",
        "claims::listed",
        "claims::beside",
        "elements::plain",
    ] {
        assert!(tests.check(good).is_ok(), "{good}: {:?}", tests.check(good));
    }
    for bad in [
        "plain",
        "claims::helper",
        "claims::other",
        "claims::tests",
        "aims::plain",
        "life::elements::plain",
        "claims::unknown",
    ] {
        assert!(tests.check(bad).is_err(), "{bad}");
    }
}
