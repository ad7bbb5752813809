use std::time::Duration;

use super::{assert_reported, problems, read};

#[test]
fn a_program_is_read_with_its_limits_and_variables() {
    let text = "[providers.uptime]\ncommand = ['/usr/bin/python3', '/opt/uptime.py']\ndescription = '/opt/uptime.json'\n\
        credentials = true\ntimeout = '30s'\nmemory_mib = 64\noutput_kib = 10\nprocesses = 3\n\
        [providers.uptime.environment]\nHTTPS_PROXY = 'http://proxy:3128'\n\
        [providers.uptime.environment_files]\nTOKEN = '/run/secrets/token'\n\
        [providers.described]\ndescription = '/opt/described.json'\n";
    let config = read(text, &[("LOCKSTEP__PROVIDERS__UPTIME__PROCESSES", "5")]).unwrap();
    let uptime = &config.providers["uptime"];
    let program = uptime.program.as_ref().unwrap();
    assert_eq!(program.command, ["/usr/bin/python3", "/opt/uptime.py"]);
    assert_eq!(
        (program.limits.timeout, program.limits.memory),
        (Duration::from_secs(30), 64 << 20)
    );
    assert_eq!((program.limits.output, program.limits.processes), (10 << 10, 5));
    assert!(program.environment.keys().eq(["HTTPS_PROXY", "TOKEN"]));
    assert!(uptime.credentials && config.providers["described"].program.is_none());
    let shown = &config.effective["providers"]["uptime"];
    assert_eq!(shown["environment_files"]["TOKEN"], "/run/secrets/token");
    assert_eq!(config.effective["providers"]["described"]["timeout"], "2m");
}

#[test]
fn problems_of_programs_are_reported_with_key_and_line() {
    let text = "[providers.a]\ncommand = ['python3', 'a.py']\n\
        [providers.b]\ndescription = 'b.json'\nmemory_mib = 1\n\
        [providers.b.environment]\n'a b' = 'x'\n\
        [providers.Upper]\ndescription = 'c.json'\n\
        [providers.c]\ndescription = 'c.json'\ncomand = []\n";
    let expected = [
        ":2: providers.a.description: is missing; set the file that `lockstep providers describe",
        ":2: providers.a.command: begins with \"python3\", must begin with the absolute path",
        ":5: providers.b.memory_mib: is 1, must be a whole number from 32 to 65536",
        ":7: providers.b.environment.a b: must be a variable",
        ":9: providers.Upper.description: \"Upper\" is not a valid name",
        ":12: providers.c.comand: unknown key; expected one of command, credentials",
    ];
    assert_reported(&problems(text, &[]), &expected);
}
