//! What a device does at each command of a request.

use std::time::Duration;

use serde_json::{Value, json};

use super::clock::Clock;
use super::configuration::{self, Editor, Moved};
use super::configurations::{Author, Configurations};
use super::failure::Failure;
use super::show::{self, Answer};
use super::{Device, duration, session_list};

/// The format of the answers of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Text,
}

/// A command, and what it asks for: the password of `enable`, or the lines of a banner.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) line: String,
    pub(crate) input: String,
    /// Whether the next command is indented more.
    pub(crate) opens: bool,
}

/// Who sends a request, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'caller> {
    pub(crate) user: &'caller str,
    pub(crate) enable_password: Option<&'caller str>,
    pub(crate) clock: &'caller Clock,
}

/// The state of one request: whether `enable` preceded, and what is configured.
#[derive(Debug)]
pub(crate) struct Mode {
    privileged: bool,
    indented: bool,
    place: Place,
}

/// What a command that is no other belongs to.
#[derive(Debug)]
enum Place {
    /// Nothing is configured.
    Executive,
    /// The running configuration.
    Running(Editor),
    /// The session with this name.
    Session(String, Editor),
}

impl Mode {
    /// The state at the begin of a request, whose configuration commands are indented or not.
    pub(crate) fn new(indented: bool) -> Self {
        Self {
            privileged: false,
            indented,
            place: Place::Executive,
        }
    }

    /// Whether the device restarts at this command.
    pub(crate) fn restarts(&self, line: &str) -> bool {
        self.privileged && matches!(self.place, Place::Executive) && line == "reload now"
    }

    /// Whether the next command is one of the configuration, and none that acts on a session or on the device.
    pub(crate) fn configures(&self, line: &str) -> bool {
        const ACTS: [&str; 9] = [
            "show",
            "configure",
            "copy",
            "write",
            "commit",
            "abort",
            "rollback",
            "end",
            "exit",
        ];
        let mut words = line.split_whitespace().skip_while(|word| *word == "no");
        let acts = words.next().is_some_and(|word| ACTS.contains(&word));
        !acts && !matches!(self.place, Place::Executive)
    }

