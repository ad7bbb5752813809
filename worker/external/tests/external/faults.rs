//! What a program can do wrong. Each ends as a failed element with the reason, and nothing of the program is left.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_execution::CycleResult;
use lockstep_external::ProgramError;
use lockstep_protocol::ElementState;
use lockstep_testbed::wait;
use rustix::process::{Pid, Signal, kill_process};

use crate::scene::{Scene, description};

const STEP: &[&str] = &["run_on_device"];
const DONE: &str = r#"echo '{"type":"done","id":1,"data":{"a":1}}'"#;
const SECOND: Duration = Duration::from_secs(1);

/// Runs the script at the first step, and checks how the device failed.
async fn fails(scene: &Scene, script: &str, reason: &str, message: &str) -> Result<()> {
    let program = scene.at_the_first_step(script)?;
    let (results, produced) = scene.run(program, STEP).await;
    let device = &results[1];
    ensure!(device.state == ElementState::Failed, "{script}: {device:?}");
    ensure!(device.reason.as_deref() == Some(reason), "{script}: {device:?}");
    let said = device.message.as_deref().unwrap_or_default();
    ensure!(said.contains(message), "{script}: {said:?} has no {message:?}");
    ensure!(!said.contains(char::is_control), "{script}: {said:?}");
    ensure!(produced.facts.is_empty(), "{script}: {produced:?}");
    scene.nothing_is_left().await
}

