use std::time::Duration;

use lockstep_dcim::{GroupKind, System};
use lockstep_protocol::DeviceState;

use super::{assert_reported, problems, read};

#[test]
fn a_source_has_rules_and_may_have_a_secret_and_an_address() {
    let text = "[sources.main]\nsystem = 'netbox'\nwebhook_secret = \"the new secret of it\\nthe old secret of it\"\n\
         url = 'https://netbox.example.org/sub'\ntoken = 'hush'\ndefault_type = 'ACCESS'\ngroups = ['tag', 'site']\n\
         webhook_max_age = '10m'\npoll_every = '30s'\n\
         [sources.main.device_types]\nCore-Switch = 'CORE'\n[sources.main.states]\nOffline = 'UNMANAGED'\n\
         [sources.campus]\nsystem = 'nautobot'\n[sources.campus.device_types]\n'Access Switch' = 'ACCESS'\n";
    let config = read(text, &[]).unwrap();
    let main = &config.sources["main"];
    assert_eq!((main.system, main.webhook_secrets.len()), (System::NetBox, 2));
    assert_eq!(main.webhook_max_age, Duration::from_mins(10));
    assert_eq!(main.rules.source, "main");
    assert_eq!(main.rules.device_types["core-switch"].as_str(), "CORE");
    assert_eq!(
        main.rules.states,
        [("offline".to_owned(), DeviceState::Unmanaged)].into()
    );
    assert_eq!(main.rules.groups, [GroupKind::Tag, GroupKind::Site]);
    let poll = main.poll.as_ref().unwrap();
    assert_eq!(
        (poll.url.as_str(), poll.every.as_secs()),
        ("https://netbox.example.org/sub", 30)
    );
    let campus = &config.sources["campus"];
    assert!(campus.poll.is_none() && campus.webhook_secrets.is_empty());
    assert_eq!(campus.rules.device_types["access switch"].as_str(), "ACCESS");
    let shown = config.effective.to_string();
    assert!(
        !shown.contains("hush") && !shown.contains("secret of it"),
        "{shown}"
    );
}

#[test]
fn problems_of_sources_are_reported() {
    let of = |text: &str| problems(&format!("[sources.main]\n{text}"), &[]);
    assert_reported(&of("url = 'https://h'\ntoken = 't'"), &["sources.main.system"]);
    assert_reported(&of("system = 'excel'"), &["sources.main.system"]);
    for url in ["netbox", "ftp://h", "https://user:hush@h", "https://h/?a=b"] {
        let found = of(&format!("system = 'netbox'\nurl = '{url}'\ntoken = 't'"));
        assert_reported(&found, &["sources.main.url"]);
    }
    assert_reported(
        &of("system = 'netbox'\nurl = 'http://h'\ntoken = 't'"),
        &["allow_token_without_tls"],
    );
    assert_reported(
        &of("system = 'netbox'\nurl = 'https://h'"),
        &["sources.main.token"],
    );
    assert_reported(
        &of("system = 'netbox'\nwebhook_secret = 'short'"),
        &["sources.main.webhook_secret"],
    );
    assert_reported(
        &of("system = 'netbox'\ngroups = ['colour']"),
        &["makes no groups"],
    );
    assert_reported(
        &of("system = 'netbox'\n[sources.main.device_types]\nx = 'no type'"),
        &["sources.main.device_types.x"],
    );
    assert_reported(
        &of("system = 'netbox'\n[sources.main.states]\nactive = 'GONE'"),
        &["sources.main.states.active"],
    );
}
