//! Which buckets of its user's own a job reaches, and through which connection.

use super::fields::Fields;
use super::{AppState, Problem};
use crate::access::Caller;
use crate::job::{InputUrl, JobSpec, ObjectUrl, Options, Via};

/// How the job reaches buckets of its user's own, when it has to. An export may say so in its
/// options as well.
pub(super) fn via(
    fields: &Fields<'_>,
    input: &InputUrl,
    options: Option<&Options>,
) -> Result<Option<Via>, Problem> {
    let output = match fields.text("output")? {
        Some(text) => Some(output(text)?),
        None => None,
    };
    let connection = match fields.text("connection_id")? {
        Some(text) => Some(text.parse().map_err(|_| unknown_connection())?),
        None => None,
    };
    let (output, connection) = match options {
        Some(Options::Export(own)) => {
            let output = either("output", output, own.output.clone())?;
            if output.is_none() {
                let message = "`output` is required: an export goes into a bucket";
                return Err(Problem::invalid_input("output", message)
                    .hint("send `output` as s3://bucket/key, and the `connection_id` to it"));
            }
            (output, either("connection_id", connection, own.connection_id)?)
        }
        Some(Options::Import(_)) if output.is_some() => {
            let message = "an import goes into this server's storage";
            return Err(Problem::invalid_input("output", message)
                .hint("`kind: \"export\"` puts a file into a bucket"));
        }
        _ => (output, connection),
    };
    let needs = if output.is_some() {
        Some("`output`")
    } else {
        input.object().is_some().then_some("the input")
    };
    match (connection, needs) {
        (Some(connection_id), Some(_)) => Ok(Some(Via { connection_id, output })),
        (None, None) => Ok(None),
        (None, Some(what)) => {
            let message = format!("{what} is in a bucket, and nothing says how to reach it");
            Err(Problem::invalid_input("connection_id", message)
                .hint("make a connection with POST /connections and send its id"))
        }
        (Some(_), None) => {
            let message = "nothing in this request is reached through a connection";
            Err(Problem::invalid_input("connection_id", message)
                .hint("send an s3://bucket/key as the input, as `output` or as both"))
        }
    }
}

/// What was said once, beside the options or in them.
fn either<T>(name: &str, beside: Option<T>, own: Option<T>) -> Result<Option<T>, Problem> {
    if beside.is_some() && own.is_some() {
        let message = format!("`{name}` is there twice, beside `options` and in them");
        return Err(Problem::invalid_input(format!("options.{name}"), message).hint("say it once"));
    }
    Ok(beside.or(own))
}

fn output(text: &str) -> Result<ObjectUrl, Problem> {
    text.parse().map_err(|error| {
        let message = format!("`output` cannot be used: {error}");
        Problem::invalid_input("output", message).hint(
            "it is s3://bucket/key, or s3://bucket/folder/ to have a folder made for each job; \
             without it outputs go to this server's storage",
        )
    })
}

pub(super) fn refuse_one_place_for_many(via: Option<&Via>) -> Result<(), Problem> {
    let output = via.and_then(|via| via.output.as_ref());
    if output.is_none_or(ObjectUrl::is_folder) {
        return Ok(());
    }
    let message = "`output` names one object, and several tasks cannot share it";
    Err(Problem::invalid_input("output", message)
        .hint("end it with a slash: each task gets a folder of its own below it"))
}

/// Refuses jobs whose connection is not there, or not this caller's. It may still be deleted before they run.
pub(super) async fn check_connection(
    state: &AppState,
    caller: &Caller,
    specs: impl IntoIterator<Item = &JobSpec>,
) -> Result<(), Problem> {
    let named = specs.into_iter().find_map(|spec| spec.via.as_ref());
    match named {
        None => Ok(()),
        Some(via) => {
            let connection = state.store.connection(&caller.project, via.connection_id).await?;
            connection.map(drop).ok_or_else(unknown_connection)
        }
    }
}

fn unknown_connection() -> Problem {
    Problem::invalid_input("connection_id", "there is no connection with this id")
        .hint("GET /connections lists them; ids begin with `conn_`")
}
