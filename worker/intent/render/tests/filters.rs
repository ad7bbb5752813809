//! Filters of netutils, CNaaS NMS and Ansible: what they refuse, and their bounds. What they return is compared with Python's in
//! `templates/`.

use std::sync::Arc;

use lockstep_render::{Bounds, Files, TemplateSet, Undefined};
use minijinja::Value;

fn render(template: &str) -> Result<String, String> {
    let files = Files::from_iter([("main.j2".to_owned(), Arc::from(template))]);
    let set = TemplateSet::new(Arc::new(files), "", Undefined::Lenient);
    let variables = Value::from_pairs(Vec::<(&str, Value)>::new());
    set.render("main.j2", &variables, Bounds::default())
        .map_err(|error| error.to_string())
}

#[track_caller]
fn assert_fails(template: &str, reason: &str) {
    match render(template) {
        Ok(text) => panic!("{template} renders {text}"),
        Err(error) => assert!(error.contains(reason), "{template}: {error}"),
    }
}

#[test]
fn bad_input_is_an_error_that_names_the_filter_and_what_is_wrong() {
    for (template, reason) in [
        (
            "{{ 'x'|ip_to_hex }}",
            "'x' does not appear to be an IPv4 or IPv6 address",
        ),
        ("{{ 'x'|ip_to_hex }}", "ip_to_hex"),
        (
            "{{ '10.0.0.1/24'|get_first_usable }}",
            "10.0.0.1/24 has host bits set",
        ),
        ("{{ '255.255.255.255'|ip_addition(1) }}", "is no address"),
        ("{{ 33|cidr_to_netmask }}", "between 0 and 32"),
        ("{{ '10.0.0.1/29'|get_peer_ip }}", "acceptable masks of 30 or 31"),
        ("{{ '10.0.0.0/30'|get_peer_ip }}", "point-to-point"),
        (
            "{{ '10.0.0.1'|ipaddress_address('nothing') }}",
            "IPv4Address('10.0.0.1') has no attribute 'nothing'",
        ),
        ("{{ 'zz'|mac_to_int }}", "not a valid mac address"),
        ("{{ 'aabbccddeeff'|mac_to_format('X') }}", "invalid mac format"),
        ("{{ [0, 5]|vlanlist_to_config }}", "Valid VLAN range is 1-4094"),
        ("{{ []|vlanlist_to_config }}", "is empty"),
        (
            "{{ [1]|vlanlist_to_config(nothing=1) }}",
            "unexpected keyword argument 'nothing'",
        ),
        (
            "{{ [1]|vlanlist_to_config(1, first_line_len=1) }}",
            "multiple values for argument 'first_line_len'",
        ),
        (
            "{{ [1]|vlanlist_to_config(1, 2, 3, 4, 5) }}",
            "takes 5 arguments but 6 were given",
        ),
        ("{{ '1'|is_ip_within }}", "missing argument 'ip_compare'"),
        ("{{ '1,5000'|vlanconfig_to_list }}", "found 5000"),
        ("{{ '1,x'|vlanconfig_to_list }}", "non-digits"),
        (
            "{{ 'Eth?'|canonical_interface_name(verify=true) }}",
            "no match found for Eth?",
        ),
        ("{{ ['Eth!1']|sort_interface_list }}", "unknown character '!'"),
        ("{{ 'fast'|name_to_bits }}", "not a valid speed"),
        ("{{ '1.2.3.4.5'|asn_to_int|int_to_asdot }}", ""),
        ("{{ 0|int_to_asdot }}", "not within range"),
        (
            "{{ 'soon'|uptime_string_to_seconds }}",
            "Unable to parse uptime string",
        ),
        ("{{ 'a'|hash_data('crc') }}", "unknown algorithm 'crc'"),
        ("{{ '('|regex_findall('a') }}", "regex '('"),
        ("{{ 'cisco'|encrypt_type5 }}", "needs a salt"),
        ("{{ 'cisco'|encrypt_cisco_type9('short') }}", "14 characters"),
        ("{{ 'no'|get_hash_salt }}", "Could not parse salt"),
        ("{{ 'no'|decrypt_juniper_type9 }}", "not a $9$ password"),
        ("{{ 'zz'|decrypt_type7 }}", "not a password of type 7"),
        (
            "{{ '10.0.0.254/24'|increment_ip(5) }}",
            "is not in network 10.0.0.0/24",
        ),
        (
            "{{ '10.0.0.1'|isofy_ipv4('4.7') }}",
            "cannot be used as ISO prefix",
        ),
        ("{{ '::1'|isofy_ipv4 }}", "no IPv4 address"),
        ("{{ '192.0.2.0/30'|get_interface(4) }}", "has no address 4"),
        (
            "{{ '10.0.0.1'|ipaddr('nothing') }}",
            "unknown filter type: nothing",
        ),
        ("{{ none|ipaddr }}", "expected an address"),
        ("{{ '10.0.0.1'|ipaddr('first_usable') }}", "Not a network address"),
        ("{{ 'x'|hwaddr('linux') }}", "not a hardware address"),
        ("{{ nothing|mandatory }}", "Mandatory variable"),
        ("{{ nothing|mandatory('say the name') }}", "say the name"),
        ("{{ [1]|combine }}", "expected mappings"),
        (
            "{{ {'a': 1}|combine({}, list_merge='x') }}",
            "'list_merge' must be one of",
        ),
        ("{{ 'a'|dict2items }}", "requires a dictionary"),
        ("{{ [{'a': 1}]|subelements('b') }}", "could not find 'b'"),
        ("{{ 'a: ['|from_yaml }}", "no YAML"),
        ("{{ '{'|from_json }}", "no JSON"),
        ("{{ [{'a': 1}]|arista.avd.natural_sort }}", "requires 'sort_key'"),
        ("{{ nothing|vlanconfig_to_list }}", "undefined"),
    ] {
        if reason.is_empty() {
            assert!(render(template).is_ok(), "{template}");
        } else {
            assert_fails(template, reason);
        }
    }
}

