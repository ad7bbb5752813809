//! Converts properties and headers to AMQP and back.

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::kind::UnknownKind;
use lockstep_protocol::{Kind, SmolStr};

use crate::{Delivery, Headers, Properties};

/// The AMQP delivery mode of messages that survive a restart of the broker.
const PERSISTENT: u8 = 2;

/// Converts the properties of a message that this user publishes.
///
/// # Errors
/// A text is longer than the 255 bytes of an AMQP short string; the error names the property.
pub(super) fn to_amqp(user: &ShortString, properties: &Properties) -> Result<BasicProperties, String> {
    let mut amqp = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_user_id(user.clone());
    if let Some(id) = &properties.message_id {
        amqp = amqp.with_message_id(short(id, "message_id")?);
    }
    if let Some(kind) = &properties.kind {
        amqp = amqp.with_type(short(kind, "type")?);
    }
    if let Some(content_type) = &properties.content_type {
        amqp = amqp.with_content_type(short(content_type, "content_type")?);
    }
    if let Some(id) = &properties.correlation_id {
        amqp = amqp.with_correlation_id(short(id, "correlation_id")?);
    }
    if let Some(queue) = &properties.reply_to {
        amqp = amqp.with_reply_to(short(queue, "reply_to")?);
    }
    if let Some(timestamp) = properties.timestamp {
        // AMQP timestamps are unsigned: there are none before 1970.
        amqp = amqp.with_timestamp(u64::try_from(timestamp.as_second()).unwrap_or(0));
    }
    if !properties.headers.is_empty() {
        let mut headers = FieldTable::default();
        for (name, value) in &properties.headers {
            headers.insert(
                short(name, "name of a header")?,
                AMQPValue::LongString(LongString::from(value.as_bytes())),
            );
        }
        amqp = amqp.with_headers(headers);
    }
    Ok(amqp)
}

/// Converts a text to an AMQP short string.
///
/// # Errors
/// The text is too long. The error contains `what`, not the text.
pub(super) fn short(text: &str, what: &str) -> Result<ShortString, String> {
    ShortString::try_new(text).map_err(|_| format!("its {what} has more than 255 bytes"))
}

/// How deep values within headers are shown.
const MAX_LEVEL: u8 = 8;

/// Converts a delivery. The body is moved, not copied.
pub(super) fn from_amqp(delivery: lapin::message::Delivery) -> Delivery {
    let lapin::message::Delivery {
        exchange,
        routing_key,
        redelivered,
        properties,
        data,
        ..
    } = delivery;
    let text = |short: &Option<ShortString>| short.as_ref().map(|short| SmolStr::new(short.as_str()));
    Delivery {
        body: data.into(),
        properties: Properties {
            message_id: text(properties.message_id()),
            kind: properties.kind().as_ref().map(kind),
            content_type: properties.content_type().as_ref().map(content_type),
            correlation_id: text(properties.correlation_id()),
            reply_to: text(properties.reply_to()),
            user_id: text(properties.user_id()),
            timestamp: properties.timestamp().and_then(instant),
            headers: properties.headers().as_ref().map(headers).unwrap_or_default(),
        },
        exchange: exchange.into(),
        routing_key: routing_key.into(),
        redelivered,
    }
}

/// Types that this version knows are not copied.
fn kind(short: &ShortString) -> SmolStr {
    match short.as_str().parse::<Kind>() {
        Ok(kind) => SmolStr::new_static(kind.as_str()),
        Err(UnknownKind(text)) => text.into(),
    }
}

fn content_type(short: &ShortString) -> SmolStr {
    match short.as_str() {
        CONTENT_TYPE => SmolStr::new_static(CONTENT_TYPE),
        other => other.into(),
    }
}

fn instant(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

/// Formats every header as text: the broker's own headers contain numbers and tables.
fn headers(table: &FieldTable) -> Headers {
    table
        .inner()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text_of(value, 0)))
        .collect()
}

