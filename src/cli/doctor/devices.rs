//! Checks what workers need to log in to devices: credentials and certificates. It connects to no device.

use super::finding::Findings;
use crate::config::DevicesConfig;
use crate::roles::{ConfiguredCredentials, device_authorities};

const CHECK: &str = "devices";

pub(super) fn examine(config: &DevicesConfig, findings: &mut Findings) {
    let credentials = ConfiguredCredentials::of(&config.credentials);
    let (unusable, warnings) = credentials.problems();
    let usable = unusable.is_empty();
    for problem in unusable {
        findings.failed(
            CHECK,
            problem,
            "let this user read the file, or correct [devices.credentials]",
        );
    }
    for warning in warnings {
        findings.warning(CHECK, warning, super::machine::LOOSE);
    }
    if credentials.is_empty() {
        findings.warning(
            CHECK,
            "no credentials are configured, so tasks cannot log in",
            "set username and password_file in [devices.credentials.default]",
        );
    } else if usable {
        findings.ok(CHECK, "all credentials can be read");
    }
    if let Err(error) = device_authorities(config) {
        findings.failed(CHECK, format!("{error:#}"), "correct devices.ca_file");
    }
    if config.insecure {
        findings.warning(
            CHECK,
            "certificates are not verified",
            "set devices.ca_file to the certificates of their authorities, and remove devices.insecure",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn credentials_that_cannot_be_read_fail() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (good, empty) = (file("good", "hush"), file("empty", "\n"));
        let missing = folder.path().join("missing").display().to_string();
        let login =
            |path: &str| format!("[devices.credentials.default]\nusername = 'u'\npassword_file = '{path}'\n");
        let authorities = |path: &str| format!("[devices]\nca_file = '{path}'\n{}", login(&good));
        let table = [
            (String::new(), State::Warning, "no credentials are configured"),
            (login(&missing), State::Failed, "cannot read"),
            (login(&empty), State::Failed, "is empty"),
            (authorities(&missing), State::Failed, "devices.ca_file"),
            (authorities(&good), State::Failed, "contains no certificates"),
        ];
        for (text, worst, said) in table {
            let config = crate::config::Config::of_text(&text);
            let mut findings = Findings::default();
            examine(&config.devices, &mut findings);
            assert_eq!(findings.worst(), worst, "{text}");
            let lines = findings.lines().join("\n");
            assert!(lines.contains(said) && !lines.contains("hush"), "{text}\n{lines}");
        }
    }
}
