//! What pages contain, their headers, and who may see them.

use axum::body::Body;
use axum::http::Request;
use lockstep_http::{ReadScope, Token};
use lockstep_protocol::TypePattern;

use super::super::{request, scene};
use super::{HOSTILE, PAGES, everything};
use crate::fakes::device;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

#[tokio::test]
async fn what_an_attacker_writes_stays_text_on_every_page() {
    let scene = everything(HOSTILE);
    for path in PAGES {
        let page = scene.get(path).await;
        assert_eq!(page.status, 200, "{path} {}", page.text);
        let html = page.text;
        for begun in ["<img", "<script>", "</script><script", "onerror=alert(1)>"] {
            assert!(!html.contains(begun), "{path} {begun}: {html}");
        }
        // Templates in values are not run.
        assert!(!html.contains("49&amp;"), "{path}");
        for element in ["textarea", "pre", "section", "table", "form", "ul", "dl"] {
            let begun =
                html.matches(&format!("<{element}>")).count() + html.matches(&format!("<{element} ")).count();
            let ended = html.matches(&format!("</{element}>")).count();
            assert_eq!(begun, ended, "{path} {element}");
        }
    }
}

#[tokio::test]
async fn every_page_has_its_landmarks_and_forbids_what_it_does_not_use() {
    let scene = everything("text");
    for path in PAGES {
        let page = scene.get(path).await;
        assert_eq!(page.status, 200, "{path} {}", page.text);
        assert_eq!(page.headers["content-security-policy"], POLICY, "{path}");
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
        assert_eq!(page.headers["referrer-policy"], "same-origin");
        assert_eq!(page.headers["cache-control"], "no-store");
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        for part in [
            "<main id=\"main\"",
            "<nav aria-label=\"Console\"",
            "class=\"skip\"",
            "<html lang=\"en\">",
        ] {
            assert!(page.text.contains(part), "{path} {part}");
        }
        assert_eq!(page.text.matches("<h1>").count(), 1, "{path}");
        for forbidden in [" style=", " onclick=", "http://", "https://", "{{", "{%"] {
            assert!(
                !page.text.contains(forbidden),
                "{path} {forbidden}: {}",
                page.text
            );
        }
    }
}

#[tokio::test]
async fn each_page_shows_what_it_is_for() {
    let scene = everything("text");
    for (path, parts) in [
        (
            "/",
            vec![
                "2</a><br>",
                "over an hour",
                "All executions are stopped",
                "tip is not valid",
                "1 of 2 MANAGED devices were not synchronized",
                "class=\"line\"",
            ],
        ),
        (
            "/devices",
            vec!["Select sw1", "not synchronized", "Plan a sync of all devices"],
        ),
        (
            "/devices/sw1",
            vec![
                "Why it is not synchronized",
                "the last of 3 commits",
                "and 2 more paths",
                "<q>text</q>",
                "class=\"remove\">-text",
            ],
        ),
        (
            "/devices/sw2",
            vec!["Why it is synchronized", "Mark as not synchronized"],
        ),
        (
            "/repositories",
            vec![
                "global/base.yml:3:1: text",
                "1 warnings",
                "It cannot be fetched since",
            ],
        ),
        (
            "/executions/1",
            vec!["Apply this plan", "Relaunch what was not done", "Differences"],
        ),
        (
            "/executions/2",
            vec![
                "data-events=\"/executions/2/events\"",
                ">Cancel<",
                "canary-failed",
            ],
        ),
        (
            "/executions/1/devices/sw1",
            vec!["class=\"add\">+text", "Secrets are masked"],
        ),
        ("/tasks/5", vec!["name=\"argument.vlan\"", "dry-run\" checked"]),
        (
            "/explain/7?of=message",
            vec![
                "Trace <code>4bf92f3577b34da6a3ce929d0e0e4736",
                "Rule: ",
                "<q>text</q>",
                "href=\"/devices/sw1\"",
                "of=message&amp;source=urn%3Atest&amp;by=text",
            ],
        ),
        (
            "/explain/1",
            vec![
                "Explain execution 1",
                "href=\"/elements/11\"",
                "is not kept any more",
            ],
        ),
        (
            "/audit",
            vec![
                "aria-current=\"page\">Audit",
                "/explain/9?of=message&amp;source=urn%3Atest&amp;by=text",
                "/v1/audit?limit=1000",
            ],
        ),
        ("/cloudvision", vec!["Execution 3", "What was done and why"]),
        (
            "/dead-letters",
            vec!["2 by kind", ">Requeue<", "There are more kinds"],
        ),
    ] {
        let page = slashes(&scene.get(path).await.text);
        for part in parts {
            assert!(page.contains(part), "{path} {part}: {page}");
        }
    }
    assert!(!scene.get("/devices/sw1").await.text.contains("s3cret"));
}

