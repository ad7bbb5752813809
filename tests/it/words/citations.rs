//! Paths that a text cites.

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Citation<'a> {
    pub(super) line: usize,
    pub(super) path: &'a str,
}

/// The paths into a folder, such as `docs/`, that a text names from the root of the repository. What goes on to the left
/// of the folder is another path, or an address.
pub(super) fn citations<'a>(text: &'a str, folder: &'a str) -> impl Iterator<Item = Citation<'a>> {
    let is_part = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    let lines = text.lines().zip(1..);
    lines.flat_map(move |(content, line)| {
        content.match_indices(folder).filter_map(move |(place, _)| {
            let rest = &content[place..];
            let path = rest.split(|c| !is_part(c)).next()?.trim_end_matches('.');
            (path != folder && !content[..place].ends_with(is_part)).then_some(Citation { line, path })
        })
    })
}

#[test]
fn paths_from_the_root_are_found() {
    let text = "See `docs/a.md` and docs/b/c.md.\nNot ../docs/d.md, mydocs/e.md, https://x.org/docs/f.md, nor docs/ alone.\n(docs/g.md#part)";
    let found: Vec<_> = citations(text, "docs/").collect();
    let expected = [(1, "docs/a.md"), (1, "docs/b/c.md"), (3, "docs/g.md")];
    let expected = expected.map(|(line, path)| Citation { line, path });
    assert_eq!(found, expected);
}
