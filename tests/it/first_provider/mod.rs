//! Runs the pages about first providers as they are written, block by block.

mod python;
mod rust;

use anyhow::{Context, Result};

/// The first block of a language on a page.
fn block<'a>(page: &'a str, language: &str) -> Result<&'a str> {
    let (_, rest) = page
        .split_once(&format!("```{language}\n"))
        .with_context(|| format!("no block of {language}"))?;
    Ok(rest.split_once("```").context("a block without its end")?.0)
}

/// The line about a check of this key with this result.
fn has_check(printed: &str, key: &str, result: &str) -> bool {
    let words = |line: &str| {
        line.split_whitespace().any(|word| word == key) && line.split_whitespace().any(|word| word == result)
    };
    printed.lines().any(words)
}
