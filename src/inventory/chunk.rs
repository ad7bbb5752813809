use std::collections::HashMap;

use lockstep_protocol::bounds::MAX_CHUNK_INTERFACES;
use lockstep_protocol::events::InventoryImported;

use super::{Entry, Inventory, InventoryError};

/// The most devices in one message, because its transaction locks them all.
const MOST_DEVICES: usize = 500;

/// The most bytes of one message, far below the limit of a body.
const MOST_BYTES: usize = 1024 * 1024 - 4096;

/// The most links, and the most management domains, in one message: its transaction locks two devices for each.
const MOST_BETWEEN: usize = 250;

/// Splits an inventory into messages, in which devices that exist are marked as synchronized if this is requested. A device and its
/// interfaces are in the same message, so the order of messages does not matter, but for controllers: devices with one are in
/// messages of their own, which come after all others. Devices that claim the same MAC address or serial
/// number are in one message too, as far as they fit, so that the first of the file gets it. Links and management domains are in messages
/// without devices, which come after all others.
///
/// # Errors
/// If a single device is too large for a message.
pub(crate) fn chunks(
    inventory: Inventory,
    mark_synchronized: bool,
) -> Result<Vec<InventoryImported>, InventoryError> {
    let empty = || InventoryImported {
        mark_synchronized,
        ..InventoryImported::default()
    };
    let (controlled, free): (Vec<Entry>, Vec<Entry>) = inventory
        .entries
        .into_iter()
        .partition(|entry| entry.device.controller.is_some());
    let mut chunks = Vec::new();
    for entries in [free, controlled] {
        fill(&mut chunks, entries, &empty)?;
    }
    // Each has at most a few kilobytes, so the numbers bound the sizes, too.
    chunks.extend(
        inventory
            .links
            .chunks(MOST_BETWEEN)
            .map(|links| InventoryImported {
                links: links.to_vec(),
                ..empty()
            }),
    );
    let domains = inventory.management_domains.chunks(MOST_BETWEEN);
    chunks.extend(domains.map(|domains| InventoryImported {
        management_domains: domains.to_vec(),
        ..empty()
    }));
    Ok(chunks)
}

/// Adds messages with these entries.
fn fill(
    chunks: &mut Vec<InventoryImported>,
    entries: Vec<Entry>,
    empty: &impl Fn() -> InventoryImported,
) -> Result<(), InventoryError> {
    let mut chunk = Chunk {
        message: empty(),
        bytes: 0,
    };
    for rivals in rivals(entries) {
        let mut sizes = Vec::with_capacity(rivals.len());
        for entry in &rivals {
            sizes.push(size(entry)?);
        }
        let together = Size::sum(&sizes);
        if together.fits_alone() && !chunk.has_room(together) {
            chunks.push(std::mem::replace(&mut chunk.message, empty()));
            chunk.bytes = 0;
        }
        for (entry, size) in rivals.into_iter().zip(sizes) {
            if !chunk.has_room(size) {
                chunks.push(std::mem::replace(&mut chunk.message, empty()));
                chunk.bytes = 0;
            }
            chunk.bytes += size.bytes;
            chunk.message.devices.push(entry.device);
            chunk.message.interfaces.extend(entry.interfaces);
        }
    }
    if !chunk.message.devices.is_empty() {
        chunks.push(chunk.message);
    }
    Ok(())
}

/// A message that is being filled.
struct Chunk {
    message: InventoryImported,
    bytes: usize,
}

impl Chunk {
    fn has_room(&self, more: Size) -> bool {
        self.message.devices.len() + more.devices <= MOST_DEVICES
            && self.message.interfaces.len() + more.interfaces <= MAX_CHUNK_INTERFACES
            && self.bytes + more.bytes <= MOST_BYTES
    }
}

/// What entries take of a message.
#[derive(Clone, Copy, Debug)]
struct Size {
    devices: usize,
    interfaces: usize,
    bytes: usize,
}

impl Size {
    fn sum(sizes: &[Self]) -> Self {
        Self {
            devices: sizes.iter().map(|size| size.devices).sum(),
            interfaces: sizes.iter().map(|size| size.interfaces).sum(),
            bytes: sizes.iter().map(|size| size.bytes).sum(),
        }
    }

