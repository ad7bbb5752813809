use axum::Router;
use axum::routing::MethodRouter;

/// The routes of a server, by their templates. Their series in the metrics exist from now on; `server` is a label.
pub fn routes<S, const N: usize>(
    server: &'static str,
    routes: [(&'static str, MethodRouter<S>); N],
) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    routes
        .into_iter()
        .fold(Router::new(), |router, (template, methods)| {
            lockstep_telemetry::http::begin_route(server, template);
            router.route(template, methods)
        })
}
