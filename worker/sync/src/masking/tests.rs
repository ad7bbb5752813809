use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use secrecy::SecretString;

use super::*;

/// Lines of devices with a secret at the place of `@`.
const LINES: [&str; 67] = [
    // EOS
    "username admin privilege 15 role network-admin secret sha512 @",
    "username admin secret 0 @",
    "username admin secret @",
    "enable password sha512 @",
    "enable secret 5 @",
    "aaa root secret sha512 @",
    "snmp-server community @ ro",
    "snmp-server community @ view all rw 10",
    "snmp-server host 192.0.2.1 version 2c @",
    "snmp-server host 192.0.2.1 @",
    "snmp-server host 192.0.2.1 vrf MGMT version 2c @",
    "snmp-server host 192.0.2.1 version 3 priv @",
    "snmp-server user anna ops v3 auth sha @ priv aes x",
    "snmp-server user anna ops v3 auth sha x priv aes @",
    "snmp-server user anna ops v3 localized f5717f auth sha @ priv aes x",
    "tacacs-server key 7 @",
    "tacacs-server host 192.0.2.1 vrf MGMT key 7 @",
    "radius-server host 192.0.2.1 key 8a @",
    "radius-server key @",
    "ntp authentication-key 1 md5 7 @",
    "ntp authentication-key 1 sha1 @",
    "neighbor 192.0.2.1 password 7 @",
    "neighbor LEAFS password 7 @ extra",
    "ip ospf authentication-key 7 @",
    "ip ospf message-digest-key 1 md5 7 @",
    "ospfv3 authentication ipsec spi 256 sha1 passphrase 0 @",
    "ospfv3 encryption ipsec spi 256 esp null sha1 7 @",
    "isis authentication key 7 @",
    "vrrp 1 peer authentication @",
    "vrrp 10 ipv4 authentication ietf-md5 key-string 7 @",
    "key 0abc1234 7 @",
    "key 0abc1234 7 @ fallback",
    "pre-shared-key 7 @",
    "ip nat synchronization shared-secret 7 @",
    "server 192.0.2.1 secret 7 @",
    "password 7 @",
    "ppp chap password 0 @",
    "exec /usr/bin/x --api-key @",
    "exec /usr/bin/x --password=@",
    "exec /usr/bin/x -ingestauth=token,@",
    // IOS
    "username anna privilege 15 password 7 @",
    "enable secret 9 @",
    "crypto isakmp key @ address 192.0.2.1",
    "key-string 7 @",
    "key-string @",
    "key 7 @",
    "key @",
    "standby 1 authentication md5 key-string @",
    "standby 1 authentication @",
    "ppp pap sent-username anna password 0 @",
    "wpa-psk ascii 7 @",
    "tunnel key @",
    "ip ftp password 7 @",
    // Junos
    "encrypted-password \"@\"; ## SECRET-DATA",
    "set system root-authentication encrypted-password \"@\"",
    "set snmp community @ authorization read-only",
    "community @ {",
    "secret \"@\"; ## SECRET-DATA",
    "set system radius-server 192.0.2.1 secret \"@\"",
    "set system tacplus-server 192.0.2.1 secret \"@\"",
    "authentication-key \"@\"; ## SECRET-DATA",
    "md5 1 key \"@\"; ## SECRET-DATA",
    "simple-password \"@\"; ## SECRET-DATA",
    "pre-shared-key ascii-text \"@\"; ## SECRET-DATA",
    "privacy-password \"@\"",
    "authentication-password \"@\"",
    "set security ike policy p pre-shared-key hexadecimal @",
];

fn random(rng: &mut StdRng, alphabet: &[u8], length: std::ops::RangeInclusive<usize>) -> String {
    let length = rng.random_range(length);
    let character = |_| char::from(alphabet[rng.random_range(0..alphabet.len())]);
    (0..length).map(character).collect()
}

const ALPHABET: &[u8] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#%&/()=?+-_.:,;<>|$@*\"'\\{}[]";

#[test]
fn no_line_shows_the_secret_that_stands_in_it_whatever_it_is() {
    let mut rng = StdRng::seed_from_u64(17);
    for line in LINES {
        for _ in 0..200 {
            let secret = random(&mut rng, ALPHABET, 6..=30);
            for sign in ["+", "-", " ", "+   ", "-\t"] {
                let text = format!("{sign}{}\n", line.replace('@', &secret));
                let masked = mask(&text, &[]);
                assert!(!masked.contains(&secret), "{text}{masked}");
                assert!(masked.starts_with(sign), "{masked}");
            }
        }
    }
}

