//! Writes CSV as RFC 4180 defines it, with line feeds alone, as programs on Unix expect them.

/// A line of CSV.
pub(super) fn line<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let fields: Vec<String> = fields.into_iter().map(field).collect();
    format!("{}\n", fields.join(","))
}

fn field(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_need_it_are_quoted() {
        assert_eq!(
            line(["sw1", "", "a,b", "say \"no\"", "two\nlines"]),
            "sw1,,\"a,b\",\"say \"\"no\"\"\",\"two\nlines\"\n"
        );
    }
}
