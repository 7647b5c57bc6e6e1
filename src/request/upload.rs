//! Files that callers send: `POST /files` in one go, and what every uploaded file looks like.
//!
//! Nothing is gathered here: the body is a stream, and [`crate::upload`] puts it into storage as
//! it comes. It runs in a task of its own, so that what came before a caller went away is written
//! down, or cleared away, all the same.

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, http};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use multer::Multipart;
use serde::Serialize;
use url::{Url, form_urlencoded};
use utoipa::ToSchema;

use super::may::Writes;
use super::openapi::NotUploaded;
use super::{AppState, Problem, tus};
use crate::access::Caller;
use crate::clock::Timestamp;
use crate::id::{UploadId, UploadTag};
use crate::store::Upload;
use crate::upload::{Taking, UploadError, media_named, shown_name};

/// When to come back to a server that is being replaced.
const STOPPING_RETRY_SECS: u32 = 5;

/// The most fields of a form up to its file.
const MAX_FORM_FIELDS: usize = 32;

/// The wire's File of an upload that is whole.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UploadedFile {
    /// The upload's name.
    #[schema(value_type = UploadTag)]
    id: UploadId,
    /// Always `file`.
    object: &'static str,
    /// An `input` for jobs of the same project.
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    filesize: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    created_at: Timestamp,
    expires_at: Timestamp,
}

impl UploadedFile {
    fn of(upload: &Upload, state: &AppState) -> Self {
        let media = upload.media.as_deref().and_then(media_named);
        Self {
            id: upload.id,
            object: "file",
            url: url(state, upload.id).into(),
            kind: media.map(|media| media.kind),
            format: media.map(|media| media.format),
            content_type: media.map(|media| media.content_type),
            name: upload.name.clone(),
            filesize: upload.received,
            sha256: upload.sha256.clone(),
            created_at: upload.created_at,
            expires_at: upload.expires_at,
        }
    }
}

/// Where an upload is: what jobs name as their `input`.
pub(super) fn url(state: &AppState, id: UploadId) -> Url {
    let mut url = state.public_url.clone();
    url.set_query(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["uploads", &id.to_string()]);
    }
    url
}

/// `POST /files`: a file as the body, or as a field of a form.
#[utoipa::path(
    post,
    path = "/files",
    tag = "Files",
    operation_id = "createFile",
    summary = "Send a file",
    description = "The file is the body, or a field of a form. Its `url` is an `input` for jobs of the same \
                   project. A file that must survive a bad connection goes to `/uploads`.",
    security(("key" = ["jobs:write"])),
    params(("name" = Option<String>, Query, description = "What the file is called.")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (
            status = 201,
            description = "The file, whole and in storage.",
            body = UploadedFile,
            headers(("Location" = String, description = "The file's URL.")),
        ),
        NotUploaded,
    ),
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Writes(caller): Writes,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Problem> {
    if request.headers().contains_key(tus::RESUMABLE) {
        return tus::create(State(state), Writes(caller), request).await;
    }
    let form = boundary(request.headers())?;
    let body = request.into_body();
    let upload = if let Some(boundary) = form {
        from_form(&state, &caller, body, boundary).await?
    } else {
        let name = name(query.as_deref().unwrap_or_default());
        let size = body.size_hint().exact();
        let upload = begin(&state, &caller, size, name).await?;
        whole(&state, upload, body.into_data_stream()).await?
    };
    let file = UploadedFile::of(&upload, &state);
    let location = HeaderValue::try_from(file.url.as_str()).map_err(Problem::internal)?;
    let mut response = (StatusCode::CREATED, Json(file)).into_response();
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// A file that is here already, as if it had been sent.
pub(super) async fn kept(
    state: &AppState,
    caller: &Caller,
    name: &str,
    bytes: Bytes,
) -> Result<Upload, Problem> {
    let upload = begin(state, caller, Some(bytes.len() as u64), shown_name(name)).await?;
    whole(state, upload, stream::iter([Ok::<_, std::convert::Infallible>(bytes)])).await
}

/// The name in `?name=`.
fn name(query: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == "name").and_then(|(_, name)| shown_name(&name))
}

