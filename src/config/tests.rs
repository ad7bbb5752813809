mod clusters;
mod devices;
mod example;
mod oidc;
mod page;
mod providers;
mod render;
mod sources;
mod sync;

use std::collections::BTreeMap;
use std::path::Path;

use lockstep_protocol::topology::Lane;
use secrecy::ExposeSecret;

use crate::local_file::Origin;

use super::{BrokerUrl, Config, ConfigProblems, LogFormat, Overrides, StoreUrl};

fn write(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigProblems> {
    let file = write(text);
    read_file(file.path(), variables, Overrides::default())
}

fn read_file(
    file: &Path,
    variables: &[(&str, &str)],
    overrides: Overrides,
) -> Result<Config, ConfigProblems> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let variables: BTreeMap<String, String> = variables.iter().map(pair).collect();
    Config::read(Some((file.to_owned(), Origin::Named)), &variables, overrides)
}

/// Each problem as `ORIGIN: KEY: REASON`, without the name of the file.
fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let file = write(text);
    let problems = read_file(file.path(), variables, Overrides::default()).unwrap_err();
    let name = file.path().display().to_string();
    problems
        .0
        .iter()
        .map(|problem| problem.to_string().replace(&name, ""))
        .collect()
}

/// Each of the expected texts is in a problem, there are no others, and no secret is told.
fn assert_reported(problems: &[String], expected: &[&str]) {
    for expected in expected {
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{expected}: {problems:#?}"
        );
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    assert!(!problems.concat().contains("hush"), "{problems:#?}");
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let config = read("", &[]).unwrap();
    assert_eq!(config.data_dir, Path::new("lockstep-data"));
    assert!(matches!(config.broker.url, BrokerUrl::Embedded));
    assert!(
        matches!(&config.store.url, StoreUrl::Sqlite(path) if path == Path::new("lockstep-data/store.sqlite"))
    );
    assert_eq!(config.console.listen.to_string(), "127.0.0.1:8910");
    assert_eq!(config.gateway.listen.to_string(), "127.0.0.1:8911");
    assert_eq!(config.gateway.max_body_bytes, 25 * 1024 * 1024);
    assert_eq!(config.worker.lanes, Lane::ALL);
    assert_eq!(config.worker.batch_size, 500);
    assert_eq!(config.log.format, LogFormat::Text);
}

#[test]
fn a_key_of_an_earlier_version_is_ignored_with_a_warning() {
    let file = write("[worker]\nbatch_linger_ms = 5\nbatch_size = 100");
    let variables = [("LOCKSTEP__WORKER__PREFETCH", "300")];
    let config = read_file(file.path(), &variables, Overrides::default()).unwrap();
    assert_eq!((config.worker.batch_size, config.worker.prefetch), (100, 300));
    let removed =
        "worker.batch_linger_ms is ignored: batches no longer wait for more messages; remove the key";
    assert_eq!(
        config.warnings,
        [format!("{}:2: {removed}", file.path().display())]
    );

    let variable = "LOCKSTEP__WORKER__BATCH_LINGER_MS";
    let config = read("", &[(variable, "5")]).unwrap();
    assert_eq!(config.warnings, [format!("{variable}: {removed}")]);
    assert!(read("", &[]).unwrap().warnings.is_empty());
}

#[test]
fn the_effective_configuration_of_a_repository_can_be_written_as_toml() {
    let text = "[repositories.settings]\nurl = 'https://u:hush@git.example.org/s.git'\nwebhook_secret = 'hush-of-the-forge'\n";
    let effective = read(text, &[]).unwrap().effective;
    let written = toml::to_string_pretty(&effective).unwrap();
    assert!(
        written.contains("url = \"https://***@git.example.org/s.git\""),
        "{written}"
    );
    assert!(
        written.contains("branch = \"main\"") && !written.contains("hush"),
        "{written}"
    );
    assert!(!written.contains("templates"), "{written}");
}

#[test]
fn an_unknown_section_is_compared_with_those_beside_it() {
    let table = [
        (
            "data_dirr = 'x'",
            "data_dirr: unknown key; expected one of broker, console, cvp, data_dir, devices, executions, freeze, gateway",
        ),
        (
            "[gatewy]\nx = 1",
            "gatewy.x: unknown section; expected one of broker, console, cvp, devices, executions, freeze, gateway, log",
        ),
        (
            "[repositories.setings]\nurl = 'x'",
            "repositories.setings.url: unknown section; expected one of clone_mib, debounce_ms, memory_mib, poll_seconds, settings, templates",
        ),
        (
            "[cvp.a.b]\nc = 1\n",
            "cvp.a.b.c: unknown section; expected one of ca_file",
        ),
    ];
    for (text, expected) in table {
        let problems = problems(text, &[]);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{text}: {problems:#?}"
        );
    }
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let file = write("data_dir = 'one'\n[worker]\nprefetch = 7\nlanes = ['events']\n");
    let variables = [
        ("LOCKSTEP__DATA_DIR", "two"),
        ("LOCKSTEP__WORKER__PREFETCH", "8"),
        ("LOCKSTEP__WORKER__LANES", "events, commands"),
        ("LOCKSTEP__BROKER__DECLARE", "false"),
        ("LOCKSTEP_URL", "not a key"),
    ];
    let overrides = Overrides {
        data_dir: Some("three".into()),
        ..Overrides::default()
    };
    let config = read_file(file.path(), &variables, overrides).unwrap();
    assert_eq!(config.data_dir, Path::new("three"));
    assert_eq!(config.worker.prefetch, 8);
    assert_eq!(config.worker.lanes, [Lane::Events, Lane::Commands]);
    assert!(!config.broker.declare);
}

#[test]
fn tokens_are_read_from_the_file_and_from_the_environment() {
    let secret = write("a token from a file\n");
    let name = secret.path().display().to_string();
    let text = format!(
        "[[console.tokens]]\nname = 'ops'\ntoken = 'a direct token 1'\ntypes = ['*']\n[[console.tokens]]\nname = 'ztp'\ntoken_file = '{name}'\n"
    );
    let config = read(&text, &[]).unwrap();
    let secrets = |config: &Config| -> Vec<String> {
        config
            .console
            .tokens
            .iter()
            .map(|token| token.token.expose_secret().to_owned())
            .collect()
    };
    assert_eq!(secrets(&config), ["a direct token 1", "a token from a file"]);
    assert!(!config.effective.to_string().contains("direct"));
    assert!(!format!("{config:?}").contains("a direct token"));

    let list = "[{name = 'x', token = 'yyyyyyyyyyyyyyyy', types = ['lockstep.device.*']}]";
    let config = read(&text, &[("LOCKSTEP__CONSOLE__TOKENS", list)]).unwrap();
    assert_eq!(secrets(&config), ["yyyyyyyyyyyyyyyy"]);
    let config = read(
        &text,
        &[("LOCKSTEP__CONSOLE__TOKENS__0__TOKEN", "another token 16")],
    )
    .unwrap();
    assert_eq!(secrets(&config), ["another token 16", "a token from a file"]);
    let config = read(&text, &[("LOCKSTEP__CONSOLE__TOKENS__0__TOKEN_FILE", &name)]);
    assert!(
        config.unwrap_err().to_string().contains("the same token"),
        "a later origin wins over the direct secret"
    );
}

#[test]
fn addresses_with_passwords_are_read_from_files() {
    let url = write("amqps://u:secret@broker:5671/lockstep\n");
    let name = url.path().display().to_string();
    let config = read(
        "[broker]\nurl = 'embedded:'\n",
        &[("LOCKSTEP__BROKER__URL_FILE", &name)],
    )
    .unwrap();
    assert_eq!(config.broker.url.to_string(), "amqps://***@broker:5671/lockstep");
}

#[test]
fn all_problems_are_reported_together_with_key_and_line() {
    let text = "[broker]\nurll = 'x'\ndeclare = 'yes'\n[worker]\nbatch_size = 0\nlanes = ['evnts', 'events']\n\n[console]\nlisten = 'here'\n[[console.tokens]]\nname = 'a b'\n[gatewy]\nx = 1\n[store]\nurl = 'mysql://u:secret@h'\n";
    let problems = problems(
        text,
        &[
            ("LOCKSTEP__LOG__FORMAT", "xml"),
            ("LOCKSTEP__WORKER__PREFETCH", "many"),
        ],
    );
    let expected = [
        ":3: broker.declare: is \"yes\", must be true or false",
        ":15: store.url: is not a valid address, must be sqlite:PATH",
        ":9: console.listen: is \"here\", must be an address and a port",
        ":11: console.tokens[0].token: is missing; set token or token_file",
        ":11: console.tokens[0].name: must be 1 to 64",
        ":6: worker.lanes: \"evnts\" is not a lane; expected one of events",
        "LOCKSTEP__WORKER__PREFETCH: worker.prefetch: is \"many\", must be a whole number from 1 to 65535",
        ":5: worker.batch_size: is 0, must be a whole number from 1 to 5000",
        "LOCKSTEP__LOG__FORMAT: log.format: is \"xml\", must be \"text\" or \"json\"",
        ":2: broker.urll: unknown key; expected one of ca_file, declare, persons, sources, trusted_users, url, url_file",
        ":13: gatewy.x: unknown section; expected one of broker, console, cvp, devices, executions, freeze, gateway, log, providers, reconcile, render, repositories, rest, retention, sources, store, sync, telemetry, worker",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem}\n{expected}");
        assert!(!problem.contains("secret"), "{problem}");
    }
}

