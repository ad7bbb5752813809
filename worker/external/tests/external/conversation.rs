//! What a program hears and may answer.

use std::fs;

use anyhow::{Context, Result, ensure};
use lockstep_external::EnvironmentValue;
use lockstep_protocol::{ElementState, EntityType};
use serde_json::{Value, json};

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn one_process_runs_all_steps_of_a_unit_in_their_order() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.login = Some(("admin".to_owned(), "hush\"hush".to_owned()));
    scene.arguments = json!({"facts_key": "tested", "word": "hello"});
    let heard = scene.folder.path().join("heard");
    let script = format!(
        r#"exec 3>{}
        read -r begin; echo "$begin" >&3; echo '{{"type":"ready","protocol":1}}'
        id=1
        while read -r step; do
            echo "$step" >&3
            echo '{{"type":"log","level":"warning","message":"step '$id'"}}'
            echo '{{"type":"done","id":'$id',"data":{{"id":'$id'}},"facts":{{"fact":'$id'}},"changed":true}}'
            id=$((id + 1))
        done"#,
        heard.display()
    );
    let steps = &["pre_run_on_device", "run_on_interface", "run_on_device"];
    let (results, produced) = scene.run(scene.shell(&script)?, steps).await;
    let device = &results[1];
    ensure!(device.state == ElementState::Successful, "{device:?}");
    ensure!((&device.pre_run, &device.data) == (&json!({"id": 1}), &json!({"id": 4})));
    ensure!(device.message.as_deref() == Some("well done") && device.changed);
    let keys: Vec<(EntityType, u64, &str)> = produced
        .facts
        .iter()
        .map(|(kind, id, key, _)| (*kind, *id, key.as_str()))
        .collect();
    // What the step returned as facts, and the data of a provider of the type FACTS.
    ensure!(
        keys.contains(&(EntityType::Interface, 12, "fact"))
            && keys.contains(&(EntityType::Device, 5, "tested")),
        "{keys:?}"
    );
    let text = fs::read_to_string(heard)?;
    let heard: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let target = json!({"hostname": "leaf1", "address": "192.0.2.1", "port": 8443, "platform": "eos", "groups": ["campus"]});
    let begin = json!({
        "type": "begin", "protocol": 1, "provider": "tested", "element": 7, "execution": 3, "attempt": 2, "dry_run": true,
        "arguments": scene.arguments, "run_arguments": {}, "device": target,
        "login": {"username": "admin", "password": "hush\"hush", "enable_password": null},
    });
    ensure!(heard[0] == begin, "{}", heard[0]);
    let names: Vec<(u64, &str, &str)> = heard[1..]
        .iter()
        .map(|step| {
            let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default().leak() as &str;
            (
                step["number"].as_u64().unwrap_or(0),
                text(&step["step"]),
                text(&step["entity"]["name"]),
            )
        })
        .collect();
    let expected = [
        (5, "pre_run_on_device", "leaf1"),
        (9, "run_on_interface", "Ethernet1"),
        (9, "run_on_interface", "Ethernet2"),
        (10, "run_on_device", "leaf1"),
    ];
    ensure!(names == expected, "{names:?}");
    ensure!(
        heard[2]["above"][1]["pre_run"] == json!({"id": 1}),
        "{}",
        heard[2]
    );
    ensure!(
        heard[4]["pre_run"] == json!({"id": 1}) && heard[4]["below"][1]["data"] == json!({"id": 3}),
        "{}",
        heard[4]
    );
    scene.nothing_is_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_leaves_the_process_to_the_next_entity() -> Result<()> {
    let scene = Scene::new()?;
    let script = r#"read -r begin; echo '{"type":"ready","protocol":1}'
        read -r step; echo '{"type":"failed","id":1,"reason":"no-link","message":"it is down","state":"PARTIAL_FAILED","data":[1]}'
        read -r step; printf '%s\n' '{"type":"done","id":2,"message":"it is\nup"}'
        read -r step; exit 0"#;
    let (results, _) = scene.run(scene.shell(script)?, &["run_on_interface"]).await;
    let [first, second] = &results[2..] else {
        panic!("{results:?}")
    };
    ensure!(
        first.state == ElementState::PartialFailed && first.reason.as_deref() == Some("no-link"),
        "{first:?}"
    );
    ensure!(
        first.data == json!([1]) && first.message.as_deref() == Some("it is down"),
        "{first:?}"
    );
    ensure!(
        second.state == ElementState::Successful && second.message.as_deref() == Some("it is\nup"),
        "{second:?}"
    );
    scene.nothing_is_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_may_ask_for_results_and_entities() -> Result<()> {
    let scene = Scene::new()?;
    let answers = scene.folder.path().join("answers");
    let script = format!(
        r#"exec 3>{}
        echo '{{"type":"read_results","level":"DEVICE"}}'; read -r answer; echo "$answer" >&3
        echo '{{"type":"read_results","level":"DEVICE","after":4}}'; read -r answer; echo "$answer" >&3
        echo '{{"type":"read_results","level":"GROUP"}}'; read -r answer; echo "$answer" >&3
        echo '{{"type":"read_entity","entity_type":"DEVICE","id":5}}'; read -r answer; echo "$answer" >&3
        echo '{{"type":"done","id":1}}'"#,
        answers.display()
    );
    let (results, _) = scene
        .run(scene.at_the_first_step(&script)?, &["run_on_device"])
        .await;
    ensure!(results[1].state == ElementState::Successful, "{results:?}");
    let text = fs::read_to_string(answers)?;
    let answers: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(
        answers[0]["results"][1]["name"] == "leaf4" && answers[1]["results"] == json!([]),
        "{answers:?}"
    );
    ensure!(answers[2] == json!({"type": "refused", "message": "only devices have results here"}));
    ensure!(answers[3]["entity"]["facts"] == json!({"vlans": [7]}));
    scene.nothing_is_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_has_a_small_environment_and_a_folder_of_its_own() -> Result<()> {
    let mut scene = Scene::new()?;
    let secret = scene.executable("token", "hush-hush\n", 0o600)?;
    let values = [
        ("SET", EnvironmentValue::Fixed("a b".into())),
        ("TOKEN", EnvironmentValue::File(secret)),
    ];
    scene.environment = values.map(|(name, value)| (name.to_owned(), value)).into();
    let found = scene.folder.path().join("found");
    let script = format!(
        "exec >{} 3>&1; env | sort; pwd; ulimit -c; ls /proc/self/fd | wc -l; ps -o pgid= -p $$ | tr -d ' '; echo $$",
        found.display()
    );
    let program = scene.at_the_first_step(&script)?;
    scene.run(program, &["run_on_device"]).await;
    let text = fs::read_to_string(found)?;
    let (environment, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains('='));
    let names: Vec<&str> = environment
        .iter()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    // The shell sets PWD.
    ensure!(
        names
            == [
                "EXTERNAL_TEST",
                "HOME",
                "LANG",
                "PATH",
                "PWD",
                "SET",
                "TMPDIR",
                "TOKEN"
            ],
        "{names:?}"
    );
    ensure!(environment.contains(&"TOKEN=hush-hush") && environment.contains(&"SET=a b"));
    let folder = rest.first().context("no folder")?;
    ensure!(
        folder.starts_with(&*scene.folder.path().join("temporary").to_string_lossy()),
        "{folder}"
    );
    ensure!(
        environment.contains(&&*format!("HOME={folder}")),
        "{environment:?}"
    );
    ensure!(rest[1] == "0", "core dumps: {rest:?}");
    // Standard input, output, error output, the copy, the folder that ls reads, and what this process inherited.
    let expected = 5 + inherited()?;
    ensure!(
        rest[2] == expected.to_string(),
        "open files: {rest:?}, not {expected}"
    );
    ensure!(rest[3] == rest[4], "it has a process group of its own: {rest:?}");
    scene.nothing_is_left().await
}

/// How many files this process has open for all programs that it starts, beside the standard ones: those of its own parent.
fn inherited() -> Result<usize> {
    const CLOSED_IN_PROGRAMS: u32 = 0o2_000_000;
    let mut count = 0;
    for entry in fs::read_dir("/proc/self/fdinfo")? {
        let entry = entry?;
        // The one of the folder itself is gone.
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.context("no flags")?.trim(), 8)?;
        let number: u32 = entry.file_name().to_string_lossy().parse()?;
        count += usize::from(number > 2 && flags & CLOSED_IN_PROGRAMS == 0);
    }
    Ok(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_only_given_where_that_is_configured_and_never_shown() -> Result<()> {
    let mut scene = Scene::new()?;
    let script =
        r#"read -r begin; echo '{"type":"ready","protocol":1}'; read -r step; echo "$begin" >&2; exit 1"#;
    let (results, _) = scene.run(scene.shell(script)?, &["run_on_device"]).await;
    let said = results[1].message.clone().unwrap_or_default();
    ensure!(said.contains(r#""login":null"#), "{said}");
    scene.login = Some(("admin".to_owned(), "hush\"hush".to_owned()));
    let (results, _) = scene.run(scene.shell(script)?, &["run_on_device"]).await;
    let said = results[1].message.clone().unwrap_or_default();
    ensure!(
        said.contains(r#""password":"***""#) && !said.contains("hush"),
        "{said}"
    );
    scene.nothing_is_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn large_documents_in_both_directions_do_not_block_each_other() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.arguments = json!({"text": "x".repeat(1 << 20)});
    // It writes far more than a pipe holds before it reads anything.
    let script = r#"printf '{"type":"log","message":"'; head -c 1000000 /dev/zero | tr '\0' y; echo '"}'
        head -c 1000000 /dev/zero | tr '\0' z >&2
        read -r begin; echo '{"type":"ready","protocol":1}'; read -r step
        echo '{"type":"done","id":1,"data":'${#begin}'}'"#;
    let (results, _) = scene.run(scene.shell(script)?, &["run_on_device"]).await;
    ensure!(
        results[1].data.as_u64() > Some(1 << 20),
        "{:?}",
        results[1].message
    );
    scene.nothing_is_left().await
}
