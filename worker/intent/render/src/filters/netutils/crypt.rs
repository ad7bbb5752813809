//! The MD5 hash of passwords in Unix, which Cisco's type 5 is.

use md5::{Digest, Md5};

const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The bytes of the digest by which each four digits are made.
const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// `$1$SALT$HASH`. Of a salt no more than 8 characters are used.
pub(super) fn md5_crypt(password: &str, salt: &str) -> String {
    let (password, salt) = (password.as_bytes(), &salt[..salt.len().min(8)]);
    let inner = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize();
    let mut first = Md5::new()
        .chain_update(password)
        .chain_update("$1$")
        .chain_update(salt);
    for chunk in password.chunks(16) {
        first.update(&inner[..chunk.len()]);
    }
    let mut bits = password.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &[0][..] } else { &password[..1] });
        bits >>= 1;
    }
    let mut digest = first.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        if round & 1 == 1 {
            next.update(password);
        } else {
            next.update(digest);
        }
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        if round & 1 == 1 {
            next.update(digest);
        } else {
            next.update(password);
        }
        digest = next.finalize();
    }
    let mut hash = String::with_capacity(22);
    let mut push = |mut value: usize, digits: usize| {
        for _ in 0..digits {
            hash.push(char::from(DIGITS[value & 63]));
            value >>= 6;
        }
    };
    for [high, middle, low] in ORDER {
        let byte = |index: usize| usize::from(digest[index]);
        push(byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
    }
    push(usize::from(digest[11]), 2);
    format!("$1${salt}${hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_the_hash_that_devices_have() {
        assert_eq!(md5_crypt("cisco", "nTc1"), "$1$nTc1$Z28sUTcWfXlvVe2x.3XAa.");
        assert_eq!(md5_crypt("cisco", "MHkb"), "$1$MHkb$v2MFmDkQX66TTxLkFF50K/");
    }
}