/// Slashes are escaped, too.
fn slashes(html: &str) -> String {
    html.replace("&#x2f;", "/")
}

#[tokio::test]
async fn lists_lead_to_their_next_page_and_keep_the_filter() {
    let scene = scene();
    *scene.store.devices.lock().unwrap() = vec![
        device(1, "sw1", false),
        device(2, "sw2", false),
        device(3, "sw3", false),
    ];
    *scene.store.ages.lock().unwrap() = everything("x").store.ages.lock().unwrap().clone();
    let first = slashes(&scene.get("/devices?limit=2&synchronized=false&state=").await.text);
    assert!(first.contains("sw2") && !first.contains(">sw3<"), "{first}");
    let next = "/devices?limit=2&amp;synchronized=false&amp;after=sw2";
    assert!(first.contains(next), "{first}");
    let second = slashes(&scene.get(&next.replace("&amp;", "&")).await.text);
    assert!(second.contains(">sw3<") && !second.contains(">sw2<"), "{second}");
    assert!(second.contains("End of the list") && second.contains("First page"));
}

#[tokio::test]
async fn an_id_is_searched_and_one_that_names_nothing_leaves_the_search() {
    let scene = everything("text");
    let search = scene.get("/explain").await;
    assert!(search.text.contains("role=\"search\""), "{}", search.text);
    let found = scene.get("/explain?id=+a%2Fb+").await;
    assert_eq!(found.status, 303);
    assert_eq!(found.headers["location"], "/explain/a%2Fb");
    let unknown = scene.get("/explain/a%2Fb").await;
    assert_eq!(unknown.status, 404);
    let text = slashes(&unknown.text);
    assert!(
        text.contains("value=\"a/b\"") && text.contains("nothing has this id"),
        "{text}"
    );
    assert_eq!(scene.get("/explain/7?of=task").await.status, 400);
    let viewer =
        Token::new("viewer", &"some".into(), vec![TypePattern::ALL]).with_reads([ReadScope::Executions]);
    let scene = everything("text").with_tokens([viewer]);
    let part = scene.get_as("some", "/explain/1").await;
    assert_eq!(part.status, 200);
    assert!(
        part.text.contains("device-output") && !part.text.contains("Rule: "),
        "{}",
        part.text
    );
}

#[tokio::test]
async fn the_audit_is_filtered_paged_and_exported() {
    let scene = everything("text");
    let first = slashes(&scene.get("/audit?principal=text&subject=text&limit=1").await.text);
    let next = "/audit?principal=text&amp;subject=text&amp;limit=1&amp;before=2";
    assert!(first.contains(next), "{first}");
    let export = "/v1/audit?principal=text&amp;subject=text&amp;limit=1000";
    assert!(first.contains(export), "{first}");
    let exported = scene.get(&export.replace("&amp;", "&")).await;
    assert_eq!(exported.body["entries"].as_array().map(Vec::len), Some(2));
    let second = scene.get(&next.replace("&amp;", "&")).await.text;
    assert!(
        second.contains("End of the list") && second.contains("Newest"),
        "{second}"
    );
    let none = scene.get("/audit?subject=other").await.text;
    assert!(none.contains("No entry matches"), "{none}");
    assert_eq!(scene.get("/audit?since=yesterday").await.status, 400);
}

