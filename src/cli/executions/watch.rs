use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::ExecutionState;
use lockstep_protocol::rest::{ElementView, ExecutionView};

use super::view;
use crate::cli::client::{self, Client};
use crate::cli::{Global, output};

/// How often an execution is read.
const EVERY: Duration = Duration::from_millis(500);
/// The most open elements that are read to find those that run.
const OPEN: usize = 200;
/// The most failed elements that are shown at the end.
const FAILED: usize = 20;
/// The most elements below the progress bar, and the rows of a terminal that are left to other lines.
const LINES: usize = 20;
const OTHER_ROWS: usize = 6;

/// Watch an execution until it ends
///
/// On a terminal it shows a progress bar, and the elements that run or failed; elsewhere a line for each change, with --json an object
/// for each change. Ctrl-C ends only the watching. The exit code is 0 if the execution ended as SUCCESSFUL, else 1.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep executions watch 1
  lockstep executions watch 1 --json | jq .done")]
pub(super) struct Watch {
    /// Number or id of the execution
    #[arg(value_name = "EXECUTION")]
    execution: String,
}

impl Watch {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let execution = client.execution(&self.execution).await?;
        watch(&client, execution, global.json).await
    }
}

/// Shows an execution until it ends, or until Ctrl-C, and what came of it.
///
/// # Errors
/// If the console rejects a request.
pub(super) async fn watch(client: &Client, execution: ExecutionView, json: bool) -> anyhow::Result<ExitCode> {
    let Some(execution) = until_end(client, execution, json).await? else {
        return Ok(ExitCode::FAILURE);
    };
    if !json {
        report(client, &execution).await;
    }
    Ok(if execution.state == ExecutionState::Successful {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Shows an execution until it ends, and returns it then; `None` at Ctrl-C. Goes on while the console is unavailable.
///
/// # Errors
/// If the console rejects a request.
pub(in crate::cli) async fn until_end(
    client: &Client,
    execution: ExecutionView,
    json: bool,
) -> anyhow::Result<Option<ExecutionView>> {
    until_end_on(client, execution, Screen::new(json)).await
}

/// As [`until_end`], on this screen.
///
/// # Errors
/// If the console rejects a request.
pub(in crate::cli) async fn until_end_on(
    client: &Client,
    mut execution: ExecutionView,
    mut screen: Screen,
) -> anyhow::Result<Option<ExecutionView>> {
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let number = execution.number.to_string();
    let mut is_away = false;
    loop {
        screen.show(client, &execution).await;
        if execution.state.is_final() {
            break;
        }
        tokio::select! {
            _ = &mut interrupted => {
                screen.note(&format!(
                    "execution {number} goes on; to end it, too: lockstep executions cancel {number}"
                ));
                return Ok(None);
            }
            () = tokio::time::sleep(EVERY) => {}
        }
        match client.execution(&number).await {
            Ok(now) => {
                execution = now;
                is_away = false;
            }
            Err(error) if client::is_passing(&error) => {
                if !is_away {
                    screen.note(&format!("warning: {error:#}; trying on"));
                }
                is_away = true;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(execution))
}

/// How a watched execution is shown.
pub(in crate::cli) enum Screen {
    /// Not at all.
    Nothing,
    /// An object for each change.
    Json(Option<Box<ExecutionView>>),
    /// A line for each change.
    Lines(Vec<String>),
    /// A progress bar with elements below it.
    Board(output::Board),
}

impl Screen {
    fn new(json: bool) -> Self {
        if json {
            return Self::Json(None);
        }
        output::Board::start().map_or(Self::Lines(Vec::new()), Self::Board)
    }

    async fn show(&mut self, client: &Client, execution: &ExecutionView) {
        match self {
            Self::Nothing => {}
            Self::Json(before) => {
                if before.as_deref() != Some(execution) {
                    output::json_line(execution);
                    *before = Some(Box::new(execution.clone()));
                }
            }
            Self::Lines(before) => {
                let lines = status(client, execution).await;
                // The report has the last status.
                if !execution.state.is_final() && *before != lines {
                    for line in &lines {
                        output::note(line);
                    }
                    *before = lines;
                }
            }
            Self::Board(board) => {
                let lines = status(client, execution).await;
                let size = output::size();
                let most = size.map_or(LINES, |size| size.rows.saturating_sub(OTHER_ROWS));
                let elements = elements(client, execution, most.min(LINES)).await;
                let width = size.map_or(80, |size| size.columns);
                let rows = view::rows(&elements, SystemClock.now());
                // A line that is wider than the terminal would stay there.
                let cells: Vec<Vec<String>> = lines.into_iter().map(|line| vec![line]).collect();
                let fitted = output::fitted(&[""], &cells, Some(width), &[]);
                let mut lines: Vec<String> = fitted.into_iter().skip(1).collect();
                if !rows.is_empty() {
                    lines.extend(output::fitted(&view::HEADER, &rows, Some(width), &[2]));
                }
                board.show(execution.ended(), execution.elements, &lines);
            }
        }
    }

    fn note(&self, text: &str) {
        match self {
            Self::Board(board) => board.note(text),
            Self::Nothing | Self::Json(_) | Self::Lines(_) => output::note(text),
        }
    }
}

/// The status, and the stop of all, if there is one. What cannot be read is left out: the next time is soon.
async fn status(client: &Client, execution: &ExecutionView) -> Vec<String> {
    let mut lines = vec![view::status(execution)];
    if !execution.state.is_final() {
        let stop = client.stopped().await.unwrap_or_default();
        lines.extend(view::stop(&stop));
    }
    lines
}

/// The elements to show below the progress bar.
async fn elements(client: &Client, execution: &ExecutionView, most: usize) -> Vec<ElementView> {
    let open = outcome(client, execution, "open", OPEN).await;
    let failed = if execution.failed > 0 {
        outcome(client, execution, "failed", most).await
    } else {
        Vec::new()
    };
    view::picked(failed, open, most)
}

/// Some elements of which this became. What cannot be read is left out.
async fn outcome(client: &Client, execution: &ExecutionView, outcome: &str, most: usize) -> Vec<ElementView> {
    let query = [
        ("outcome", outcome.to_owned()),
        ("limit", most.max(1).to_string()),
    ];
    let page = client.elements(&execution.number.to_string(), &query).await;
    page.map(|page| page.elements).unwrap_or_default()
}

/// How the execution ended, and what failed.
async fn report(client: &Client, execution: &ExecutionView) {
    output::line(&view::status(execution));
    if execution.failed > 0 {
        let failed = outcome(client, execution, "failed", FAILED).await;
        let width = output::size().map(|size| size.columns);
        let rows = view::rows(&failed, SystemClock.now());
        let lines = output::fitted(&view::HEADER, &rows, width, &[2]);
        output::lines(&lines, None);
        let more = execution.failed.saturating_sub(failed.len() as u64);
        if more > 0 {
            output::note(&format!("and {more} more"));
        }
    }
    if let Some(hint) = view::hint(execution) {
        output::note(&hint);
    }
}
