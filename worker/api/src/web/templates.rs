//! The templates of the pages. They are part of the program and parsed once. What they print is escaped.

use std::sync::LazyLock;

use lockstep_http::ProblemResponse;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};

use super::text;

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../web/templates/", $name)))),*]
    };
}

/// Names end in `.html`, which switches escaping on.
const TEMPLATES: [(&str, &str); 26] = templates![
    "audit.html",
    "dead_letter.html",
    "dead_letters.html",
    "device.html",
    "devices.html",
    "difference.html",
    "differences.html",
    "element.html",
    "execution.html",
    "executions.html",
    "explain.html",
    "failure.html",
    "fleet.html",
    "layout.html",
    "logged_out.html",
    "login.html",
    "logout.html",
    "message.html",
    "problem.html",
    "progress.html",
    "repositories.html",
    "sweeps.html",
    "task.html",
    "task_fields.html",
    "tasks.html",
    "trend.html",
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    // The shapes of REST leave out what is empty, so templates may ask whether something is there; they may not print it unasked.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    text::add(&mut environment);
    for (name, source) in TEMPLATES {
        environment
            .add_template(name, source)
            .expect("a test parses all templates");
    }
    environment
});

/// Renders a template with these values, which are JSON.
///
/// # Errors
/// 500: the template does not fit the values. The log has the reason.
pub(super) fn render(name: &str, values: &serde_json::Value) -> Result<String, ProblemResponse> {
    rendered(name, Value::from(Serde(values)))
}

/// Renders a template around HTML, which it has as `body`.
///
/// # Errors
/// As [`render`].
pub(super) fn around(name: &str, values: serde_json::Value, body: String) -> Result<String, ProblemResponse> {
    let values = Value::from(Serde(values));
    let body = Value::from_safe_string(body);
    rendered(name, minijinja::context! { body, ..values })
}

fn rendered(name: &str, values: Value) -> Result<String, ProblemResponse> {
    let template = ENVIRONMENT.get_template(name);
    let rendered = template.and_then(|template| template.render(values));
    rendered.map_err(|error| {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            template = name,
            "a page cannot be rendered"
        );
        ProblemResponse::internal()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses_and_escapes() {
        assert!(ENVIRONMENT.templates().count() == TEMPLATES.len());
        for (name, _) in ENVIRONMENT.templates() {
            assert!(name.strip_suffix(".html").is_some(), "{name}");
        }
    }

    #[test]
    fn what_is_not_there_cannot_be_printed() {
        let printed = ENVIRONMENT.render_named_str("x.html", "{{ missing }}", ());
        assert!(printed.is_err());
        let escaped =
            ENVIRONMENT.render_named_str("x.html", "{{ text }}", minijinja::context! { text => "<b>" });
        assert_eq!(escaped.unwrap(), "&lt;b&gt;");
    }
}
