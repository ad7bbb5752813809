//! Repositories that make git allocate, write or wait.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_git::{Git, GitError, Limit, Limits, Mirror, Remote};
use lockstep_testbed::Repository;
use sha2::{Digest, Sha256};

use crate::server::{Reply, Server, pack, refs};

const MIB: usize = 1024 * 1024;

fn mirror(url: &str, folder: &Path, limits: Limits) -> Result<Mirror> {
    let git = Git::new("git", Duration::from_mins(2)).within(limits);
    Ok(Mirror::new(
        git,
        Remote::new(url, "main")?,
        folder.join("settings.git"),
    ))
}

/// Bytes that cannot be compressed.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

/// All temporary files of a clone, and its size in bytes.
fn temporary_files(folder: &Path) -> (Vec<String>, u64) {
    let (mut found, mut size) = (Vec::new(), 0);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            let (more, bytes) = temporary_files(&entry.path());
            found.extend(more);
            size += bytes;
        } else {
            size += entry.metadata().map_or(0, |metadata| metadata.len());
        }
        if name.starts_with("tmp_") || name.strip_suffix(".lock").is_some() {
            found.push(name);
        }
    }
    (found, size)
}

/// A pack with a commit and deltas that make `mib` MiB each out of one MiB of zeros.
fn pack_of_deltas(folder: &Path, deltas: u8, mib: u32) -> Result<(String, Vec<u8>)> {
    let origin = Repository::init_with(&folder.join("origin"), &["--object-format=sha256"])?;
    origin.write("zeros", &vec![0; MIB])?;
    let tip = origin.commit("one")?;
    let base = hex::decode(origin.git(&["rev-parse", "HEAD:zeros"])?.trim())?;
    origin.git(&["repack", "-adq"])?;
    let packs = std::fs::read_dir(folder.join("origin/.git/objects/pack"))?;
    let is_pack = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "pack");
    let path = packs.flatten().map(|entry| entry.path()).find(is_pack);
    let honest = std::fs::read(path.context("no pack")?)?;
    let count = u32::from_be_bytes(honest[8..12].try_into()?) + u32::from(deltas);
    let mut pack = [&honest[..8], &count.to_be_bytes(), &honest[12..honest.len() - 32]].concat();
    for delta in 0..deltas {
        // Sizes of source and result, then one copy of one MiB each; the last one makes each result another object.
        let mut ops = [varint(1 << 20), varint((mib << 20) + 1)].concat();
        for _ in 0..mib {
            ops.extend([0xC0, 0x10]);
        }
        ops.extend([1, delta]);
        pack.extend(object_header(7, ops.len()));
        pack.extend(&base);
        pack.extend(stored(&ops)?);
    }
    let digest = Sha256::digest(&pack);
    pack.extend(digest);
    Ok((tip, pack))
}

fn varint(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// The type and the size of an object in a pack.
fn object_header(kind: u8, size: usize) -> Vec<u8> {
    let low = size.to_le_bytes()[0] & 0x0F;
    let rest = u32::try_from(size >> 4).expect("objects of tests are small");
    let more = if rest > 0 { 0x80 } else { 0 };
    let mut bytes = vec![more | kind << 4 | low];
    if rest > 0 {
        bytes.extend(varint(rest));
    }
    bytes
}

/// Zlib without compression.
fn stored(bytes: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(bytes.len())?;
    let sums = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let sum = sums.1 << 16 | sums.0;
    let head = [0x78, 0x01, 0x01];
    Ok([
        &head[..],
        &length.to_le_bytes(),
        &(!length).to_le_bytes(),
        bytes,
        &sum.to_be_bytes(),
    ]
    .concat())
}

#[tokio::test]
async fn a_pack_of_deltas_is_refused_at_the_memory_limit_and_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // 100 kB that would become 20 GB, of which git holds at least one GB at once.
    let (tip, hostile) = pack_of_deltas(folder.path(), 20, 1000)?;
    ensure!(hostile.len() < 100_000, "{}", hostile.len());
    let address_space = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start({
        let address_space = address_space.clone();
        move |request: &str| {
            if request.starts_with("get") {
                Reply::Whole(refs(&tip))
            } else {
                address_space.lock().unwrap().extend(address_spaces_of_git());
                Reply::Whole(pack(&hostile))
            }
        }
    });
    let server = server.await?;
    let limits = Limits {
        memory_mib: 384,
        ..Limits::default()
    };
    let mirror = mirror(&server.url(), folder.path(), limits)?;
    let error = mirror.fetch().await.unwrap_err();
    let reached = matches!(
        error,
        GitError::Limit {
            limit: Limit::Memory(384),
            ..
        }
    );
    ensure!(
        reached && error.to_string().contains("repositories.memory_mib"),
        "{error:?}"
    );
    // The kernel holds every process of this git to the limit.
    let spaces = address_space.lock().unwrap().clone();
    ensure!(
        spaces.iter().any(|bytes| *bytes == (384 * MIB).to_string()),
        "{spaces:?}"
    );
    let (left, size) = temporary_files(folder.path().join("settings.git").as_path());
    ensure!(left.is_empty() && size < 100_000, "{left:?} {size}");
    Ok(())
}

