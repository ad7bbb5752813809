//! Finds requests whose body has two lengths: by `Content-Length` and by `Transfer-Encoding`. A proxy may read one and this server
//! the other, and so see a request where the other sees a body. Hyper removes the `Content-Length` before the request is seen,
//! so the heads are read here, from the bytes of the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The most headers of a request, as in hyper.
const MAX_HEADERS: usize = 100;

/// Follows the requests of a connection. It follows none after one with a transfer coding, which must be the last.
#[derive(Debug)]
pub(super) struct Framing {
    place: Place,
    max_head: usize,
    ambiguous: Arc<AtomicBool>,
}

/// What the next byte belongs to.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A head, of which this much has arrived.
    Head(Vec<u8>),
    /// A body, of which this many bytes are missing.
    Body(u64),
    /// Not followed: after a transfer coding, and after what hyper refuses as well.
    Unfollowed,
}

impl Framing {
    /// Sets `ambiguous` when a request has two lengths. Heads of more than `max_head` bytes are refused by hyper.
    pub(super) fn new(max_head: usize, ambiguous: Arc<AtomicBool>) -> Self {
        Self {
            place: Place::Head(Vec::new()),
            max_head,
            ambiguous,
        }
    }

    /// The next bytes of the connection.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Unfollowed => return,
                Place::Body(missing) => {
                    let part = bytes.len().min(usize::try_from(*missing).unwrap_or(usize::MAX));
                    *missing -= part as u64;
                    bytes = &bytes[part..];
                    if *missing == 0 {
                        self.place = Place::Head(Vec::new());
                    }
                }
                Place::Head(head) if head.is_empty() => {
                    // Empty lines before a request do not belong to it.
                    bytes = bytes.trim_ascii_start();
                    match end_of_head(bytes, 0) {
                        Some(end) => {
                            let (whole, after) = bytes.split_at(end);
                            self.place = self.after(whole);
                            bytes = after;
                        }
                        None if bytes.len() > self.max_head => self.place = Place::Unfollowed,
                        None => {
                            head.extend_from_slice(bytes);
                            return;
                        }
                    }
                }
                Place::Head(head) => {
                    let before = head.len();
                    head.extend_from_slice(bytes);
                    let Some(end) = end_of_head(head, before) else {
                        if head.len() > self.max_head {
                            self.place = Place::Unfollowed;
                        }
                        return;
                    };
                    bytes = &bytes[end - before..];
                    let whole = std::mem::take(head);
                    self.place = self.after(&whole[..end]);
                }
            }
        }
    }

    /// What follows this head.
    fn after(&self, head: &[u8]) -> Place {
        match BodyLength::of(head) {
            BodyLength::Bytes(0) => Place::Head(Vec::new()),
            BodyLength::Bytes(length) => Place::Body(length),
            BodyLength::Ambiguous => {
                self.ambiguous.store(true, Ordering::Relaxed);
                Place::Unfollowed
            }
            BodyLength::Coded | BodyLength::Invalid => Place::Unfollowed,
        }
    }
}

/// The length behind the empty line that ends a head. The first `searched` bytes are known to have none.
fn end_of_head(head: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(2);
    let ends = |at: usize| match head[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    };
    (from..head.len()).find_map(ends)
}

/// The length of a body, as the head states it.
enum BodyLength {
    Bytes(u64),
    /// By a transfer coding.
    Coded,
    /// By a transfer coding and in bytes.
    Ambiguous,
    /// The length is not a number, or the head is not one.
    Invalid,
}

impl BodyLength {
    fn of(head: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        if !request.parse(head).is_ok_and(|parsed| parsed.is_complete()) {
            return Self::Invalid;
        }
        let value = |name: &str| {
            let mut headers = request.headers.iter();
            let found = headers.find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| header.value)
        };
        match (value("transfer-encoding"), value("content-length")) {
            (Some(_), Some(_)) => Self::Ambiguous,
            (Some(_), None) => Self::Coded,
            (None, None) => Self::Bytes(0),
            (None, Some(length)) => {
                let length = std::str::from_utf8(length).ok();
                let length = length.and_then(|length| length.parse().ok());
                length.map_or(Self::Invalid, Self::Bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const SIZED: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\n\n\n\n";
    const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    const BOTH: &str = "POST / HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n";
    const OTHER_WAY: &str = "POST / HTTP/1.1\ntransfer-encoding: chunked\nCONTENT-LENGTH: 4\n\n";

    fn is_ambiguous(parts: &[&str], size: usize) -> bool {
        let ambiguous = Arc::new(AtomicBool::new(false));
        let mut framing = Framing::new(1024, ambiguous.clone());
        for part in parts.concat().as_bytes().chunks(size) {
            framing.read(part);
        }
        ambiguous.load(Ordering::Relaxed)
    }

    #[test]
    fn two_lengths_are_found_wherever_the_request_is() {
        let table: [(&[&str], bool); 8] = [
            (&[PLAIN, SIZED, PLAIN], false),
            (&[CHUNKED], false),
            (&[BOTH], true),
            (&[OTHER_WAY], true),
            (&["\r\n\r\n", BOTH], true),
            (&[SIZED, PLAIN, SIZED, "\r\n", BOTH], true),
            // The body contains what looks like a request.
            (
                &[
                    "POST / HTTP/1.1\r\ncontent-length: 76\r\n\r\n",
                    BOTH,
                    "0123456789",
                ],
                false,
            ),
            (&["POST / HTTP/1.1\r\ncontent-length: no\r\n\r\n", BOTH], false),
        ];
        for (parts, expected) in table {
            for size in [1, 2, 3, 7, 4096] {
                assert_eq!(is_ambiguous(parts, size), expected, "{parts:?} by {size}");
            }
        }
    }

    #[test]
    fn an_endless_head_is_not_kept() {
        let mut framing = Framing::new(1024, Arc::default());
        for _ in 0..100 {
            framing.read(&[b'x'; 100]);
        }
        assert_eq!(framing.place, Place::Unfollowed);
    }
}
