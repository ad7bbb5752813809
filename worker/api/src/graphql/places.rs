//! Names the places of errors by the arguments of a call.

use super::error::CallError;

/// Which argument of a call each part of its message comes from.
#[derive(Clone, Debug)]
pub(super) struct Places(pub(super) Vec<(&'static str, &'static str)>);

impl Places {
    /// The error with its place in the call instead of in the message. A place that comes from no argument stays.
    pub(super) fn named(&self, error: CallError) -> CallError {
        match error.place().and_then(|place| self.argument(place)) {
            Some(place) => error.at(place),
            None => error,
        }
    }

    fn argument(&self, place: &str) -> Option<String> {
        let of_envelope = [("$.id", "messageId")];
        of_envelope.iter().chain(&self.0).find_map(|(part, argument)| {
            let rest = place.strip_prefix(part)?;
            let whole = rest.is_empty() || rest.starts_with(['.', '[']);
            whole.then(|| format!("{argument}{rest}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_by_the_argument_that_it_comes_from() {
        let places = Places(vec![
            ("$.data.execute_on", "executeOn"),
            ("$.data.execute_on_names", "executeOnNames"),
            ("$.data.arguments", "taskArguments"),
            ("$.data.limits.at_once", "limits.atOnce"),
        ]);
        let table = [
            ("$.data.arguments", Some("taskArguments")),
            ("$.data.arguments.commands[0]", Some("taskArguments.commands[0]")),
            ("$.data.execute_on[3]", Some("executeOn[3]")),
            ("$.data.execute_on_names[3]", Some("executeOnNames[3]")),
            ("$.data.execute_on_type", None),
            ("$.data.limits.at_once", Some("limits.atOnce")),
            ("$.id", Some("messageId")),
            ("$.type", None),
        ];
        for (place, expected) in table {
            assert_eq!(places.argument(place).as_deref(), expected, "{place}");
        }
        let error = places.named(CallError::new("x", "y").at("$.type"));
        assert_eq!(error.place(), Some("$.type"));
    }
}
