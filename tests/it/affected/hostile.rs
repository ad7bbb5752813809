//! `lockstep affected` on repositories that are made to cost much. It has the bounds of the workers.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::repository::Repository;
use super::{FILE, stderr};

/// The most address space of the command and of git, in KiB. A debug build of the command alone takes half of it; without bounds, the attacks
/// take more.
const MOST_MEMORY: u32 = 2_000_000;
/// The most bytes of its output.
const MOST_OUTPUT: usize = 100 * 1024;

/// Runs the command on two commits with limited memory, and returns its problems.
fn refused(repository: &Repository, from: &str, to: &str) -> Result<String> {
    let script = format!(
        "ulimit -v {MOST_MEMORY}; exec \"$0\" affected --repository settings --git . --from \"$1\" --to \"$2\""
    );
    let output = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_lockstep"), from, to])
        .current_dir(repository.path())
        .output()
        .context("cannot start sh")?;
    let problems = stderr(&output);
    ensure!(output.status.code() == Some(1), "{}: {problems}", output.status);
    ensure!(
        problems.contains("workers would not accept this change"),
        "{problems}"
    );
    ensure!(problems.len() < MOST_OUTPUT, "{} bytes", problems.len());
    Ok(problems)
}

#[test]
fn contents_beyond_a_bound_are_refused_in_short() -> Result<()> {
    let paths: Vec<String> = (0..100)
        .map(|number| format!("devices/d{number}/a.yml"))
        .collect();
    let size = 4 * 1024 * 1024 - 100;
    let (tag, key) = (
        format!("a: !{} x", "t".repeat(size)),
        format!("? {}\n: 1", "k".repeat(size)),
    );
    let (file, target) = ("#".repeat(9_000_000), "x".repeat(9_000_000));
    let table = [
        (FILE, &tag, "unknown tag !tt"),
        (FILE, &key, "a text has"),
        (
            FILE,
            &file,
            "has 9000000 bytes, more than the limit of 4194304; split it",
        ),
        (
            "120000",
            &target,
            "is a link with a target of 9000000 bytes, more than the limit of 4096",
        ),
    ];
    let repository = Repository::new()?;
    let from = repository.commit(&[])?;
    for (mode, content, expected) in table {
        let to = repository.commit_everywhere(mode, content, &paths)?;
        let problems = refused(&repository, &from, &to)?;
        ensure!(problems.contains(expected), "{expected}: {problems}");
    }
    Ok(())
}

#[test]
fn a_tree_of_ten_billion_paths_is_refused() -> Result<()> {
    let repository = Repository::new()?;
    let from = repository.commit(&[])?;
    let file = repository.git(&["hash-object", "-w", "--stdin"], b"x")?;
    let mut tree = repository.git(&["mktree"], format!("100644 blob {file}\tf\n").as_bytes())?;
    for _ in 0..10 {
        let entry = |number| format!("040000 tree {tree}\taccess{number}\n");
        let entries: String = (0..10).map(entry).collect();
        tree = repository.git(&["mktree"], entries.as_bytes())?;
    }
    let to = repository.git(&["commit-tree", &tree, "-m", "x"], b"")?;
    let problems = refused(&repository, &from, &to)?;
    ensure!(
        problems.contains("the paths of the tree have more than the limit of 67108864 bytes"),
        "{problems}"
    );
    Ok(())
}
