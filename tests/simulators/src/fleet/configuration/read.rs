use super::editor::{Command, Editor, Moved, indentation};
use super::grammar;
use super::section::Section;

/// Reads the text of a configuration, as a device prints it or a template renders it. What a device would refuse is left out.
pub(crate) fn read(text: &str) -> Section {
    let mut configuration = Section::default();
    let mut editor = Editor::new(true);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let mut input = String::new();
        let mut ends = grammar::multi_line(line.trim()).unwrap_or(0);
        while ends > 0 {
            let Some(line) = lines.next() else { break };
            ends -= usize::from(line.trim() == "EOF");
            input.push_str(if line.trim() == "EOF" { "EOF" } else { line });
            input.push('\n');
        }
        if let Some(comment) = line.trim_start().strip_prefix("!!") {
            editor.comment(&mut configuration, indentation(line), comment.trim());
            continue;
        }
        let opens = following(&lines).is_some_and(|next| indentation(next) > indentation(line));
        let command = Command {
            line,
            input: &input,
            opens,
        };
        if editor.run(&mut configuration, command) == Ok(Moved::Left) {
            break;
        }
    }
    configuration
}

/// The next line that is a command.
fn following<'text>(lines: &std::iter::Peekable<std::str::Lines<'text>>) -> Option<&'text str> {
    lines.clone().find(|line| {
        !line.trim().is_empty()
            && (!line.trim_start().starts_with('!') || line.trim_start().starts_with("!!"))
    })
}
