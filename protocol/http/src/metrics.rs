use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use lockstep_telemetry::Scrape;

/// Adds `GET /metrics` without authentication, since metrics contain no names. Without a `scrape` the route is not added.
pub fn with_metrics<S>(router: Router<S>, scrape: Option<Scrape>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let Some(scrape) = scrape else { return router };
    let show = || async move {
        let text = scrape.text().await;
        ([(CONTENT_TYPE, Scrape::CONTENT_TYPE)], text)
    };
    router.route("/metrics", get(show))
}
