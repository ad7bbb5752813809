//! Measures the pages of the console, over HTTP, on PostgreSQL: the time until a whole page arrived, with eight requests at once.

mod fill;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::ensure;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::console::{SECRET, Separate, client};
use crate::messages;
use crate::scene::Host;
use crate::table::{Goal, Row, Table};

/// Requests at once.
const AT_ONCE: usize = 8;
/// Requests of each page.
const REQUESTS: usize = 100;
/// The longest that a page may take, in milliseconds.
const MOST_MS: f64 = 1000.0;

/// The pages. `HOST` is a device that is not synchronized, `QUIET` one with a long history.
const PAGES: &[&str] = &[
    "/",
    "/?period=2d",
    "/?period=365d",
    "/devices",
    "/devices?total=true",
    "/devices?synchronized=false&state=MANAGED",
    "/devices?device_type=CORE&synchronized=false&total=true",
    "/devices?group=group7",
    "/devices/HOST",
    "/devices/QUIET",
    "/repositories",
    "/executions",
    "/executions?state=RUNNING",
    "/executions?hostname=HOST",
    "/executions?task=sync",
    "/executions/1",
    "/executions/1?outcome=failed",
    "/executions/2",
    "/executions/1/devices",
    "/executions/1/devices/HOST",
    "/elements/1",
    "/tasks",
    "/tasks/1",
    "/cloudvision",
    "/dead-letters",
    "/dead-letters?code=unknown-device&state=all",
    "/dead-letters/1",
    "/audit",
    "/audit?principal=person7&kind=flag-cleared",
    "/audit?subject=access-00777",
    "/explain",
    "/explain/1?of=execution",
    "/explain/1?of=element",
    "/explain/7?of=message",
];

/// Measures each page on a store with this number of devices.
///
/// # Errors
/// The database rejects a statement, or a page is not answered.
pub(crate) async fn measure(host: &Host, devices: u32, table: &mut Table) -> anyhow::Result<()> {
    let scene = host.scene(devices).await?;
    fill::fill(&scene.schema).await?;
    let console = Separate::start(&scene.schema.url()).await?;
    let client = client()?;
    let mut all_failed = 0;
    for page in PAGES {
        // The ids of devices begin at one.
        let page = page
            .replace("HOST", &messages::hostname(9))
            .replace("QUIET", &messages::hostname(0));
        let url = format!("{}{page}", console.url);
        let failed = AtomicU32::new(0);
        let get = async || {
            let began = Instant::now();
            let answer = client.get(&url).bearer_auth(SECRET).send().await?;
            let status = answer.status();
            answer.bytes().await?;
            if !status.is_success() {
                failed.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(began.elapsed().as_secs_f64() * 1e3)
        };
        // Fills pools and caches.
        get().await?;
        let times = stream::iter(0..REQUESTS).map(|_| get()).buffer_unordered(AT_ONCE);
        let mut times: Vec<f64> = times.try_collect().await?;
        times.sort_by(f64::total_cmp);
        let of = |percent: usize| times[(times.len() - 1) * percent / 100];
        let failed = failed.load(Ordering::Relaxed);
        eprintln!(
            "{page}: p50 {:.1} ms, p99 {:.1} ms, {failed} failed",
            of(50),
            of(99)
        );
        all_failed += failed;
        table.rows.push(Row::new(
            format!("page {page}, {devices} devices, {AT_ONCE} at once, p99"),
            "ms",
            &[of(99)],
            ("p50", &[of(50)]),
            Goal::Below(MOST_MS),
        ));
    }
    ensure!(all_failed == 0, "{all_failed} pages were not answered");
    Ok(())
}
