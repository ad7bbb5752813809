//! Fields of payloads that are not read: they may contain anything, and change neither decisions nor errors.

use super::*;

/// Values that a reader of whole documents would refuse, change or keep.
fn values() -> Vec<String> {
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let texts = [
        "null",
        "-0",
        "true",
        "1e400",
        "-1e-400",
        "123456789012345678901234567890",
        "0.1e99999999999999999999",
        r#""\ud83d\ude80 \u0000 \/ \"""#,
        r#"{"a": 1, "a": [2], "": {"a": {}}}"#,
        r#"[{"ref": 7, "before": null}, [[]], "", {}]"#,
    ];
    let mut values: Vec<String> = texts.map(str::to_owned).into();
    values.extend([
        nested("[", "]"),
        nested(r#"{"x":"#, "}"),
        format!("\"{}\"", "ä".repeat(1_000_000)),
        format!("[{}0]", "0,".repeat(100_000)),
    ]);
    values
}

/// The payload with the text `,"unread": VALUE` in each of its objects that are read.
fn with_unread(forge: Forge, value: &str) -> Vec<u8> {
    const MARK: &str = "UNREAD";
    fn mark(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.values_mut().for_each(mark);
                fields.insert("unread".to_owned(), MARK.into());
            }
            Value::Array(items) => items.iter_mut().for_each(mark),
            _ => {}
        }
    }
    let mut payload = payload(forge);
    mark(&mut payload);
    let mut text = payload.to_string();
    // Long values once at each end, short ones everywhere.
    let mark = format!("\"{MARK}\"");
    if value.len() > 1000 {
        text = text.replacen(&mark, value, 1).replace(&mark, "0");
    }
    text.replace(&mark, value).into_bytes()
}

#[test]
fn what_is_not_read_may_have_any_shape() {
    for forge in Forge::ALL {
        let expected = published(forge, &payload(forge));
        for value in values() {
            let body = with_unread(forge, &value);
            let shown: String = value.chars().take(50).collect();
            match decide_as(forge, &[SECRET], &signed(forge, SECRET, &body), &body) {
                Ok(WebhookDecision::Publish(messages)) => {
                    let data: Vec<Value> = messages.iter().map(|one| one.message.to_data()).collect();
                    assert_eq!(data, expected, "{forge} {shown}");
                }
                other => panic!("{forge} {shown}: {other:?}"),
            }
        }
    }
}

#[test]
fn texts_with_escapes_are_read_as_those_without() {
    for forge in Forge::ALL {
        let plain = payload(forge);
        let text = plain.to_string();
        let escaped = text.replace("main", "\\u006dain").replace("yml", "y\\u006dl");
        let body = escaped.into_bytes();
        match decide_as(forge, &[SECRET], &signed(forge, SECRET, &body), &body) {
            Ok(WebhookDecision::Publish(messages)) => {
                let data: Vec<Value> = messages.iter().map(|one| one.message.to_data()).collect();
                assert_eq!(data, published(forge, &plain), "{forge}");
            }
            other => panic!("{forge}: {other:?}"),
        }
    }
}
