use std::sync::Arc;

use lockstep_intent::fleet::{DeviceTypes, TypeRule};
use lockstep_render::{
    Bounds, DeviceFacts, Files, InterfaceFacts, LinkFacts, ManagementDomainFacts, Overlay, PeerFacts,
    Platforms, RenderError, Rendering, SettingsSet, TemplateSecrets, Undefined, Variables,
};
use serde_json::{Value, json};

/// A repository of these files.
pub(crate) fn files(files: &[(&str, &str)]) -> Arc<Files> {
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), Arc::from(*text)));
    Arc::new(files.collect())
}

/// The settings in these files, of a site with the type SPINE.
pub(crate) fn set(texts: &[(&str, &str)]) -> SettingsSet {
    let mut types = DeviceTypes::default();
    let spine = TypeRule {
        device_type: "SPINE".parse().unwrap(),
        directory: Some("spines".to_owned()),
        global: true,
        fabric: true,
    };
    types.declare(spine).unwrap();
    SettingsSet::new(files(texts), types)
}

/// A device with nothing but a name, a type and a management address.
pub(crate) fn device(hostname: &str, device_type: &str) -> DeviceFacts {
    DeviceFacts {
        id: 7,
        hostname: hostname.parse().unwrap(),
        device_type: device_type.parse().unwrap(),
        platform: Some("eos".to_owned()),
        model: Some("DCS-7050SX3-48YC8".to_owned()),
        os_version: Some("4.30.1F".to_owned()),
        management_ip: Some("10.0.1.7".parse().unwrap()),
        data: serde_json::Map::new(),
        primary_group: None,
        groups: Vec::new(),
        interfaces: Vec::new(),
        links: Vec::new(),
        management_domains: Vec::new(),
        cores: Vec::new(),
        mlag_peer: None,
        named: Vec::new(),
    }
}

pub(crate) fn peer(id: u64, hostname: &str, device_type: &str, data: Value) -> PeerFacts {
    PeerFacts {
        id,
        hostname: hostname.parse().unwrap(),
        device_type: device_type.parse().unwrap(),
        model: None,
        data: match data {
            Value::Object(data) => data,
            other => panic!("{other} is no object"),
        },
        primary_group: None,
        groups: Vec::new(),
    }
}

pub(crate) fn link(
    interface: &str,
    address: Option<&str>,
    peer: PeerFacts,
    peer_address: Option<&str>,
) -> LinkFacts {
    LinkFacts {
        interface: interface.to_owned().try_into().unwrap(),
        address: address.map(str::to_owned),
        peer,
        peer_interface: "Ethernet49".to_owned().try_into().unwrap(),
        peer_address: peer_address.map(str::to_owned),
    }
}

pub(crate) fn interface(name: &str, configuration: Value) -> InterfaceFacts {
    InterfaceFacts {
        name: name.to_owned().try_into().unwrap(),
        configuration,
    }
}

/// The domain 10.0.1.0/24 of d1 and d2.
pub(crate) fn domain() -> ManagementDomainFacts {
    ManagementDomainFacts {
        id: 3,
        devices: ["d1".parse().unwrap(), "d2".parse().unwrap()],
        addresses: [Some("10.0.1.2".parse().unwrap()), None],
        ipv4_gateway: Some("10.0.1.1/24".to_owned()),
        ipv6_gateway: Some("2001:db8:1::1/64".to_owned()),
        vlan: Some(600),
        description: Some("campus".to_owned()),
        esi_mac: Some("00:00:00:00:00:01".to_owned()),
    }
}

/// A device of the fabric that has all that is needed, linked to c1.
pub(crate) fn dist() -> DeviceFacts {
    let core = peer(9, "c1", "CORE", json!({"infra_ip": "10.199.0.0"}));
    DeviceFacts {
        data: json!({"infra_ip": "10.199.1.5"}).as_object().cloned().unwrap(),
        links: vec![link(
            "Ethernet49",
            Some("10.198.0.1/31"),
            core.clone(),
            Some("10.198.0.0/31"),
        )],
        cores: vec![core],
        management_domains: vec![domain()],
        ..device("d1", "DIST")
    }
}

/// The variables of a device.
pub(crate) fn variables(
    set: &SettingsSet,
    device: &DeviceFacts,
    overlay: Option<&Overlay>,
) -> Result<Variables, RenderError> {
    let rendering = Rendering {
        settings: set,
        templates: &Platforms::new(Arc::default(), DeviceTypes::default(), Undefined::Lenient),
        secrets: &TemplateSecrets::new([("ENABLE".to_owned(), "s3cret".to_owned())]),
        overlay,
        bounds: Bounds::default(),
    };
    rendering.variables(device)
}

/// A variable as JSON.
pub(crate) fn variable(variables: &Variables, name: &str) -> Value {
    let found = variables.iter().find(|(other, ..)| *other == name);
    found.map_or(Value::String("absent".to_owned()), |(_, value, _)| {
        serde_json::to_value(value).unwrap()
    })
}