    /// Runs a command.
    pub(crate) fn run(
        &mut self,
        device: &Device,
        configurations: &mut Configurations,
        caller: Caller<'_>,
        command: &Command,
        format: Format,
    ) -> Result<Value, Failure> {
        let author = Author {
            user: caller.user,
            now: caller.clock.now(),
        };
        configurations.pass_time(author.now);
        let words: Vec<&str> = command.line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["enable"] => {
                if caller
                    .enable_password
                    .is_some_and(|password| password != command.input)
                {
                    return Err(Failure::could_not_run("Bad secret"));
                }
                self.privileged = true;
                Answer::nothing()
            }
            ["show", shown @ ..] if !shown.is_empty() => {
                self.show(device, configurations, caller.clock, author.now, shown)?
            }
            ["configure" | "copy" | "write", ..] | ["no", "configure", ..] => {
                self.act(device, configurations, author, &words)?
            }
            [first, ..] => self.configure(device, configurations, author, command, &words, first)?,
            [] if matches!(self.place, Place::Executive) => return Err(Failure::invalid_word(0, "")),
            [] => Answer::nothing(),
        };
        match format {
            Format::Text => Ok(json!({"output": answer.text})),
            Format::Json => answer.json.ok_or_else(Failure::unconverted),
        }
    }

    fn show(
        &self,
        device: &Device,
        configurations: &Configurations,
        clock: &Clock,
        now: Duration,
        shown: &[&str],
    ) -> Result<Answer, Failure> {
        let uptime = show::uptime(configurations.restarted, now);
        let booted = clock.unix_seconds(now) - uptime.as_secs_f64();
        let hostname = configurations.hostname();
        let hostname = hostname.as_deref().unwrap_or(&device.hostname);
        Ok(match shown {
            ["version"] => show::version(device, uptime, booted),
            ["hostname"] => show::hostname(hostname),
            ["interfaces"] => show::interfaces(device, booted),
            ["interfaces", "status"] => show::interfaces_status(device),
            ["lldp", "neighbors"] => show::lldp_neighbors(device),
            ["configuration", "sessions"] => session_list::list(configurations, clock, now, false),
            ["configuration", "sessions", "detail"] => session_list::list(configurations, clock, now, true),
            ["running-config" | "startup-config" | "session-config", ..] if !self.privileged => {
                return Err(Failure::invalid("Invalid input (privileged mode required)"));
            }
            ["running-config"] | ["running-config", "all"] => show::configuration(
                device,
                hostname,
                "running-config",
                &configurations.running(device),
            ),
            ["startup-config"] => show::configuration(
                device,
                hostname,
                "startup-config",
                &configurations.startup(device),
            ),
            ["session-config", rest @ ..] => self.show_session(device, hostname, configurations, rest)?,
            ["tech-support"] => Answer {
                json: None,
                text: format!(
                    "------------- show version -------------\n\n{}",
                    show::version(device, uptime, booted).text
                ),
            },
            _ => {
                let word = shown.first().copied().unwrap_or_default();
                return Err(Failure::invalid_word(1, word));
            }
        })
    }

    fn show_session(
        &self,
        device: &Device,
        hostname: &str,
        configurations: &Configurations,
        words: &[&str],
    ) -> Result<Answer, Failure> {
        let (name, words) = match (words, &self.place) {
            (["named", name, words @ ..], _) => (*name, words),
            (words, Place::Session(name, _)) => (name.as_str(), words),
            _ => return Err(Failure::could_not_run("Not in a configuration session")),
        };
        match words {
            [] => {
                let candidate = configurations.candidate(name)?;
                let command = format!("session-configuration named {name}");
                Ok(show::configuration(device, hostname, &command, &candidate))
            }
            ["diffs"] => Ok(Answer {
                json: None,
                text: configurations.difference(device, name)?,
            }),
            [word, ..] => Err(Failure::invalid_word(2, word)),
        }
    }

    /// Runs a command that acts on sessions and configurations, in any place.
    fn act(
        &mut self,
        device: &Device,
        configurations: &mut Configurations,
        author: Author<'_>,
        words: &[&str],
    ) -> Result<Answer, Failure> {
        if !self.privileged {
            return Err(Failure::invalid("Invalid input (privileged mode required)"));
        }
        match words {
            ["configure"] | ["configure", "terminal"] => {
                self.place = Place::Running(Editor::new(self.indented));
            }
            ["configure", "session"] => {
                self.enter(device, configurations, author, &configurations.free_name())?;
            }
            ["configure", "session", name] => self.enter(device, configurations, author, name)?,
            ["configure", "session", name, "commit", timer @ ..] => {
                configurations.commit(device, name, timer_of(timer)?, author)?;
            }
            ["configure", "session", name, "abort"] | ["no", "configure", "session", name] => {
                configurations.abort(name, author)?;
            }
            ["configure", "replace", from] => configurations.replace(device, from, author)?,
            ["copy", from, to] => {
                configurations.copy(device, from, to, author)?;
                return Ok(Answer::message("Copy completed successfully."));
            }
            ["write"] | ["write", "memory"] => {
                configurations.copy(device, "running-config", "startup-config", author)?;
                return Ok(Answer::message("Copy completed successfully."));
            }
            _ => {
                return Err(Failure::invalid_word(
                    1,
                    words.get(1).copied().unwrap_or_default(),
                ));
            }
        }
        Ok(Answer::nothing())
    }

    fn enter(
        &mut self,
        device: &Device,
        configurations: &mut Configurations,
        author: Author<'_>,
        name: &str,
    ) -> Result<(), Failure> {
        configurations.enter(device, name, author)?;
        self.place = Place::Session(name.to_owned(), Editor::new(self.indented));
        Ok(())
    }

    /// Runs a command that depends on the place.
    fn configure(
        &mut self,
        device: &Device,
        configurations: &mut Configurations,
        author: Author<'_>,
        command: &Command,
        words: &[&str],
        first: &str,
    ) -> Result<Answer, Failure> {
        let edit = configuration::Command {
            line: &command.line,
            input: &command.input,
            opens: command.opens,
        };
        let moved = match &mut self.place {
            Place::Executive => return Err(Failure::invalid_word(0, first)),
            Place::Running(editor) => configurations.configure(device, editor, edit, author)?,
            Place::Session(name, editor) => match words {
                ["commit", timer @ ..] => {
                    configurations.commit(device, name, timer_of(timer)?, author)?;
                    Moved::Left
                }
                ["abort"] => {
                    configurations.abort(name, author)?;
                    Moved::Left
                }
                ["rollback", "clean-config"] => {
                    configurations.clean(device, name)?;
                    *editor = Editor::new(self.indented);
                    Moved::Stayed
                }
                _ => configurations.edit(name, editor, edit)?,
            },
        };
        if moved == Moved::Left {
            self.place = Place::Executive;
        }
        Ok(Answer::nothing())
    }
}

