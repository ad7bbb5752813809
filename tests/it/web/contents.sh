# What the pages show. Wherever a text is taken, it is what an attacker would write.
cat >domain.yml <<'END'
devices:
- {hostname: dist1, device_type: DIST, platform: eos, state: PRE_CONFIGURED, synchronized: true}
- {hostname: dist2, device_type: DIST, platform: eos, state: PRE_CONFIGURED, synchronized: true}
management_domains:
- {id: 1, device_a: dist1, device_b: dist2, ipv4_gw: 127.75.0.254/24, vlan: 600}
END
lockstep devices import domain.yml
lockstep devices import fleet.yml
lockstep repositories accept settings "$(git -C settings rev-parse HEAD)"
lockstep repositories accept templates "$(git -C templates rev-parse HEAD)"
lockstep devices set-state dist1 UNMANAGED --note '<img src=x onerror="attacked=1">line card is being changed'
cat >vlan.yml <<'END'
name: vlan is there
description: Looks for a VLAN on each device.
provider: template_check
arguments: {run_on: DEVICE, check_key: vlan, expression: "input.vlan > 0"}
run_input_json_schema:
  type: object
  required: [vlan]
  properties:
    vlan: {title: VLAN, description: The number of the VLAN, type: integer, minimum: 1, maximum: 4094}
    mode: {title: Mode, description: How the port is used, type: string, enum: [access, trunk], default: access}
    native: {title: Native VLAN, type: integer, minimum: 1, maximum: 4094}
  additionalProperties: false
run_input_ui_schema:
  type: VerticalLayout
  elements:
  - {type: Control, scope: "#/properties/vlan"}
  - {type: Control, scope: "#/properties/mode"}
  - type: Control
    scope: "#/properties/native"
    rule: {effect: SHOW, condition: {scope: "#/properties/mode", schema: {const: trunk}}}
END
cat >hostile.yml <<'END'
name: <script>attacked=1</script> facts
description: '"><img src=x onerror="attacked=1">'
provider: template_facts
arguments: {run_on: DEVICE, facts_key: banner, template: '{{ ("</pre><img src=x onerror=\"attacked=1\"> of " ~ device.hostname)|tojson }}'}
END
lockstep tasks save vlan.yml
lockstep tasks save hostile.yml
lockstep tasks run '<script>attacked=1</script> facts' --host leaf00001 leaf00002 --apply --wait
lockstep publish lockstep.interface.updated --wait --data '{"hostname": "gone1", "interfaces": [{"name": "Ethernet1"}], "kind": "configuration"}' || true
lockstep cvp request-sweep --cluster lab --wait || true
lockstep sync plan --all --resync --wait
lockstep sync apply 3 --yes --wait
echo 'dns_servers: [{host: 192.0.2.53}]' >settings/access/base_system.yml
git -C settings add -A && git -C settings commit -qm 'A name server <img src=x onerror="attacked=1"> for access switches'
lockstep repositories refresh settings
