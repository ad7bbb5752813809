# Two repositories whose templates render what simulated switches understand.
git init -q -b main settings
mkdir settings/global settings/access
echo 'ntp_servers: [{host: 192.0.2.123}]' >settings/global/base_system.yml
git -C settings add -A && git -C settings commit -qm 'Begin'
git init -q -b main templates
mkdir templates/eos
cat >templates/eos/mapping.yml <<'END'
ACCESS:
  entrypoint: access.j2
  dependencies: [services.j2]
END
cat >templates/eos/access.j2 <<'END'
hostname {{ hostname }}
!
{% include 'services.j2' %}
{% for port in range(1, 5) %}
interface Ethernet{{ port }}
   description server {{ port }}
   switchport access vlan {{ 100 + port }}
!
{% endfor %}
interface Vlan{{ mgmt_vlan_id }}
   ip address {{ mgmt_ipif }}
!
management api http-commands
   no shutdown
!
end
END
cat >templates/eos/services.j2 <<'END'
{% for server in dns_servers %}
ip name-server vrf default {{ server.host }}
{% endfor %}
{% for server in ntp_servers %}
ntp server {{ server.host }}
{% endfor %}
!
END
git -C templates add -A && git -C templates commit -qm 'Begin'
umask 077
printf simulated >device-password
cat >lockstep.toml <<END
[repositories]
debounce_ms = 0

[repositories.settings]
url = "$PWD/settings"

[repositories.templates]
url = "$PWD/templates"

[devices]
port = $DEVICES
ca_file = "fleet-ca.pem"

[devices.credentials.default]
username = "admin"
password_file = "device-password"

[sync]
read_back_pause = "100ms"

[cvp.lab]
hosts = ["$CLUSTER"]
username = "cvpadmin"
password = "simulated"
ca_file = "cvp-ca.pem"
min_age_seconds = 0
reading_gap_ms = 0
END
