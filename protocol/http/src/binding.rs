//! The CloudEvents HTTP binding: decodes messages from the headers and body of a request. Pure.

use std::fmt::Write as _;

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use lockstep_protocol::{Code, DecodeError, Digest, Envelope};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const FORMATS: &str = "send application/cloudevents+json, application/cloudevents-batch+json, or application/json with \
                       the attributes in ce- headers";

/// A decoded message together with all attributes that the sender wrote, including unknown ones. It is published with these
/// attributes, so that its digest is the same over HTTP and AMQP.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The decoded envelope.
    pub envelope: Envelope,
    /// The attributes as sent.
    pub attributes: Map<String, Value>,
}

/// The messages of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A single message.
    One(Box<Received>),
    /// A batch of any length.
    Batch(Vec<Received>),
}

/// Why a request could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingError {
    /// The content type or encoding is not supported.
    Format(String),
    /// A message is invalid.
    Decode(Box<DecodeError>),
}

impl From<Box<DecodeError>> for BindingError {
    fn from(error: Box<DecodeError>) -> Self {
        Self::Decode(error)
    }
}

/// Decodes the messages of a request.
///
/// # Errors
/// The first error. In a batch its place begins with the index of the message.
pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Content, BindingError> {
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        return Err(BindingError::Format(
            "compressed bodies are not supported".to_owned(),
        ));
    }
    let media_type = media_type(headers);
    match media_type.as_str() {
        STRUCTURED => Ok(Content::One(Box::new(structured(body)?))),
        BATCH => Ok(Content::Batch(batch(body)?)),
        _ if headers.keys().any(|name| name.as_str().starts_with("ce-")) => {
            if !is_json(&media_type) {
                let reason = format!("the data is {media_type:?}; only application/json is supported");
                return Err(BindingError::Format(reason));
            }
            Ok(Content::One(Box::new(binary(headers, &media_type, body)?)))
        }
        "" => Err(BindingError::Format(format!(
            "the header Content-Type is missing; {FORMATS}"
        ))),
        _ => Err(BindingError::Format(format!(
            "the content type is {media_type:?}; {FORMATS}"
        ))),
    }
}

fn media_type(headers: &HeaderMap) -> String {
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    text.split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || (media_type.ends_with("+json") && !media_type.contains("cloudevents"))
}

fn structured(body: &[u8]) -> Result<Received, Box<DecodeError>> {
    let decoded = Envelope::decode(body)?;
    let attributes = serde_json::from_slice(body).map_err(|error| broken(body, "$", &error))?;
    Ok(Received {
        envelope: decoded.envelope,
        attributes,
    })
}

fn batch(body: &[u8]) -> Result<Vec<Received>, Box<DecodeError>> {
    let elements: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| broken(body, "$", &error))?;
    let read = |(index, element): (usize, &&RawValue)| {
        structured(element.get().as_bytes()).map_err(|mut error| {
            error.place = error.place.replacen('$', &format!("$[{index}]"), 1);
            error
        })
    };
    elements.iter().enumerate().map(read).collect()
}

/// Decodes the binary mode: the attributes are headers, the body is the data.
fn binary(headers: &HeaderMap, media_type: &str, body: &[u8]) -> Result<Received, Box<DecodeError>> {
    let mut attributes = Map::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else {
            continue;
        };
        let text = header_text(value.as_bytes()).ok_or_else(|| {
            malformed(
                body,
                attribute,
                format!("the header {name} is not percent-encoded UTF-8"),
            )
        })?;
        if attributes.insert(attribute.to_owned(), text.into()).is_some() {
            return Err(malformed(
                body,
                attribute,
                format!("the header {name} occurs more than once"),
            ));
        }
    }
    attributes.insert("datacontenttype".to_owned(), media_type.into());
    attributes.remove("data");
    if !body.is_empty() {
        let data: Value = serde_json::from_slice(body).map_err(|error| broken(body, "$.data", &error))?;
        attributes.insert("data".to_owned(), data);
    }
    let written = serde_json::to_vec(&attributes).expect("a JSON object can be written");
    let decoded = Envelope::decode(&written)?;
    Ok(Received {
        envelope: decoded.envelope,
        attributes,
    })
}

