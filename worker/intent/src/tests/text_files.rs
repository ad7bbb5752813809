use super::*;

fn read(files: Files<'_>, wanted: &str, most: u64, missing: &[&str]) -> String {
    let mut objects = Objects::of(&[files], missing);
    let wanted = |path: &str| path.ends_with(wanted);
    match text_files(
        &listing(files),
        &wanted,
        most,
        &mut objects,
        &Cancellation::never(),
    )
    .unwrap()
    {
        Ok(files) => {
            let files = files.iter().map(|(path, text)| format!("{path}={text}"));
            files.collect::<Vec<_>>().join(" ")
        }
        Err(problem) => problem.to_string(),
    }
}

#[test]
fn wanted_files_are_read_also_behind_links() {
    let tree: Files<'_> = &[
        (FILE, "a.yml", "1"),
        (FILE, "a.txt", "not wanted"),
        (FILE, "b/c.yml", "2"),
        (LINK, "b/d.yml", "../a.yml"),
        (LINK, "e", "b"),
        (LINK, "outside.yml", "/etc/passwd"),
        (LINK, "gone.yml", "nothing"),
        (LINK, "cycle.yml", "cycle.yml"),
        (Mode::SUBMODULE, "module.yml", "3"),
    ];
    assert_eq!(
        read(tree, ".yml", 1000, &[]),
        "a.yml=1 b/c.yml=2 b/d.yml=1 e/c.yml=2 e/d.yml=1"
    );
}

#[test]
fn a_tree_with_too_many_bytes_and_a_missing_content_are_problems() {
    let tree: Files<'_> = &[(FILE, "a.yml", "1234567"), (FILE, "b.yml", "12345")];
    assert_eq!(
        read(tree, ".yml", 10, &[]),
        ".: the files have more than the limit of 10 bytes together; move what no device needs to another repository"
    );
    assert_eq!(
        read(tree, ".yml", 12, &["12345"]),
        "b.yml: its content is not in the clone; fetch the repository again"
    );
    assert_eq!(read(tree, ".yml", 12, &[]), "a.yml=1234567 b.yml=12345");
}
