//! The control socket between worker and supervisor: the supervisor's standard input.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use super::{Begin, Report};

/// The only byte that follows: the processes are to end now.
pub(crate) const STOP: &[u8] = b"S";

/// The most bytes of [`Begin`]: less than what a socket buffers, so that sending it does not wait.
const MAX_BEGIN: usize = 128 * 1024;

/// What the program has as standard input, output and error output.
#[derive(Debug)]
pub(crate) struct Stdio(pub(crate) [OwnedFd; 3]);

/// Sends what the supervisor begins with.
pub(crate) fn send_begin(control: &UnixStream, begin: &Begin, stdio: &Stdio) -> io::Result<()> {
    let body = serde_json::to_vec(begin)?;
    if body.len() > MAX_BEGIN {
        return Err(io::Error::other("the command and the environment are too long"));
    }
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let descriptors = stdio.0.each_ref().map(AsFd::as_fd);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let length = length.to_be_bytes();
    sendmsg(
        control,
        &[IoSlice::new(&length)],
        &mut ancillary,
        SendFlags::empty(),
    )?;
    let mut control = control;
    control.write_all(&body)
}

/// Receives what the supervisor begins with.
pub(super) fn receive_begin(control: &UnixStream) -> io::Result<(Begin, Stdio)> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut length)];
    let received = recvmsg(control, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    let length = u32::from_be_bytes(length) as usize;
    let stdio = <[OwnedFd; 3]>::try_from(descriptors).map_err(|_| io::Error::other("no descriptors"))?;
    if received.bytes != 4 || length > MAX_BEGIN {
        return Err(io::Error::other("no length"));
    }
    let mut body = vec![0; length];
    let mut from = control;
    from.read_exact(&mut body)?;
    Ok((serde_json::from_slice(&body)?, Stdio(stdio)))
}

/// Sends a report. A worker that does not listen any more will see that the socket is closed.
pub(super) fn report(control: &UnixStream, report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let mut control = control;
        drop(control.write_all(&line));
    }
}
