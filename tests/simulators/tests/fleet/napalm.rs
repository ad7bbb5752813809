//! NAPALM's driver for EOS, unchanged.

use anyhow::Result;
use lockstep_simulators::fleet::{Device, Dialect, FleetSimulator, ForeignSession, Options, Totals};
use serde_json::json;

use crate::python;

const PACKAGES: &[&str] = &["napalm==5.2.0", "pyeapi==1.0.4"];

const REPLACED: &str = "@@ -1,21 +1,31 @@
-hostname HOSTNAME
+hostname replaced
 !
+vlan 200
+   name servers
+!
 interface Ethernet1
-   description server 1
-   switchport access vlan 101
+   description uplink
+   ip address 10.0.0.1/31
+   no switchport
 !
 interface Ethernet2
-   description server 2
-   switchport access vlan 102
 !
 interface Ethernet3
-   description server 3
-   switchport access vlan 103
 !
 interface Ethernet4
-   description server 4
-   switchport access vlan 104
 !
+router bgp 65000
+   !! an explanation
+   neighbor 10.0.0.0 remote-as 65001
+   router-id 10.0.0.1
+   !
+   address-family ipv4
+      neighbor 10.0.0.0 activate
+!
+banner login
+Welcome
+EOF
+!
 management api http-commands
    no shutdown
 !
";

const MERGED: &str = "@@ -1,10 +1,12 @@
 hostname replaced
 !
+ntp server 10.0.0.9
+!
 vlan 200
    name servers
 !
 interface Ethernet1
-   description uplink
+   description merged
    ip address 10.0.0.1/31
    no switchport
 !
";

const REFUSED: &str = "Error [1002]: CLI command 3 of 4 'refused line' failed: invalid command \
    [errors: [\"Invalid input (at token 0: 'refused')\"]]";

#[tokio::test(flavor = "multi_thread")]
async fn napalm_replaces_merges_commits_and_confirms_in_both_dialects() -> Result<()> {
    let devices = (1..=3).map(Device::numbered).collect();
    let fleet = FleetSimulator::start(devices, Options::default()).await?;
    fleet.tune(1, |knobs| knobs.dialect = Dialect::Since432);
    for device in 0..2 {
        fleet.tune(device, |knobs| knobs.refused.push("refused line".to_owned()));
    }
    fleet.open_session(2, &ForeignSession::new("friday"))?;
    let seen = python::run(&fleet, "napalm_check.py", PACKAGES).await?;

    assert_eq!(
        seen["locked"],
        json!({"type": "SessionLockedException", "message": "Session is already in use"})
    );
    for (number, dialect) in ["old", "new"].into_iter().enumerate() {
        let seen = &seen[dialect];
        let hostname = format!("leaf0000{}", number + 1);
        let expected = json!({
            "facts": [hostname, "Arista", format!("SIM0000000{}", number + 1), ["Ethernet1", "Ethernet2", "Ethernet3", "Ethernet4"]],
            "replace": REPLACED.trim_end().replace("HOSTNAME", &hostname),
            "discarded": true,
            "pending": [true, true],
            "second": {"type": "CommitError", "message": "Pending commit confirm already in process!"},
            "confirmed": [false, true],
            "same": "",
            "merge": MERGED.trim_end(),
            "rolled back": [false, false],
            "committed": true,
            "replaced": true,
            "nothing to confirm": {"type": "CommitError", "message": "No pending commit-confirm found!"},
            "refused": {"type": "MergeConfigException", "message": REFUSED},
        });
        assert_eq!(*seen, expected, "{dialect}");
        let totals = Totals {
            commits: 3,
            confirms: 1,
            rollbacks: 1,
            aborts: 3,
        };
        assert_eq!(fleet.totals(number), totals);
        assert!(fleet.sessions(number).is_empty(), "none is left behind");
    }
    Ok(())
}
