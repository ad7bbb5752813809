//! Reads the text of a configuration as the commands of a request. Pure.

use std::borrow::Cow;

/// Commands that are followed by texts, each of which ends with a line `EOF`, and the number of these texts.
const WITH_TEXT: [(&str, usize); 5] = [
    ("banner login", 1),
    ("banner motd", 1),
    ("comment", 1),
    ("action bash", 1),
    ("protocol https certificate", 2),
];

/// Commands that act outside of the session, though a device takes them in one: they end it, commit it without a timer, or change something
/// at once. No configuration that a device shows has them.
const OUTSIDE: [&str; 12] = [
    "abort",
    "bash",
    "commit",
    "configure",
    "copy",
    "delete",
    "erase",
    "reload",
    "rename",
    "rollback",
    "write",
    "zerotouch",
];

/// The first line of a certificate or of a key.
const PEM_BEGIN: &str = "-----BEGIN ";
/// Its last line.
const PEM_END: &str = "-----END ";
/// The line that ends a text.
const END_OF_TEXT: &str = "EOF";

/// One command of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'text> {
    /// Its line in the text, from 1.
    pub(super) line: usize,
    pub(super) command: &'text str,
    /// The text that follows it, without the line that ends it.
    pub(super) input: Option<Cow<'text, str>>,
}

/// A line that cannot be a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    /// From 1.
    pub(super) line: usize,
    pub(super) command: String,
    pub(super) reason: &'static str,
}

/// The commands of a configuration, in their order. Empty lines, comments and `end` are left out.
pub(super) fn entries(configuration: &str) -> Entries<'_> {
    Entries {
        rest: configuration,
        line: 0,
    }
}

/// See [`entries`].
#[derive(Clone, Debug)]
pub(super) struct Entries<'text> {
    /// What is not read yet, from the beginning of a line.
    rest: &'text str,
    /// Number of lines before `rest`.
    line: usize,
}

impl<'text> Iterator for Entries<'text> {
    type Item = Result<Entry<'text>, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let command = self.take()?.trim();
            let line = self.line;
            if command.starts_with("!!") {
                return Some(Ok(self.mode_comment(command)));
            }
            if command.is_empty() || command.starts_with('!') || command == "end" {
                continue;
            }
            let refuse = |reason| BadLine {
                line,
                command: command.to_owned(),
                reason,
            };
            if command
                .chars()
                .any(|character| character.is_control() && character != '\t')
            {
                return Some(Err(refuse("it has a control character")));
            }
            let first = command.split_ascii_whitespace().next().unwrap_or_default();
            if OUTSIDE.contains(&first) {
                return Some(Err(refuse("it would act outside of the configuration session")));
            }
            let entry = match self.input(command) {
                Ok(input) => Ok(Entry { line, command, input }),
                Err(reason) => Err(refuse(reason)),
            };
            return Some(entry);
        }
    }
}

impl<'text> Entries<'text> {
    /// The next line without what ends it.
    fn take(&mut self) -> Option<&'text str> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line += 1;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    /// The next line without the spaces around it, which stays.
    fn peek(&self) -> &'text str {
        self.rest.lines().next().unwrap_or_default().trim()
    }

    /// The comment of a section: lines with `!!`. A request has it as the text of the command `comment`.
    fn mode_comment(&mut self, first: &'text str) -> Entry<'text> {
        let content = |line: &'text str| {
            let text = line.strip_prefix("!!").unwrap_or(line);
            text.strip_prefix(' ').unwrap_or(text)
        };
        let line = self.line;
        let mut text = Cow::Borrowed(content(first));
        while self.peek().starts_with("!!") {
            let text = text.to_mut();
            text.push('\n');
            text.push_str(content(self.take().unwrap_or_default().trim()));
        }
        Entry {
            line,
            command: "comment",
            input: Some(text),
        }
    }

    /// The text that follows a command, if it is one with a text.
    fn input(&mut self, command: &str) -> Result<Option<Cow<'text, str>>, &'static str> {
        let words = || command.split_ascii_whitespace();
        let known = WITH_TEXT
            .iter()
            .find(|(opening, _)| words().eq(opening.split(' ')));
        // The source of a function of the routing control: `code` or `code unit NAME`.
        let is_code = words().next() == Some("code") && matches!(words().count(), 1 | 3);
        match known {
            Some((_, texts)) => self.texts(*texts).map(Some),
            None if is_code => self.texts(1).map(Some),
            None if self.peek().starts_with(PEM_BEGIN) => self.certificates().map(Some),
            None => Ok(None),
        }
    }

    /// Texts that each end with a line `EOF`. The last of these lines does not belong to what is returned.
    fn texts(&mut self, number: usize) -> Result<Cow<'text, str>, &'static str> {
        let start = self.rest;
        let mut left = number;
        loop {
            let before = self.rest;
            let line = self
                .take()
                .ok_or("the text after it has no end: a line EOF is missing")?;
            if line.trim() == END_OF_TEXT {
                left -= 1;
            }
            if left == 0 {
                return Ok(between(start, before));
            }
        }
    }

    /// Certificates and keys in PEM, one after the other or with lines `EOF` between them and after them.
    fn certificates(&mut self) -> Result<Cow<'text, str>, &'static str> {
        let start = self.rest;
        let mut end = start;
        while self.peek().starts_with(PEM_BEGIN) {
            while !self.peek().starts_with(PEM_END) {
                self.take()
                    .ok_or("the certificate or key after it has no line -----END")?;
            }
            self.take();
            end = self.rest;
            if self.peek() == END_OF_TEXT {
                self.take();
            }
        }
        Ok(between(start, end))
    }
}