#[test]
fn a_syntax_error_is_reported_with_its_line_and_without_its_text() {
    let problems = problems("[broker]\nurl = 'amqp://u:secret@h\n", &[]);
    assert!(problems[0].contains(":2: is not valid TOML"), "{problems:?}");
    assert!(
        !problems.iter().any(|problem| problem.contains("secret")),
        "{problems:?}"
    );
    let missing = read_file(Path::new("/nowhere/lockstep.toml"), &[], Overrides::default()).unwrap_err();
    assert!(
        missing.to_string().contains("cannot read /nowhere/lockstep.toml"),
        "{missing}"
    );
}

#[test]
fn connections_must_be_more_than_requests() {
    let with = |requests, connections| {
        let text = format!("[gateway]\nmax_requests = {requests}\nmax_connections = {connections}\n");
        read(&text, &[]).map(drop)
    };
    assert!(with(256, 257).is_ok());
    let problem = with(256, 256).unwrap_err().to_string();
    assert!(
        problem.contains("must be more than gateway.max_requests (256)"),
        "{problem}"
    );
}

#[test]
fn trusted_proxies_are_addresses_and_networks() {
    let read = |proxy: &str| read(&format!("[gateway]\ntrusted_proxies = ['{proxy}']\n"), &[]);
    for proxy in ["10.0.0.1", "10.0.0.0/8", "2001:db8::/32"] {
        assert_eq!(read(proxy).unwrap().gateway.trusted_proxies[0].to_string(), proxy);
    }
    let problem = read("proxy.example.org").unwrap_err().to_string();
    assert!(
        problem.contains("is neither an address (10.0.0.1) nor a network"),
        "{problem}"
    );
}