#[test]
fn a_filter_that_is_left_out_says_why() {
    for (template, reason) in [
        ("{{ 'example.net'|fqdn_to_ip }}", "no access to the network"),
        ("{{ '192.0.2.1'|tcp_ping(22) }}", "no access to the network"),
        ("{{ 'aabbccddeeff'|get_oui }}", "table of manufacturers"),
        (
            "{{ []|config_compliance('a', 'b', 'cisco_ios') }}",
            "not parsed in templates",
        ),
    ] {
        assert_fails(template, reason);
    }
}

#[test]
fn a_filter_that_would_make_too_much_ends_with_an_error() {
    for template in [
        "{{ 'Gi[1-99999999]'|interface_range_expansion }}",
        "{{ 'Gi[1-999]/[1-999]/[1-999]'|interface_range_expansion }}",
        "{{ '1-99999999'|vlanconfig_to_list }}",
        "{{ 'Eth1-99999999'|arista.avd.range_expand }}",
        "{{ '1-99999999'|vlan_expander }}",
        "{{ range(100)|product(repeat=10) }}",
        "{{ range(100)|permutations(10) }}",
        "{{ '10.0.0.0/8'|usable_range }}",
        "{{ '2001:db8::/64'|ip_network|list }}",
        "{{ '2001:db8::/64'|get_all_host|list }}",
        "{{ '2001:db8::/16'|ipaddress_network('subnets', new_prefix=64)|list }}",
        "{{ '(a|aa)+\\\\1b$'|regex_search('a' * 90) }}",
        "{{ ('a' * 9000)|regex_search('a') }}",
    ] {
        assert!(render(template).is_err(), "{template}");
    }
}

#[test]
fn a_name_that_several_have_is_the_one_of_cnaas_then_of_netutils() {
    let cases = [
        // netutils filters the regex, Ansible the text.
        ("{{ '[0-9]+'|regex_search('port 12') }}", "12"),
        ("{{ 'port 12'|ansible.builtin.regex_search('[0-9]+') }}", "12"),
        ("{{ 'PORT'|regex_search('port', ignorecase=true) }}", "PORT"),
        ("{{ 'a1'|regex_search('([a-z])([0-9])', '\\\\2') }}", "['1']"),
        ("{{ '[0-9]'|regex_findall('a1b2') }}", "['1', '2']"),
        // Ansible keeps the length of a prefix.
        ("{{ '2001:db8::1/64'|ipwrap }}", "2001:db8::1/64"),
    ];
    for (template, expected) in cases {
        assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn the_filters_and_tests_of_collections_have_their_dotted_names() {
    let cases = [
        ("{{ '10.0.0.1/24'|ansible.utils.ipaddr('network') }}", "10.0.0.0"),
        ("{{ [3, 1, 2]|ansible.netcommon.vlan_parser }}", "['1-3']"),
        ("{{ ['b10', 'b9']|arista.avd.natural_sort }}", "['b9', 'b10']"),
        ("{{ [1, 2, 3, 7]|arista.avd.list_compress }}", "1-3,7"),
        (
            "{{ 'Ethernet1-2/1,5'|arista.avd.range_expand }}",
            "['Ethernet1/1', 'Ethernet2/1', 'Ethernet5']",
        ),
        ("{{ none|arista.avd.default('x') }}", "x"),
        (
            "{{ {'a': {'x': 1}}|arista.avd.convert_dicts }}",
            "[{'name': 'a', 'x': 1}]",
        ),
        ("{{ 'secret'|arista.avd.hide_passwords(true) }}", "<removed>"),
        (
            "{{ nothing is arista.avd.defined }} {{ 1 is arista.avd.defined(1) }} {{ 1 is arista.avd.defined(var_type='str') }}",
            "False True False",
        ),
        (
            "{{ [1, 2] is arista.avd.contains([2, 9]) }} {{ [1] is arista.avd.contains(3) }}",
            "True False",
        ),
    ];
    for (template, expected) in cases {
        assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
    }
}