/// The time after `commit`.
fn timer_of(words: &[&str]) -> Result<Option<Duration>, Failure> {
    match words {
        [] => Ok(None),
        ["timer", time] => match duration::parse(time) {
            Some(timer) => Ok(Some(timer)),
            None => Err(Failure::invalid_word(2, time)),
        },
        _ => Err(Failure::invalid_word(
            1,
            words.first().copied().unwrap_or_default(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::Time;
    use super::*;

    fn run(commands: &[&str], format: Format) -> Result<Value, Failure> {
        let mut mode = Mode::new(false);
        let device = Device::numbered(7);
        let mut configurations = Configurations::default();
        let clock = Clock::new(Time::StandsStill);
        let caller = Caller {
            user: "admin",
            enable_password: None,
            clock: &clock,
        };
        let mut last = Ok(Value::Null);
        for command in commands {
            last = mode.run(&device, &mut configurations, caller, &plain(command), format);
        }
        last
    }

    fn plain(line: &str) -> Command {
        Command {
            line: line.to_owned(),
            input: String::new(),
            opens: false,
        }
    }

    #[test]
    fn every_command_answers_in_the_format_that_was_asked_for() {
        for command in [
            "enable",
            "show version",
            "show hostname",
            "show interfaces",
            "show interfaces status",
            "show configuration sessions",
            "show configuration sessions detail",
            "show lldp neighbors",
            "show running-config",
            "show running-config all",
            "show startup-config",
            "show  version ",
        ] {
            assert!(
                run(&["enable", command], Format::Json).unwrap().is_object(),
                "{command}"
            );
            assert!(
                run(&["enable", command], Format::Text).unwrap()["output"].is_string(),
                "{command}"
            );
        }
    }

    #[test]
    fn failures_have_the_codes_of_eapi() {
        for (command, format, code) in [
            ("show nothing", Format::Json, 1002),
            ("reload now", Format::Json, 1002),
            ("", Format::Json, 1002),
            ("show running-config", Format::Text, 1002),
            ("show tech-support", Format::Json, 1003),
        ] {
            assert_eq!(run(&[command], format).unwrap_err().code, code, "{command}");
        }
        assert!(run(&["show tech-support"], Format::Text).is_ok());
        let clock = Clock::new(Time::StandsStill);
        let caller = Caller {
            user: "admin",
            enable_password: Some("secret"),
            clock: &clock,
        };
        let guess = Command {
            input: "guess".to_owned(),
            ..plain("enable")
        };
        let (device, mut configurations) = (Device::numbered(1), Configurations::default());
        let wrong = Mode::new(false).run(&device, &mut configurations, caller, &guess, Format::Json);
        assert_eq!(wrong.unwrap_err().errors, ["Bad secret"]);
    }

    #[test]
    fn the_configuration_is_nested_in_json() {
        let tree = run(&["enable", "show running-config"], Format::Json).unwrap();
        assert_eq!(tree["cmds"]["hostname leaf00007"], Value::Null);
        let inside = &tree["cmds"]["interface Ethernet2"]["cmds"];
        assert!(
            inside
                .as_object()
                .unwrap()
                .contains_key("switchport access vlan 102")
        );
    }
}
