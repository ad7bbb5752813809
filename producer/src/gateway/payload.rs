//! Parses the JSON payloads of forges.

use lockstep_protocol::Code;
use serde::Deserialize;

use super::rejection::WebhookRejection;

/// Parses a payload; errors contain the place. Unknown fields are skipped, whatever they contain.
pub(super) fn read<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, WebhookRejection> {
    let text = std::str::from_utf8(body)
        .map_err(|error| broken(&format!("is not valid UTF-8 at byte {}", error.valid_up_to())))?;
    // Only an object is accepted: serde would also read a list of the values.
    match text.trim_start_matches([' ', '\t', '\r', '\n']).chars().next() {
        Some('{') => {}
        Some(_) => return Err(broken("is not a JSON object")),
        None => return Err(broken("the body is empty")),
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let payload = T::deserialize(&mut deserializer).map_err(|error| located::<T>(text, &error))?;
    deserializer
        .end()
        .map_err(|error| broken(&format!("has more data after the JSON object: {error}")))?;
    Ok(payload)
}

/// Reads a refused payload a second time to find the place of the error: following it costs an allocation for each key.
fn located<'de, T: Deserialize<'de>>(text: &'de str, refused: &serde_json::Error) -> WebhookRejection {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let place = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => "$".to_owned(),
        Err(error) => match error.path().to_string().as_str() {
            "." => "$".to_owned(),
            path => format!("$.{path}"),
        },
    };
    let code = match refused.classify() {
        serde_json::error::Category::Data => Code::InvalidData,
        _ => Code::InvalidJson,
    };
    WebhookRejection::payload(code, place, &refused.to_string())
}

fn broken(reason: &str) -> WebhookRejection {
    WebhookRejection::payload(Code::InvalidJson, "$", reason)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use lockstep_protocol::CommitId;

    use super::super::commits::Commits;
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Payload<'a> {
        #[serde(borrow, rename = "ref")]
        _reference: Cow<'a, str>,
        #[serde(rename = "after")]
        _after: CommitId,
        #[serde(borrow, rename = "commits")]
        _commits: Commits<'a>,
    }

    /// Reads a payload and follows the path throughout: the errors must be these.
    fn followed(text: &str) -> Result<(), WebhookRejection> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize::<_, Payload<'_>>(&mut deserializer).map_err(|error| {
            let place = match error.path().to_string().as_str() {
                "." => "$".to_owned(),
                path => format!("$.{path}"),
            };
            let code = match error.inner().classify() {
                serde_json::error::Category::Data => Code::InvalidData,
                _ => Code::InvalidJson,
            };
            WebhookRejection::payload(code, place, &error.inner().to_string())
        })?;
        let ended = deserializer.end();
        ended.map_err(|error| broken(&format!("has more data after the JSON object: {error}")))
    }

    #[test]
    fn errors_have_the_place_and_the_text_wherever_they_are() {
        let whole = include_str!("../../tests/payloads/github-push.json");
        let ends = whole.char_indices().map(|(at, _)| at).skip(1).step_by(5);
        let mut refused = 0;
        for at in ends {
            let (before, after) = whole.split_at(at);
            let next = after.chars().next().map_or(0, char::len_utf8);
            for changed in ["", "\"", "7", "}", "[", ",", "\\", "\u{1}"] {
                let text = format!("{before}{changed}{}", &after[next..]);
                let expected = followed(&text);
                refused += u32::from(expected.is_err());
                let found = read::<Payload<'_>>(text.as_bytes()).map(drop);
                assert_eq!(found, expected, "{changed:?} at {at}");
            }
            let found = read::<Payload<'_>>(before.as_bytes()).map(drop);
            assert_eq!(found, followed(before), "cut at {at}");
        }
        assert!(refused > 1000, "{refused}");
    }
}
