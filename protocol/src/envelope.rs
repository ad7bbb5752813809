//! Encodes and decodes the CloudEvents 1.0 envelope of every message, in structured JSON.

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{self, Json, Text};
use crate::kind::UnknownKind;
use crate::{
    Code, Digest, EncodedResult, Identity, Kind, Message, MessageId, SmolStr, Source, TraceParent, bounds,
};

/// The content type of every message.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The largest body accepted anywhere: 4 MiB. Inventories are imported in chunks that are much smaller.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The size of most bodies, in bytes.
const USUAL_BYTES: usize = 512;

/// The key of the data behind other attributes.
const DATA: &[u8] = br#","data":"#;

/// The most characters of an error's place, reason and quoted type. Without a limit a quoted text could be as long as the
/// message.
const MAX_QUOTED_CHARS: usize = 500;

/// A message with its CloudEvents attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Identifies the message: the same identity twice is the same message.
    pub identity: Identity,
    /// The hostname of the device the message is about; absent where it is not about one device.
    pub subject: Option<String>,
    /// When the event happened. Optional in CloudEvents; workers use the time of receipt if it is absent.
    pub time: Option<Timestamp>,
    /// The W3C trace context, if any.
    pub traceparent: Option<TraceParent>,
    /// The identity of the message that caused this one, as `SOURCE ID`.
    pub causationid: Option<String>,
    /// The sender as the broker or the console authenticated it. What a client writes here is not trusted.
    pub actor: Option<String>,
    /// The type and the data.
    pub message: Message,
}

/// The encoded form of an envelope.
#[derive(Serialize)]
struct Wire<'a, T> {
    specversion: &'static str,
    id: &'a MessageId,
    source: &'a Source,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a TraceParent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<Cause<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    /// The last attribute: [`ResultEnvelope::encode`] adds it by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a T>,
}

/// The identity of the message that caused this one.
enum Cause<'a> {
    Text(&'a str),
    Identity(&'a Identity),
}

impl Serialize for Cause<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Identity(identity) => serializer.collect_str(identity),
        }
    }
}

impl<T: Serialize> Wire<'_, T> {
    fn encode(&self) -> Vec<u8> {
        self.encode_into(Vec::with_capacity(USUAL_BYTES))
    }

    fn encode_into(&self, mut body: Vec<u8>) -> Vec<u8> {
        serde_json::to_writer(&mut body, self)
            .expect("envelopes have string keys and no failing serializers");
        body
    }
}

/// The result of a message: encoded as an [`Envelope`], around the JSON that it has already.
#[derive(Clone, Copy, Debug)]
pub struct ResultEnvelope<'a> {
    /// The id of the result, derived from its cause.
    pub id: &'a MessageId,
    /// The subject of the message.
    pub subject: Option<&'a str>,
    /// When the message was decided.
    pub time: Timestamp,
    /// The trace context of the message, if any.
    pub traceparent: Option<&'a TraceParent>,
    /// The identity of the message.
    pub cause: &'a Identity,
    /// What is reported.
    pub result: &'a EncodedResult,
}

impl ResultEnvelope<'_> {
    /// Encodes the result as structured CloudEvents JSON, from the source of the workers.
    pub fn encode(&self) -> Vec<u8> {
        let data = self.result.json();
        let attributes = Wire::<Message> {
            specversion: "1.0",
            id: self.id,
            source: &Source::worker(),
            kind: self.result.kind(),
            subject: self.subject,
            time: Some(self.time),
            datacontenttype: "application/json",
            traceparent: self.traceparent,
            causationid: Some(Cause::Identity(self.cause)),
            actor: None,
            data: None,
        };
        let mut body = attributes.encode_into(Vec::with_capacity(USUAL_BYTES + data.len()));
        // The end of the object, which goes on.
        body.pop();
        body.extend_from_slice(DATA);
        body.extend_from_slice(data.as_bytes());
        body.push(b'}');
        body
    }
}

/// The attributes before validation; unknown attributes are ignored.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    specversion: Text<'a>,
    id: MessageId,
    source: Source,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default, deserialize_with = "bounds::optional_label")]
    subject: Option<String>,
    #[serde(default, deserialize_with = "bounds::optional_time")]
    time: Option<Timestamp>,
    #[serde(borrow)]
    datacontenttype: Option<Text<'a>>,
    #[serde(borrow)]
    traceparent: Option<Text<'a>>,
    #[serde(default, deserialize_with = "bounds::optional_note")]
    causationid: Option<String>,
    #[serde(default, deserialize_with = "bounds::optional_label")]
    actor: Option<String>,
    #[serde(borrow, default, deserialize_with = "json::value")]
    data: Option<Json<'a>>,
    data_base64: Option<IgnoredAny>,
}

/// A decoded message with its digest.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The decoded message.
    pub envelope: Envelope,
    /// The digest of type, subject and data.
    pub digest: Digest,
}

/// Why a body could not be decoded, with the parts of its identity that could be read.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{code} at {place}: {reason}")]
pub struct DecodeError {
    /// The stable code, for programs.
    pub code: Code,
    /// The JSON path of the error, such as `$.data.interfaces[0].name`; truncated to 500 characters.
    pub place: String,
    /// What is wrong and what was expected, for people; truncated to 500 characters.
    pub reason: String,
    /// The identity, if `source` and `id` could be read.
    pub identity: Option<Identity>,
    /// The `type`, if it could be read; truncated to 500 characters.
    pub kind: Option<String>,
    /// The digest of type, subject and data, if they could be read; otherwise the digest of the body.
    pub digest: Digest,
}