#[tokio::test]
async fn whoever_may_not_read_a_part_is_told_and_sees_the_rest() {
    let reads = |scopes: &'static [ReadScope]| {
        Token::new("viewer", &"some".into(), vec![TypePattern::ALL]).with_reads(scopes.iter().copied())
    };
    let scene = everything("text").with_tokens([reads(&[ReadScope::Devices])]);
    for (path, status) in [
        ("/", 200),
        ("/devices", 200),
        ("/devices/sw1", 200),
        ("/repositories", 403),
        ("/executions", 403),
        ("/executions/1/devices", 403),
        ("/executions/1/events", 403),
        ("/elements/11", 403),
        ("/tasks", 403),
        ("/cloudvision", 403),
        ("/dead-letters", 403),
        ("/dead-letters/1", 403),
        ("/audit", 403),
    ] {
        let page = scene.get_as("some", path).await;
        assert_eq!(page.status, status, "{path} {}", page.text);
        // The list of devices has all of its parts; a task cannot be chosen there.
        let is_told = page.text.contains("may not read this");
        assert_eq!(is_told, path != "/devices", "{path} {}", page.text);
        assert_eq!(page.headers["content-security-policy"], POLICY);
    }
    let device = scene.get_as("some", "/devices/sw1").await.text;
    assert!(
        !device.contains("class=\"difference\"") && device.contains("device-output"),
        "{device}"
    );
    assert!(!device.contains(">Audit<"), "{device}");
    let none = everything("text").with_tokens([reads(&[])]);
    let glance = none.get_as("some", "/").await;
    assert_eq!(glance.status, 200);
    assert!(!glance.text.contains("sw1"), "{}", glance.text);
}

#[tokio::test]
async fn problems_are_pages_with_their_status() {
    let scene = everything("text");
    let get = |path: &str| request("GET", path, "all").body(Body::empty()).unwrap();
    for (request, status) in [
        (
            request("GET", "/devices", "wrong").body(Body::empty()).unwrap(),
            401,
        ),
        (get("/devices/sw9"), 404),
        (get("/?period=1h"), 400),
        (get("/devices?stat=x"), 400),
        (get("/devices?sent=x"), 400),
        (get("/executions/99"), 404),
        (get("/executions/99/events"), 404),
        (get("/tasks/99"), 404),
        (get("/dead-letters/99"), 404),
        (
            request("POST", "/executions", "all").body(Body::empty()).unwrap(),
            405,
        ),
        (
            request("DELETE", "/devices", "all").body(Body::empty()).unwrap(),
            405,
        ),
        (
            request("POST", "/devices", "all").body(Body::empty()).unwrap(),
            415,
        ),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        let page = scene.send(request).await;
        assert_eq!(page.status, status, "{what}");
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8", "{what}");
        assert!(page.text.contains("<h1>"), "{what}");
    }
    let wrong = request("DELETE", "/devices", "all").body(Body::empty()).unwrap();
    assert_eq!(scene.send(wrong).await.headers["allow"], "GET, HEAD, POST");
    scene
        .store
        .unavailable
        .store(true, std::sync::atomic::Ordering::SeqCst);
    for path in ["/", "/devices", "/devices/sw1", "/executions", "/dead-letters"] {
        let page = scene.get(path).await;
        assert_eq!(page.status, 503, "{path}");
        assert!(
            page.headers.contains_key("retry-after") && !page.text.contains("secret"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn assets_need_no_token_and_are_sent_once() {
    let scene = scene();
    for (path, media_type) in [
        ("/assets/console.css", "text/css; charset=utf-8"),
        ("/assets/console.js", "text/javascript; charset=utf-8"),
    ] {
        let get = |tag: Option<&str>| {
            let request = Request::builder().uri(path);
            let request = tag
                .into_iter()
                .fold(request, |request, tag| request.header("if-none-match", tag));
            request.body(Body::empty()).unwrap()
        };
        let first = scene.send(get(None)).await;
        assert_eq!(
            (first.status.as_u16(), &first.headers["content-type"]),
            (200, &media_type.parse().unwrap())
        );
        assert_eq!(first.headers["cache-control"], "no-cache");
        let tag = first.headers["etag"].to_str().unwrap();
        let again = scene.send(get(Some(tag))).await;
        assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
        assert_eq!(scene.send(get(Some("\"other\""))).await.status, 200);
    }
}

#[tokio::test]
async fn many_viewers_count_the_devices_once() {
    let scene = everything("text");
    for _ in 0..5 {
        assert_eq!(scene.get("/").await.status, 200);
        assert_eq!(scene.get("/devices").await.status, 200);
    }
    let calls = scene.store.calls.lock().unwrap();
    for read in ["device_counts", "dead_letter_totals", "fleet_samples"] {
        assert_eq!(calls.iter().filter(|call| **call == read).count(), 1, "{read}");
    }
}
