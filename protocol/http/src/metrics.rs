use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use lockstep_telemetry::Scrape;

use crate::routes;

/// Adds `GET /metrics` without authentication, since metrics contain no names. Without a `scrape` the route is not added. `server` is a label.
pub fn with_metrics<S>(server: &'static str, router: Router<S>, scrape: Option<Scrape>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let Some(scrape) = scrape else { return router };
    let show = || async move {
        let text = scrape.text().await;
        ([(CONTENT_TYPE, Scrape::CONTENT_TYPE)], text)
    };
    router.merge(routes(server, [("/metrics", get(show))]))
}
