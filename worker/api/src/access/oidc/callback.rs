/// The query with which the provider sends a browser back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Callback {
    pub(super) state: Option<String>,
    pub(super) code: Option<String>,
    /// The issuer, if the provider says it.
    pub(super) iss: Option<String>,
    /// Why there is no code.
    pub(super) error: Option<String>,
    pub(super) error_description: Option<String>,
}

impl Callback {
    /// Reads a query. `None` if a parameter occurs twice.
    pub(super) fn read(query: &str) -> Option<Self> {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let parameter = match &*name {
                "state" => &mut read.state,
                "code" => &mut read.code,
                "iss" => &mut read.iss,
                "error" => &mut read.error,
                "error_description" => &mut read.error_description,
                _ => continue,
            };
            if parameter.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_none_occurs_twice() {
        let read = Callback::read("state=a%2Bb&code=c+d&session_state=x").unwrap();
        assert_eq!(
            (read.state.as_deref(), read.code.as_deref()),
            (Some("a+b"), Some("c d"))
        );
        assert_eq!(Callback::read(""), Some(Callback::default()));
        assert_eq!(Callback::read("state=a&state=a"), None);
        assert_eq!(Callback::read("code=a&state=b&code=c"), None);
    }
}
