//! The CloudEvents 1.0 envelope in structured JSON: how every message is written and read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kind::UnknownKind;
use crate::{Code, Digest, Identity, Kind, Message, MessageId, Source, TraceParent};

/// The content type of every message.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The largest body accepted anywhere: 4 MiB. An inventory is imported in chunks that stay far below.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// A message with its CloudEvents attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Who the message is.
    pub identity: Identity,
    /// The device the message is about, where there is one.
    pub subject: Option<String>,
    /// When what it tells happened. Optional in CloudEvents; whoever needs an instant falls back to that of receipt.
    pub time: Option<Timestamp>,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
    /// The identity of the message it follows from, as `SOURCE ID`.
    pub causationid: Option<String>,
    /// Who asked, as the broker or the console authenticated it; never taken from what a client wrote.
    pub actor: Option<String>,
    /// Type and data.
    pub message: Message,
}

/// The envelope as it stands on the wire.
#[derive(Serialize)]
struct Wire<'a> {
    specversion: &'static str,
    id: &'a MessageId,
    source: &'a Source,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: &'a Option<TraceParent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: &'a Option<String>,
    data: &'a Message,
}

/// The attributes as a producer may have written them; what else it wrote is ignored.
#[derive(Deserialize)]
struct Raw {
    specversion: String,
    id: MessageId,
    source: Source,
    #[serde(rename = "type")]
    kind: String,
    subject: Option<String>,
    time: Option<Timestamp>,
    datacontenttype: Option<String>,
    traceparent: Option<String>,
    causationid: Option<String>,
    actor: Option<String>,
    data: Option<Value>,
}

/// A message read from the wire, with the digest of what it said.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The message.
    pub envelope: Envelope,
    /// The digest of its type, subject and data.
    pub digest: Digest,
}

/// Why bytes are no message, with as much of its identity as could be read.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{code} at {place}: {reason}")]
pub struct DecodeError {
    /// What is wrong, for programs.
    pub code: Code,
    /// The JSON path, such as `$.data.interfaces[0].name`.
    pub place: String,
    /// What is wrong, for people, and what would be right.
    pub reason: String,
    /// Who the message is, if that could be read.
    pub identity: Option<Identity>,
    /// The type it claims, if that could be read.
    pub kind: Option<String>,
    /// The digest of type, subject and data, if those could be read; otherwise of the bytes.
    pub digest: Digest,
}

impl Envelope {
    /// A message of our own making, with a fresh id and the given time.
    pub fn new(source: Source, time: Timestamp, message: impl Into<Message>) -> Self {
        Self {
            identity: Identity {
                source,
                id: MessageId::new(),
            },
            subject: None,
            time: Some(time),
            traceparent: None,
            causationid: None,
            actor: None,
            message: message.into(),
        }
    }

    /// The same message about a device.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The digest of what it says.
    pub fn digest(&self) -> Digest {
        Digest::of(
            self.message.kind().as_str(),
            self.subject.as_deref(),
            &self.message.to_data(),
        )
    }

    /// The message as structured CloudEvents JSON.
    pub fn encode(&self) -> Vec<u8> {
        let wire = Wire {
            specversion: "1.0",
            id: &self.identity.id,
            source: &self.identity.source,
            kind: self.message.kind(),
            subject: &self.subject,
            time: self.time,
            datacontenttype: "application/json",
            traceparent: &self.traceparent,
            causationid: &self.causationid,
            actor: &self.actor,
            data: &self.message,
        };
        serde_json::to_vec(&wire).expect("envelopes have string keys and no failing serializers")
    }

