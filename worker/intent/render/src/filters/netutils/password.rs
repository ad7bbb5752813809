//! Passwords as devices store them. An encryption that Python salts at random needs its salt here: a rendering must not differ from
//! the one before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Error, Value};

use super::crypt::md5_crypt;
use crate::filters::arguments::{Arguments, Filter, Outcome, invalid};

const CISCO_7: &[u8; 53] = b"dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87";
const CISCO_9: &str = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE_64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The characters of Junos, in four families: after one of the first follow 3 that mean nothing, after one of the last none.
const JUNOS: [&str; 4] = [
    "QzF3n6/9CAtpu0O",
    "B1IREhcSyrleKvMW8LXx",
    "7N-dVbwsY2g4oaJZGUDj",
    "iHkq.mPf5T",
];
const JUNOS_WEIGHTS: [&[u32]; 7] = [
    &[1, 4, 32],
    &[1, 16, 32],
    &[1, 8, 32],
    &[1, 64],
    &[1, 32],
    &[1, 4, 16, 128],
    &[1, 32, 64],
];

const COMPARE: &str = "unencrypted_password encrypted_password return_original?";
const ENCRYPT: &str = "unencrypted_password salt?";
const ENCRYPT_5: &str = "unencrypted_password salt? salt_len?";

pub(super) const FILTERS: &[Filter] = &[
    ("compare_type5", COMPARE, compare_5),
    ("compare_cisco_type5", COMPARE, compare_5),
    ("compare_type7", COMPARE, compare_7),
    ("compare_cisco_type7", COMPARE, compare_7),
    ("compare_cisco_type9", COMPARE, |arguments| {
        compare(arguments, |password, encrypted| {
            encrypt_9(password, &salt_of(encrypted)?)
        })
    }),
    ("decrypt_type7", "encrypted_password", |arguments| {
        decrypt_7(&arguments.text(0)?).map(Value::from)
    }),
    ("decrypt_cisco_type7", "encrypted_password", |arguments| {
        decrypt_7(&arguments.text(0)?).map(Value::from)
    }),
    ("decrypt_juniper_type9", "encrypted_password", |arguments| {
        let encrypted = arguments.text(0)?;
        decrypt_junos(&encrypted)
            .map(Value::from)
            .ok_or_else(|| invalid("not a $9$ password of Junos"))
    }),
    ("encrypt_type5", ENCRYPT_5, encrypt_5_filter),
    ("encrypt_cisco_type5", ENCRYPT_5, encrypt_5_filter),
    ("encrypt_type7", ENCRYPT, encrypt_7_filter),
    ("encrypt_cisco_type7", ENCRYPT, encrypt_7_filter),
    ("encrypt_cisco_type9", ENCRYPT, |arguments| {
        encrypt_9(&arguments.text(0)?, &salt(arguments)?.to_string()).map(Value::from)
    }),
    ("encrypt_juniper_type9", ENCRYPT, |arguments| {
        let salt = crate::filters::arguments::integer(&salt(arguments)?)?;
        encrypt_junos(&arguments.text(0)?, salt).map(Value::from)
    }),
    ("get_hash_salt", "encrypted_password", |arguments| {
        salt_of(&arguments.text(0)?).map(Value::from)
    }),
];

fn salt(arguments: &Arguments) -> Result<Value, Error> {
    let salt = arguments
        .some(1)
        .filter(|salt| salt.is_integer() || salt.is_true());
    salt.cloned()
        .ok_or_else(|| invalid("needs a salt: with one at random, each rendering would differ"))
}

fn salt_of(encrypted: &str) -> Result<String, Error> {
    let parts: Vec<&str> = encrypted.split('$').collect();
    match parts[..] {
        [_, _, salt, _] => Ok(salt.to_owned()),
        _ => Err(invalid("Could not parse salt out password correctly")),
    }
}

fn compare(arguments: &Arguments, expected: impl Fn(&str, &str) -> Result<String, Error>) -> Outcome {
    let (password, encrypted) = (arguments.text(0)?, arguments.text(1)?);
    let equal = expected(&password, &encrypted)? == encrypted;
    if equal && arguments.is_true(2) {
        return Ok(Value::from(encrypted));
    }
    Ok(Value::from(equal))
}

fn compare_5(arguments: &Arguments) -> Outcome {
    compare(arguments, |password, encrypted| {
        encrypt_5(password, &salt_of(encrypted)?)
    })
}

fn compare_7(arguments: &Arguments) -> Outcome {
    compare(arguments, |password, encrypted| {
        let same = decrypt_7(encrypted)? == password;
        Ok(if same { encrypted.to_owned() } else { String::new() })
    })
}

fn encrypt_5_filter(arguments: &Arguments) -> Outcome {
    encrypt_5(&arguments.text(0)?, &salt(arguments)?.to_string()).map(Value::from)
}

fn encrypt_5(password: &str, salt: &str) -> Result<String, Error> {
    if !salt.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(invalid(
            "type5_pw salt used improper characters, must be letters and digits",
        ));
    }
    Ok(md5_crypt(password, salt))
}

