use super::order::{place, rank};
use super::section::{Entry, Section};

/// The text of a configuration as a device shows it, without the lines before and after it: each group of lines ends with `!`.
pub(crate) fn print(configuration: &Section) -> String {
    let mut text = String::new();
    let entries = sorted(configuration, None);
    for (number, entry) in entries.iter().enumerate() {
        print_entry(entry, 0, &mut text);
        let next = entries.get(number + 1);
        let continues =
            next.is_some_and(|next| is_line(entry) && is_line(next) && rank(&entry.line) == rank(&next.line));
        if !continues {
            text.push_str("!\n");
        }
    }
    text
}

/// The entries in the order of the device.
pub(super) fn sorted<'section>(section: &'section Section, within: Option<&str>) -> Vec<&'section Entry> {
    let mut entries: Vec<&Entry> = section.entries.iter().collect();
    entries.sort_by_cached_key(|entry| place(within, entry));
    entries
}

fn is_line(entry: &Entry) -> bool {
    entry.section.is_none() && entry.text.is_empty()
}

fn print_entry(entry: &Entry, depth: usize, text: &mut String) {
    print_line(&entry.line, depth, text);
    for line in &entry.text {
        print_line(line, 0, text);
    }
    let Some(section) = &entry.section else {
        return;
    };
    for line in &section.comment {
        print_line(&format!("!! {line}"), depth + 1, text);
    }
    let mut separate = false;
    for entry in sorted(section, Some(&entry.line)) {
        if entry.section.is_some() && separate {
            print_line("!", depth + 1, text);
        }
        print_entry(entry, depth + 1, text);
        separate = true;
    }
}

fn print_line(line: &str, depth: usize, text: &mut String) {
    text.extend(std::iter::repeat_n("   ", depth));
    text.push_str(line);
    text.push('\n');
}
