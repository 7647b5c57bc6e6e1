//! The problems that handlers answer with: status, stable kinds, in one table.
//!
//! A handler names its rows in its `#[utoipa::path]`. What every route can answer (no key, too
//! slow, a fault of ours) is in [`super::common`].

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response};

/// One status with what it means and the kinds that come with it.
pub(super) type Row = (u16, &'static str, &'static [&'static str]);

macro_rules! problems {
    ($($(#[$doc:meta])+ $name:ident: $($status:literal $what:literal [$($kind:literal),+];)+)+) => {$(
        $(#[$doc])+
        pub(in crate::request) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses(&[$(($status, $what, &[$($kind),+])),+])
            }
        }
    )+};
}

problems! {
    /// A body that is not a JSON object.
    NotAnObject:
        400 "The body is not what it should be; `field` says where." ["invalid_json", "invalid_input"];
        413 "The body is too large." ["body_too_large"];
        415 "The body is not JSON." ["unsupported_media_type"];

    /// A request for jobs that is not accepted.
    NotAccepted:
        400 "Something in the request is wrong; `field` names it, and nothing was accepted."
            ["invalid_json", "invalid_input", "invalid_kind", "invalid_option"];
        409 "The `Idempotency-Key` was used for another request." ["idempotency_conflict"];
        413 "The body is too large." ["body_too_large"];
        415 "The body is not JSON." ["unsupported_media_type"];
        429 "Too many tasks wait, or requests come too often; nothing was accepted."
            ["queue_full", "rate_limited"];

    /// A connection that is not made.
    NotConnected:
        400 "Something in the request is wrong; `field` names it." ["invalid_json", "invalid_input"];
        409 "The `Idempotency-Key` was used for another request." ["idempotency_conflict"];
        413 "The body is too large." ["body_too_large"];
        415 "The body is not JSON." ["unsupported_media_type"];
        501 "The server has no key to seal secrets with." ["connections_disabled"];

    /// A key that is not made.
    NotMade:
        400 "Something in the request is wrong; `field` names it." ["invalid_json", "invalid_input"];
        409 "The `Idempotency-Key` was used for another request." ["idempotency_conflict"];
        413 "The body is too large." ["body_too_large"];
        415 "The body is not JSON." ["unsupported_media_type"];

    /// No such key.
    NoKeyHere:
        404 "There is no key with this id." ["key_not_found", "not_found"];

    /// A provider's webhook that is not taken.
    NotTaken:
        400 "The body tells of no job." ["invalid_json", "invalid_input"];
        401 "The signature does not hold." ["signature_invalid"];
        404 "This server hands its jobs to no provider." ["provider_not_configured"];
        413 "The body is too large." ["body_too_large"];

    /// A query with a wrong value.
    WrongQuery:
        400 "A parameter is wrong; `field` names it." ["invalid_input"];

    /// No such job.
    NoJob:
        404 "There is no job with this id." ["job_not_found", "not_found"];

    /// No such batch.
    NoBatch:
        404 "There is no batch with this id." ["batch_not_found", "not_found"];

    /// No such connection.
    NoConnection:
        404 "There is no connection with this id." ["connection_not_found", "not_found"];

    /// No such delivery.
    NoDelivery:
        404 "There is no delivery with this id." ["delivery_not_found", "not_found"];

    /// A job that has not failed.
    NotRetryable:
        409 "Only a failed or cancelled job can be retried." ["job_not_retryable"];

    /// Too many event streams.
    NoSeat:
        429 "Too many event streams are open, or requests come too often." ["rate_limited"];

    /// Numbers of one project.
    NoMetrics:
        404 "They are of the whole server, and the key is not of the project `default`." ["not_found"];

    /// No such task.
    NoTask:
        404 "There is no task with this id." ["task_not_found", "not_found"];

    /// A task that is not accepted.
    TaskNotAccepted:
        400 "Something in the request is wrong; `field` names it, and nothing was accepted."
            ["invalid_json", "invalid_input", "invalid_kind", "invalid_option"];
        409 "The task that is named has no output yet, or the `Idempotency-Key` was used for another request."
            ["task_unfinished", "idempotency_conflict"];
        413 "The body is too large." ["body_too_large"];
        415 "The body is not JSON." ["unsupported_media_type"];
        429 "Too many tasks wait, or requests come too often; nothing was accepted."
            ["queue_full", "rate_limited"];

    /// A file that is not taken in.
    NotUploaded:
        400 "A header or the form is wrong, or the body did not arrive whole."
            ["invalid_input", "too_many_pieces"];
        409 "The upload ends elsewhere." ["upload_conflict"];
        412 "The tus protocol is spoken in version 1.0.0." ["unsupported_version"];
        413 "The file is larger than the server takes, or than was said." ["body_too_large"];
        415 "The file is no media, or the body is no piece of one." ["unsupported_media_type"];
        460 "The bytes are not those of the checksum." ["checksum_mismatch"];
        503 "The server is stopping, or cannot do it just now; go on in a moment."
            ["server_stopping", "server_unavailable"];
        507 "There is no room for the file." ["disk_full"];

    /// No such upload.
    NoUpload:
        404 "There is no such upload of this project." ["upload_not_found", "not_found"];

    /// An upload that is not given out.
    NoUploadYet:
        404 "There is no such upload of this project." ["upload_not_found", "not_found"];
        409 "The file is not whole." ["upload_unfinished"];
        412 "The tus protocol is spoken in version 1.0.0 (HEAD)." ["unsupported_version"];

    /// A file that is not given out.
    NoFile:
        401 "Neither a key nor a link that is good for this file."
            ["token_missing", "token_invalid", "link_expired", "link_invalid"];
        404 "There is no such file." ["file_not_found", "not_found"];
        416 "The file has no bytes in this range." ["range_not_satisfiable"];
}

fn responses(rows: &[Row]) -> BTreeMap<String, RefOr<Response>> {
    rows.iter().map(|row| (row.0.to_string(), response(row).into())).collect()
}

/// The answer of a row: a Problem of one of its kinds, with the headers that go with its status.
pub(super) fn response((status, what, kinds): &Row) -> Response {
    let kind =
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds.iter().copied()));
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name("Problem"))
        .item(ObjectBuilder::new().property("kind", kind).required("kind"));
    let header = |schema: ObjectBuilder, what: &str| {
        HeaderBuilder::new().schema(Some(schema)).description(Some(what)).build()
    };
    let seconds = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let response = ResponseBuilder::new()
        .description(*what)
        .content("application/json", ContentBuilder::new().schema(Some(schema)).build());
    let response = match status {
        401 => response.header("WWW-Authenticate", header(text(), "`Bearer`.")),
        429 | 503 => response
            .header("Retry-After", header(seconds(), "Seconds until it is worth trying again.")),
        416 => response.header("Content-Range", header(text(), "How many bytes the file has.")),
        _ => response,
    };
    response.build()
}