    fn fits_alone(self) -> bool {
        self.devices <= MOST_DEVICES && self.interfaces <= MAX_CHUNK_INTERFACES && self.bytes <= MOST_BYTES
    }
}

/// Groups entries that claim the same MAC address or serial number. Groups, and the entries in them, keep the order of the file.
fn rivals(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut groups: Vec<Vec<(usize, Entry)>> = Vec::new();
    let mut group_of: HashMap<String, usize> = HashMap::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let mac = entry
            .device
            .mac
            .as_ref()
            .map(|mac| format!("mac {}", mac.as_str()));
        let serial = entry.device.serial.as_ref();
        let serial = serial.map(|serial| format!("serial {}", serial.as_str()));
        let claims: Vec<String> = mac.into_iter().chain(serial).collect();
        let mut found: Vec<usize> = claims
            .iter()
            .filter_map(|claim| group_of.get(claim).copied())
            .collect();
        found.sort_unstable();
        found.dedup();
        let group = *found.first().unwrap_or(&groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        if let [_, other] = found[..] {
            let moved = std::mem::take(&mut groups[other]);
            groups[group].extend(moved);
            for of in group_of.values_mut().filter(|of| **of == other) {
                *of = group;
            }
        }
        groups[group].push((index, entry));
        group_of.extend(claims.into_iter().map(|claim| (claim, group)));
    }
    let in_order = |mut group: Vec<(usize, Entry)>| {
        group.sort_unstable_by_key(|(index, _)| *index);
        group.into_iter().map(|(_, entry)| entry).collect()
    };
    groups.into_iter().map(in_order).collect()
}

