//! Interoperability with the CloudEvents SDK for Rust, in both directions.

mod support;

use cloudevents::{AttributesReader, Data, Event, EventBuilder, EventBuilderV10};
use lockstep_protocol::{Envelope, Kind};
use serde_json::json;
use support::goldens;

#[test]
fn every_golden_survives_a_round_trip_through_the_sdk() {
    for golden in goldens() {
        let ours = Envelope::decode(golden.text.as_bytes()).unwrap().envelope;
        let event: Event =
            serde_json::from_slice(&ours.encode()).unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        assert_eq!(golden.json()["id"], event.id(), "{}", golden.name);
        assert_eq!(event.source().as_str(), ours.identity.source.as_str());
        assert_eq!(event.ty(), ours.message.kind().as_str());
        assert_eq!(event.subject(), ours.subject.as_deref());
        assert_eq!(
            event.extension("causationid").map(ToString::to_string),
            ours.causationid
        );
        assert_eq!(event.data(), Some(&Data::Json(ours.message.to_data())));

        let theirs = serde_json::to_vec(&event).unwrap();
        let again = Envelope::decode(&theirs).unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        assert_eq!(again.envelope, ours, "{}", golden.name);
    }
}

#[test]
fn an_event_built_with_the_sdk_can_be_decoded() {
    let event = EventBuilderV10::new()
        .id("42")
        .source("urn:example:netbox")
        .ty(Kind::DeviceRemoved.as_str())
        .data("application/json", json!({"hostname": "eosaccess9"}))
        .build()
        .unwrap();
    let decoded = Envelope::decode(&serde_json::to_vec(&event).unwrap()).unwrap();
    assert_eq!(decoded.envelope.message.kind(), Kind::DeviceRemoved);
}

#[test]
fn binary_data_is_refused_with_a_hint_to_send_json() {
    let event = EventBuilderV10::new()
        .id("42")
        .source("urn:example:netbox")
        .ty(Kind::DeviceRemoved.as_str())
        .data("application/json", br#"{"hostname": "eosaccess9"}"#.to_vec())
        .build()
        .unwrap();
    let body = serde_json::to_vec(&event).unwrap();
    let error = Envelope::decode(&body).unwrap_err();
    assert_eq!(error.place, "$.data_base64");
    assert!(error.reason.contains("JSON object in `data`"), "{error}");
}