/// Encodes a text as the value of a header, as [`header_text`] decodes it.
pub fn header_value(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (byte.is_ascii_graphic() || byte == b' ') && !matches!(byte, b'"' | b'%') {
            value.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value
}

/// Decodes the header of an attribute: unquoted, then percent-decoded once, as the binding requires. `None` if it is not
/// percent-encoded UTF-8.
pub fn header_text(value: &[u8]) -> Option<String> {
    let unquoted = match value {
        [b'"', inner @ .., b'"'] => unescape(inner),
        _ => value.to_vec(),
    };
    let mut bytes = Vec::with_capacity(unquoted.len());
    let mut rest = unquoted.as_slice();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

fn unescape(quoted: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut rest = quoted.iter();
    while let Some(&byte) = rest.next() {
        let plain = if byte == b'\\' {
            rest.next().copied()
        } else {
            Some(byte)
        };
        bytes.extend(plain);
    }
    bytes
}

fn broken(body: &[u8], place: &str, error: &serde_json::Error) -> Box<DecodeError> {
    refused(body, Code::InvalidJson, place, error.to_string())
}

fn malformed(body: &[u8], attribute: &str, reason: String) -> Box<DecodeError> {
    refused(body, Code::InvalidEnvelope, &format!("$.{attribute}"), reason)
}

fn refused(body: &[u8], code: Code, place: &str, reason: String) -> Box<DecodeError> {
    Box::new(DecodeError {
        code,
        place: place.to_owned(),
        reason,
        identity: None,
        kind: None,
        digest: Digest::of_bytes(body),
    })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        pairs.iter().map(pair).collect()
    }

    fn event(id: &str) -> Value {
        json!({
            "specversion": "1.0", "id": id, "source": "urn:test", "type": "lockstep.device.removed",
            "data": {"hostname": "sw1", "of_tomorrow": 1}, "extension": "kept",
        })
    }

    #[test]
    fn the_three_modes_read_the_same_message() {
        let body = event("1").to_string();
        let structured = read(
            &headers(&[("content-type", "application/cloudevents+json; charset=utf-8")]),
            body.as_bytes(),
        );
        let Ok(Content::One(one)) = structured else {
            panic!("{structured:?}")
        };
        assert_eq!(Value::Object(one.attributes.clone()), event("1"));

        let batch = json!([event("1"), event("2")]).to_string();
        let batch = read(&headers(&[("content-type", BATCH)]), batch.as_bytes());
        let Ok(Content::Batch(both)) = batch else {
            panic!("{batch:?}")
        };
        assert_eq!(both[0], *one);
        assert_eq!(both[1].envelope.identity.id.as_str(), "2");

        let attributes = headers(&[
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "urn:test"),
            ("ce-type", "lockstep.device.removed"),
            ("ce-extension", "kept"),
        ]);
        let binary = read(&attributes, event("1")["data"].to_string().as_bytes());
        let Ok(Content::One(other)) = binary else {
            panic!("{binary:?}")
        };
        assert_eq!(other.envelope, one.envelope);
        assert_eq!(other.attributes["data"], one.attributes["data"]);
        assert_eq!(other.attributes["extension"], "kept");
    }

    #[test]
    fn an_error_in_a_batch_names_the_element() {
        let mut second = event("2");
        second["data"] = json!({});
        let body = json!([event("1"), second]).to_string();
        let error = read(&headers(&[("content-type", BATCH)]), body.as_bytes()).unwrap_err();
        let BindingError::Decode(error) = error else {
            panic!("{error:?}")
        };
        assert_eq!(
            (error.code, error.place.as_str()),
            (Code::InvalidData, "$[1].data")
        );
    }

    #[test]
    fn header_values_are_unquoted_and_percent_decoded_once() {
        let table = [
            ("plain", Some("plain")),
            ("Euro%20%E2%82%AC", Some("Euro €")),
            ("%2541", Some("%41")),
            (r#""a \"b\" c""#, Some(r#"a "b" c"#)),
            ("100%", None),
            ("%zz", None),
            ("%ff", None),
        ];
        for (value, expected) in table {
            assert_eq!(header_text(value.as_bytes()).as_deref(), expected, "{value}");
        }
        for text in ["plain text", "Euro €", "100 %", "a \"b\"", "line\nfeed"] {
            assert_eq!(header_text(header_value(text).as_bytes()).as_deref(), Some(text));
        }
    }

    #[test]
    fn unsupported_formats_are_refused() {
        let table: &[&[(&'static str, &str)]] = &[
            &[],
            &[("content-type", "application/json")],
            &[("content-type", "application/cloudevents+avro")],
            &[("content-type", "text/plain"), ("ce-id", "1")],
            &[("content-type", STRUCTURED), ("content-encoding", "gzip")],
        ];
        for pairs in table {
            let error = read(&headers(pairs), b"{}").unwrap_err();
            assert!(matches!(error, BindingError::Format(_)), "{pairs:?} {error:?}");
        }
    }
}
