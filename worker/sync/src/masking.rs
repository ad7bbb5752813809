//! Masks secrets in differences. Pure.
//!
//! What it does not know, it cannot mask: it prefers to mask too much. A secret is not told apart from what follows it on its line, so a
//! line is masked from the secret to its end.

use secrecy::{ExposeSecret, SecretString};

/// What stands in the place of a secret.
pub(crate) const MASK: &str = "***";

/// The fewest bytes of a secret value that is masked wherever it stands: shorter ones are in every word.
const LEAST_SECRET: usize = 4;

/// The least length of a word that is masked if it stands alone on a line and could be base64: a line of a key.
const BASE64_LINE: usize = 40;

/// What follows one of these words on its line is secret.
const WORDS: [&str; 35] = [
    "8a",
    "api-key",
    "ascii-text",
    "auth",
    "auth-key",
    "authentication-data",
    "cak",
    "community-map",
    "encrypted",
    "hash",
    "hexadecimal",
    "key",
    "key-hash",
    "key-string",
    "keystring",
    "localized",
    "md5",
    "passwd",
    "password-hash",
    "pre-shared-key",
    "priv",
    "psk",
    "secret-data",
    "sha",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "shared-secret",
    "simple-password",
    "token",
    "trap-community",
    "wep",
    "wpa-psk",
];

/// A word that ends so says that a secret follows it.
const ENDS: [&str; 6] = ["password", "passphrase", "secret", "-key", "_key", "-token"];

/// Words that end as above, and say something else.
const HARMLESS: [&str; 8] = [
    "host-key",
    "hostkey",
    "nopassword",
    "no-password",
    "public-key",
    "pubkey",
    "ssh-key",
    "trusted-key",
];

/// A difference without secrets: without these values, and without what stands in a place where devices have a secret.
pub fn mask(difference: &str, secrets: &[SecretString]) -> String {
    let mut values: Vec<&str> = secrets
        .iter()
        .flat_map(|secret| secret.expose_secret().lines())
        .map(str::trim)
        .filter(|value| value.len() >= LEAST_SECRET)
        .collect();
    // A secret may be a part of another one.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let lines: Vec<&str> = difference.lines().collect();
    let keys = private_key_lines(&lines);
    let mut masked = String::with_capacity(difference.len());
    for (line, is_key) in lines.iter().zip(keys) {
        if is_key {
            masked.push_str(&line[..indentation(line)]);
            masked.push_str(MASK);
        } else {
            masked.push_str(&without_values(&masked_line(line), &values));
        }
        masked.push('\n');
    }
    if !difference.ends_with('\n') {
        masked.pop();
    }
    masked
}

/// The bytes before the first word of a line: the sign of the difference, and blanks.
fn indentation(line: &str) -> usize {
    let rest = line.strip_prefix(['+', '-', ' ']).unwrap_or(line);
    line.len() - rest.trim_start().len()
}

/// The line without the secret values, longest first.
fn without_values(line: &str, values: &[&str]) -> String {
    let mut text = line.to_owned();
    for value in values.iter().filter(|value| line.contains(**value)) {
        text = text.replace(value, MASK);
    }
    // The mask may have completed another one.
    if values.iter().any(|value| text.contains(value)) {
        return format!("{}{MASK}", &line[..indentation(line)]);
    }
    text
}

/// The line up to the first secret that stands where devices have one.
fn masked_line(line: &str) -> String {
    let begin = indentation(line);
    match secret_at(&line[begin..]) {
        Some(at) => format!("{}{MASK}", &line[..begin + at]),
        None => line.to_owned(),
    }
}

/// The words of a text with the places where they begin.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| !c.is_whitespace()) {
        let after = &rest[begin..];
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        words.push((text.len() - after.len(), &after[..end]));
        rest = &after[end..];
    }
    words
}

