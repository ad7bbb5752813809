//! Differences of configurations: lines in colour, with the words marked that changed.

use std::io::IsTerminal;

use similar::{ChangeTag, TextDiff};

use super::{pager, size, stdout, visible, write};

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const BOLD: &str = "\x1b[1m";
/// What is marked within a line.
const REVERSE: &str = "\x1b[7m";
const NOT_REVERSE: &str = "\x1b[27m";
const PLAIN: &str = "\x1b[0m";

/// Prints a difference in unified form, in colour on a terminal that wants colours (`NO_COLOR`, `TERM`), and in a pager if it is longer
/// than the terminal and a pager is given.
pub(crate) fn difference(text: &str, pager: Option<&str>) {
    let lines = if has_colours() {
        coloured(text)
    } else {
        plain(text)
    };
    let mut whole = String::with_capacity(text.len());
    for line in &lines {
        whole.push_str(line);
        whole.push('\n');
    }
    let is_longer = size().is_some_and(|size| lines.len() >= size.rows);
    match pager.filter(|_| is_longer) {
        Some(pager) if pager::show(&whole, pager) => {}
        _ => write(stdout(), &whole),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what the terminal wants is no setting of Lockstep"
)]
fn has_colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stdout().is_terminal() && !unwanted && !dumb
}

/// The lines as a terminal may show them.
fn plain(text: &str) -> Vec<String> {
    text.lines().map(shown).collect()
}

fn shown(line: &str) -> String {
    let parts = line.split('\t').map(|part| visible::field(part, visible::LINE));
    visible::inert(&parts.collect::<Vec<_>>().join("\t")).into_owned()
}

/// The lines with colours. Runs of removed lines that are followed by as many added ones are compared word by word.
fn coloured(text: &str) -> Vec<String> {
    let lines = plain(text);
    let mut coloured = Vec::with_capacity(lines.len());
    let mut at = 0;
    while at < lines.len() {
        let removed = run(&lines[at..], is_removed);
        let added = run(&lines[at + removed..], is_added);
        if removed > 0 && removed == added {
            let (old, new) = (
                &lines[at..at + removed],
                &lines[at + removed..at + removed + added],
            );
            let pairs: Vec<(String, String)> =
                old.iter().zip(new).map(|(old, new)| marked(old, new)).collect();
            coloured.extend(pairs.iter().map(|(old, _)| old.clone()));
            coloured.extend(pairs.into_iter().map(|(_, new)| new));
            at += removed + added;
        } else {
            coloured.push(whole(&lines[at]));
            at += 1;
        }
    }
    coloured
}

fn run(lines: &[String], belongs: impl Fn(&str) -> bool) -> usize {
    lines.iter().take_while(|line| belongs(line)).count()
}

fn is_removed(line: &str) -> bool {
    line.starts_with('-') && !line.starts_with("--- ")
}

fn is_added(line: &str) -> bool {
    line.starts_with('+') && !line.starts_with("+++ ")
}

fn whole(line: &str) -> String {
    let colour = match line {
        _ if is_removed(line) => RED,
        _ if is_added(line) => GREEN,
        _ if line.starts_with("@@") => CYAN,
        _ if line.starts_with("--- ") || line.starts_with("+++ ") => BOLD,
        _ => return line.to_owned(),
    };
    format!("{colour}{line}{PLAIN}")
}

/// A removed and an added line, with the words marked by which they differ. Lines that have nothing in common are not marked.
fn marked(old: &str, new: &str) -> (String, String) {
    let (before, after) = (&old[1..], &new[1..]);
    let words = TextDiff::from_words(before, after);
    let is_alike = words
        .iter_all_changes()
        .any(|change| change.tag() == ChangeTag::Equal && !change.value().trim().is_empty());
    if !is_alike {
        return (whole(old), whole(new));
    }
    let side = |sign: char, colour: &str, tag: ChangeTag| {
        let mut line = format!("{colour}{sign}");
        for change in words.iter_all_changes() {
            if change.tag() == tag {
                line.push_str(REVERSE);
                line.push_str(change.value());
                line.push_str(NOT_REVERSE);
            } else if change.tag() == ChangeTag::Equal {
                line.push_str(change.value());
            }
        }
        line.push_str(PLAIN);
        line
    };
    (
        side('-', RED, ChangeTag::Delete),
        side('+', GREEN, ChangeTag::Insert),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_changed_are_marked_and_whole_lines_are_not() {
        let text = "--- system:/running-config\n+++ session:/s\n@@ -1 +1 @@\n-   description server 1\n+   description printer 1\n+   shutdown\n    mtu 1500";
        let lines = coloured(text);
        assert_eq!(lines[0], "\x1b[1m--- system:/running-config\x1b[0m");
        assert_eq!(lines[2], "\x1b[36m@@ -1 +1 @@\x1b[0m");
        // Two added lines follow one removed line: they are no pair.
        assert_eq!(lines[3], "\x1b[31m-   description server 1\x1b[0m");
        assert_eq!(lines[6], "    mtu 1500");
        let pair = coloured("-   description server 1\n+   description printer 1");
        assert_eq!(
            pair,
            [
                "\x1b[31m-   description \x1b[7mserver\x1b[27m 1\x1b[0m",
                "\x1b[32m+   description \x1b[7mprinter\x1b[27m 1\x1b[0m",
            ]
        );
        assert_eq!(
            coloured("-ntp server 192.0.2.1\n+hostname sw1")[0],
            "\x1b[31m-ntp server 192.0.2.1\x1b[0m"
        );
    }

    #[test]
    fn what_a_device_says_cannot_control_the_terminal() {
        for lines in [
            plain("+a\x1b[2Jb\n::error::x"),
            coloured("+a\x1b[2Jb\n::error::x"),
        ] {
            let text = lines.join("\n");
            assert!(
                !text.contains("\x1b[2J") && text.contains("\\u{1b}[2J"),
                "{text:?}"
            );
            assert!(!text.contains("\n::"), "{text:?}");
        }
    }
}