fn encrypt_7_filter(arguments: &Arguments) -> Outcome {
    let password = arguments.text(0)?;
    if password.chars().count() > 25 {
        return Err(invalid("Password must not exceed 25 characters."));
    }
    let salt = crate::filters::arguments::integer(&salt(arguments)?)?;
    let salt = usize::try_from(salt)
        .ok()
        .filter(|salt| *salt <= 99)
        .ok_or_else(|| invalid("the salt must be a number between 0 and 15"))?;
    let mut encrypted = format!("{salt:02}");
    for (index, character) in password.chars().enumerate() {
        let key = u32::from(CISCO_7[(index + salt) % CISCO_7.len()]);
        encrypted.extend([format!("{:02X}", u32::from(character) ^ key)]);
    }
    Ok(Value::from(encrypted))
}

fn decrypt_7(encrypted: &str) -> Result<String, Error> {
    let damaged = || invalid("not a password of type 7");
    let salt: usize = encrypted
        .get(..2)
        .and_then(|salt| salt.parse().ok())
        .ok_or_else(damaged)?;
    let mut password = String::new();
    let digits = encrypted.get(2..).ok_or_else(damaged)?.as_bytes();
    for (index, pair) in digits.chunks(2).enumerate() {
        let pair = std::str::from_utf8(pair).map_err(|_| damaged())?;
        let byte = u8::from_str_radix(pair, 16).map_err(|_| damaged())?;
        password.push(char::from(byte ^ CISCO_7[(salt + index) % CISCO_7.len()]));
    }
    Ok(password)
}

fn encrypt_9(password: &str, salt: &str) -> Result<String, Error> {
    if salt.chars().count() != 14 {
        return Err(invalid("Salt must be 14 characters long."));
    }
    let mut key = [0; 32];
    let costs = scrypt::Params::new(14, 1, 1, key.len()).map_err(|error| invalid(error.to_string()))?;
    scrypt::scrypt(password.as_bytes(), salt.as_bytes(), &costs, &mut key)
        .map_err(|error| invalid(error.to_string()))?;
    let hash: String = STANDARD
        .encode(key)
        .trim_end_matches('=')
        .chars()
        .filter_map(|digit| CISCO_9.chars().nth(BASE_64.find(digit)?))
        .collect();
    Ok(format!("$9${salt}${hash}"))
}

/// The place of a character of Junos.
fn junos_place(character: char) -> Option<usize> {
    JUNOS.concat().find(character)
}

/// How many characters without a meaning follow a first one.
fn junos_fill(first: char) -> Option<usize> {
    JUNOS
        .iter()
        .position(|family| family.contains(first))
        .map(|family| 3 - family)
}

fn decrypt_junos(encrypted: &str) -> Option<String> {
    let characters: Vec<char> = encrypted.split_once("$9$")?.1.chars().collect();
    let (first, rest) = characters.split_first()?;
    let mut rest = rest.get(junos_fill(*first)?..).unwrap_or_default();
    let count = JUNOS.concat().len();
    let (mut password, mut before, mut index) = (String::new(), *first, 0);
    while !rest.is_empty() {
        let weights = JUNOS_WEIGHTS[index % JUNOS_WEIGHTS.len()];
        let (group, others) = rest.split_at(weights.len().min(rest.len()));
        let mut value = 0_i64;
        for (character, weight) in group.iter().zip(weights) {
            let gap = (junos_place(*character)? + count - junos_place(before)?) % count;
            value += (i64::try_from(gap).ok()? - 1) * i64::from(*weight);
            before = *character;
        }
        password.push(char::from_u32(u32::try_from(value).ok()?)?);
        rest = others;
        index += 1;
    }
    Some(password)
}

/// What fills the place of characters without a meaning is the first character; Python takes them at random.
fn encrypt_junos(password: &str, salt: i128) -> Result<String, Error> {
    let all: Vec<char> = JUNOS.concat().chars().collect();
    let count = all.len();
    let outside = || invalid(format!("the salt must be a number from 1 to {}", count - 1));
    let first = usize::try_from(salt)
        .ok()
        .filter(|salt| *salt > 0)
        .and_then(|salt| all.get(salt))
        .ok_or_else(outside)?;
    let mut encrypted = format!("$9${first}");
    encrypted.extend(std::iter::repeat_n(*first, junos_fill(*first).unwrap_or(0)));
    let mut place = junos_place(*first).unwrap_or(0);
    for (index, character) in password.chars().enumerate() {
        let mut left = u32::from(character);
        let weights = JUNOS_WEIGHTS[index % JUNOS_WEIGHTS.len()];
        let mut gaps: Vec<u32> = weights
            .iter()
            .rev()
            .map(|weight| {
                let gap = left / weight;
                left %= weight;
                gap
            })
            .collect();
        gaps.reverse();
        for gap in gaps {
            // 32 bits fit.
            place = (place + 1 + gap as usize) % count;
            encrypted.push(all[place]);
        }
    }
    Ok(encrypted)
}
