//! Which messages the decoder refuses, with which code and place, and that the schemas refuse them, too.

use jsonschema::Validator;
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_protocol::{Code, DecodeError, Digest, Envelope, schema};
use serde_json::{Value, json};

fn good() -> Value {
    json!({
        "specversion": "1.0",
        "id": "42",
        "source": "urn:example:netbox",
        "type": "lockstep.interface.updated",
        "data": {"hostname": "sw1", "interfaces": [{"name": "Ethernet1"}], "kind": "configuration"},
    })
}

fn schema_of_all() -> Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema::messages())
        .expect("the schema is valid")
}

fn refused(body: &[u8]) -> DecodeError {
    match Envelope::decode(body) {
        Ok(decoded) => panic!("was accepted: {decoded:?}"),
        Err(error) => error,
    }
}

/// A change that makes a valid message invalid, and the expected error.
struct Bad {
    pointer: &'static str,
    /// `None` removes the key.
    value: Option<Value>,
    code: Code,
    place: &'static str,
    reason: &'static str,
    identity: bool,
}

fn bad(
    pointer: &'static str,
    value: impl Into<Option<Value>>,
    code: Code,
    place: &'static str,
    reason: &'static str,
) -> Bad {
    Bad {
        pointer,
        value: value.into(),
        code,
        place,
        reason,
        identity: true,
    }
}

fn nameless(bad: Bad) -> Bad {
    Bad {
        identity: false,
        ..bad
    }
}