/// The limits of the address space of all processes that fetch over HTTP now.
fn address_spaces_of_git() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let limit = |path: std::path::PathBuf| {
        let arguments = std::fs::read_to_string(path.join("cmdline")).ok()?;
        let limits = std::fs::read_to_string(path.join("limits")).ok()?;
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max address space"))?;
        let soft = line.split_whitespace().nth(3)?.to_owned();
        arguments.contains("remote-http").then_some(soft)
    };
    processes.filter_map(|entry| limit(entry.path())).collect()
}

#[tokio::test]
async fn a_pack_larger_than_a_clone_may_be_is_cut_off_and_removed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let origin = Repository::init(&folder.path().join("origin"))?;
    origin.write("small", b"x")?;
    origin.commit("one")?;
    let limits = Limits {
        clone_mib: 4,
        ..Limits::default()
    };
    let url = origin.path().to_str().context("UTF-8")?;
    let mirror = mirror(url, folder.path(), limits)?;
    let first = mirror.fetch().await?;
    origin.write("large", &noise(6 * MIB, 1))?;
    origin.commit("two")?;
    let error = mirror.fetch().await.unwrap_err();
    let reached = matches!(
        error,
        GitError::Limit {
            limit: Limit::CloneSize(4),
            ..
        }
    );
    ensure!(
        reached && error.to_string().contains("repositories.clone_mib"),
        "{error:?}"
    );
    let (left, size) = temporary_files(&folder.path().join("settings.git"));
    ensure!(left.is_empty() && size < 100_000, "{left:?} {size}");
    ensure!(mirror.has(&first).await?, "the clone is as it was");
    Ok(())
}

#[tokio::test]
async fn a_clone_that_has_grown_too_large_is_made_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let origin = Repository::init(&folder.path().join("origin"))?;
    let limits = Limits {
        clone_mib: 4,
        ..Limits::default()
    };
    let url = origin.path().to_str().context("UTF-8")?.to_owned();
    let mirror = mirror(&url, folder.path(), limits)?;
    for seed in 1..=3 {
        // Each time a history of its own.
        origin.git(&["checkout", "-q", "--orphan", "next"])?;
        origin.write("large", &noise(MIB * 5 / 2, seed))?;
        let tip = origin.commit("one")?;
        origin.git(&["branch", "-qM", "main"])?;
        ensure!(mirror.fetch().await?.to_string() == tip);
        let (left, size) = temporary_files(&folder.path().join("settings.git"));
        ensure!(left.is_empty() && size < 4 * MIB as u64, "{left:?} {size}");
    }
    // More than one clone of the tip alone may have.
    for seed in 4..=5 {
        origin.write(format!("large{seed}"), &noise(MIB * 5 / 4, seed))?;
        origin.commit("more")?;
    }
    let error = mirror.fetch().await.unwrap_err();
    ensure!(matches!(error, GitError::Limit { .. }), "{error:?}");
    let (left, size) = temporary_files(&folder.path().join("settings.git"));
    ensure!(left.is_empty() && size < 4 * MIB as u64, "{left:?} {size}");
    Ok(())
}

#[tokio::test]
async fn a_fetch_that_hangs_or_was_killed_leaves_no_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (tip, honest) = pack_of_deltas(folder.path(), 1, 2)?;
    let server = Server::start({
        let tip = tip.clone();
        move |request: &str| {
            if request.starts_with("get") {
                return Reply::Whole(refs(&tip));
            }
            let mut half = pack(&honest);
            half.truncate(half.len() - 500);
            Reply::Begun(half)
        }
    });
    let server = server.await?;
    let git = Git::new("git", Duration::from_secs(5));
    let clone = folder.path().join("settings.git");
    let mirror = Mirror::new(git, Remote::new(&server.url(), "main")?, &clone);
    let error = mirror.fetch().await.unwrap_err();
    ensure!(matches!(error, GitError::TimedOut { .. }), "{error:?}");
    ensure!(
        server
            .requests()
            .iter()
            .any(|request| request.starts_with("post"))
    );
    ensure!(temporary_files(&clone).0.is_empty());

    // As after a kill of the worker.
    let packs = clone.join("objects/pack");
    std::fs::create_dir_all(&packs)?;
    std::fs::write(packs.join("tmp_pack_a1b2c3"), vec![0; MIB])?;
    std::fs::write(clone.join("HEAD.lock"), "")?;
    std::fs::write(folder.path().join("settings.git.credentials-a1b2c3"), "x")?;
    let git = Git::new("git", Duration::from_mins(1));
    let origin = folder.path().join("origin");
    let remote = Remote::new(origin.to_str().context("UTF-8")?, "main")?;
    let mirror = Mirror::new(git, remote, &clone);
    ensure!(mirror.fetch().await?.to_string() == tip);
    ensure!(temporary_files(&clone).0.is_empty());
    ensure!(!folder.path().join("settings.git.credentials-a1b2c3").exists());
    Ok(())
}

#[tokio::test]
async fn a_remote_that_sends_endless_messages_does_not_fill_the_memory() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("git");
    let text = "#!/bin/sh\nhead -c 50000000 /dev/zero | tr '\\0' x >&2\nexit 1\n";
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let git = Git::new(&script, Duration::from_mins(1));
    let mirror = Mirror::new(
        git,
        Remote::new("/srv/settings", "main")?,
        folder.path().join("clone"),
    );
    let error = mirror.remote_tip().await.unwrap_err();
    ensure!(matches!(error, GitError::Failed { .. }), "{error:?}");
    ensure!(error.to_string().chars().count() < 1100);
    Ok(())
}