/// The text from `start` to `end`, which is a suffix of it, with line feeds between its lines.
fn between<'text>(start: &'text str, end: &str) -> Cow<'text, str> {
    let text = &start[..start.len() - end.len()];
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.contains('\r') {
        return Cow::Owned(text.replace("\r\n", "\n").trim_end_matches('\r').to_owned());
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(configuration: &str) -> Result<Vec<Entry<'_>>, BadLine> {
        entries(configuration).collect()
    }

    fn plain(line: usize, command: &str) -> Entry<'_> {
        Entry {
            line,
            command,
            input: None,
        }
    }

    #[test]
    fn commands_keep_their_order_without_comments_and_spaces() {
        let text = "! Command: show running-config\n! device: leaf1 (DCS, EOS-4.32)\n!\nhostname leaf1\n\n\
                    interface Ethernet1\n   description a ! in the middle\n   no shutdown\r\n!\nexit\nend\n";
        let expected = [
            (4, "hostname leaf1"),
            (6, "interface Ethernet1"),
            (7, "description a ! in the middle"),
            (8, "no shutdown"),
            (10, "exit"),
        ];
        assert_eq!(
            read(text).unwrap(),
            expected.map(|(line, command)| plain(line, command))
        );
        for empty in ["", "\n\n", "!\n", "end", "   "] {
            assert_eq!(read(empty), Ok(Vec::new()), "{empty:?}");
        }
    }

    #[test]
    fn texts_go_with_their_commands_as_they_are() {
        let banner = "banner login\n  *** keep out ***\n!! not a comment\ninterface Ethernet1\ncommit\nend\n!\n\nEOF\nhostname a\n";
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
        let key = "-----BEGIN PRIVATE KEY-----\nMIIC\n-----END PRIVATE KEY-----";
        let https = format!("protocol https certificate\n{certificate}\nEOF\n{key}\nEOF\nno shutdown\n");
        let chain = format!("   trust certificate\n{certificate}\n{certificate}\n{key}\nEOF\n   exit\n");
        let bare = format!("certificate leaf\n{certificate}\nhostname a");
        // text; number of the entry with an input, its command, its input; number of entries
        let table = [
            (
                banner,
                "banner login",
                "  *** keep out ***\n!! not a comment\ninterface Ethernet1\ncommit\nend\n!\n",
                2,
            ),
            ("banner motd\nEOF", "banner motd", "", 1),
            (
                "banner  motd \r\nhello\r\nworld\r\nEOF\r\n",
                "banner  motd",
                "hello\nworld",
                1,
            ),
            (
                &https,
                "protocol https certificate",
                &format!("{certificate}\nEOF\n{key}"),
                2,
            ),
            (
                &chain,
                "trust certificate",
                &format!("{certificate}\n{certificate}\n{key}"),
                2,
            ),
            (&bare, "certificate leaf", certificate, 2),
            ("action bash\nreload\nEOF\n", "action bash", "reload", 1),
            (
                "   code unit A\nfunction f() {\n  return true;\n}\n   EOF\n",
                "code unit A",
                "function f() {\n  return true;\n}",
                1,
            ),
            ("comment\nwhy\nEOF\n", "comment", "why", 1),
            ("!! one\n!!  two\n!!\nno shutdown\n", "comment", "one\n two\n", 2),
        ];
        for (text, command, input, number) in table {
            let entries = read(text).unwrap();
            assert_eq!(entries.len(), number, "{text}");
            assert_eq!(
                (entries[0].command, entries[0].input.as_deref()),
                (command, Some(input)),
                "{text}"
            );
        }
    }

    #[test]
    fn commands_without_a_text_have_none() {
        for text in [
            "no banner login",
            "default banner motd",
            "action bash FastCli -c 'show version'",
            "code unit A source pulled-from flash:a",
            "banner login ^C",
        ] {
            assert_eq!(read(text).unwrap(), [plain(1, text)]);
        }
    }

    #[test]
    fn lines_that_cannot_be_loaded_are_named() {
        let table = [
            (
                "hostname a\ncommit\n",
                2,
                "commit",
                "outside of the configuration session",
            ),
            ("  abort", 1, "abort", "outside"),
            ("interface Ethernet1\n\n reload now\n", 3, "reload now", "outside"),
            ("rollback clean-config", 1, "rollback clean-config", "outside"),
            (
                "hostname a\u{1b}[2J",
                1,
                "hostname a\u{1b}[2J",
                "control character",
            ),
            (
                "!\nbanner login\nhello",
                2,
                "banner login",
                "a line EOF is missing",
            ),
            (
                "protocol https certificate\na\nEOF\nb\n",
                1,
                "protocol https certificate",
                "EOF is missing",
            ),
            (
                "certificate a\n-----BEGIN X-----\nabc",
                1,
                "certificate a",
                "-----END",
            ),
        ];
        for (text, line, command, reason) in table {
            let error = read(text).unwrap_err();
            assert_eq!((error.line, error.command.as_str()), (line, command), "{text}");
            assert!(error.reason.contains(reason), "{error:?}");
        }
    }
}
