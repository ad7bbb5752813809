//! The layout of YAML, as `PyYAML`'s emitter makes it.

use super::scalar::{Analysis, analyse, is_other_type};
use super::{Node, Style};

/// Writes one document.
pub(super) struct Emitter {
    out: String,
    step: usize,
    width: usize,
    column: usize,
    /// Whether white space, or an indicator, was written last.
    whitespace: bool,
    /// Whether nothing but indicators is on the line.
    indention: bool,
}

impl Emitter {
    pub(super) fn new(step: usize, width: usize) -> Self {
        Self {
            out: String::new(),
            step,
            width,
            column: 0,
            whitespace: true,
            indention: true,
        }
    }

    pub(super) fn document(mut self, node: &Node, style: Style) -> String {
        self.node(node, style, None, false, false);
        self.indent(0);
        self.out
    }

    /// Writes a node; `indent` is that of what contains it.
    fn node(&mut self, node: &Node, style: Style, indent: Option<usize>, in_mapping: bool, in_flow: bool) {
        let flow = in_flow
            || match style {
                Style::Block => false,
                Style::Leaves => node.is_leaf(),
                Style::Flow => true,
            };
        match node {
            Node::Scalar { text, plain } => {
                let indent = indent.map_or(self.step, |indent| indent + self.step);
                self.scalar(text, *plain, indent, in_flow, false);
            }
            Node::List(items) if flow || items.is_empty() => self.flow_list(items, style, indent),
            Node::Map(pairs) if flow || pairs.is_empty() => self.flow_map(pairs, style, indent),
            Node::List(items) => {
                // A list in a mapping is not indented, unless something stands before it on the line.
                let own = match indent {
                    None => 0,
                    Some(indent) if in_mapping && !self.indention => indent,
                    Some(indent) => indent + self.step,
                };
                for item in items {
                    self.indent(own);
                    self.indicator("-", true, false, true);
                    self.node(item, style, Some(own), false, false);
                }
            }
            Node::Map(pairs) => {
                let own = indent.map_or(0, |indent| indent + self.step);
                for (key, value) in pairs {
                    self.indent(own);
                    if let Node::Scalar { text, plain } = key {
                        self.scalar(text, *plain, own + self.step, false, true);
                        self.indicator(":", false, false, false);
                    } else {
                        self.indicator("?", true, false, true);
                        self.node(key, style, Some(own), true, false);
                        self.indent(own);
                        self.indicator(":", true, false, true);
                    }
                    self.node(value, style, Some(own), true, false);
                }
            }
        }
    }

