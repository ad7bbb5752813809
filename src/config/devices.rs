use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lockstep_intent::fleet::{DeviceTypes, TypeRule};
use lockstep_protocol::DeviceType;

use super::reader::{LateSecret, Reader};

/// `[devices]`: how workers reach devices.
#[derive(Debug)]
pub(crate) struct DevicesConfig {
    /// Certificates of the authorities of devices, in PEM. Default: those of the operating system.
    pub(crate) ca_file: Option<PathBuf>,
    /// True switches the verification of certificates off.
    pub(crate) insecure: bool,
    /// The port of eAPI.
    pub(crate) port: u16,
    /// How long a request may take, from connecting to the end of the answer.
    pub(crate) timeout: Duration,
    /// How long connecting may take.
    pub(crate) connect_timeout: Duration,
    /// The users that workers log in as.
    pub(crate) credentials: DeviceCredentialsConfig,
    /// The device types of the site: those of CNaaS NMS, and those in `[devices.types]`.
    pub(crate) types: DeviceTypes,
}

/// `[devices.credentials]`: those of the device itself count, else those of its groups in alphabetical order, else the default.
#[derive(Debug, Default)]
pub(crate) struct DeviceCredentialsConfig {
    /// Of devices without credentials of their own.
    pub(crate) default: Option<LoginConfig>,
    /// Of groups, by name.
    pub(crate) groups: BTreeMap<String, LoginConfig>,
    /// Of devices, by hostname.
    pub(crate) hosts: BTreeMap<String, LoginConfig>,
}

/// The user that workers log in as.
#[derive(Clone, Debug)]
pub(crate) struct LoginConfig {
    pub(crate) username: String,
    pub(crate) password: LateSecret,
    /// The password of `enable`. Without it, `enable` asks for none.
    pub(crate) enable_password: Option<LateSecret>,
}

/// The keys of a login.
const LOGIN: [&str; 7] = [
    "username",
    "password",
    "password_file",
    "password_env",
    "enable_password",
    "enable_password_file",
    "enable_password_env",
];

impl DevicesConfig {
    pub(super) fn of(reader: &mut Reader) -> Self {
        let bounds = Duration::from_secs(1)..=Duration::from_hours(1);
        let insecure_origin = reader.origin("devices.insecure");
        let devices = Self {
            ca_file: reader.path("devices.ca_file"),
            insecure: reader.flag("devices.insecure", false),
            port: reader.number("devices.port", 443, 1..=u16::MAX),
            timeout: reader.duration("devices.timeout", Duration::from_mins(1), bounds.clone(), ""),
            connect_timeout: reader.duration("devices.connect_timeout", Duration::from_secs(10), bounds, ""),
            credentials: DeviceCredentialsConfig::of(reader),
            types: types(reader),
        };
        if devices.insecure && devices.ca_file.is_some() {
            let reason = "is set beside ca_file; it switches the verification of certificates off, so set one of the two";
            reader.problem("devices.insecure", insecure_origin.as_ref(), reason);
        }
        devices
    }
}

impl DeviceCredentialsConfig {
    fn of(reader: &mut Reader) -> Self {
        Self {
            default: reader
                .section("devices.credentials.default")
                .and_then(|_| login(reader, "devices.credentials.default")),
            groups: logins(reader, "devices.credentials.groups"),
            hosts: logins(reader, "devices.credentials.hosts"),
        }
    }
}

/// The keys of a device type.
const TYPE: [&str; 3] = ["directory", "fabric", "global"];

/// The types of CNaaS NMS with those that the site declares; a declaration with the name of one of them replaces its rule.
fn types(reader: &mut Reader) -> DeviceTypes {
    const SECTION: &str = "devices.types";
    let mut types = DeviceTypes::default();
    for name in reader.named(SECTION, &TYPE) {
        let section = format!("{SECTION}.{name}");
        let origin = reader.origin_within(&section);
        let directory = reader.text(&format!("{section}.directory"));
        let global = reader.flag(&format!("{section}.global"), true);
        let fabric = reader.flag(&format!("{section}.fabric"), false);
        reader.show_named(SECTION, &name, &TYPE);
        let declared = name.parse::<DeviceType>().map_err(|error| error.to_string());
        let declared = declared.and_then(|device_type| {
            let rule = TypeRule {
                device_type,
                directory,
                global,
                fabric,
            };
            types.declare(rule).map_err(|error| error.to_string())
        });
        if let Err(reason) = declared {
            reader.problem(&section, origin.as_ref(), reason);
        }
    }
    types
}

fn logins(reader: &mut Reader, section: &str) -> BTreeMap<String, LoginConfig> {
    let mut logins = BTreeMap::new();
    for name in reader.named(section, &LOGIN) {
        let login = login(reader, &format!("{section}.{name}"));
        reader.show_named(section, &name, &LOGIN);
        logins.extend(login.map(|login| (name, login)));
    }
    logins
}

fn login(reader: &mut Reader, section: &str) -> Option<LoginConfig> {
    let key = |key: &str| format!("{section}.{key}");
    let origin = reader.origin_within(section);
    let before = reader.problems();
    let username = reader.text(&key("username"));
    let password = reader.late_secret(&key("password"));
    let enable_password = reader.late_secret(&key("enable_password"));
    if reader.problems() == before {
        if username.is_none() {
            let reason = "is missing; set the user that workers log in as";
            reader.problem(&key("username"), origin.as_ref(), reason);
        }
        if password.is_none() {
            let reason = "is missing; set password_file, password_env or password";
            reader.problem(&key("password"), origin.as_ref(), reason);
        }
    }
    Some(LoginConfig {
        username: username?,
        password: password?,
        enable_password,
    })
}