    /// Reads a message.
    ///
    /// # Errors
    /// The first thing that is wrong, with its JSON path and as much of the identity as could be read.
    pub fn decode(body: &[u8]) -> Result<Decoded, DecodeError> {
        if body.len() > MAX_BODY_BYTES {
            let reason = format!("the body has {} bytes, the most is {MAX_BODY_BYTES}", body.len());
            return Err(unreadable(body, Code::TooLarge, "$", reason));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let raw: Raw = match serde_path_to_error::deserialize(&mut deserializer) {
            Ok(raw) => raw,
            Err(error) => return Err(envelope_error(body, &error)),
        };
        if let Err(error) = deserializer.end() {
            return Err(unreadable(body, Code::InvalidJson, "$", error.to_string()));
        }
        raw.into_decoded()
    }
}

impl Raw {
    fn into_decoded(self) -> Result<Decoded, DecodeError> {
        let identity = Identity {
            source: self.source,
            id: self.id,
        };
        let data = self.data.unwrap_or(Value::Null);
        let digest = Digest::of(&self.kind, self.subject.as_deref(), &data);
        let refuse = |code: Code, place: &str, reason: String| DecodeError {
            code,
            place: place.to_owned(),
            reason,
            identity: Some(identity.clone()),
            kind: Some(self.kind.clone()),
            digest,
        };
        if self.specversion != "1.0" {
            let reason = format!(
                "is {:?}, only CloudEvents \"1.0\" is understood",
                self.specversion
            );
            return Err(refuse(Code::InvalidEnvelope, "$.specversion", reason));
        }
        if let Some(other) = self.datacontenttype.filter(|text| !is_json(text)) {
            let reason = format!("is {other:?}, only JSON data is understood: \"application/json\"");
            return Err(refuse(Code::InvalidEnvelope, "$.datacontenttype", reason));
        }
        let traceparent = match self.traceparent.map(TraceParent::try_from).transpose() {
            Ok(traceparent) => traceparent,
            // A broken trace never costs a message: the trace is dropped, as W3C asks.
            Err(_) => None,
        };
        let kind: Kind = self.kind.parse().map_err(|error: UnknownKind| {
            refuse(
                Code::UnknownType,
                "$.type",
                format!("{error}; `lockstep schema messages` lists the known ones"),
            )
        })?;
        let message = Message::from_data(kind, &data).map_err(|error| {
            let place = if error.place == "." {
                "$.data".to_owned()
            } else {
                format!("$.data.{}", error.place)
            };
            refuse(Code::InvalidData, &place, error.reason)
        })?;
        let envelope = Envelope {
            identity,
            subject: self.subject,
            time: self.time,
            traceparent,
            causationid: self.causationid,
            actor: self.actor,
            message,
        };
        Ok(Decoded { envelope, digest })
    }
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json") || media_type.to_ascii_lowercase().ends_with("+json")
}

fn unreadable(body: &[u8], code: Code, place: &str, reason: String) -> DecodeError {
    DecodeError {
        code,
        place: place.to_owned(),
        reason,
        identity: None,
        kind: None,
        digest: Digest::of_bytes(body),
    }
}

/// The attributes do not fit: tells broken JSON from a broken envelope, and keeps the identity if it was readable.
fn envelope_error(body: &[u8], error: &serde_path_to_error::Error<serde_json::Error>) -> DecodeError {
    let path = error.path().to_string();
    let place = if path == "." {
        "$".to_owned()
    } else {
        format!("$.{path}")
    };
    let reason = error.inner().to_string();
    let Ok(Value::Object(attributes)) = serde_json::from_slice(body) else {
        return unreadable(body, Code::InvalidJson, &place, reason);
    };
    let text = |name: &str| attributes.get(name).and_then(Value::as_str).map(str::to_owned);
    let source = text("source").and_then(|text| Source::try_from(text).ok());
    let id = text("id").and_then(|text| MessageId::try_from(text).ok());
    let kind = text("type");
    let digest = match &kind {
        Some(kind) => Digest::of(
            kind,
            text("subject").as_deref(),
            attributes.get("data").unwrap_or(&Value::Null),
        ),
        None => Digest::of_bytes(body),
    };
    DecodeError {
        code: Code::InvalidEnvelope,
        place,
        reason,
        identity: source.zip(id).map(|(source, id)| Identity { source, id }),
        kind,
        digest,
    }
}
