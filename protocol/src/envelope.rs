//! The CloudEvents 1.0 envelope in structured JSON: how every message is written and read.

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kind::UnknownKind;
use crate::{Code, Digest, Identity, Kind, Message, MessageId, Source, TraceParent, bounds, strict};

/// The content type of every message.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The largest body accepted anywhere: 4 MiB. An inventory is imported in chunks that stay far below.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The longest place and reason of an error, and the longest claimed type repeated in one: what is wrong may be a text
/// as long as the message.
const MAX_QUOTED_CHARS: usize = 500;

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
    #[serde(default, deserialize_with = "bounds::optional_label")]
    subject: Option<String>,
    #[serde(default, deserialize_with = "bounds::optional_time")]
    time: Option<Timestamp>,
    datacontenttype: Option<String>,
    traceparent: Option<String>,
    #[serde(default, deserialize_with = "bounds::optional_note")]
    causationid: Option<String>,
    #[serde(default, deserialize_with = "bounds::optional_label")]
    actor: Option<String>,
    #[serde(default, deserialize_with = "strict::value")]
    data: Option<Value>,
    data_base64: Option<IgnoredAny>,
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
    /// The JSON path, such as `$.data.interfaces[0].name`; shortened where it is very long.
    pub place: String,
    /// What is wrong, for people, and what would be right; shortened where it is very long.
    pub reason: String,
    /// Who the message is, if that could be read.
    pub identity: Option<Identity>,
    /// The type it claims, if that could be read; shortened where it is very long.
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
    #[expect(clippy::missing_panics_doc, reason = "it cannot happen, as the message says")]
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
            return Err(unreadable(body, Code::TooLarge, "$", &reason));
        }
        // An object and nothing else: serde would read a list of the attributes' values as well.
        match body.iter().find(|byte| !b" \t\r\n".contains(byte)) {
            Some(b'{') => {}
            other => return Err(no_object(body, other.copied())),
        }
        match serde_json::from_slice::<Raw>(body) {
            Ok(raw) => raw.into_decoded(),
            Err(_) => Err(envelope_error(body)),
        }
    }
}

impl Raw {
    fn into_decoded(self) -> Result<Decoded, DecodeError> {
        let identity = Identity {
            source: self.source,
            id: self.id,
        };
        let missing = self.data.is_none();
        let data = self.data.unwrap_or(Value::Null);
        let digest = Digest::of(&self.kind, self.subject.as_deref(), &data);
        let refuse = |code: Code, place: &str, reason: String| DecodeError {
            code,
            place: shortened(place),
            reason: shortened(&reason),
            identity: Some(identity.clone()),
            kind: Some(shortened(&self.kind)),
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
        // A broken trace never costs a message: the trace is dropped, as W3C asks.
        let traceparent = self.traceparent.and_then(|text| TraceParent::try_from(text).ok());
        let kind: Kind = self.kind.parse().map_err(|error: UnknownKind| {
            refuse(
                Code::UnknownType,
                "$.type",
                format!("{error}; `lockstep schema messages` lists the known ones"),
            )
        })?;
        if self.data_base64.is_some() {
            let reason = "is not understood: send the body as a JSON object in `data`".to_owned();
            return Err(refuse(Code::InvalidEnvelope, "$.data_base64", reason));
        }
        if missing {
            let reason = "is missing: the body belongs there, as a JSON object".to_owned();
            return Err(refuse(Code::InvalidData, "$.data", reason));
        }
        let message = Message::from_data(kind, &data)
            .map_err(|error| refuse(Code::InvalidData, &place_in("$.data", &error.place), error.reason))?;
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

/// Whether data of this content type is JSON: the subtype is `json` or ends with `+json`, as the JSON event format of
/// CloudEvents has it.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    let Some((kind, subtype)) = media_type.split_once('/') else {
        return false;
    };
    let suffix = subtype.trim_end_matches([' ', '\t']).rsplit('+').next();
    !kind.is_empty() && suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("json"))
}

/// A path of serde's as a JSON path below `root`.
fn place_in(root: &str, path: &str) -> String {
    match path {
        "." => root.to_owned(),
        list if list.starts_with('[') => format!("{root}{list}"),
        key => format!("{root}.{key}"),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn no_object(body: &[u8], first: Option<u8>) -> DecodeError {
    let reason = match first {
        None => "the body is empty",
        Some(b'[') => "is a list, one CloudEvents envelope is needed: a JSON object",
        Some(0xef) if body.starts_with(b"\xef\xbb\xbf") => {
            "begins with a byte order mark, which JSON must not have"
        }
        Some(_) => "is no JSON object",
    };
    unreadable(body, Code::InvalidJson, "$", reason)
}

fn unreadable(body: &[u8], code: Code, place: &str, reason: &str) -> DecodeError {
    DecodeError {
        code,
        place: shortened(place),
        reason: shortened(reason),
        identity: None,
        kind: None,
        digest: Digest::of_bytes(body),
    }
}

/// The attributes do not fit: reads them once more, now following the path, tells broken JSON from a broken envelope, and
/// keeps the identity if it was readable.
fn envelope_error(body: &[u8]) -> DecodeError {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let (place, reason) = match serde_path_to_error::deserialize::<_, Raw>(&mut deserializer) {
        Ok(_) => ("$".to_owned(), "something follows the JSON object".to_owned()),
        Err(error) => (
            place_in("$", &error.path().to_string()),
            error.inner().to_string(),
        ),
    };
    let Ok(Value::Object(attributes)) = serde_json::from_slice(body) else {
        return unreadable(body, Code::InvalidJson, &place, &reason);
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
    let in_data = place == "$.data" || place.starts_with("$.data.") || place.starts_with("$.data[");
    DecodeError {
        code: if in_data {
            Code::InvalidData
        } else {
            Code::InvalidEnvelope
        },
        place: shortened(&place),
        reason: shortened(&reason),
        identity: source.zip(id).map(|(source, id)| Identity { source, id }),
        kind: kind.as_deref().map(shortened),
        digest,
    }
}
