use std::sync::Mutex;

use clap::Parser;

use super::super::{Cell, Page, PageRequest};
use super::*;

/// Numbers from 1 on, in pages.
#[derive(Default)]
struct Numbers {
    count: u64,
    asked: Mutex<Vec<PageRequest>>,
}

impl Listing for Numbers {
    type Row = u64;
    const NOUN: &'static str = "number";
    const COLUMNS: &'static [Column<u64>] = &[
        Column::new("number", |number| Cell::Number(*number)),
        Column::shrinking("last-digit", |number| Cell::Number(number % 10)),
        Column::wide("text", |number| Cell::text(format!("number, {number}"))),
    ];
    const ORDER: &'static str = "number";

    fn key(row: &u64) -> String {
        row.to_string()
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<u64>> {
        self.asked.lock().unwrap().push(request.clone());
        let first = request.after.map_or(1, |after| after.parse::<u64>().unwrap() + 1);
        let last = (first + request.limit as u64 - 1).min(self.count);
        Ok(Page {
            rows: (first..=last).collect(),
            next: (last < self.count).then(|| last.to_string()),
            total: request.total.then_some(self.count),
        })
    }
}

fn numbers(count: u64) -> Numbers {
    Numbers {
        count,
        ..Numbers::default()
    }
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    list: ListOptions,
    #[arg(long)]
    json: bool,
}

fn plan(line: &str, on_terminal: bool) -> Result<Plan<Numbers>, String> {
    let line = Line::try_parse_from(std::iter::once("list").chain(line.split_whitespace()));
    let Line { list, json } = line.map_err(|error| error.to_string())?;
    Plan::of(&list, json, on_terminal).map_err(|error| error.to_string())
}

async fn read(line: &str, count: u64) -> (Vec<u64>, Vec<PageRequest>, String) {
    let (plan, numbers) = (plan(line, true).unwrap(), numbers(count));
    let read = plan.read(&numbers).await.unwrap();
    let total = Plan::<Numbers>::total(&read);
    (read.rows, numbers.asked.into_inner().unwrap(), total)
}

#[tokio::test]
async fn the_server_is_asked_for_no_more_than_is_shown() {
    let (rows, asked, total) = read("", 20_004).await;
    assert_eq!(rows, (1..=100).collect::<Vec<_>>());
    let page = |after: Option<&str>, limit, total| PageRequest {
        after: after.map(str::to_owned),
        limit,
        total,
    };
    assert_eq!(asked, [page(None, 100, true)]);
    assert_eq!(total, "100 of 20,004 numbers; --limit 0 or -o jsonl shows all");

    let (rows, asked, total) = read("--limit 1500", 1_234_567).await;
    assert_eq!(rows.len(), 1500);
    assert_eq!(asked, [page(None, 1000, true), page(Some("1000"), 500, false)]);
    assert_eq!(
        total,
        "1500 of 1,234,567 numbers; --limit 0 or -o jsonl shows all"
    );

    let (rows, asked, total) = read("--limit 0", 2001).await;
    assert_eq!(
        (rows.len(), asked.len(), total.as_str()),
        (2001, 3, "2,001 numbers")
    );
    assert_eq!(read("--limit 5 -o json", 9).await.1, [page(None, 5, false)]);
    assert_eq!(read("", 1).await.2, "1 number");
    assert_eq!(read("", 0).await.2, "no number matches");
}

#[tokio::test]
async fn another_order_than_that_of_the_pages_reads_everything_first() {
    let (rows, asked, total) = read("--sort -number --limit 3", 1500).await;
    assert_eq!((rows, asked.len()), (vec![1500, 1499, 1498], 2));
    assert_eq!(total, "3 of 1,500 numbers; --limit 0 or -o jsonl shows all");
    let (rows, ..) = read("--sort last-digit --limit 3", 40).await;
    assert_eq!(rows, [10, 20, 30], "equal ones keep their order");
    let (rows, asked, _) = read("--sort NUMBER --limit 2", 1500).await;
    assert_eq!(
        (rows, asked[0].limit),
        (vec![1, 2], 2),
        "it is the order of the pages"
    );
}

/// A list that leads nowhere ends.
#[tokio::test]
async fn an_endless_list_is_an_error() {
    struct Endless;
    impl Listing for Endless {
        type Row = u64;
        const NOUN: &'static str = "number";
        const COLUMNS: &'static [Column<u64>] = Numbers::COLUMNS;
        const ORDER: &'static str = "number";

        fn key(row: &u64) -> String {
            row.to_string()
        }

        async fn page(&self, _request: PageRequest) -> anyhow::Result<Page<u64>> {
            Ok(Page {
                rows: vec![1],
                next: Some("1".to_owned()),
                total: None,
            })
        }
    }
    let error = listing::read(&Endless, None, false, drop).await.unwrap_err();
    assert!(error.to_string().contains("goes on after 2 numbers"), "{error}");
}

#[test]
fn a_table_fits_the_terminal_unless_it_is_wide() {
    let now = "2026-02-03T04:05:06Z".parse().unwrap();
    let lines = |line, width| plan(line, true).unwrap().fitted(&[12], now, width);
    assert_eq!(lines("", Some(80)), ["NUMBER  LAST-DIGIT", "12      2"]);
    assert_eq!(
        lines("-o wide", None),
        ["NUMBER  LAST-DIGIT  TEXT", "12      2           number, 12"]
    );
    assert_eq!(
        lines("--columns text,number", Some(16)),
        ["TEXT      NUMBER", "number,…  12"]
    );
    let csv = plan("-o csv", false).unwrap().csv(&[7], now);
    assert_eq!(csv, "number,last-digit,text\n7,7,\"number, 7\"\n");
}

#[test]
fn only_a_table_on_a_terminal_has_a_limit_of_its_own() {
    for (line, on_terminal, expected) in [
        ("", true, Some(100)),
        ("-o wide", true, Some(100)),
        ("", false, None),
        ("-o jsonl", true, None),
        ("--json", true, None),
        ("-o csv", true, None),
        ("--limit 7 --json", false, Some(7)),
        ("--limit 0", true, None),
    ] {
        assert_eq!(plan(line, on_terminal).unwrap().limit, expected, "{line}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused_with_what_to_do() {
    for (line, expected) in [
        (
            "--sort nope",
            "there is no column \"nope\"; the columns are number, last-digit, text",
        ),
        ("--columns number,nope", "there is no column \"nope\""),
        ("--json -o csv", "--json is `-o json`"),
        ("-o jsonl --columns number", "--columns is for tables and CSV"),
        ("--json --watch", "--watch with -o table, wide or jsonl"),
        ("-o xml", "table, wide, json, jsonl, csv"),
        ("--watch 0", "1..=86400"),
        ("--pager less --no-pager", "cannot be used with"),
    ] {
        let error = plan(line, true).err().unwrap_or_default();
        assert!(error.contains(expected), "{line}: {error}");
    }
    for line in [
        "--json -o jsonl",
        "--json -o json",
        "--watch",
        "--watch 5 -o jsonl",
        "-o wide",
    ] {
        assert!(plan(line, true).is_ok(), "{line}");
    }
    assert!(plan("--json", true).unwrap().is_json());
}

#[test]
fn the_pager_is_that_of_the_user_or_none() {
    let pager = |line| plan(line, true).unwrap().pager;
    assert_eq!(pager("--pager more"), Some("more".to_owned()));
    assert_eq!(pager("--pager cat"), None);
    assert_eq!(pager("--pager="), None);
    assert_eq!(pager("--no-pager"), None);
}