async fn all_fail(scene: &Scene, table: &[(&str, &str, &str)]) -> Result<()> {
    for (script, reason, message) in table {
        fails(scene, script, reason, message).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_hangs_is_ended() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.limits.timeout = SECOND;
    let table = [
        ("sleep 1000", "timed-out", "longer than 1 s"),
        (
            "trap '' TERM; while :; do sleep 1; done",
            "timed-out",
            "longer than 1 s",
        ),
        (
            "(trap '' TERM; exec setsid sleep 1000) & kill -STOP $$",
            "timed-out",
            "longer than 1 s",
        ),
    ];
    all_fail(&scene, &table).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_end_is_ended() -> Result<()> {
    let scene = Scene::new()?;
    let table = [
        (
            &*format!("{DONE}; sleep 1000"),
            "timed-out",
            "did not end within 10 s",
        ),
        (
            "exec 1>&-; sleep 1000",
            "wrong-answer",
            "closed its standard output before it answered",
        ),
    ];
    all_fail(&scene, &table).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_forks_without_end_is_ended() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.limits.processes = 20;
    let table = [
        (
            "while :; do sleep 1000 & done",
            "too-many-processes",
            "more than 20 processes",
        ),
        (
            "while :; do setsid sleep 1000 & done",
            "too-many-processes",
            "more than 20 processes",
        ),
    ];
    all_fail(&scene, &table).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_leaves_behind_is_ended() -> Result<()> {
    let scene = Scene::new()?;
    let daemon =
        format!("setsid sh -c 'sleep 1000 & sleep 1000' </dev/null >/dev/null 2>&1 & {DONE}; sleep 0.3");
    let table = [(&*daemon, "left-processes", "of its processes running")];
    all_fail(&scene, &table).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_writes_without_end_is_ended() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.limits.output = 100_000;
    let log = r#"while :; do echo '{"type":"log","message":"x"}'; done"#;
    let table = [
        (
            "exec cat /dev/zero",
            "too-much-output",
            "100000 bytes to its standard output",
        ),
        (log, "too-much-output", "100000 bytes to its standard output"),
        (
            "exec cat /dev/zero >&2",
            "too-much-output",
            "100000 bytes to its error output",
        ),
    ];
    all_fail(&scene, &table).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_document_fails() -> Result<()> {
    let scene = Scene::new()?;
    let deep = r#"printf '{"type":"done","id":1,"data":'; head -c 50000 /dev/zero | tr '\0' '['; echo"#;
    let table = [
        (
            r#"printf '{"type":"done","id":'"#,
            "wrong-answer",
            "in the middle of a document: {\"type\":\"done\",\"id\":",
        ),
        (
            r#"printf '{"type":"done","id":1,"message":"\377"}\n'"#,
            "wrong-answer",
            "not UTF-8, at byte 33",
        ),
        (
            r#"printf '{"type":"done","id":1,"message":"\033[2J"}\n'"#,
            "wrong-answer",
            r"control character",
        ),
        (
            r#"printf '{"type":"done","id":1,"message":"a\000b"}\n'"#,
            "wrong-answer",
            r"control character",
        ),
        (
            r#"echo '{"type":"done","id":1,"data":1e999}'"#,
            "wrong-answer",
            "number out of range",
        ),
        (deep, "wrong-answer", "recursion limit exceeded"),
        (
            "echo hello",
            "wrong-answer",
            "no document: expected value at line 1 column 1: hello",
        ),
        (
            r#"echo '{"type":"done","id":1,"chnaged":true}'"#,
            "wrong-answer",
            "unknown field `chnaged`",
        ),
        (
            r#"echo '{"type":"finished","id":1}'"#,
            "wrong-answer",
            "unknown variant `finished`",
        ),
        (
            r#"echo '{"type":"done","id":2}'"#,
            "wrong-answer",
            "the end of step 2 where the end of step 1 was expected",
        ),
        (
            r#"echo '{"type":"ready","protocol":1}'"#,
            "wrong-answer",
            "a second ready",
        ),
        (
            r#"echo '{"type":"failed","id":1,"reason":"No Way","message":""}'"#,
            "wrong-answer",
            "a reason of lower-case letters",
        ),
        (
            r#"echo '{"type":"done","id":1,"facts":{"":1}}'"#,
            "wrong-answer",
            "at most 1000 facts",
        ),
        (
            &*format!("{DONE}; {DONE}"),
            "wrong-answer",
            "where nothing more was expected",
        ),
        (
            &*format!("{DONE}; printf x"),
            "wrong-answer",
            "x where nothing more was expected",
        ),
    ];
    all_fail(&scene, &table).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_exits_or_is_killed_fails_with_its_last_words() -> Result<()> {
    let scene = Scene::new()?;
    let after = |end: &str| format!("{DONE}; {end}");
    let table = [
        ("exit 0", "exited", "exited with status 0 before it answered"),
        (
            "printf 'Traceback\\n\\033[1mno route\\n' >&2; exit 3",
            "exited",
            r"exited with status 3 before it answered; the last line of its error output: \u{1b}[1mno route",
        ),
        (
            &*after("exit 3"),
            "exited",
            "exited with status 3 after it answered",
        ),
        (
            "kill -SEGV $$",
            "killed-by-signal",
            "killed by SIGSEGV before it answered",
        ),
        (
            &*after("kill -KILL $$"),
            "killed-by-signal",
            "killed by SIGKILL after it answered",
        ),
    ];
    all_fail(&scene, &table).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_eats_memory_is_ended() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.limits.memory = 96 << 20;
    let alone = "exec python3 -c 'bytearray(500 << 20)'";
    let together = "for i in 1 2 3 4; do python3 -c 'import time; b = b\"1\" * (40 << 20); time.sleep(1000)' & done; wait";
    let table = [
        (alone, "exited", "MemoryError"),
        (together, "too-much-memory", "more than 100663296 bytes of memory"),
    ];
    all_fail(&scene, &table).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_be_started_fails() -> Result<()> {
    let scene = Scene::new()?;
    let table = [
        ("/nowhere/provider".to_owned(), "No such file"),
        (
            scene
                .executable("text", "no program", 0o644)?
                .display()
                .to_string(),
            "Permission denied",
        ),
        (
            scene
                .executable("broken", "\u{7f}ELF", 0o755)?
                .display()
                .to_string(),
            "cannot be started",
        ),
    ];
    for (path, message) in table {
        let (results, _) = scene.run(scene.program(vec![path]), STEP).await;
        ensure!(results[1].reason.as_deref() == Some("not-started"), "{results:?}");
        let said = results[1].message.as_deref().unwrap_or_default();
        ensure!(said.contains(message), "{said}");
        scene.nothing_is_left().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_protocol_fails() -> Result<()> {
    let scene = Scene::new()?;
    let program = scene.shell(r#"read -r begin; echo '{"type":"ready","protocol":2}'; read -r step"#)?;
    let (results, _) = scene.run(program, STEP).await;
    let said = results[1].message.as_deref().unwrap_or_default();
    ensure!(said.contains("speaks version 2 of the protocol"), "{said}");
    scene.nothing_is_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_fault_the_other_entities_of_the_unit_fail_without_a_second_process() -> Result<()> {
    let scene = Scene::new()?;
    let count = scene.folder.path().join("count");
    let program = scene.at_the_first_step(&format!("echo x >>{}; exit 1", count.display()))?;
    let (results, _) = scene.run(program, &["run_on_interface", "run_on_device"]).await;
    let failed = |result: &&CycleResult| result.reason.as_deref() == Some("exited");
    ensure!(results[1..].iter().filter(failed).count() == 3, "{results:?}");
    ensure!(std::fs::read_to_string(count)? == "x\n");
    scene.nothing_is_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_told_to_stop_with_its_element() -> Result<()> {
    let scene = Scene::new()?;
    let folder = scene.folder.path().display();
    let program = scene.at_the_first_step(&format!(
        "trap 'echo told >{folder}/told; exit 0' TERM; echo begun >{folder}/begun; sleep 1000 & wait"
    ))?;
    let running = scene.run_to_the_end(program, STEP);
    let cancelling = async {
        let begun = scene.written("begun").await;
        scene.cancel.cancel();
        begun
    };
    let ((run, stopped), begun) = tokio::join!(running, cancelling);
    begun?;
    ensure!(stopped.is_err() && run.running == Some(1), "{run:?}");
    ensure!(run.results[1].reason.as_deref() == Some("cancelled"), "{run:?}");
    ensure!(scene.written("told").await? == "told");
    scene.nothing_is_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_unit_that_is_dropped() -> Result<()> {
    let scene = Scene::new()?;
    let folder = scene.folder.path().display();
    let script = format!("trap '' TERM; setsid sleep 1000 & echo begun >{folder}/begun; sleep 1000");
    let program = scene.at_the_first_step(&script)?;
    tokio::select! {
        ended = scene.run(program, STEP) => panic!("{ended:?}"),
        begun = scene.written("begun") => drop(begun?),
    }
    scene.nothing_is_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_its_supervisor_is_ended() -> Result<()> {
    let scene = Scene::new()?;
    let folder = scene.folder.path().display();
    let program = scene.at_the_first_step(&format!("echo $PPID >{folder}/supervisor; sleep 1000"))?;
    let killing = async {
        let supervisor = scene.written("supervisor").await?.parse()?;
        kill_process(Pid::from_raw(supervisor).expect("an id"), Signal::KILL)?;
        anyhow::Ok(())
    };
    let ((results, _), killed) = tokio::join!(scene.run(program, STEP), killing);
    killed?;
    ensure!(results[1].reason.as_deref() == Some("broken"), "{results:?}");
    // Its folder is left, because nobody is there to remove it.
    let gone = wait::until(
        "the program to be gone",
        Duration::from_secs(30),
        async || match scene.processes() {
            Ok(processes) if processes.is_empty() => Ok(()),
            found => Err(format!("{found:?}")),
        },
    )
    .await;
    Ok(gone?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_knows_before_it_takes_work_whether_it_has_the_program() -> Result<()> {
    let mut scene = Scene::new()?;
    let expected = description(STEP);
    let described = serde_json::to_string(&expected)?;
    let changed = described.replace("Is tested.", "Was changed.");
    let says = |text: &str| format!("#!/bin/sh\n[ \"$1\" = describe ] || exit 9\ncat <<'EOF'\n{text}\nEOF\n");
    let path = scene.executable("good", &says(&described), 0o755)?;
    scene
        .program(vec![path.display().to_string()])
        .verify(&expected)
        .await?;
    scene.limits.timeout = SECOND;
    let executable = |name: &str, content: &str, mode| scene.executable(name, content, mode);
    let table = [
        (
            executable("changed", &says(&changed), 0o755)?,
            "otherwise than its description file (short_description)",
        ),
        (
            executable("silent", "#!/bin/sh\n", 0o755)?,
            "what `describe` prints is not a description",
        ),
        (
            executable("failing", "#!/bin/sh\necho no module >&2; exit 1\n", 0o755)?,
            "the last line of its error output: no module",
        ),
        (
            executable("hanging", "#!/bin/sh\nsleep 1000\n", 0o755)?,
            "longer than 1 s",
        ),
        (
            executable("plain", &says(&described), 0o644)?,
            "cannot be executed",
        ),
        (scene.folder.path().join("missing"), "cannot be executed"),
        (scene.folder.path().to_owned(), "it is no file"),
        ("relative".into(), "no absolute path"),
    ];
    for (path, expected_message) in table {
        let program = scene.program(vec![path.display().to_string()]);
        let error: ProgramError = program.verify(&expected).await.unwrap_err();
        let said = format!("{:#}", anyhow::Error::from(error));
        ensure!(said.contains(expected_message), "{said}");
    }
    scene.nothing_is_left().await
}