#[test]
fn a_gateway_token_for_a_command_is_a_problem() {
    let token = |types: &str| {
        format!("[[gateway.tokens]]\nname = 'x'\ntoken = 'hush-hush-hush-hush'\ntypes = ['{types}']\n")
    };
    for good in ["*", "lockstep.device.*", "lockstep.repository.changed"] {
        assert_eq!(read(&token(good), &[]).unwrap().gateway.tokens.len(), 1, "{good}");
    }
    let problems = problems(&token("lockstep.sync.requested"), &[]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("commands go to the console"), "{problems:?}");
}

#[test]
fn problems_name_the_flag_of_the_command() {
    for flag in ["--listen", "--gateway-listen"] {
        let read_with = |address: &str| {
            let overrides = Overrides {
                gateway_listen: Some((flag, address.to_owned())),
                ..Overrides::default()
            };
            read_file(write("").path(), &[], overrides)
        };
        assert_eq!(read_with("127.0.0.1:1").unwrap().gateway.listen.port(), 1);
        let problem = read_with("here").unwrap_err().to_string();
        assert!(
            problem.contains(&format!("{flag}: gateway.listen: is \"here\"")),
            "{problem}"
        );
    }
}

#[test]
fn retention_is_read_as_durations_within_bounds() {
    let config = read(
        "[reconcile]\nevery = '90s'\n[retention]\ninbox = '48h'\ndead_letters = '2w'\nexecutions = '30d'\n",
        &[("LOCKSTEP__RETENTION__CAUSES", "7d")],
    );
    let shown = config.unwrap().effective;
    assert_eq!(shown["reconcile"]["every"], "90s");
    assert_eq!(shown["retention"]["inbox"], "2d");
    assert_eq!(shown["retention"]["causes"], "7d");
    assert_eq!(shown["retention"]["dead_letters"], "14d");
    assert_eq!(shown["retention"]["executions"], "30d");

    let text = "[retention]\ninbox = '47h'\ncauses = 30\ndead_letters = 'forever'\nevery = '8d'\n";
    let problems = problems(text, &[]);
    let expected = [
        ":5: retention.every: is \"8d\", must be a duration from 1s to 7d, such as \"1h\"",
        ":2: retention.inbox: is \"47h\", must be a duration from 2d to 3650d, such as \"30d\": a message may wait",
        ":3: retention.causes: is 30, must be a duration from 1d",
        ":4: retention.dead_letters: is \"forever\", must be a duration from 1d",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem}\n{expected}");
    }
}

