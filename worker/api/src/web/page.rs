//! Puts what a page shows between the head and the foot that all pages have.

use axum::response::Html;
use lockstep_http::{ProblemResponse, ReadScope};
use serde_json::{Value, json};
use uuid::Uuid;

use super::failure::Failure;
use super::templates;
use super::viewer::Viewer;
use crate::rest::parameters::Parameters;

/// A page that is about to be rendered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    pub(super) viewer: &'a Viewer,
    /// The path of the entry of the navigation that it belongs to.
    pub(super) section: &'static str,
    /// What the window is called.
    pub(super) title: &'a str,
    /// The message of a form that led here.
    pub(super) sent: Option<Uuid>,
}

impl Page<'_> {
    /// Renders the template with these values.
    ///
    /// # Errors
    /// The template does not fit the values: a mistake of this program.
    pub(super) fn render(&self, template: &str, mut values: Value) -> Result<Html<String>, Failure> {
        if let Some(values) = values.as_object_mut() {
            let csrf = self.viewer.csrf();
            let operator = &self.viewer.operator;
            let reads_audit = operator.may_read(ReadScope::Audit).is_ok();
            let viewer = json!({"name": operator.principal(), "csrf": csrf, "reads_audit": reads_audit});
            values.insert("viewer".to_owned(), viewer);
            values.insert("csrf".to_owned(), csrf.into());
            values.insert("sent".to_owned(), json!(self.sent));
        }
        whole(self.section, self.title, template, &values)
            .map(Html)
            .map_err(Failure::from)
    }
}

/// A whole page of HTML. Without `viewer` in the values, it is for somebody who is not known.
pub(super) fn whole(
    section: &str,
    title: &str,
    template: &str,
    values: &Value,
) -> Result<String, ProblemResponse> {
    let body = templates::render(template, values)?;
    let layout = json!({
        "section": section,
        "title": title,
        "viewer": values.get("viewer"),
        "sent": values.get("sent"),
    });
    templates::around("layout.html", layout, body)
}

/// Takes `sent`: the id of the message of the form that led here.
pub(super) fn sent(parameters: &mut Parameters) -> Result<Option<Uuid>, ProblemResponse> {
    parameters.value("sent")
}