fn change(message: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, key) = pointer.rsplit_once('/').expect("pointers begin with a slash");
    let parent = message.pointer_mut(parent).expect("the message has that place");
    match (parent, value) {
        (Value::Object(members), Some(value)) => drop(members.insert(key.to_owned(), value)),
        (Value::Object(members), None) => drop(members.remove(key)),
        (Value::Array(items), Some(value)) => {
            items[key.parse::<usize>().expect("places in lists are numbers")] = value;
        }
        (parent, _) => panic!("{pointer} is in {parent}"),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_bad_message_is_refused_with_code_place_and_identity_and_by_the_schema() {
    use Code::{InvalidData, InvalidEnvelope, UnknownType};
    let table = [
        bad(
            "/specversion",
            None,
            InvalidEnvelope,
            "$",
            "missing field `specversion`",
        ),
        nameless(bad("/id", None, InvalidEnvelope, "$", "missing field `id`")),
        nameless(bad(
            "/source",
            None,
            InvalidEnvelope,
            "$",
            "missing field `source`",
        )),
        bad("/type", None, InvalidEnvelope, "$", "missing field `type`"),
        bad("/data", None, InvalidData, "$.data", "is missing"),
        bad(
            "/specversion",
            json!("0.3"),
            InvalidEnvelope,
            "$.specversion",
            "only CloudEvents \"1.0\"",
        ),
        bad(
            "/specversion",
            json!(1.0),
            InvalidEnvelope,
            "$.specversion",
            "expected a string",
        ),
        nameless(bad(
            "/id",
            json!(42),
            InvalidEnvelope,
            "$.id",
            "integer `42`, expected a string",
        )),
        nameless(bad(
            "/id",
            json!(""),
            InvalidEnvelope,
            "$.id",
            "must not be empty",
        )),
        nameless(bad(
            "/id",
            json!("x".repeat(256)),
            InvalidEnvelope,
            "$.id",
            "256 bytes long; the maximum is 255",
        )),
        nameless(bad(
            "/source",
            json!("my netbox"),
            InvalidEnvelope,
            "$.source",
            "' '",
        )),
        bad(
            "/type",
            json!(["lockstep.interface.updated"]),
            InvalidEnvelope,
            "$.type",
            "expected a string",
        ),
        bad(
            "/type",
            json!("lockstep.interface.exploded"),
            UnknownType,
            "$.type",
            "lockstep.interface.exploded",
        ),
        bad(
            "/type",
            json!("lockstep.internal.device-run"),
            UnknownType,
            "$.type",
            "unknown message type",
        ),
        bad(
            "/subject",
            json!(""),
            InvalidEnvelope,
            "$.subject",
            "must not be empty",
        ),
        bad("/time", json!("yesterday"), InvalidEnvelope, "$.time", "RFC 3339"),
        bad(
            "/time",
            json!(1_772_366_400),
            InvalidEnvelope,
            "$.time",
            "expected a string",
        ),
        bad(
            "/datacontenttype",
            json!("application/xml"),
            InvalidEnvelope,
            "$.datacontenttype",
            "only JSON data",
        ),
        bad(
            "/data_base64",
            json!("e30="),
            InvalidEnvelope,
            "$.data_base64",
            "JSON object in `data`",
        ),
        bad("/data", Value::Null, InvalidData, "$.data", "is missing"),
        bad("/data", json!("{}"), InvalidData, "$.data", "expected an object"),
        bad(
            "/data",
            json!(["sw1", [{"name": "Ethernet1"}], "configuration"]),
            InvalidData,
            "$.data",
            "list, expected an object",
        ),
        bad(
            "/data",
            json!({}),
            InvalidData,
            "$.data",
            "missing field `hostname`",
        ),
        bad(
            "/data/hostname",
            json!("core_1"),
            InvalidData,
            "$.data.hostname",
            "\"core_1\" is not a hostname",
        ),
        bad(
            "/data/hostname",
            Value::Null,
            InvalidData,
            "$.data.hostname",
            "null, expected a string",
        ),
        bad(
            "/data/kind",
            json!("both"),
            InvalidData,
            "$.data.kind",
            "`configuration` or `status`",
        ),
        bad(
            "/data/kind",
            json!(1),
            InvalidData,
            "$.data.kind",
            "expected a string",
        ),
        bad(
            "/data/interfaces",
            json!([]),
            InvalidData,
            "$.data.interfaces",
            "has 0 entries; the minimum is 1",
        ),
        bad(
            "/data/interfaces",
            json!("Ethernet1"),
            InvalidData,
            "$.data.interfaces",
            "expected a list",
        ),
        bad(
            "/data/interfaces",
            json!(vec![json!({"name": "Ethernet1"}); 4097]),
            InvalidData,
            "$.data.interfaces[4096]",
            "the maximum is 4096",
        ),
        bad(
            "/data/interfaces/0",
            json!("Ethernet1"),
            InvalidData,
            "$.data.interfaces[0]",
            "expected an object",
        ),
        bad(
            "/data/interfaces/0/name",
            json!(7),
            InvalidData,
            "$.data.interfaces[0].name",
            "integer `7`, expected a string",
        ),
        bad(
            "/data/interfaces/0/name",
            json!(""),
            InvalidData,
            "$.data.interfaces[0].name",
            "1 to 255 characters",
        ),
        bad(
            "/data/interfaces/0/name",
            None,
            InvalidData,
            "$.data.interfaces[0]",
            "missing field `name`",
        ),
    ];
    let schema = schema_of_all();
    assert!(schema.is_valid(&good()));
    for bad in table {
        let mut message = good();
        change(&mut message, bad.pointer, bad.value);
        let shown = format!("{message:.300}");
        let error = refused(message.to_string().as_bytes());
        assert_eq!(
            (error.code, error.place.as_str()),
            (bad.code, bad.place),
            "{error} for {shown}"
        );
        assert!(error.reason.contains(bad.reason), "{error} for {shown}");
        assert_eq!(error.identity.is_some(), bad.identity, "{shown}");
        assert!(!schema.is_valid(&message), "the schema accepts {shown}");
    }
}

#[test]
fn a_body_that_is_not_one_json_object_is_invalid_json() {
    let good = good().to_string();
    let deep = format!("{{\"data\": {}{}}}", "[".repeat(200), "]".repeat(200));
    let bytes_after = |tail: &[u8]| [good.as_bytes(), tail].concat();
    let table: [(&str, Vec<u8>, &str); 11] = [
        ("empty", Vec::new(), "the body is empty"),
        ("blank", b" \r\n".to_vec(), "the body is empty"),
        ("text", b"hello".to_vec(), "is not a JSON object"),
        ("number", b"42".to_vec(), "is not a JSON object"),
        ("list", format!("[{good}]").into_bytes(), "is a list"),
        (
            "byte order mark",
            [b"\xef\xbb\xbf", good.as_bytes()].concat(),
            "byte order mark",
        ),
        ("cut off", good.as_bytes()[..good.len() - 1].to_vec(), "EOF"),
        ("garbage after it", bytes_after(b"}"), "more data after"),
        (
            "another message after it",
            bytes_after(good.as_bytes()),
            "more data after",
        ),
        ("deep", deep.into_bytes(), "recursion limit"),
        (
            "not UTF-8",
            good.replace("sw1", "sw\u{7f}")
                .replace('\u{7f}', "?")
                .into_bytes(),
            "",
        ),
    ];
    for (name, mut body, reason) in table {
        if name == "not UTF-8" {
            let place = body.iter().position(|byte| *byte == b'?').unwrap();
            body[place] = 0xff;
        }
        let error = refused(&body);
        assert_eq!(error.code, Code::InvalidJson, "{name}: {error}");
        assert!(error.reason.contains(reason), "{name}: {error}");
        assert_eq!(error.identity, None, "{name}");
        assert_eq!(error.digest, Digest::of_bytes(&body), "{name}");
    }
}

#[test]
fn a_body_over_the_size_limit_is_refused() {
    let mut body = good().to_string().into_bytes();
    body.resize(MAX_BODY_BYTES, b' ');
    assert!(Envelope::decode(&body).is_ok());
    body.push(b' ');
    let error = refused(&body);
    assert_eq!((error.code, error.place.as_str()), (Code::TooLarge, "$"));
}

#[test]
fn a_duplicate_key_is_refused() {
    let twice = |what: &str, with: &str| refused(good().to_string().replacen(what, with, 1).as_bytes());
    let attribute = twice(r#""id":"42""#, r#""id":"42","id":"43""#);
    assert_eq!(attribute.code, Code::InvalidEnvelope);
    assert!(attribute.reason.contains("duplicate field `id`"), "{attribute}");

    let inside = twice(
        r#""name":"Ethernet1""#,
        r#""name":"Ethernet1","name":"Ethernet2""#,
    );
    assert_eq!(inside.code, Code::InvalidData);
    assert!(inside.place.starts_with("$.data.interfaces[0]"), "{inside}");
    assert!(inside.reason.contains("\"name\" occurs twice"), "{inside}");
    assert!(inside.identity.is_some());
}

#[test]
fn nul_is_refused_at_any_depth() {
    let mut message = good();
    message["data"]["interfaces"][0]["configuration"] = json!({"description": "a\u{0}b"});
    let error = refused(message.to_string().as_bytes());
    assert_eq!(
        (error.code, error.place.as_str()),
        (
            Code::InvalidData,
            "$.data.interfaces[0].configuration.description"
        )
    );
    assert!(error.reason.contains("U+0000"), "{error}");
}

#[test]
fn an_inventory_that_names_an_object_twice_is_refused() {
    let mac = "44:4c:a8:00:00:01";
    for (data, place) in [
        (
            json!({"devices": [
                {"hostname": "sw1", "device_type": "ACCESS"},
                {"hostname": "sw2", "device_type": "ACCESS"},
                {"hostname": "sw1.", "device_type": "DIST"},
            ]}),
            "$.data.devices[2]",
        ),
        (
            json!({"groups": [{"name": "a"}, {"name": "a", "location": true}]}),
            "$.data.groups[1]",
        ),
        (
            json!({"interfaces": [{"hostname": "sw1", "name": "e1"}, {"hostname": "sw1", "name": "e1"}]}),
            "$.data.interfaces[1]",
        ),
        (
            json!({"clients": [{"mac": mac}, {"mac": "444ca8000001"}]}),
            "$.data.clients[1]",
        ),
        (
            json!({"links": [
                {"a": {"hostname": "sw1", "interface": "e1"}, "b": {"hostname": "sw2", "interface": "e1"}},
                {"a": {"hostname": "sw2", "interface": "e1"}, "b": {"hostname": "sw1", "interface": "e1"}},
            ]}),
            "$.data.links[1]",
        ),
        (
            json!({"management_domains": [
                {"id": 4, "device_a": "sw1", "device_b": "sw2"}, {"id": 4, "device_a": "sw3", "device_b": "sw4"}
            ]}),
            "$.data.management_domains[1]",
        ),
    ] {
        let mut message = good();
        message["type"] = "lockstep.inventory.imported".into();
        message["data"] = data;
        let error = refused(message.to_string().as_bytes());
        assert_eq!(
            (error.code, error.place.as_str()),
            (Code::InvalidData, place),
            "{error}"
        );
        assert!(error.reason.contains("occurs twice in this list"), "{error}");
    }
}

#[test]
fn errors_quote_long_texts_truncated() {
    let long = "_".repeat(1_000_000);
    let mut hostname = good();
    hostname["data"]["hostname"] = long.clone().into();
    let mut kind = good();
    kind["type"] = long.clone().into();
    let mut key = good();
    key["data"][&long] = "\u{0}".into();
    for message in [hostname, kind, key] {
        let error = refused(message.to_string().as_bytes());
        assert!(error.to_string().len() < 2_000);
        assert!(error.kind.unwrap().len() < 1_000);
        assert!(error.identity.is_some());
    }
}

/// What a link, a management domain and a new hostname lack or have too much of is told with its place.
#[test]
fn data_about_links_domains_and_names_is_refused_with_its_place() {
    let end = |hostname: &str| json!({"hostname": hostname, "interface": "Ethernet1"});
    let table = [
        (
            "linknet.changed",
            json!({"action": "added", "a": end("sw1")}),
            "$.data",
            "missing field `b`",
        ),
        (
            "linknet.changed",
            json!({"action": "added", "a": end("sw1"), "b": end("not a name")}),
            "$.data.b.hostname",
            "hostname",
        ),
        (
            "linknet.changed",
            json!({"action": "updated", "a": end("sw1"), "b": end("sw2"), "previous": {"a": end("sw1")}}),
            "$.data.previous",
            "missing field `b`",
        ),
        (
            "mgmtdomain.changed",
            json!({"action": "added", "device_a": "sw1"}),
            "$.data",
            "missing field `device_b`",
        ),
        (
            "linknet.changed",
            json!({"action": "added", "a": {"hostname": "sw1", "interface": "e1", "address": "10.0.0.1"}, "b": end("sw2")}),
            "$.data.a.address",
            "the length of its prefix",
        ),
        (
            "mgmtdomain.changed",
            json!({"action": "added", "device_a": "sw1", "device_b": "sw2", "id": 1, "vlan": 4095}),
            "$.data.vlan",
            "1 to 4094",
        ),
        (
            "mgmtdomain.changed",
            json!({"action": "added", "device_a": "sw1", "device_b": "sw2", "id": 9_007_199_254_740_992_u64}),
            "$.data.id",
            "the maximum is 9007199254740991",
        ),
        (
            "inventory.imported",
            json!({"devices": [{"hostname": "sw1", "device_type": "DIST", "data": {"notes": "x".repeat(65_536)}}]}),
            "$.data.devices[0].data",
            "the maximum is 65536",
        ),
        (
            "inventory.imported",
            json!({"devices": [{"hostname": "sw1", "device_type": "DIST", "data": [1]}]}),
            "$.data.devices[0].data",
            "expected a map",
        ),
        (
            "device.renamed",
            json!({"hostname": "sw1", "new_hostname": "-sw2"}),
            "$.data.new_hostname",
            "hostname",
        ),
        (
            "device.rename-requested",
            json!({"hostname": "sw1", "new_hostname": ""}),
            "$.data.new_hostname",
            "hostname",
        ),
    ];
    for (kind, data, place, reason) in table {
        let mut message = good();
        message["type"] = json!(format!("lockstep.{kind}"));
        message["data"] = data;
        let error = refused(message.to_string().as_bytes());
        assert_eq!(
            (error.code, error.place.as_str()),
            (Code::InvalidData, place),
            "{error}"
        );
        assert!(error.reason.contains(reason), "{error}");
    }
}
