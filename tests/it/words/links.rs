//! Links of Markdown files lead to files and sections that exist.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// The anchors of a page: its headings, as GitHub and GitLab make them.
pub(super) fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

fn anchor(heading: &str) -> String {
    // A link in a heading counts with its text.
    let text: String = heading
        .split("](")
        .enumerate()
        .fold(String::new(), |text, (index, part)| {
            let rest = if index == 0 {
                part
            } else {
                part.split_once(')').map_or("", |(_, rest)| rest)
            };
            text + rest
        });
    let characters = text.trim().to_lowercase();
    let kept = characters
        .chars()
        .filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    kept.map(|character| if character == ' ' { '-' } else { character })
        .collect()
}

/// The targets of links that are neither addresses nor items of Rust, each with its line.
pub(super) fn links(page: &str) -> impl Iterator<Item = (usize, &str)> {
    page.lines().zip(1..).flat_map(|(line, number)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets
            .map(move |(target, _)| (number, target))
            .filter(|(_, target)| {
                !target.contains("://")
                    && !target.starts_with("mailto:")
                    && !target.contains(' ')
                    && !target.contains("::")
            })
    })
}

/// The file that a link in `page` leads to, and the section. `None`: it leads out of the repository.
pub(super) fn target(page: &str, link: &str) -> Option<(PathBuf, Option<String>)> {
    let (path, section) = link
        .split_once('#')
        .map_or((link, None), |(path, section)| (path, Some(section.to_owned())));
    if path.is_empty() {
        return Some((page.into(), section));
    }
    let mut file: PathBuf = Path::new(page).parent()?.into();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => {
                if !file.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            part => file.push(part),
        }
    }
    Some((file, section))
}

#[test]
fn links_are_resolved_from_the_folder_of_their_page() {
    let table = [
        ("docs/a/b.md", "c.md", Some(("docs/a/c.md", None))),
        ("docs/a/b.md", "../d.md#e-f", Some(("docs/d.md", Some("e-f")))),
        ("docs/a/b.md", "#g", Some(("docs/a/b.md", Some("g")))),
        ("README.md", "docs/x.md", Some(("docs/x.md", None))),
        ("README.md", "../x.md", None),
    ];
    for (page, link, expected) in table {
        let found = target(page, link);
        let found = found
            .as_ref()
            .map(|(file, section)| (file.to_str().unwrap(), section.as_deref()));
        assert_eq!(found, expected, "{page} {link}");
    }
    let page = "# A `b` [c](d.md), e\ntext [f](g.md#h) and [i](https://j)\n## What's new?\n";
    let found: Vec<_> = anchors(page).into_iter().collect();
    assert_eq!(found, ["a-b-c-e", "whats-new"]);
    assert_eq!(links(page).collect::<Vec<_>>(), [(1, "d.md"), (2, "g.md#h")]);
}
