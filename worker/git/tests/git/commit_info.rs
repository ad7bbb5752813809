//! What commits say about themselves.

use anyhow::{Result, ensure};
use lockstep_git::GitError;

use super::{Setup, id};

#[tokio::test]
async fn a_commit_has_author_subject_and_time_and_those_since_another_are_counted() -> Result<()> {
    let setup = Setup::new()?;
    setup.origin.write("x", b"1")?;
    let first = id(&setup.origin.commit("first")?);
    for number in 2..=4 {
        setup.origin.write("x", number.to_string().as_bytes())?;
        setup.origin.commit("between")?;
    }
    let message = "core: New route\n\nand a body that nobody asked for";
    setup.origin.git(&[
        "-c",
        "user.name=Ada Lovelace",
        "-c",
        "user.email=ada@example.org",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        message,
    ])?;
    let tip = id(setup.origin.git(&["rev-parse", "HEAD"])?.trim());
    let mirror = setup.mirror()?;
    ensure!(mirror.fetch().await? == tip);
    let info = mirror.commit_info(&tip).await?;
    ensure!(
        info.subject == "core: New route" && !info.author.contains("example.org"),
        "{info:?}"
    );
    ensure!(info.committed_at.is_some_and(|seconds| seconds > 0), "{info:?}");
    ensure!(mirror.commits_since(&tip, &first).await? == 4);
    ensure!(mirror.commits_since(&tip, &tip).await? == 0);

    // What the clone does not have, as after a forced push, is an error of its own.
    let gone = id(&"7".repeat(40));
    let shown = mirror.commit_info(&gone).await;
    ensure!(matches!(shown, Err(GitError::Failed { .. })), "{shown:?}");
    let counted = mirror.commits_since(&tip, &gone).await;
    ensure!(matches!(counted, Err(GitError::Failed { .. })), "{counted:?}");
    Ok(())
}

#[tokio::test]
async fn texts_of_a_commit_are_valid_and_bounded_whatever_its_author_wrote() -> Result<()> {
    let setup = Setup::new()?;
    setup.origin.write("x", b"1")?;
    setup.origin.commit("first")?;
    let tree = setup.origin.git(&["rev-parse", "HEAD^{tree}"])?;
    let subject = "s".repeat(3_000_000);
    let commit = [
        format!("tree {}\nauthor ", tree.trim()).as_bytes(),
        b"\xff--output=x\x1b[31m <e> 1700000000 +0000\ncommitter c <e> 1700000001 +0000\n\n",
        subject.as_bytes(),
        b"\n",
    ]
    .concat();
    let tip = setup.origin.git_with(
        &["hash-object", "-w", "-t", "commit", "--literally", "--stdin"],
        &commit,
    )?;
    setup.origin.git(&["update-ref", "refs/heads/main", tip.trim()])?;
    let mirror = setup.mirror()?;
    let tip = mirror.fetch().await?;
    let info = mirror.commit_info(&tip).await?;
    ensure!(info.author == "\u{fffd}--output=x\u{1b}[31m", "{info:?}");
    ensure!(info.subject == "s".repeat(200), "{}", info.subject.len());
    ensure!(info.committed_at == Some(1_700_000_001), "{info:?}");
    Ok(())
}
