//! Checks the words of the tree: names use the standard terms of `tests/words.txt`, and comments and documents cite only what is there.

mod citations;
mod identifiers;
mod links;
mod terms;
mod test_names;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use citations::{Citation, citations};
use identifiers::{Language, comments, identifiers};
use terms::Terms;
use test_names::{TestedRow, Tests, tested_rows};

/// Folders that are on the machines of developers and not in the repository: nothing in it may send a reader there.
const NOT_IN_THE_TREE: [&str; 2] = ["reference/", "seeds/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of the repository, and those that the next commit may add, relative to its root.
fn files() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .env_remove("GIT_DIR")
        .output()
        .context("cannot run git")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git ls-files: {errors}");
    let listed = String::from_utf8(output.stdout)?;
    let files: Vec<String> = listed
        .split_terminator('\0')
        .filter(|file| root().join(file).is_file())
        .map(str::to_owned)
        .collect();
    ensure!(files.len() > 500, "only {} files are listed", files.len());
    Ok(files)
}

/// The content of a file; `None` if it is not text.
fn text(file: &str) -> Result<Option<String>> {
    let bytes = std::fs::read(root().join(file)).with_context(|| file.to_owned())?;
    Ok(String::from_utf8(bytes).ok())
}

#[test]
fn names_use_the_standard_terms() -> Result<()> {
    let list = text("tests/words.txt")?.context("tests/words.txt is no text")?;
    let terms = Terms::parse(&list)?;
    let mut problems = Vec::new();
    for file in files()? {
        problems.extend(
            terms
                .check(&file, false)
                .map(|problem| format!("{file}: {problem}")),
        );
        let Some(language) = Language::of(&file) else {
            continue;
        };
        let source = text(&file)?.with_context(|| format!("{file} is no text"))?;
        for found in identifiers(&source, language) {
            let problem = terms.check(found.name, found.declared);
            problems.extend(problem.map(|problem| format!("{file}:{}: {problem}", found.line)));
        }
    }
    ensure!(
        problems.is_empty(),
        "{} names:\n{}",
        problems.len(),
        problems.join("\n")
    );
    Ok(())
}

#[test]
fn texts_cite_only_what_is_in_the_tree() -> Result<()> {
    let mut problems = Vec::new();
    // The files of this test name the folders.
    for file in files()?
        .iter()
        .filter(|file| !file.starts_with("tests/it/words/"))
    {
        let Some(text) = text(file)? else {
            continue;
        };
        for folder in NOT_IN_THE_TREE {
            for Citation { line, path } in citations(&text, folder) {
                // `docs/` has a folder of the same name.
                if root().join(file).with_file_name(path).is_file() {
                    continue;
                }
                problems.push(format!("{file}:{line}: {path} is not in the repository"));
            }
        }
        // Literals of sources may be paths of other repositories.
        let parts = match Language::of(file) {
            Some(language) => comments(&text, language),
            None => vec![(1, text.as_str())],
        };
        for (begin, part) in parts {
            for Citation { line, path } in citations(part, "docs/") {
                let page = root().join(path);
                if page.extension().is_some_and(|extension| extension == "md") && !page.is_file() {
                    let line = begin + line - 1;
                    problems.push(format!("{file}:{line}: there is no {path}"));
                }
            }
        }
    }
    ensure!(
        problems.is_empty(),
        "{} citations:\n{}",
        problems.len(),
        problems.join("\n")
    );
    Ok(())
}

#[test]
fn each_row_about_the_run_cycle_names_tests_that_exist() -> Result<()> {
    let page = "docs/reference/run-cycle.md";
    let document = text(page)?.context("it is no text")?;
    let mut sources = Vec::new();
    let is_rust = |file: &String| Language::of(file) == Some(Language::Rust);
    for file in files()?.into_iter().filter(is_rust) {
        let source = text(&file)?.with_context(|| format!("{file} is no text"))?;
        sources.push((file, source));
    }
    let tests = Tests::of(
        sources
            .iter()
            .map(|(file, source)| (file.as_str(), source.as_str())),
    );
    let rows = tested_rows(&document);
    ensure!(rows.len() > 50, "only {} rows are found", rows.len());
    let mut problems = Vec::new();
    for TestedRow {
        line,
        tests: named,
        text,
    } in rows
    {
        if named.is_empty() && text != "not yet" {
            problems.push(format!(
                "{page}:{line}: names no test; without one, write \"not yet\""
            ));
        }
        for name in named {
            let problem = tests.check(name).err();
            problems.extend(problem.map(|problem| format!("{page}:{line}: {problem}")));
        }
    }
    ensure!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
    Ok(())
}

#[test]
fn links_lead_to_files_and_sections_that_exist() -> Result<()> {
    let mut problems = Vec::new();
    let files = files()?;
    let pages: Vec<&String> = files
        .iter()
        .filter(|file| {
            Path::new(file)
                .extension()
                .is_some_and(|extension| extension == "md")
        })
        .collect();
    for page in &pages {
        let content = text(page)?.with_context(|| format!("{page} is no text"))?;
        for (line, link) in links::links(&content) {
            let Some((file, section)) = links::target(page, link) else {
                problems.push(format!("{page}:{line}: {link} leads out of the repository"));
                continue;
            };
            let path = root().join(&file);
            let known = match section {
                Some(section) if path.is_file() => {
                    links::anchors(&std::fs::read_to_string(&path)?).contains(&section)
                }
                Some(_) => false,
                None => path.exists(),
            };
            if !known {
                problems.push(format!("{page}:{line}: there is no {link}"));
            }
        }
    }
    let index = text("docs/README.md")?.context("no index")?;
    for page in pages {
        let Some(name) = page.strip_prefix("docs/").filter(|name| *name != "README.md") else {
            continue;
        };
        if !index.contains(&format!("]({name})")) {
            problems.push(format!("docs/README.md does not name {name}"));
        }
    }
    ensure!(
        problems.is_empty(),
        "{} links:\n{}",
        problems.len(),
        problems.join("\n")
    );
    Ok(())
}