/// Values within each other are left out beyond eight levels; the broker's own headers have two.
fn text_of(value: &AMQPValue, level: u8) -> String {
    let is_nested = matches!(value, AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_));
    if is_nested && level == MAX_LEVEL {
        return "…".to_owned();
    }
    match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        AMQPValue::ShortString(text) => text.as_str().to_owned(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(value) => value.to_string(),
        AMQPValue::ShortShortUInt(value) => value.to_string(),
        AMQPValue::ShortInt(value) => value.to_string(),
        AMQPValue::ShortUInt(value) => value.to_string(),
        AMQPValue::LongInt(value) => value.to_string(),
        AMQPValue::LongUInt(value) => value.to_string(),
        AMQPValue::LongLongInt(value) => value.to_string(),
        AMQPValue::Float(value) => value.to_string(),
        AMQPValue::Double(value) => value.to_string(),
        AMQPValue::DecimalValue(value) => decimal(value.value, value.scale),
        AMQPValue::Timestamp(seconds) => {
            instant(*seconds).map_or_else(|| seconds.to_string(), |i| i.to_string())
        }
        AMQPValue::ByteArray(bytes) => String::from_utf8_lossy(bytes.as_slice()).into_owned(),
        AMQPValue::FieldArray(values) => {
            let texts: Vec<String> = values
                .as_slice()
                .iter()
                .map(|value| text_of(value, level + 1))
                .collect();
            format!("[{}]", texts.join(","))
        }
        AMQPValue::FieldTable(table) => {
            let texts: Vec<String> = table
                .inner()
                .iter()
                .map(|(name, value)| format!("{name}={}", text_of(value, level + 1)))
                .collect();
            format!("{{{}}}", texts.join(","))
        }
        AMQPValue::Void => String::new(),
    }
}

fn decimal(value: u32, scale: u8) -> String {
    format!("{value}e-{scale}")
}

#[cfg(test)]
mod tests {
    use lapin::types::{ByteArray, DecimalValue, FieldArray};

    use super::*;

    #[test]
    fn properties_survive_a_round_trip() {
        let full = Properties {
            message_id: Some("id".into()),
            kind: Some("type".into()),
            content_type: Some("text/plain".into()),
            correlation_id: Some("cause".into()),
            reply_to: Some("lockstep.reply.u.1".into()),
            user_id: Some("forged".into()),
            timestamp: Some(Timestamp::from_second(1_790_000_000).unwrap()),
            headers: Headers::from([
                ("a".to_owned(), "räksmörgås".to_owned()),
                ("b".to_owned(), String::new()),
            ]),
        };
        for properties in [full, Properties::default()] {
            let mut delivery =
                lapin::message::Delivery::mock(1, "x".into(), "k".into(), true, b"body".to_vec());
            delivery.properties = to_amqp(&"user".into(), &properties).unwrap();
            assert_eq!(delivery.properties.delivery_mode(), &Some(2));
            let came = from_amqp(delivery);
            let expected = Properties {
                user_id: Some("user".into()),
                ..properties
            };
            assert_eq!(came.properties, expected);
            assert_eq!((&came.body[..], came.redelivered), (&b"body"[..], true));
            assert_eq!((came.exchange.as_str(), came.routing_key.as_str()), ("x", "k"));
        }
    }

    #[test]
    fn errors_about_long_texts_name_the_property_and_not_the_text() {
        let long = "x".repeat(256);
        let table = [
            (
                Properties {
                    message_id: Some(long.as_str().into()),
                    ..Properties::default()
                },
                "message_id",
            ),
            (
                Properties {
                    correlation_id: Some(long.as_str().into()),
                    ..Properties::default()
                },
                "correlation_id",
            ),
            (
                Properties {
                    headers: Headers::from([(long, String::new())]),
                    ..Properties::default()
                },
                "name of a header",
            ),
        ];
        for (properties, what) in table {
            let error = to_amqp(&"user".into(), &properties).unwrap_err();
            assert_eq!(error, format!("its {what} has more than 255 bytes"));
        }
    }

    #[test]
    fn every_header_type_is_formatted_as_text() {
        let mut table = FieldTable::default();
        table.insert("n".into(), AMQPValue::LongInt(-1));
        let array = FieldArray::from(vec![AMQPValue::ShortUInt(1), AMQPValue::FieldTable(table)]);
        let table = [
            (AMQPValue::LongString("long".into()), "long"),
            (AMQPValue::LongString(LongString::from(vec![0xff_u8])), "\u{fffd}"),
            (AMQPValue::ShortString("short".into()), "short"),
            (AMQPValue::Boolean(true), "true"),
            (AMQPValue::LongLongInt(-7), "-7"),
            (AMQPValue::Double(1.5), "1.5"),
            (
                AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 150 }),
                "150e-2",
            ),
            (AMQPValue::Timestamp(0), "1970-01-01T00:00:00Z"),
            (AMQPValue::ByteArray(ByteArray::from(b"bytes".to_vec())), "bytes"),
            (AMQPValue::FieldArray(array), "[1,{n=-1}]"),
            (AMQPValue::Void, ""),
        ];
        for (value, expected) in table {
            assert_eq!(text_of(&value, 0), expected, "{value:?}");
        }
        let nested = |levels: usize| {
            (0..levels).fold(AMQPValue::Void, |inner, _| {
                AMQPValue::FieldArray(FieldArray::from(vec![inner]))
            })
        };
        assert_eq!(text_of(&nested(8), 0), "[[[[[[[[]]]]]]]]");
        assert_eq!(text_of(&nested(100), 0), "[[[[[[[[…]]]]]]]]");
    }
}
