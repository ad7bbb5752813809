//! Every message ever published stays readable. Golden files are added, never changed.

mod support;

use lockstep_protocol::{Envelope, Kind};
use serde_json::Value;
use support::goldens;

#[test]
fn every_golden_file_is_decoded_and_encoded_unchanged() {
    for golden in goldens() {
        let decoded = Envelope::decode(golden.text.as_bytes())
            .unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        let written: Value = serde_json::from_slice(&decoded.envelope.encode()).unwrap();
        assert_eq!(written, golden.json(), "{}", golden.name);
        assert_eq!(decoded.digest, decoded.envelope.digest(), "{}", golden.name);
    }
}

#[test]
fn every_type_has_a_golden_file_named_after_it() {
    let names: Vec<String> = goldens().into_iter().map(|golden| golden.name).collect();
    for kind in Kind::ALL {
        assert!(names.iter().any(|name| name == kind.as_str()), "{kind}");
    }
    for golden in goldens() {
        let kind = golden.json()["type"].as_str().unwrap().to_owned();
        let variant = golden.name.strip_prefix(&kind);
        assert!(
            variant.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
            "{} holds a {kind}",
            golden.name
        );
    }
}

#[test]
fn unknown_keys_are_ignored_everywhere() {
    for golden in goldens() {
        let mut json = golden.json();
        let plain = Envelope::decode(golden.text.as_bytes()).unwrap().envelope;
        json["comexampleextension"] = 7.into();
        json["data"]["from_a_newer_version"] = serde_json::json!({"a": [1]});
        let decoded = Envelope::decode(json.to_string().as_bytes()).unwrap();
        assert_eq!(decoded.envelope, plain, "{}", golden.name);
    }
}

#[test]
fn optional_attributes_may_be_null() {
    let mut json = goldens().remove(0).json();
    for name in [
        "subject",
        "time",
        "datacontenttype",
        "traceparent",
        "causationid",
        "actor",
        "data_base64",
    ] {
        json[name] = Value::Null;
    }
    let envelope = Envelope::decode(json.to_string().as_bytes()).unwrap().envelope;
    assert_eq!(
        (envelope.subject, envelope.time, envelope.actor),
        (None, None, None)
    );
}

#[test]
fn a_message_with_a_malformed_trace_is_decoded_without_it() {
    let mut json = goldens().remove(0).json();
    json["traceparent"] = "nonsense".into();
    let envelope = Envelope::decode(json.to_string().as_bytes()).unwrap().envelope;
    assert_eq!(envelope.traceparent, None);
}
