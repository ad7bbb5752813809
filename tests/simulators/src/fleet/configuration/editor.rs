use thiserror::Error;

use super::grammar;
use super::section::Section;

/// A configuration command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command<'command> {
    /// With its indentation.
    pub(crate) line: &'command str,
    /// The lines that belong to it, such as those of a banner.
    pub(crate) input: &'command str,
    /// Whether the next command is indented more.
    pub(crate) opens: bool,
}

impl<'command> Command<'command> {
    /// Commands without lines that follow them.
    pub(crate) fn each(lines: &[&'command str]) -> impl Iterator<Item = Self> {
        lines.iter().enumerate().map(|(number, line)| Self {
            line,
            input: "",
            opens: lines
                .get(number + 1)
                .is_some_and(|next| indentation(next) > indentation(line)),
        })
    }
}

/// The number of blanks before a command.
pub(crate) fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Where the next command belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// To the configuration.
    Stayed,
    /// `end`, or `exit` at the top: no longer to the configuration.
    Left,
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The word at this position.
    #[error("Invalid input (at token {position}: '{word}')")]
    Invalid { position: usize, word: String },
    #[error("Command requires more lines (use 'input' to send them)")]
    Incomplete,
}

/// Executes configuration commands one after the other, as somebody who types them.
///
/// Indented commands belong to the line above that is indented less. Where no command is indented, as some clients send them, a command
/// ends the open sections if it is a known command of the device, and belongs to the innermost section otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Editor {
    indented: bool,
    path: Vec<String>,
    /// The indentation of each line of the path.
    indents: Vec<usize>,
}

impl Editor {
    pub(crate) fn new(indented: bool) -> Self {
        Self {
            indented,
            path: Vec::new(),
            indents: Vec::new(),
        }
    }

    /// Executes a command on the configuration.
    pub(crate) fn run(
        &mut self,
        configuration: &mut Section,
        command: Command<'_>,
    ) -> Result<Moved, Refused> {
        let line = command.line.split_whitespace().collect::<Vec<_>>().join(" ");
        let Some(first) = line.chars().next() else {
            return Ok(Moved::Stayed);
        };
        match line.as_str() {
            "end" => return Ok(Moved::Left),
            "exit" => {
                self.indents.pop();
                return Ok(self.path.pop().map_or(Moved::Left, |_| Moved::Stayed));
            }
            _ if first == '!' => return Ok(Moved::Stayed),
            _ if !first.is_alphanumeric() => {
                let word = line.split(' ').next().unwrap_or_default().to_owned();
                return Err(Refused::Invalid { position: 0, word });
            }
            _ => {}
        }
        let indent = indentation(command.line);
        // A client that sends lines after a command may do so without its indentation.
        let by_indentation = self.indented && (command.input.is_empty() || indent > 0);
        self.leave_sections(&line, by_indentation.then_some(indent));
        if let Some(rest) = line.strip_prefix("no ") {
            self.negate(configuration, rest, false);
        } else if let Some(rest) = line.strip_prefix("default ") {
            self.negate(configuration, rest, true);
        } else if let Some(ends) = grammar::multi_line(&line) {
            self.set_text(configuration, &line, command.input, ends)?;
        } else if command.opens || grammar::opens(self.within(), &line) {
            configuration.at(&self.path).open(&line);
            self.path.push(line);
            self.indents.push(indent);
        } else {
            self.set(configuration, &line);
        }
        Ok(Moved::Stayed)
    }

    /// Adds a line to the comment of the section with this indentation.
    pub(super) fn comment(&mut self, configuration: &mut Section, indent: usize, text: &str) {
        self.leave_sections("", Some(indent));
        configuration.at(&self.path).comment.push(text.to_owned());
    }

    fn within(&self) -> Option<&str> {
        self.path.last().map(String::as_str)
    }

    /// Leaves the sections to which the command does not belong, by its indentation or by what is known of it.
    fn leave_sections(&mut self, line: &str, indent: Option<usize>) {
        let keep = if let Some(indent) = indent {
            self.indents.iter().take_while(|outer| **outer < indent).count()
        } else {
            let command = line.strip_prefix("no ").or_else(|| line.strip_prefix("default "));
            let command = command.unwrap_or(line);
            let opening = |section: &String| grammar::opens(Some(section), command);
            match self.path.iter().rposition(opening) {
                Some(position) => position + 1,
                None if grammar::is_global(command) => 0,
                None => self.path.len(),
            }
        };
        self.path.truncate(keep);
        self.indents.truncate(keep);
    }

    fn set(&self, configuration: &mut Section, line: &str) {
        let within = self.within();
        let section = configuration.at(&self.path);
        section.remove(&format!("no {line}"));
        if grammar::is_default(within, line) {
            return;
        }
        if within.is_some_and(grammar::is_numbered) {
            section.set_numbered(line);
        } else {
            section.set(line, Vec::new());
        }
    }

    fn set_text(
        &self,
        configuration: &mut Section,
        line: &str,
        input: &str,
        ends: usize,
    ) -> Result<(), Refused> {
        if input.is_empty() {
            return Err(Refused::Incomplete);
        }
        let section = configuration.at(&self.path);
        let mut text = until_end(input, ends);
        if line == "comment" {
            text.pop();
            section.comment = text;
        } else {
            section.set(line, text);
        }
        Ok(())
    }

    /// Executes `no` or `default`.
    fn negate(&self, configuration: &mut Section, command: &str, default: bool) {
        let within = self.within();
        let section = configuration.at(&self.path);
        if command == "comment" {
            section.comment = Vec::new();
        } else if within.is_none() && grammar::is_port(command) {
            // The ports of a device cannot be removed.
            section.clear(command);
        } else {
            section.remove(command);
            let negative = format!("no {command}");
            if default {
                section.remove(&negative);
            } else if grammar::shows_negative(within, command) {
                section.set(&negative, Vec::new());
            }
        }
    }
}

/// The lines up to the last `EOF`, which is added where it is missing.
fn until_end(input: &str, ends: usize) -> Vec<String> {
    let mut text = Vec::new();
    let mut missing = ends;
    for line in input.lines() {
        text.push(line.to_owned());
        if line == "EOF" {
            missing -= 1;
            if missing == 0 {
                return text;
            }
        }
    }
    text.extend(std::iter::repeat_n("EOF".to_owned(), missing));
    text
}