fn boundary(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(sent) = sent.filter(|sent| is_form(sent)) else { return Ok(None) };
    multer::parse_boundary(sent).map(Some).map_err(|_| {
        Problem::invalid_input("Content-Type", "the form does not say what its boundary is")
            .hint("let the client set `Content-Type` itself: curl -F file=@clip.mp4")
    })
}

fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("multipart/form-data")
}

async fn begin(
    state: &AppState,
    caller: &Caller,
    size: Option<u64>,
    name: Option<String>,
) -> Result<Upload, Problem> {
    state.uploads.begin(caller, size, name, None).await.map_err(problem)
}

/// The first file of a form.
async fn from_form(
    state: &AppState,
    caller: &Caller,
    body: Body,
    boundary: String,
) -> Result<Upload, Problem> {
    let mut form = Multipart::new(body.into_data_stream(), boundary);
    for _ in 0..MAX_FORM_FIELDS {
        let Some(field) = form.next_field().await.map_err(broken_form)? else { break };
        if let Some(name) = field.file_name() {
            let name = shown_name(name);
            let upload = begin(state, caller, None, name).await?;
            return whole(state, upload, field).await;
        }
    }
    Err(Problem::invalid_input("file", "the form has no file in it")
        .hint("for example curl -F file=@clip.mp4; or send the file as the body"))
}

fn broken_form(_: multer::Error) -> Problem {
    let message = "the form cannot be read, or did not arrive whole";
    Problem::new(StatusCode::BAD_REQUEST, "invalid_input", message)
        .hint("let the client make the form: curl -F file=@clip.mp4")
}

/// Takes a file in one go: it is there whole, or nothing of it is.
async fn whole<E: Send + 'static>(
    state: &AppState,
    upload: Upload,
    body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
) -> Result<Upload, Problem> {
    let (uploads, stop) = (state.uploads.clone(), state.shutdown.clone());
    let (id, project) = (upload.id, upload.project.clone());
    let taken = tokio::spawn(async move {
        let taking = Taking { is_whole: true, ..Taking::default() };
        let taken = uploads.append(upload, 0, taking, body, &stop).await;
        match taken {
            Ok(upload) if upload.finished_at.is_some() => Ok(upload),
            other => {
                // Nobody can go on with it.
                if let Err(error) = uploads.remove(&project, id).await {
                    tracing::debug!(%error, "what was not taken whole is swept later");
                }
                Err(other.err().unwrap_or(UploadError::Cut))
            }
        }
    });
    taken.await.map_err(Problem::internal)?.map_err(problem)
}

/// Goes on with an upload in a task of its own, so that what has come counts whoever goes away.
pub(super) async fn resumed(
    state: &AppState,
    upload: Upload,
    from: u64,
    taking: Taking,
    body: BodyDataStream,
) -> Result<Upload, Problem> {
    let (uploads, stop) = (state.uploads.clone(), state.shutdown.clone());
    let taken = tokio::spawn(async move {
        let (id, project) = (upload.id, upload.project.clone());
        let taken = uploads.append(upload, from, taking, body, &stop).await;
        if matches!(taken, Err(UploadError::Unsupported(_))) {
            let _gone = uploads.remove(&project, id).await;
        }
        taken
    });
    taken.await.map_err(Problem::internal)?.map_err(problem)
}