#[test]
fn no_text_shows_a_secret_of_the_renderer_wherever_it_stands() {
    let mut rng = StdRng::seed_from_u64(18);
    for _ in 0..5000 {
        let secrets: Vec<String> = (0..3).map(|_| random(&mut rng, b"ab*c", 4..=8)).collect();
        let mut text = String::new();
        for _ in 0..6 {
            text.push_str(["+", "-", " ", "+ vlan "][rng.random_range(0..4)]);
            for _ in 0..3 {
                text.push_str(&secrets[rng.random_range(0..3)]);
                text.push_str(&random(&mut rng, b"ab c", 0..=3));
            }
            text.push('\n');
        }
        let masked = mask(
            &text,
            &secrets
                .iter()
                .cloned()
                .map(SecretString::from)
                .collect::<Vec<_>>(),
        );
        for secret in &secrets {
            assert!(!masked.contains(secret.as_str()), "{secret}\n{text}\n{masked}");
        }
        assert_eq!(masked.lines().count(), text.lines().count());
    }
}

#[test]
fn a_secret_of_several_lines_is_masked_line_by_line() {
    let secret = SecretString::from("first line\n  second line\nx\n");
    let masked = mask("+banner first line\n+second line\n+x\n", &[secret]);
    assert_eq!(masked, "+banner ***\n+***\n+x\n");
}

#[test]
fn what_is_no_secret_is_shown() {
    let text = "--- system:/running-config\n+++ session:/lockstep-1-2-1-session-config\n@@ -1,7 +1,9 @@\n \
        hostname leaf1\n-vlan 7\n+   name users\n+   neighbor 192.0.2.1 remote-as 64512\n\
        +   neighbor 192.0.2.1 send-community extended\n+ip community-list standard X permit 65000:1\n\
        +   set community 65000:1 additive\n+snmp-server location Oslo\n+service password-encryption\n\
        +key chain OSPF\n+username anna nopassword\n+username anna ssh-key ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 anna\n\
        +ntp trusted-key 1\n+   description $core$ uplink\n+ip route 0.0.0.0/0 192.0.2.1\n+snmp-server contact noc\n+interface Ethernet1\n+   ip address 192.0.2.1/24";
    assert_eq!(mask(text, &[]), text);
}

#[test]
fn what_is_before_a_secret_is_shown() {
    let table = [
        (
            "+username admin role network-admin secret sha512 $6$x$y",
            "+username admin role network-admin secret ***",
        ),
        (
            "-   neighbor 192.0.2.1 password 7 0822455D0A16",
            "-   neighbor 192.0.2.1 password ***",
        ),
        ("+snmp-server community public ro", "+snmp-server community ***"),
        (
            "+no snmp-server community public",
            "+no snmp-server community ***",
        ),
        (
            "+set snmp community public authorization read-only",
            "+set snmp community ***",
        ),
        (
            "+tacacs-server host 192.0.2.1 key 7 08224",
            "+tacacs-server host 192.0.2.1 key ***",
        ),
        ("+   exec /usr/bin/x $1$salt$hash", "+   exec /usr/bin/x ***"),
        ("+no enable password", "+no enable password"),
        ("+", "+"),
        ("", ""),
    ];
    for (text, expected) in table {
        assert_eq!(mask(text, &[]), expected);
    }
}

#[test]
fn no_line_of_a_private_key_is_shown_even_if_its_beginning_or_its_end_is_not() {
    let long = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let whole =
        format!("+-----BEGIN PRIVATE KEY-----\n+{long}\n+shortEnd==\n+-----END PRIVATE KEY-----\n+vlan 7\n");
    let masked = "+-----BEGIN PRIVATE KEY-----\n+***\n+***\n+-----END PRIVATE KEY-----\n+vlan 7\n";
    assert_eq!(mask(&whole, &[]), masked);
    let end = format!("@@ -1 +1 @@\n+{long}\n+shortEnd==\n+-----END RSA PRIVATE KEY-----\n");
    assert_eq!(
        mask(&end, &[]),
        "@@ -1 +1 @@\n+***\n+***\n+-----END RSA PRIVATE KEY-----\n"
    );
    let middle = format!("@@ -1 +1 @@\n+{long}\n@@ -9 +9 @@\n+vlan 7\n");
    assert_eq!(mask(&middle, &[]), "@@ -1 +1 @@\n+***\n@@ -9 +9 @@\n+vlan 7\n");
}
