use super::{assert_reported, problems, read, read_file, write};
use crate::config::Overrides;

/// The effective configuration of a cluster with a user.
pub(super) fn cluster(text: &str) -> serde_json::Value {
    let text = format!("[cvp.x]\nusername = 'lockstep'\npassword = 'hush'\n{text}");
    read(&text, &[]).unwrap().effective["cvp"]["x"].clone()
}

#[test]
fn problems_of_clusters_are_reported() {
    let text = "[cvp.a]\nhosts = ['cvp1', 'http://cvp2']\nusername = 'u'\n[cvp.b]\ntoken = 't'\n[cvp.c]\nhosts = []\n\
        username = 'u'\npassword = 'hush'\ntoken = 'hush'\n[cvp.d]\nhosts = ['www.arista.io']\nusername = 'u'\npassword = 'hush'\n\
        codes = ['0000', '0042']\ntask_diff = 'never'\ninsecure = true\nca_file = 'x'\nconcurency = 7\n[cvp]\nhosts = ['x']\n[cvp.E]\nhosts = ['x']\n";
    let problems = problems(text, &[]);
    let expected = [
        ":23: cvp.E.hosts: \"E\" is not a valid name",
        ":21: cvp.hosts: must be in a section with a name, such as [cvp.main]",
        "cvp.a.hosts: \"http://cvp2\" would be reached without TLS",
        "cvp.a.password: is missing; set password or password_file",
        "cvp.b.hosts: is missing",
        "cvp.c.hosts: is missing",
        "cvp.c.token: is set beside username or password",
        "cvp.d.codes: \"0042\" is not a compliance code",
        "cvp.d.task_diff: is \"never\", must be \"where-available\"",
        "cvp.d.insecure: is set beside ca_file",
        "cvp.d.token: is missing; the cloud service accepts no users",
        "cvp.d.concurency: unknown key; expected one of ca_file, change_controls, cloud, codes, concurrency",
    ];
    assert_reported(&problems, &expected);
}

#[test]
fn variables_configure_a_cluster_only_for_commands_that_use_one() {
    let secret = write("hush\n");
    let name = secret.path().display().to_string();
    let variables = [
        ("CVP_HOSTNAME", "cvp1, cvp2:8443"),
        ("CVP_USERNAME", "u"),
        ("CVP_PASSWORD_FILE", name.as_str()),
        ("CVP_TOKEN", ""),
    ];
    let file = write("");
    let overrides = Overrides {
        cvp_variables: true,
        ..Overrides::default()
    };
    let config = read_file(file.path(), &variables, overrides.clone()).unwrap();
    let hosts: Vec<String> = config.cvp["environment"]
        .hosts
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(hosts, ["cvp1", "cvp2:8443"]);
    assert!(!format!("{config:?}").contains("hush"));
    let config = read_file(file.path(), &variables, Overrides::default()).unwrap();
    assert!(config.cvp.is_empty(), "other commands ignore the variables");
    let error = read_file(file.path(), &variables[..1], overrides)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("CVP_HOSTNAME: cvp.environment.username: is missing"),
        "{error}"
    );
}
