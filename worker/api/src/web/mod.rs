//! The pages of the console, for people with a browser: one file each.
//!
//! A page reads by the functions of [`rest`](crate::rest), so it shows what the API answers, with the same rights. What a form sends
//! becomes a message, as at `POST /v1/events`. Pages are complete without JavaScript; `console.js` makes them live.

mod assets;
mod audit;
mod command;
mod device;
mod devices;
mod differences;
mod element;
mod execution;
mod executions;
mod explain;
mod failure;
mod filters;
mod fleet;
mod form;
mod form_rule;
mod headers;
mod kept;
mod link;
mod live;
mod login;
mod message;
mod page;
mod repositories;
mod schema_form;
mod section;
mod sweeps;
mod task;
mod tasks;
mod templates;
mod text;
mod trend;
mod viewer;

mod dead_letter;
mod dead_letters;

use std::sync::Arc;

use axum::routing::{MethodRouter, get};

pub(crate) use self::failure::wrong_method;
pub(crate) use self::fleet::Glance;
pub(crate) use self::headers::secure;
pub(crate) use self::login::{logged_out_page, login_page, logout_page};
use crate::context::Shared;

/// The routes of the pages.
pub(crate) fn routes() -> [(&'static str, MethodRouter<Arc<Shared>>); 21] {
    [
        ("/", get(fleet::show)),
        ("/devices", get(devices::list).post(devices::command)),
        ("/devices/{hostname}", get(device::show).post(device::command)),
        (
            "/repositories",
            get(repositories::list).post(repositories::command),
        ),
        ("/executions", get(executions::list)),
        (
            "/executions/{execution}",
            get(execution::show).post(execution::command),
        ),
        ("/executions/{execution}/events", get(live::events)),
        ("/executions/{execution}/devices", get(differences::list)),
        (
            "/executions/{execution}/devices/{hostname}",
            get(differences::show),
        ),
        ("/elements/{number}", get(element::show)),
        ("/tasks", get(tasks::list)),
        ("/tasks/{task}", get(task::show).post(task::run)),
        ("/cloudvision", get(sweeps::list)),
        (
            "/dead-letters",
            get(dead_letters::list).post(dead_letters::command),
        ),
        (
            "/dead-letters/{number}",
            get(dead_letter::show).post(dead_letter::command),
        ),
        ("/audit", get(audit::list)),
        ("/explain", get(explain::search)),
        ("/explain/{id}", get(explain::show)),
        ("/messages", get(message::show)),
        ("/assets/console.css", get(assets::style)),
        ("/assets/console.js", get(assets::script)),
    ]
}
