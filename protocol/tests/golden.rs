//! Every message ever published stays readable. Golden files are added, never changed.

mod support;

use lockstep_protocol::envelope::ResultEnvelope;
use lockstep_protocol::{EncodedResult, Envelope, Identity, Kind, Message, Source};
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

/// Workers encode results without making an envelope first.
#[test]
fn a_result_has_the_bytes_of_its_envelope() {
    let cause = Identity {
        source: Source::try_from("urn:example:netbox".to_owned()).unwrap(),
        id: "7".to_owned().try_into().unwrap(),
    };
    let mut results = 0;
    for golden in goldens() {
        let decoded = Envelope::decode(golden.text.as_bytes()).unwrap().envelope;
        let Message::Result(result) = &decoded.message else {
            continue;
        };
        let result = &EncodedResult::new(result.clone());
        for (subject, traceparent) in [
            (None, None),
            (Some("sw1 \"ä\""), decoded.traceparent.clone()),
            (
                Some("sw1"),
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                    .to_owned()
                    .try_into()
                    .ok(),
            ),
        ] {
            let time = decoded.time.unwrap_or_default();
            let short = ResultEnvelope {
                id: &decoded.identity.id,
                subject,
                time,
                traceparent: traceparent.as_ref(),
                cause: &cause,
                result,
            };
            let envelope = Envelope {
                identity: Identity {
                    source: Source::worker(),
                    id: decoded.identity.id.clone(),
                },
                subject: subject.map(str::to_owned),
                time: Some(time),
                traceparent: traceparent.clone(),
                causationid: Some(cause.to_string()),
                actor: None,
                message: decoded.message.clone(),
            };
            let (short, whole) = (short.encode(), envelope.encode());
            assert_eq!(
                String::from_utf8(short).unwrap(),
                String::from_utf8(whole).unwrap(),
                "{}",
                golden.name
            );
        }
        results += 1;
    }
    assert!(results > 5, "{results}");
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