impl Envelope {
    /// The trace that it belongs to: 32 hexadecimal digits.
    pub fn trace_id(&self) -> Option<SmolStr> {
        self.traceparent.as_ref().map(|parent| parent.trace_id().into())
    }

    /// Creates a message with a new id and the given time.
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

    /// Sets the subject, which is the hostname of a device.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The digest of type, subject and data.
    pub fn digest(&self) -> Digest {
        Digest::of(
            self.message.kind().as_str(),
            self.subject.as_deref(),
            &self.message.to_data(),
        )
    }

    /// Encodes the message as structured CloudEvents JSON.
    pub fn encode(&self) -> Vec<u8> {
        let wire = Wire {
            specversion: "1.0",
            id: &self.identity.id,
            source: &self.identity.source,
            kind: self.message.kind(),
            subject: self.subject.as_deref(),
            time: self.time,
            datacontenttype: "application/json",
            traceparent: self.traceparent.as_ref(),
            causationid: self.causationid.as_deref().map(Cause::Text),
            actor: self.actor.as_deref(),
            data: Some(&self.message),
        };
        wire.encode()
    }

    /// Decodes a message.
    ///
    /// # Errors
    /// The first error, with its JSON path and the identity if it could be read.
    pub fn decode(body: &[u8]) -> Result<Decoded, DecodeError> {
        if body.len() > MAX_BODY_BYTES {
            let reason = format!(
                "the body has {} bytes; the maximum is {MAX_BODY_BYTES}",
                body.len()
            );
            return Err(unreadable(body, Code::TooLarge, "$", &reason));
        }
        // Only an object is accepted: serde would also read a list of the attributes' values.
        match body.iter().find(|byte| !b" \t\r\n".contains(byte)) {
            Some(b'{') => {}
            other => return Err(not_an_object(body, other.copied())),
        }
        match serde_json::from_slice::<Raw<'_>>(body) {
            Ok(raw) => raw.into_decoded(),
            Err(_) => Err(envelope_error(body)),
        }
    }
}

impl Raw<'_> {
    fn into_decoded(self) -> Result<Decoded, DecodeError> {
        let Text(kind) = self.kind;
        let identity = Identity {
            source: self.source,
            id: self.id,
        };
        let missing = self.data.is_none();
        let data = self.data.unwrap_or(Json::Null);
        let digest = Digest::of_canonical(&kind, self.subject.as_deref(), &data);
        let refuse = |code: Code, place: &str, reason: String| DecodeError {
            code,
            place: shortened(place),
            reason: shortened(&reason),
            identity: Some(identity.clone()),
            kind: Some(shortened(&kind)),
            digest,
        };
        let Text(version) = self.specversion;
        if version != "1.0" {
            let reason = format!("is {version:?}; only CloudEvents \"1.0\" is supported");
            return Err(refuse(Code::InvalidEnvelope, "$.specversion", reason));
        }
        if let Some(Text(other)) = self.datacontenttype.filter(|Text(text)| !is_json(text)) {
            let reason = format!("is {other:?}; only JSON data is supported: \"application/json\"");
            return Err(refuse(Code::InvalidEnvelope, "$.datacontenttype", reason));
        }
        // W3C Trace Context requires that a malformed `traceparent` is ignored; it does not invalidate the message.
        let traceparent = self
            .traceparent
            .and_then(|Text(text)| TraceParent::try_from(text.into_owned()).ok());
        let message_kind: Kind = kind.parse().map_err(|error: UnknownKind| {
            refuse(
                Code::UnknownType,
                "$.type",
                format!("{error}; `lockstep schema messages` lists the known types"),
            )
        })?;
        if self.data_base64.is_some() {
            let reason = "is not supported: send the body as a JSON object in `data`".to_owned();
            return Err(refuse(Code::InvalidEnvelope, "$.data_base64", reason));
        }
        if missing {
            let reason = "is missing: send the body there, as a JSON object".to_owned();
            return Err(refuse(Code::InvalidData, "$.data", reason));
        }
        let message = Message::from_json(message_kind, &data)
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

/// Whether data of this content type is JSON: the JSON event format of CloudEvents requires the subtype `json` or one that
/// ends with `+json`.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    let Some((kind, subtype)) = media_type.split_once('/') else {
        return false;
    };
    let suffix = subtype.trim_end_matches([' ', '\t']).rsplit('+').next();
    !kind.is_empty() && suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("json"))
}

/// Converts a path of `serde_path_to_error` to a JSON path below `root`.
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

fn not_an_object(body: &[u8], first: Option<u8>) -> DecodeError {
    let reason = match first {
        None => "the body is empty",
        Some(b'[') => "is a list; expected one CloudEvents envelope: a JSON object",
        Some(0xef) if body.starts_with(b"\xef\xbb\xbf") => {
            "begins with a byte order mark, which JSON does not allow"
        }
        Some(_) => "is not a JSON object",
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

/// Reads an invalid body a second time to find the path of the error, to tell invalid JSON from an invalid envelope, and to
/// keep the identity if it is readable. Only the error path pays for following the path.
fn envelope_error(body: &[u8]) -> DecodeError {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let (place, reason) = match serde_path_to_error::deserialize::<_, Raw<'_>>(&mut deserializer) {
        Ok(_) => ("$".to_owned(), "has more data after the JSON object".to_owned()),
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