    fn flow_list(&mut self, items: &[Node], style: Style, indent: Option<usize>) {
        self.indicator("[", true, true, false);
        let own = indent.map_or(self.step, |indent| indent + self.step);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.indicator(",", false, false, false);
            }
            self.break_flow(own);
            self.node(item, style, Some(own), false, true);
        }
        self.indicator("]", false, false, false);
    }

    fn flow_map(&mut self, pairs: &[(Node, Node)], style: Style, indent: Option<usize>) {
        self.indicator("{", true, true, false);
        let own = indent.map_or(self.step, |indent| indent + self.step);
        for (index, (key, value)) in pairs.iter().enumerate() {
            if index > 0 {
                self.indicator(",", false, false, false);
            }
            self.break_flow(own);
            match key {
                Node::Scalar { text, plain } => {
                    self.scalar(text, *plain, own + self.step, true, true);
                    self.indicator(":", false, false, false);
                }
                key => {
                    self.indicator("?", true, false, false);
                    self.node(key, style, Some(own), true, true);
                    self.indicator(":", true, false, false);
                }
            }
            self.node(value, style, Some(own), true, true);
        }
        self.indicator("}", false, false, false);
    }

    fn break_flow(&mut self, indent: usize) {
        if self.column > self.width {
            self.indent(indent);
        }
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn indicator(&mut self, text: &str, needs_space: bool, leaves_space: bool, indention: bool) {
        if needs_space && !self.whitespace {
            self.push(" ");
        }
        self.whitespace = leaves_space;
        self.indention = self.indention && indention;
        self.push(text);
    }

    fn indent(&mut self, indent: usize) {
        if !self.indention || self.column > indent || self.column == indent && !self.whitespace {
            self.line_break();
        }
        if self.column < indent {
            self.whitespace = true;
            let spaces = " ".repeat(indent - self.column);
            self.push(&spaces);
        }
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        (self.whitespace, self.indention, self.column) = (true, true, 0);
    }

    /// Writes a text.
    fn scalar(&mut self, text: &str, plain: bool, indent: usize, in_flow: bool, is_key: bool) {
        let Analysis {
            multi_line,
            plain_in_flow,
            plain_in_block,
            single_quoted,
        } = analyse(text);
        let allowed = if in_flow { plain_in_flow } else { plain_in_block };
        if plain || allowed && !is_other_type(text) && !(is_key && multi_line) {
            self.plain(text, indent, !is_key);
        } else if single_quoted && !(is_key && multi_line) {
            self.single_quoted(text, indent, !is_key);
        } else {
            self.double_quoted(text, indent, !is_key);
        }
    }

    /// Text without quotes: words, with the line broken at single spaces where it is full.
    fn plain(&mut self, text: &str, indent: usize, may_break: bool) {
        if text.is_empty() {
            return;
        }
        if !self.whitespace {
            self.push(" ");
        }
        (self.whitespace, self.indention) = (false, false);
        self.words(text, indent, may_break, false);
    }

    fn single_quoted(&mut self, text: &str, indent: usize, may_break: bool) {
        self.indicator("'", true, false, false);
        for (index, line) in text.split('\n').enumerate() {
            // A line break in quotes is a space, so one more is written.
            if index == 1 || index > 1 && !text.split('\n').nth(index - 1).unwrap_or_default().is_empty() {
                self.line_break();
            }
            if index > 0 {
                self.line_break();
            }
            if !line.is_empty() {
                if index > 0 {
                    self.indent(indent);
                }
                self.words(&line.replace('\'', "''"), indent, may_break, true);
            }
        }
        if text.ends_with('\n') {
            self.indent(indent);
        }
        self.indicator("'", false, false, false);
    }

    /// Words of one line. In quotes, spaces at the ends do not break it.
    fn words(&mut self, text: &str, indent: usize, may_break: bool, in_quotes: bool) {
        let characters: Vec<char> = text.chars().collect();
        let runs = characters.chunk_by(|left, right| (*left == ' ') == (*right == ' '));
        let count = runs.clone().count();
        for (index, run) in runs.enumerate() {
            let at_end = in_quotes && (index == 0 || index + 1 == count);
            if run == [' '] && may_break && !at_end && self.column > self.width {
                self.indent(indent);
                (self.whitespace, self.indention) = (false, false);
            } else {
                let run: String = run.iter().collect();
                self.push(&run);
                if in_quotes {
                    (self.whitespace, self.indention) = (false, false);
                }
            }
        }
    }

    fn double_quoted(&mut self, text: &str, indent: usize, may_break: bool) {
        self.indicator("\"", true, false, false);
        let characters: Vec<char> = text.chars().collect();
        let mut after_space = false;
        for (index, character) in characters.iter().enumerate() {
            let inside = index > 0 && index + 1 < characters.len();
            let escaped = matches!(
                character,
                '"' | '\\' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
            ) || !matches!(character, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
            if escaped {
                self.push(&escape(*character));
            } else if *character == ' ' && may_break && !after_space && inside && self.column > self.width {
                self.indent(indent);
                if characters.get(index + 1) == Some(&' ') {
                    self.push("\\");
                }
            } else {
                self.push(character.encode_utf8(&mut [0; 4]));
            }
            after_space = *character == ' ';
            (self.whitespace, self.indention) = (false, false);
        }
        self.indicator("\"", false, false, false);
    }
}

/// An escape of a character in double quotes.
fn escape(character: char) -> String {
    match character {
        '\0' => "\\0".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        '\u{1b}' => "\\e".to_owned(),
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\u{85}' => "\\N".to_owned(),
        '\u{a0}' => "\\_".to_owned(),
        '\u{2028}' => "\\L".to_owned(),
        '\u{2029}' => "\\P".to_owned(),
        other => match u32::from(other) {
            code @ 0..=0xff => format!("\\x{code:02X}"),
            code @ 0x100..=0xffff => format!("\\u{code:04X}"),
            code => format!("\\U{code:08X}"),
        },
    }
}
