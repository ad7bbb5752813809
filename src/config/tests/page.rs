//! `docs/reference/configuration.md` is made of `docker/lockstep.toml`: its comments, keys and values, as tables.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::EXAMPLE;

const PAGE: &str = "docs/reference/configuration.md";
/// What the page has above the tables.
const BEGIN: &str = "<!-- made of docker/lockstep.toml -->\n";

#[derive(Default)]
struct Section {
    /// The header as it is written, such as `[store]`. Empty above the first one.
    name: String,
    about: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    key: String,
    value: String,
    is_example: bool,
    about: String,
}

fn sections(example: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    let mut comment: Vec<&str> = Vec::new();
    for line in example.lines() {
        let (text, is_example) = line.strip_prefix("#:").map_or((line, false), |text| (text, true));
        let section = sections.last_mut().unwrap();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim());
            continue;
        }
        let about = std::mem::take(&mut comment).join(" ");
        if text.starts_with('[') {
            if section.name == text {
                continue;
            }
            sections.push(Section {
                name: text.to_owned(),
                about: vec![about],
                rows: Vec::new(),
            });
        } else if let Some((key, value)) = text.split_once(" = ") {
            if about.is_empty() && section.rows.iter().any(|row| row.key == key) {
                continue;
            }
            section.rows.push(Row {
                key: key.to_owned(),
                value: value.to_owned(),
                is_example,
                about,
            });
        } else if !about.is_empty() {
            section.about.push(about);
        }
    }
    sections
}

fn tables(sections: &[Section]) -> String {
    let mut page = String::new();
    for section in sections {
        // A second example of a section says nothing new.
        if section.about.concat().is_empty() && section.rows.iter().all(|row| row.about.is_empty()) {
            continue;
        }
        if !section.name.is_empty() {
            writeln!(page, "## `{}`\n", section.name).unwrap();
        }
        // The head of the file is for its readers.
        let about = section
            .about
            .iter()
            .filter(|text| !text.is_empty() && !section.name.is_empty());
        for text in about {
            writeln!(page, "{text}\n").unwrap();
        }
        if section.rows.is_empty() {
            continue;
        }
        page.push_str("| key | default, or an example | what it is |\n| --- | --- | --- |\n");
        for row in &section.rows {
            let Row {
                key, value, about, ..
            } = row;
            let example = if row.is_example { "such as " } else { "" };
            writeln!(
                page,
                "| `{key}` | {example}`{value}` | {} |",
                about.replace('|', "\\|")
            )
            .unwrap();
        }
        page.push('\n');
    }
    page
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test asks for it by a variable"
)]
fn the_page_about_the_configuration_has_every_key_of_the_example() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, written) = page.split_once(BEGIN).expect("the mark above the tables");
    let expected = tables(&sections(EXAMPLE));
    if written.trim() != expected.trim() {
        assert!(
            std::env::var_os("LOCKSTEP_WRITE_PAGES").is_some(),
            "{PAGE} is outdated; run this test with LOCKSTEP_WRITE_PAGES=1, which writes it"
        );
        std::fs::write(&path, format!("{head}{BEGIN}\n{expected}")).unwrap();
    }
}
