use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Request, Response, StatusCode, Version};
use axum::response::IntoResponse;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::service::TowerToHyperService;

use super::TrustedProxies;
use super::activity::{Activity, Turn};
use crate::ProblemResponse;

/// The extension of a response that goes on for as long as its client listens, such as a stream of events. It is the last one of its
/// connection, has no timeout while its client takes what there is, and must end when the server stops.
#[derive(Clone, Copy, Debug)]
pub struct GoesOn;

/// The service of one connection: refuses requests that may be read in two ways, and passes the others to the router, with the
/// [`Peer`](super::Peer) as an extension.
#[derive(Debug)]
pub(super) struct ConnectionService {
    pub(super) server: &'static str,
    pub(super) router: TowerToHyperService<Router>,
    pub(super) address: IpAddr,
    pub(super) proxies: TrustedProxies,
    pub(super) activity: Arc<Activity>,
    /// Set when a request had two lengths.
    pub(super) ambiguous: Arc<AtomicBool>,
}

impl hyper::service::Service<Request<Incoming>> for ConnectionService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let activity = self.activity.clone();
        let pipelined = activity.arrived(request.body().is_end_stream());
        // A request with a transfer coding is the last one, since the length of its body is not followed.
        let coded = request.headers().contains_key(TRANSFER_ENCODING);
        if let Some(why) = unclear(&request, coded && self.ambiguous.load(Ordering::Relaxed)) {
            lockstep_telemetry::http::connection_closed(self.server, "unclear-request");
            let problem = ProblemResponse::bad_request(
                "unclear-request",
                "proxies and servers may read this request in different ways",
                why,
            );
            let response = problem.with_header(CONNECTION, "close").into_response();
            activity.answered();
            return Box::pin(std::future::ready(Ok(response)));
        }
        let peer = self.proxies.client(self.address, request.headers());
        request.extensions_mut().insert(peer);
        let watched = activity.clone();
        let request = request.map(|body| {
            Body::new(WatchedBody {
                body,
                activity: watched,
            })
        });
        let router = self.router.clone();
        Box::pin(async move {
            if pipelined {
                // A connection with many requests at hand takes turns with the others after each.
                tokio::task::yield_now().await;
            }
            let mut response = hyper::service::Service::call(&router, request).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                activity.begin(Turn::Upgraded);
                return Ok(response);
            }
            let goes_on = response.extensions().get::<GoesOn>().is_some();
            if goes_on {
                activity.streams();
            }
            if coded || goes_on {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            activity.answered();
            Ok(response)
        })
    }
}

/// Why a request is refused without being looked at.
fn unclear<B>(request: &Request<B>, two_lengths: bool) -> Option<&'static str> {
    if two_lengths {
        return Some("there is a Content-Length beside a Transfer-Encoding; send one of them");
    }
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let known = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_some_and(|coding| !known(coding)) || codings.next().is_some() {
        return Some("the only Transfer-Encoding that is understood is chunked");
    }
    match request.headers().get_all(HOST).iter().count() {
        1 => None,
        // Before HTTP/1.1 there was no Host; simple health checks use HTTP/1.0.
        0 if request.version() < Version::HTTP_11 => None,
        0 => Some("there is no Host; send one"),
        _ => Some("there is more than one Host; send one"),
    }
}

/// The body of a request; when it ends, it is the server's turn.
#[derive(Debug)]
struct WatchedBody {
    body: Incoming,
    activity: Arc<Activity>,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.activity.progressed(frame.data_ref().map_or(0, Bytes::len));
        }
        if frame.is_ready() && self.body.is_end_stream() {
            self.activity.pass(Turn::Body, Turn::Working);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_host_one_length_and_no_unknown_coding() {
        type Row = (
            Version,
            &'static [&'static str],
            &'static [&'static str],
            bool,
            bool,
        );
        let one = &["x"][..];
        let table: [Row; 13] = [
            (Version::HTTP_11, one, &[], false, true),
            (Version::HTTP_11, &[], &[], false, false),
            (Version::HTTP_11, &["x", "y"], &[], false, false),
            (Version::HTTP_11, &["x", "x"], &[], false, false),
            (Version::HTTP_10, &[], &[], false, true),
            (Version::HTTP_10, &["x", "y"], &[], false, false),
            (Version::HTTP_11, one, &["chunked"], false, true),
            (Version::HTTP_11, one, &["Chunked"], false, true),
            (Version::HTTP_11, one, &["chunked"], true, false),
            (Version::HTTP_11, one, &["gzip, chunked"], false, false),
            (Version::HTTP_11, one, &["gzip", "chunked"], false, false),
            (Version::HTTP_11, one, &["chunked", "chunked"], false, false),
            (Version::HTTP_11, one, &["identity"], false, false),
        ];
        for (version, hosts, codings, two_lengths, accepted) in table {
            let mut request = Request::get("/").version(version);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            for coding in codings {
                request = request.header(TRANSFER_ENCODING, *coding);
            }
            let refused = unclear(&request.body(()).unwrap(), two_lengths);
            let what = format!("{version:?} {hosts:?} {codings:?} {two_lengths}");
            assert_eq!(refused.is_none(), accepted, "{what}");
        }
    }
}
