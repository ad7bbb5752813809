use lockstep_protocol::bounds::MAX_CHUNK_INTERFACES;
use lockstep_protocol::events::InventoryImported;

use super::{Entry, InventoryError};

/// The most devices in one message, because its transaction locks them all.
const MOST_DEVICES: usize = 500;

/// The most bytes of one message, far below the limit of a body.
const MOST_BYTES: usize = 1024 * 1024 - 4096;

/// Splits an inventory into messages. A device and its interfaces are in the same message, so the order of messages does not matter.
///
/// # Errors
/// If a single device is too large for a message.
pub(crate) fn chunks(entries: Vec<Entry>) -> Result<Vec<InventoryImported>, InventoryError> {
    let mut chunks = Vec::new();
    let mut chunk = InventoryImported::default();
    let mut bytes = 0;
    for entry in entries {
        let size = size(&entry);
        if size > MOST_BYTES {
            let hostname = &entry.device.hostname;
            let problem = format!(
                "{hostname}: the device and its interfaces have {size} bytes, the maximum is {MOST_BYTES}"
            );
            return Err(InventoryError::one(problem));
        }
        let interfaces = entry.interfaces.len();
        if interfaces > MAX_CHUNK_INTERFACES {
            let hostname = &entry.device.hostname;
            let problem =
                format!("{hostname}: has {interfaces} interfaces, the maximum is {MAX_CHUNK_INTERFACES}");
            return Err(InventoryError::one(problem));
        }
        let full = chunk.devices.len() == MOST_DEVICES
            || chunk.interfaces.len() + interfaces > MAX_CHUNK_INTERFACES
            || bytes + size > MOST_BYTES;
        if full {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += size;
        chunk.devices.push(entry.device);
        chunk.interfaces.extend(entry.interfaces);
    }
    if !chunk.devices.is_empty() {
        chunks.push(chunk);
    }
    Ok(chunks)
}

/// The encoded size of an entry in bytes, with a comma after each part.
fn size(entry: &Entry) -> usize {
    let of = |value: Result<Vec<u8>, serde_json::Error>| value.map_or(0, |bytes| bytes.len() + 1);
    let interfaces = entry
        .interfaces
        .iter()
        .map(|interface| of(serde_json::to_vec(interface)));
    of(serde_json::to_vec(&entry.device)) + interfaces.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::events::ImportedInterface;
    use serde_json::json;

    use super::*;

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
            let chunks = chunks((0..count).map(|index| entry(index, bytes)).collect()).unwrap();
            let sizes: Vec<usize> = chunks.iter().map(|chunk| chunk.devices.len()).collect();
            assert_eq!(sizes, expected, "{count} {bytes}");
            for chunk in &chunks {
                assert_eq!(chunk.interfaces.len(), chunk.devices.len());
                assert!(serde_json::to_vec(chunk).unwrap().len() < 1024 * 1024);
            }
        }
        assert!(
            chunks(vec![entry(0, 2_000_000)])
                .unwrap_err()
                .to_string()
                .contains("sw0")
        );
    }
}