/// The place of the first secret in a command.
fn secret_at(command: &str) -> Option<usize> {
    let words = words(command);
    let plain: Vec<String> = words.iter().map(|(_, word)| plain(word)).collect();
    let by_word = (0..plain.len()).find(|index| announces(&plain, *index));
    let by_form = words.iter().position(|(_, word)| is_hash(word));
    let alone = match words[..] {
        [(_, word)] if is_base64_line(word) => Some(0),
        _ => None,
    };
    let first = [by_command(&plain), by_word.map(|index| index + 1), by_form, alone];
    let first = first
        .into_iter()
        .flatten()
        .min()
        .and_then(|index| words.get(index));
    let assigned = words.iter().find_map(|(at, word)| Some(at + assigned(word)?));
    [first.map(|(at, _)| *at), assigned].into_iter().flatten().min()
}

/// A word in lower case, without what encloses or ends it.
fn plain(word: &str) -> String {
    let word = word.trim_matches(['"', '\'', ';', ':', ',', '{', '[', '(']);
    word.to_ascii_lowercase()
}

/// The place in a word after `NAME=`, if the name announces a secret, such as `--password=`.
fn assigned(word: &str) -> Option<usize> {
    let (name, value) = word.split_once('=')?;
    let name = plain(name.trim_start_matches('-'));
    let is_secret = name.ends_with("auth") || announces(&[name], 0);
    (is_secret && !value.is_empty()).then(|| word.len() - value.len())
}

/// The index of the first secret word of a command in which it stands at a place, and not after a word of its own.
fn by_command(words: &[String]) -> Option<usize> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let verb = usize::from(matches!(
        words.first(),
        Some(&("no" | "set" | "delete" | "default"))
    ));
    let found = match words[verb..] {
        ["snmp-server" | "snmp", "community", ..] => 2,
        // The community of version 1 and 2c is the word after the version, or after the address.
        ["snmp-server", "host", ..] => 3,
        // Of Junos, in the section snmp. That of routing has members.
        ["community", _, ""] if verb == 0 => 1,
        ["vrrp" | "standby" | "glbp", ref rest @ ..] => {
            rest.iter().position(|word| *word == "authentication")? + 2
        }
        _ => return None,
    };
    Some(verb + found)
}

/// Whether a secret follows this word of a command.
fn announces(words: &[String], index: usize) -> bool {
    let word = words[index].as_str();
    let is_key_chain = word == "key" && words.get(index + 1).is_some_and(|next| next == "chain");
    if is_key_chain || HARMLESS.iter().any(|harmless| word.ends_with(harmless)) {
        return false;
    }
    WORDS.contains(&word) || ENDS.iter().any(|end| word.ends_with(end))
}

/// Whether a word is a hash or an encrypted password by its form: `$6$…`, `$9$…`, `$14$…`.
fn is_hash(word: &str) -> bool {
    let word = word.trim_start_matches(['"', '\'']);
    let Some((scheme, rest)) = word.strip_prefix('$').and_then(|word| word.split_once('$')) else {
        return false;
    };
    (1..=16).contains(&scheme.len())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !rest.is_empty()
}

fn is_base64_line(word: &str) -> bool {
    word.len() >= BASE64_LINE && is_base64(word)
}

fn is_base64(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    !word.is_empty() && word.bytes().all(allowed)
}

/// Which lines are of private keys: those between their first and their last line. A difference may show only one of the two.
fn private_key_lines(lines: &[&str]) -> Vec<bool> {
    let content = |line: &str| line[indentation(line)..].trim_end().to_owned();
    let is_marker = |text: &str, word: &str| text.contains(word) && text.contains("PRIVATE KEY");
    let mut found = vec![false; lines.len()];
    let mut inside = false;
    for (index, line) in lines.iter().enumerate() {
        let text = content(line);
        if is_marker(&text, "-----BEGIN") {
            inside = true;
        } else if is_marker(&text, "-----END") {
            if !inside {
                for before in (0..index).rev() {
                    if !is_base64(&content(lines[before])) {
                        break;
                    }
                    found[before] = true;
                }
            }
            inside = false;
        } else if line.starts_with("@@") || text.starts_with("-----") {
            inside = false;
        } else {
            found[index] = inside;
        }
    }
    found
}

#[cfg(test)]
mod tests;