#[test]
fn traces_are_exported_only_to_a_configured_endpoint() {
    assert!(read("", &[]).unwrap().telemetry.otlp_endpoint.is_none());
    let file = "[telemetry]\notlp_endpoint = 'http://of-the-file:4318'\nsample_ratio = 0.25\n";
    let standard = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://of-opentelemetry:4318");
    let ours = ("LOCKSTEP__TELEMETRY__OTLP_ENDPOINT", "http://ours:4318");
    let host = |text: &str, variables: &[(&str, &str)]| {
        let endpoint = read(text, variables).unwrap().telemetry.otlp_endpoint.unwrap();
        endpoint.host_str().unwrap().to_owned()
    };
    assert_eq!(host(file, &[]), "of-the-file");
    assert_eq!(host(file, &[standard]), "of-opentelemetry");
    assert_eq!(host(file, &[standard, ours]), "ours");
    assert_eq!(host("", &[standard]), "of-opentelemetry");

    let named = read(file, &[("OTEL_SERVICE_NAME", "lockstep-berlin")]).unwrap();
    assert_eq!(named.telemetry.service_name, "lockstep-berlin");
    assert!((named.telemetry.sample_ratio - 0.25).abs() < f64::EPSILON);
    let text = read("", &[("LOCKSTEP__TELEMETRY__SAMPLE_RATIO", "0.5")]).unwrap();
    assert!((text.telemetry.sample_ratio - 0.5).abs() < f64::EPSILON);
}

#[test]
fn problems_of_telemetry_do_not_repeat_passwords() {
    let wrong = [
        ("otlp_endpoint = 'collector:4318'", "must be http://HOST:PORT"),
        (
            "otlp_endpoint = 'https://u:secret@collector'",
            "must be http://HOST:PORT",
        ),
        (
            "otlp_endpoint = 'http://collector/?key=secret'",
            "must be http://HOST:PORT",
        ),
        ("sample_ratio = 1.5", "is 1.5, must be a number from 0.0 to 1.0"),
        ("sample_ratio = '0.5'", "must be a number from 0.0 to 1.0"),
    ];
    for (line, expected) in wrong {
        let problems = problems(&format!("[telemetry]\n{line}\n"), &[]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with(":2: ") && problems[0].contains(expected),
            "{problems:?}"
        );
        assert!(!problems[0].contains("secret"), "{problems:?}");
    }
}

#[test]
fn a_worker_listens_only_at_a_configured_address() {
    assert_eq!(read("", &[]).unwrap().worker.listen, None);
    let config = read("", &[("LOCKSTEP__WORKER__LISTEN", "0.0.0.0:8912")]).unwrap();
    assert_eq!(config.worker.listen.unwrap().port(), 8912);
    let problems = problems("[worker]\nlisten = 'here'\n", &[]);
    assert!(
        problems[0].contains(":2: worker.listen: is \"here\", must be an address and a port"),
        "{problems:?}"
    );
}
