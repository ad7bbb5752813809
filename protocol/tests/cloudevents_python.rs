//! Interoperability with the CloudEvents SDK for Python, in both directions.

mod support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lockstep_protocol::{Envelope, Kind};
use support::goldens;

const SDK: &str = "cloudevents==2.2.0";

fn python() -> PathBuf {
    lockstep_testbed::python_with(Path::new(env!("CARGO_TARGET_TMPDIR")), &[SDK])
        .expect("a Python with the SDK")
}

#[test]
fn every_golden_survives_a_round_trip_through_the_python_sdk() {
    let goldens = goldens();
    let ours: Vec<Envelope> = goldens
        .iter()
        .map(|golden| Envelope::decode(golden.text.as_bytes()).unwrap().envelope)
        .collect();
    let lines: Vec<Vec<u8>> = ours.iter().map(Envelope::encode).collect();

    let output = run_script(&python(), &lines.join(&b'\n'));
    let mut theirs = output
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    for (golden, ours) in goldens.iter().zip(&ours) {
        let body = theirs.next().expect("one line for each message");
        let decoded = Envelope::decode(body).unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        let mut again = decoded.envelope;
        if ours.time.is_none() {
            // This SDK adds the current time if an event has none.
            again.time = None;
        }
        assert_eq!(&again, ours, "{}", golden.name);
        assert_eq!(decoded.digest, ours.digest(), "{}", golden.name);
        assert_eq!(golden.json()["id"], again.identity.id.as_str());
    }
    let built = Envelope::decode(theirs.next().expect("the event that the SDK built"))
        .unwrap()
        .envelope;
    assert_eq!(built.message.kind(), Kind::DeviceRemoved);
    assert_eq!(built.time.unwrap().to_string(), "2026-03-01T12:00:00.25Z");
    assert_eq!(theirs.next(), None);
}

/// Runs the script with a file as its input: with a pipe both processes could wait for the other to read.
fn run_script(python: &Path, input: &[u8]) -> Vec<u8> {
    let mut file = tempfile();
    file.write_all(input).expect("the input can be written");
    let file = rewound(file);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cloudevents_python.py");
    succeed(Command::new(python).arg(script).stdin(Stdio::from(file))).stdout
}

fn tempfile() -> fs::File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cloudevents-{}", std::process::id()));
    let file = fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .expect("the target folder can be written");
    fs::remove_file(path).expect("an open file can be removed");
    file
}

fn rewound(mut file: fs::File) -> fs::File {
    std::io::Seek::rewind(&mut file).expect("a file can be rewound");
    file
}

fn succeed(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
