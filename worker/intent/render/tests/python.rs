//! Compares what is rendered with what Python's Jinja2 renders, with netutils and Ansible's filters: templates of this folder, and
//! templates that packages of Python ship for network devices. Byte for byte, except for the differences that
//! `docs/reference/rendering-differences.md` lists.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lockstep_render::{Bounds, Files, TemplateSet, Undefined};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Jinja2 with netutils, the filters of Ansible, and the packages whose templates are rendered.
const PACKAGES: [&str; 9] = [
    "jinja2==3.1.6",
    "markupsafe==3.0.3",
    "netutils==1.19.2",
    "netaddr==1.3.0",
    "pyyaml==6.0.3",
    "packaging==25.0",
    "ansible-core==2.19.14",
    "napalm==5.2.0",
    "networklab==26.10",
];

/// The least templates of this folder and of packages that must be equal.
const LEAST: [usize; 2] = [40, 120];

#[derive(Serialize)]
struct Case {
    #[serde(skip)]
    name: String,
    files: BTreeMap<String, String>,
    entry: String,
    variables: Value,
}

/// What Python renders.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Rendered {
    Text(String),
    Error(String),
}

/// Templates of a package, with variables for all of them.
#[derive(Deserialize)]
struct Shipped {
    /// The folder of the templates in the place where packages are installed.
    root: PathBuf,
    cases: Vec<ShippedCase>,
    variables: Value,
}

#[derive(Deserialize)]
struct ShippedCase {
    entry: String,
    /// The paths in the folder, by the names that templates use for them.
    files: BTreeMap<String, PathBuf>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The entries of a folder, ordered by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The cases of this folder: each has a folder with `main.j2`, perhaps other templates, and `variables.json`.
fn own_cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for place in entries(&folder("templates"))? {
        let mut files = BTreeMap::new();
        read_templates(&place, "", &mut files)?;
        let variables = fs::read_to_string(place.join("variables.json"))?;
        cases.push(Case {
            name: name_of(&place),
            files,
            entry: "main.j2".to_owned(),
            variables: serde_json::from_str(&variables).with_context(|| place.display().to_string())?,
        });
    }
    Ok(cases)
}

fn read_templates(place: &Path, below: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    for path in entries(place)? {
        let name = format!("{below}{}", name_of(&path));
        if path.is_dir() {
            read_templates(&path, &format!("{name}/"), files)?;
        } else if path.extension().is_some_and(|extension| extension == "j2") {
            files.insert(name, fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// The cases of packages that are installed below a folder.
fn shipped_cases(installed: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for path in entries(&folder("packages"))? {
        let shipped: Shipped = serde_json::from_str(&fs::read_to_string(&path)?)?;
        for ShippedCase { entry, files } in shipped.cases {
            let read = |(name, path): (String, PathBuf)| {
                let path = installed.join(&shipped.root).join(path);
                let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                Ok((name, text))
            };
            let source = files
                .get(&entry)
                .map(|path| path.display().to_string())
                .unwrap_or_default();
            cases.push(Case {
                name: format!("{} {source}", name_of(&path)),
                files: files.into_iter().map(read).collect::<Result<_>>()?,
                entry,
                variables: shipped.variables.clone(),
            });
        }
    }
    Ok(cases)
}

/// What Python renders of all cases, in one process.
fn by_python(python: &Path, cases: &[Case]) -> Result<Vec<Rendered>> {
    let scratch = tempfile::tempdir()?;
    let input = scratch.path().join("cases.json");
    fs::write(&input, serde_json::to_vec(cases)?)?;
    let output = Command::new(python)
        .arg(folder("python/oracle.py"))
        .env("PYTHONHASHSEED", "0")
        .stdin(Stdio::from(File::open(&input)?))
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn by_lockstep(case: &Case) -> Result<Rendered> {
    let files: Files = case
        .files
        .iter()
        .map(|(path, text)| (path.clone(), Arc::from(text.as_str())))
        .collect();
    let variables: minijinja::Value = serde_json::from_str(&case.variables.to_string())?;
    let set = TemplateSet::new(Arc::new(files), "", Undefined::Lenient);
    Ok(match set.render(&case.entry, &variables, Bounds::default()) {
        Ok(text) => Rendered::Text(text),
        Err(error) => Rendered::Error(error.to_string()),
    })
}

/// The names of cases that differ, from the page that lists them.
fn accepted() -> Result<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference/rendering-differences.md");
    let page = fs::read_to_string(page)?;
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    Ok(rows.map(|(name, _)| name.to_owned()).collect())
}

/// The first line that differs, of both.
fn difference(python: &Rendered, lockstep: &Rendered) -> String {
    let (Rendered::Text(left), Rendered::Text(right)) = (python, lockstep) else {
        return format!("Python: {python:?}\n  Lockstep: {lockstep:?}");
    };
    let mut lines = left.split('\n').zip(right.split('\n')).enumerate();
    match lines.find(|(_, (left, right))| left != right) {
        Some((index, (left, right))) => {
            format!("line {}\n  Python:   {left:?}\n  Lockstep: {right:?}", index + 1)
        }
        None => format!("Python: {} bytes, Lockstep: {} bytes", left.len(), right.len()),
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "it says how many templates it compared")]
fn templates_render_byte_for_byte_as_in_python() -> Result<()> {
    let python = lockstep_testbed::python_with_only(Path::new(env!("CARGO_TARGET_TMPDIR")), &PACKAGES)?;
    let installed = lockstep_testbed::installed_packages(&python)?;
    let own = own_cases()?;
    let count = own.len();
    let cases: Vec<Case> = own.into_iter().chain(shipped_cases(&installed)?).collect();
    let accepted = accepted()?;
    let mut equal = [0, 0];
    let mut problems = Vec::new();
    for (index, (case, expected)) in cases.iter().zip(by_python(&python, &cases)?).enumerate() {
        let rendered = by_lockstep(case)?;
        let is_accepted = accepted.contains(&case.name);
        match (&expected, expected == rendered) {
            (Rendered::Error(error), _) => problems.push(format!("{}: Python fails: {error}", case.name)),
            (_, true) if is_accepted => {
                problems.push(format!("{}: listed, but it no longer differs", case.name));
            }
            (_, true) => equal[usize::from(index >= count)] += 1,
            (_, false) if is_accepted => {}
            (_, false) => problems.push(format!("{}: {}", case.name, difference(&expected, &rendered))),
        }
    }
    eprintln!(
        "{} of {count} templates of this folder are equal, and {} of {} of packages",
        equal[0],
        equal[1],
        cases.len() - count
    );
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    ensure!(
        equal[0] >= LEAST[0] && equal[1] >= LEAST[1],
        "fewer are equal than must be"
    );
    Ok(())
}
