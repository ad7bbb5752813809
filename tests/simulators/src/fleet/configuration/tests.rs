use serde_json::Value;

use super::*;

/// The configuration after these commands, which are indented or not.
fn after(before: &str, commands: &str) -> String {
    let lines: Vec<&str> = commands.lines().collect();
    let mut configuration = read(before);
    let mut editor = Editor::new(lines.iter().any(|line| line.starts_with(' ')));
    for command in Command::each(&lines) {
        assert_eq!(
            editor.run(&mut configuration, command),
            Ok(Moved::Stayed),
            "{command:?}"
        );
    }
    print(&configuration)
}

#[test]
fn commands_change_a_configuration_as_on_a_device() {
    let port = "interface Ethernet1\n   description old\n   switchport access vlan 5\n!\n";
    let table = [
        ("hostname a\n!\n", "hostname b", "hostname b\n!\n"),
        (
            "ntp server 1\n!\n",
            "ntp server 2",
            "ntp server 1\nntp server 2\n!\n",
        ),
        (
            port,
            "interface Ethernet1\ndescription new",
            "interface Ethernet1\n   description new\n   switchport access vlan 5\n!\n",
        ),
        (
            port,
            "interface Ethernet1\nno switchport",
            "interface Ethernet1\n   description old\n   no switchport\n!\n",
        ),
        (
            port,
            "interface Ethernet1\nno switchport\nswitchport",
            "interface Ethernet1\n   description old\n!\n",
        ),
        (
            port,
            "interface Ethernet1\nshutdown\nno shutdown\nno description",
            "interface Ethernet1\n   switchport access vlan 5\n!\n",
        ),
        (port, "default interface Ethernet1", "interface Ethernet1\n!\n"),
        (port, "no interface Ethernet1", "interface Ethernet1\n!\n"),
        ("interface Vlan5\n   mtu 9000\n!\n", "no interface Vlan5", ""),
        ("vlan 5\n!\nvlan 50\n!\n", "no vlan 5", "vlan 50\n!\n"),
        (
            "",
            "management api http-commands\nno shutdown",
            "management api http-commands\n   no shutdown\n!\n",
        ),
        (
            "management api http-commands\n   no shutdown\n!\n",
            "management api http-commands\nshutdown",
            "management api http-commands\n!\n",
        ),
        ("", "no aaa root", "no aaa root\n!\n"),
        ("no aaa root\n!\n", "default aaa root", ""),
        (
            "",
            "ip access-list x\npermit ip any any\n5 deny ip any host 1\ndeny ip any any\npermit ip any any\nno 10",
            "ip access-list x\n   5 deny ip any host 1\n   20 deny ip any any\n!\n",
        ),
        (
            "",
            "foo bar\n   baz\n      qux\n   quux\nhostname x",
            "hostname x\n!\nfoo bar\n   quux\n   !\n   baz\n      qux\n!\n",
        ),
        ("banner motd\nhello\nEOF\n!\n", "no banner motd", ""),
    ];
    for (before, commands, expected) in table {
        assert_eq!(after(before, commands), expected, "{before:?}: {commands:?}");
    }
}

#[test]
fn commands_without_indentation_end_the_sections_to_which_they_do_not_belong() {
    let commands = "router bgp 65000\nneighbor 10.0.0.1 remote-as 1\naddress-family ipv4\nneighbor 10.0.0.1 activate\n\
        address-family evpn\nneighbor 10.0.0.1 activate\nvrf RED\nrd 1:1\nvlan 10\nrd 2:2\ninterface Vlan10\nvrf RED\n\
        ip address 10.0.0.1/24\nvlan 10\nname servers\nip routing vrf RED\nmanagement ssh\nidle-timeout 5\nvrf RED\nno shutdown";
    let expected = "vlan 10\n   name servers\n!\ninterface Vlan10\n   ip address 10.0.0.1/24\n   vrf RED\n!\nip routing vrf RED\n!\n\
        router bgp 65000\n   neighbor 10.0.0.1 remote-as 1\n   !\n   address-family evpn\n      neighbor 10.0.0.1 activate\n   !\n   \
        address-family ipv4\n      neighbor 10.0.0.1 activate\n   !\n   vlan 10\n      rd 2:2\n   !\n   vrf RED\n      rd 1:1\n!\n\
        management ssh\n   idle-timeout 5\n   !\n   vrf RED\n!\n";
    assert_eq!(after("", commands), expected);
}

#[test]
fn what_a_device_shows_does_not_depend_on_the_order_in_which_it_got_it() {
    let sections = [
        "interface Ethernet10\n   mtu 9000\n   description ten\n",
        "interface Ethernet2\n   description two\n",
        "banner login\nend\n!! text\nEOF\n",
        "router bgp 1\n   !! why\n   vrf A\n      rd 1:1\n   router-id 10.0.0.1\n",
        "ntp server 10.0.0.1\n",
        "unknown command\n",
        "hostname x\n",
        "ip access-list a\n   20 permit ip any any\n   10 deny ip any host 10.0.0.1\n",
    ];
    let text = |sections: &[&str]| print(&read(&sections.concat()));
    let mut rotated = sections;
    for _ in sections {
        rotated.rotate_left(1);
        assert_eq!(text(&rotated), text(&sections));
    }
    let shown = text(&sections);
    assert_eq!(print(&read(&shown)), shown, "reading it again changes nothing");
    assert!(!shown.contains("description ten\n   description"), "{shown}");
}

#[test]
fn every_prefix_of_a_configuration_is_shown_the_same_after_it_is_read_again() {
    let text = "hostname x\n!\nrouter bgp 1\n   neighbor a remote-as 2\n   !\n   vrf A\n      rd 1:1\n      !\n      \
        address-family ipv4\n         redistribute connected\n!\nbanner motd\nhi\n  there\nEOF\n!\nend\n";
    for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
        let shown = print(&read(&text[..end]));
        assert_eq!(print(&read(&shown)), shown, "{:?}", &text[..end]);
    }
}

#[test]
fn sections_are_nested_in_json() {
    let tree = json(&read(
        "router bgp 1\n   !! why\n   vrf A\n      rd 1:1\nhostname x\n",
    ));
    assert_eq!(tree["hostname x"], Value::Null);
    assert_eq!(tree["router bgp 1"]["comments"][0], "why");
    assert_eq!(
        tree["router bgp 1"]["cmds"]["vrf A"]["cmds"]["rd 1:1"],
        Value::Null
    );
    assert!(
        tree["router bgp 1"]["cmds"]["vrf A"]["cmds"]
            .get("rd 1:1")
            .is_some()
    );
}

#[test]
fn words_that_no_command_begins_with_are_refused() {
    for line in ["{% if x %}", "{{ hostname }}", "% Invalid", "-foo"] {
        let command = Command {
            line,
            input: "",
            opens: false,
        };
        let refused = Editor::new(false).run(&mut Section::default(), command);
        assert!(
            matches!(refused, Err(Refused::Invalid { position: 0, .. })),
            "{line}"
        );
    }
}