/// What an entry takes of a message, with a comma after each part.
///
/// # Errors
/// If no message has room for it.
fn size(entry: &Entry) -> Result<Size, InventoryError> {
    let of = |value: Result<Vec<u8>, serde_json::Error>| value.map_or(0, |bytes| bytes.len() + 1);
    let interfaces = entry
        .interfaces
        .iter()
        .map(|interface| of(serde_json::to_vec(interface)));
    let size = Size {
        devices: 1,
        interfaces: entry.interfaces.len(),
        bytes: of(serde_json::to_vec(&entry.device)) + interfaces.sum::<usize>(),
    };
    let hostname = &entry.device.hostname;
    if size.bytes > MOST_BYTES {
        return Err(InventoryError::one(format!(
            "{hostname}: the device and its interfaces have {} bytes, the maximum is {MOST_BYTES}",
            size.bytes
        )));
    }
    if size.interfaces > MAX_CHUNK_INTERFACES {
        return Err(InventoryError::one(format!(
            "{hostname}: has {} interfaces, the maximum is {MAX_CHUNK_INTERFACES}",
            size.interfaces
        )));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::events::ImportedInterface;
    use serde_json::json;

    use super::*;

    fn chunks(
        entries: Vec<Entry>,
        mark_synchronized: bool,
    ) -> Result<Vec<InventoryImported>, InventoryError> {
        let inventory = Inventory {
            entries,
            ..Inventory::default()
        };
        super::chunks(inventory, mark_synchronized)
    }

    fn entry(index: usize, bytes: usize) -> Entry {
        let device =
            serde_json::from_value(json!({"hostname": format!("sw{index}"), "device_type": "ACCESS"}))
                .unwrap();
        let interface = ImportedInterface {
            hostname: format!("sw{index}").parse().unwrap(),
            name: "Ethernet1".to_owned().try_into().unwrap(),
            configuration: Some("x".repeat(bytes).into()),
        };
        Entry {
            device,
            interfaces: vec![interface],
        }
    }

    #[test]
    fn chunks_have_a_limited_number_of_devices_and_bytes() {
        let table = [
            (0, 10, vec![]),
            (500, 10, vec![500]),
            (1001, 10, vec![500, 500, 1]),
            (5, 400_000, vec![2, 2, 1]),
        ];
        for (count, bytes, expected) in table {
            let chunks = chunks((0..count).map(|index| entry(index, bytes)).collect(), false).unwrap();
            let sizes: Vec<usize> = chunks.iter().map(|chunk| chunk.devices.len()).collect();
            assert_eq!(sizes, expected, "{count} {bytes}");
            for chunk in &chunks {
                assert_eq!(chunk.interfaces.len(), chunk.devices.len());
                assert!(serde_json::to_vec(chunk).unwrap().len() < 1024 * 1024);
            }
        }
        assert!(
            chunks(vec![entry(0, 2_000_000)], false)
                .unwrap_err()
                .to_string()
                .contains("sw0")
        );
    }

    #[test]
    fn devices_with_a_controller_come_in_messages_after_all_others() {
        let mut entries: Vec<Entry> = (0..600).map(|index| entry(index, 10)).collect();
        for index in [0, 7] {
            entries[index].device.controller = Some("sw599".parse().unwrap());
        }
        let chunks = chunks(entries, false).unwrap();
        let sizes: Vec<usize> = chunks.iter().map(|chunk| chunk.devices.len()).collect();
        assert_eq!(sizes, [500, 98, 2]);
        let last: Vec<&str> = chunks[2]
            .devices
            .iter()
            .map(|device| device.hostname.as_str())
            .collect();
        assert_eq!(last, ["sw0", "sw7"]);
    }

    #[test]
    fn devices_that_claim_the_same_are_in_one_message_in_the_order_of_the_file() {
        let mut entries: Vec<Entry> = (0..1200).map(|index| entry(index, 10)).collect();
        let claims = [
            (3, Some(1), None),
            (700, Some(1), Some(7)),
            (800, Some(2), None),
            (1100, Some(2), Some(7)),
        ];
        for (index, mac, serial) in claims {
            let device = &mut entries[index].device;
            device.mac = mac.map(|mac: u32| format!("444ca8{mac:06}").try_into().unwrap());
            device.serial = serial.map(|serial: u32| format!("S{serial}").try_into().unwrap());
        }
        let chunks = chunks(entries, true).unwrap();
        assert_eq!(
            chunks.iter().map(|chunk| chunk.devices.len()).sum::<usize>(),
            1200
        );
        assert!(chunks.iter().all(|chunk| chunk.mark_synchronized));
        let names = chunks[0].devices[3..8]
            .iter()
            .map(|device| device.hostname.as_str());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["sw3", "sw700", "sw800", "sw1100", "sw4"]
        );
    }

    #[test]
    fn a_serial_number_that_all_devices_share_does_not_make_a_message_too_large() {
        let mut entries: Vec<Entry> = (0..1200).map(|index| entry(index, 10)).collect();
        for entry in &mut entries {
            entry.device.serial = Some("none".to_owned().try_into().unwrap());
        }
        let sizes: Vec<usize> = chunks(entries, false)
            .unwrap()
            .iter()
            .map(|chunk| chunk.devices.len())
            .collect();
        assert_eq!(sizes, [500, 500, 200]);
    }

    #[test]
    fn links_and_management_domains_come_in_messages_after_all_devices() {
        let read = |value: serde_json::Value| serde_json::from_value(value).unwrap();
        let description = "x".repeat(1000);
        let inventory = Inventory {
            entries: vec![entry(0, 10)],
            links: (0..251)
                .map(|port| {
                    let end = |hostname| json!({"hostname": hostname, "interface": format!("E{port}")});
                    serde_json::from_value(json!({"a": end("sw1"), "b": end("sw2")})).unwrap()
                })
                .collect(),
            management_domains: (0..500)
                .map(|id| {
                    read(json!({"id": id, "device_a": "sw1", "device_b": "sw2", "description": description}))
                })
                .collect(),
            ..Inventory::default()
        };
        let chunks = super::chunks(inventory, true).unwrap();
        let sizes: Vec<[usize; 3]> = chunks
            .iter()
            .map(|chunk| {
                [
                    chunk.devices.len(),
                    chunk.links.len(),
                    chunk.management_domains.len(),
                ]
            })
            .collect();
        assert_eq!(
            sizes,
            [[1, 0, 0], [0, 250, 0], [0, 1, 0], [0, 0, 250], [0, 0, 250]]
        );
        assert!(chunks.iter().all(|chunk| chunk.mark_synchronized));
        assert!(
            chunks
                .iter()
                .all(|chunk| serde_json::to_vec(chunk).unwrap().len() < MOST_BYTES)
        );
    }
}
