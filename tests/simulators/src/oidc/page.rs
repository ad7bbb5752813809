//! The page on which somebody chooses an account, and the encoding of its form.

use std::collections::BTreeMap;

/// The page, whose form repeats the parameters of the request.
pub(super) fn choose(accounts: &[&str], parameters: &BTreeMap<String, String>) -> String {
    let fields: Vec<String> = parameters
        .iter()
        .map(|(name, value)| {
            format!(
                "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
                escaped(name),
                escaped(value)
            )
        })
        .collect();
    let buttons: Vec<String> = accounts
        .iter()
        .map(|name| {
            format!(
                "<p><button name=\"account\" value=\"{0}\">{0}</button></p>",
                escaped(name)
            )
        })
        .collect();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Simulated identity provider</title></head><body>\
         <h1>Choose an account</h1><form method=\"post\" action=\"/authorize\">{}{}</form></body></html>",
        fields.concat(),
        buttons.concat()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

/// The fields of a form or a query. The last of a name counts.
pub(super) fn fields(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let mut decoded = [0];
                match hex::decode_to_slice(digits, &mut decoded) {
                    Ok(()) => decoded[0],
                    Err(_) => b'?',
                }
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A value in a query.
pub(super) fn encoded(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    let bytes: Vec<String> = text.bytes().map(byte).collect();
    bytes.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_as_they_are_encoded() {
        let text = "a b&c=d%e+f ü\"<";
        let read = fields(&format!("{0}={0}", encoded(text)));
        assert_eq!(read[text], text);
        assert_eq!(fields("a=b+c%2B")["a"], "b c+");
    }
}
