use lockstep_render::{Bounds, Undefined};
use secrecy::ExposeSecret;

use super::{assert_reported, problems, read, write};
use crate::config::LateSecret;

#[test]
fn rendering_is_configured_with_secrets_that_are_not_shown() {
    let secret = write("hush of a file");
    let text = format!(
        "[render]\nundefined = 'strict'\nmillion_steps = 7\nmost_output_mib = 1\nmost_values_mib = 2\ncache_mib = 64\n\
         [render.secrets.RADIUS_KEY]\nsecret_file = '{}'\n[render.secrets.TEMPLATE_SECRET_ENABLE]\nsecret_env = 'ENABLE'\n\
         [render.secrets.snmp]\nsecret = 'hush'\n",
        secret.path().display()
    );
    let config = read(&text, &[("ENABLE", "hush of a variable")]).unwrap();
    let render = &config.render;
    assert_eq!((render.undefined, render.cache), (Undefined::Strict, 64 << 20));
    let bounds = Bounds {
        fuel: 7_000_000,
        output: 1 << 20,
        memory: 2 << 20,
    };
    assert_eq!(render.bounds, bounds);
    assert!(matches!(&render.secrets["RADIUS_KEY"], LateSecret::File(path) if path == secret.path()));
    let LateSecret::Fixed(enable) = &render.secrets["TEMPLATE_SECRET_ENABLE"] else {
        panic!("{render:?}");
    };
    assert_eq!(enable.expose_secret(), "hush of a variable");
    let shown = config.effective["render"].to_string();
    assert!(shown.contains("***") && !shown.contains("hush"), "{shown}");
    assert!(!format!("{config:?}").contains("hush"));
    let default = read("", &[]).unwrap().render;
    assert_eq!(
        (default.undefined, default.bounds),
        (Undefined::Lenient, Bounds::default())
    );
}

#[test]
fn problems_of_rendering_are_reported() {
    let text = "[render]\nundefined = 'maybe'\nmillion_steps = 0\n[render.secrets.a-b]\nsecret = 'x'\n[render.secrets.c]\nsecret_env = 'GONE'\n";
    let found = problems(text, &[]);
    let expected = [
        "render.undefined: is \"maybe\", must be \"lenient\" or \"strict\"",
        "render.million_steps: is 0, must be a whole number from 1 to 10000",
        "render.secrets.a-b: is not the name of a variable",
        "render.secrets.c.secret_env: names the variable GONE, which is not set",
    ];
    assert_reported(&found, &expected);
}