/// `GET /uploads/{id}`: the bytes of a whole file, for who has sent it.
pub(super) async fn show(
    state: &AppState,
    caller: &Caller,
    id: UploadId,
) -> Result<Response, Problem> {
    let upload = state.uploads.find(&caller.project, id).await.map_err(problem)?;
    if upload.finished_at.is_none() {
        let message =
            format!("{} bytes of this file are here, and it is not whole", upload.received);
        return Err(Problem::new(StatusCode::CONFLICT, "upload_unfinished", message)
            .hint("go on with the upload: HEAD says where, PATCH sends the rest"));
    }
    let bytes = state.uploads.read(&upload, None).await.map_err(problem)?;
    let bytes = bytes.inspect(move |bytes| {
        if let Err(error) = bytes {
            tracing::error!(upload.id = %id, %error, "an upload broke off while it was read");
        }
    });
    let mut response = Response::new(Body::from_stream(bytes));
    let content_type = upload.media.as_deref().and_then(media_named);
    let content_type = content_type.map_or("application/octet-stream", |media| media.content_type);
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (http::header::CONTENT_DISPOSITION, "attachment"),
        (http::header::CACHE_CONTROL, "private, no-store"),
        (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // It asks for a key: no page of another origin has business with it.
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (http::header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert(http::header::CONTENT_LENGTH, upload.received.into());
    Ok(response)
}

/// What a caller is told of an upload that did not go well.
pub(super) fn problem(error: UploadError) -> Problem {
    match error {
        UploadError::Unknown => unknown(),
        UploadError::Elsewhere(at) => {
            let message = format!("this upload has {at} bytes, and others were sent for elsewhere");
            Problem::new(StatusCode::CONFLICT, "upload_conflict", message)
                .hint("ask where it ends with HEAD, and go on there")
        }
        UploadError::TooLarge(max) => {
            let message = format!("the file is larger than {max} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).hint(
                "an upload ends at the size that was said; the server's limit is \
                 REELWAY_MAX_INPUT_SIZE",
            )
        }
        UploadError::Empty => Problem::invalid_input("file", "the file has no bytes")
            .hint("send the file itself as the body, or as a field of a form"),
        UploadError::TooManyParts(max) => {
            let message = format!("this upload came in more than {max} pieces");
            Problem::new(StatusCode::BAD_REQUEST, "too_many_pieces", message)
                .hint("send larger chunks; without a chunk size the client sends one")
        }
        UploadError::Unsupported(failure) => {
            let message = failure.message.clone();
            let hint = failure.hint.unwrap_or_else(|| "send a video, a sound or an image".into());
            let problem =
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message);
            problem.field("file").hint(hint)
        }
        UploadError::Checksum => {
            let message = "the bytes are not those of the checksum";
            let problem = checksum_mismatch(message);
            problem.hint("send the same bytes again: none of these counts")
        }
        UploadError::Full => {
            let message = "there is no room for this file";
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", message)
                .hint("whoever runs this server has to make room; then go on or send it again")
        }
        UploadError::Cut => {
            let message = "the body did not arrive whole";
            Problem::new(StatusCode::BAD_REQUEST, "invalid_input", message)
                .hint("send it again; /uploads takes files that can be gone on with")
        }
        UploadError::Stalled => {
            let message = "nothing came for a while";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
                .hint("go on with the upload, or send the file again")
        }
        UploadError::Stopping => {
            let message = "this server is stopping";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "server_stopping", message)
                .hint("go on with the upload in a moment, or send the file again")
                .retry_after(STOPPING_RETRY_SECS)
        }
        UploadError::Store(error) => error.into(),
        UploadError::Storage(error) => Problem::internal(error),
    }
}

/// The status is tus's own.
#[rustfmt::skip]
fn checksum_mismatch(message: &'static str) -> Problem {
    Problem::new(StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST), "checksum_mismatch", message)
}

/// There is no such upload, or it is somebody else's: nobody is told which.
pub(super) fn unknown() -> Problem {
    Problem::not_found("upload_not_found", "there is no such upload")
        .hint("uploads go a day after their last byte, and files some days after their last use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forms_are_read_as_forms() {
        for form in ["multipart/form-data; boundary=x", "Multipart/Form-Data"] {
            assert!(is_form(form), "{form}");
        }
        for other in ["multipart/mixed", "video/mp4", "", "application/x-www-form-urlencoded"] {
            assert!(!is_form(other), "{other}");
        }
    }
}
