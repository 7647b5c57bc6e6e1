//! `GET|HEAD /files/{key}`: the bytes of an output, whole or in part.
//!
//! The key is only ever looked up among the published outputs, so that nothing else in storage
//! can be reached; what may not be seen is refused before it is looked up. Files are made from
//! strangers' media: no browser may guess their type, run them or tell others where they are.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_DISPOSITION,
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RANGE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use futures::TryStreamExt as _;
use headers::{ETag, HeaderMapExt as _, IfNoneMatch, IfRange};

use super::openapi::NoFile;
use super::segment::Segment;
use super::{AppState, Problem, Ranged, may};
use crate::access::Scope;
use crate::job::File;
use crate::output::{LinkError, LinkPath, SignedQuery, StorageError};

/// A file never changes, but its job may be deleted.
const MAX_AGE: &str = "private, max-age=3600";

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A player on any page may read what a link opens: the link is the permission, and no cookie
/// is ever looked at.
const CROSS_ORIGIN: [(HeaderName, &str); 5] = [
    // Links are made to be used on other origins' pages.
    (RESOURCE_POLICY, "cross-origin"),
    (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
    (ACCESS_CONTROL_ALLOW_HEADERS, "Range, Authorization"),
    (ACCESS_CONTROL_EXPOSE_HEADERS, "Content-Length, Content-Range, ETag"),
];

/// `GET|HEAD /files/{key}`.
#[utoipa::path(
    get,
    path = "/files/{*key}",
    tag = "Files",
    operation_id = "getFile",
    summary = "Get a file",
    description = "The bytes, whole or in part; HEAD gives the headers alone. With a key of the \
                   file's project, or by a signed link as `output.url` has it.",
    security(("key" = ["files:read"]), ("link" = [])),
    params(
        ("key" = String, Path, description = "Where it is in storage.", example = "job_01h2xcejqtf2nbrexx3vqjhp41/1/video.mp4"),
        ("expires" = Option<i64>, Query, description = "Until when the link is good, in seconds since 1970."),
        ("signature" = Option<String>, Query, description = "The link's signature."),
        ("Range" = Option<String>, Header, description = "One range of bytes.", example = "bytes=0-1023"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that you have."),
        ("If-Range" = Option<String>, Header, description = "The `ETag` that the range is of."),
    ),
    responses(
        (
            status = 200,
            description = "The whole file, with its media type.",
            body = Vec<u8>,
            content_type = "*/*",
            headers(
                ("ETag" = String, description = "The file's SHA-256, quoted."),
                ("Accept-Ranges" = String, description = "`bytes`."),
                ("Content-Disposition" = String, description = "Its name; `inline` for media."),
            ),
        ),
        (
            status = 206,
            description = "The range that was asked for.",
            body = Vec<u8>,
            content_type = "*/*",
            headers(
                ("ETag" = String, description = "The file's SHA-256, quoted."),
                ("Content-Range" = String, description = "Which bytes of how many."),
            ),
        ),
        (
            status = 304,
            description = "You have it.",
            headers(("ETag" = String, description = "The file's SHA-256, quoted.")),
        ),
        NoFile,
    ),
)]
pub(super) async fn serve(
    State(state): State<AppState>,
    Segment(path): Segment,
    request: Request,
) -> Result<Response, Problem> {
    let path = LinkPath::read(&path);
    let address = state.proxies.client(request.headers(), request.extensions());
    let file = find(&state, path, (request.headers(), address), request.uri()).await?;
    if let Some(object) = &file.delivered_to {
        return Err(Problem::not_found("file_not_found", "this file is not kept here")
            .hint(format!("it was delivered to {object}")));
    }
    if file.remote_url.is_some() {
        return Err(Problem::not_found("file_not_found", "this file is not kept here")
            .hint("the provider that made it keeps it: ask for the job, which names its URL"));
    }
    let etag: ETag = format!("\"{}\"", file.sha256).parse().map_err(Problem::internal)?;
    let mut response = answer(&state, &file, &etag, request.method(), request.headers()).await?;
    describe(response.headers_mut(), &file)?;
    response.headers_mut().typed_insert(etag);
    Ok(response)
}

/// `OPTIONS /files/{key}`: what a player on another origin's page asks first.
#[utoipa::path(
    options,
    path = "/files/{*key}",
    tag = "Files",
    operation_id = "mayGetFile",
    summary = "Whether a page may get a file",
    description = "What a browser asks by itself before a player on another origin's page reads a part.",
    security(()),
    params(("key" = String, Path, description = "Where the file is in storage.")),
    responses((status = 204, description = "It may.")),
)]
pub(super) async fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    for (name, value) in CROSS_ORIGIN {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The file, for a key of its project or for a link signed for it. A link is looked at only when it
/// is needed, so that a caller with a key can follow one that has expired.
async fn find(
    state: &AppState,
    path: LinkPath<'_>,
    sender: (&HeaderMap, Option<IpAddr>),
    uri: &Uri,
) -> Result<File, Problem> {
    let refused = match of_the_caller(state, path, sender).await {
        Ok(file) => return Ok(file),
        Err(refused) => refused,
    };
    check_link(state, path, uri, refused)?;
    state.store.linked_output(path.key).await?.ok_or_else(unknown)
}

async fn of_the_caller(
    state: &AppState,
    path: LinkPath<'_>,
    (headers, address): (&HeaderMap, Option<IpAddr>),
) -> Result<File, Problem> {
    let caller = state.caller(headers, address).await?;
    may::check(&caller, &[Scope::FilesRead])?;
    state.store.output(&caller.project, path.key).await?.ok_or_else(unknown)
}

/// Refuses a link that is not good, and one that is none with what was wrong without it.
fn check_link(
    state: &AppState,
    path: LinkPath<'_>,
    uri: &Uri,
    refused: Problem,
) -> Result<(), Problem> {
    let query = Query::<SignedQuery>::try_from_uri(uri);
    let link = match query {
        Ok(Query(query)) => state.links.check(path, &query),
        Err(_) => Err(LinkError::Forged),
    };
    link.map_err(|error| match error {
        LinkError::Unsigned => refused,
        LinkError::Expired => unauthorized("link_expired", "this link has expired")
            .hint("ask for the job again: every answer has fresh links"),
        LinkError::Forged => unauthorized("link_invalid", "this link was not made by this server")
            .hint("use the link as it is, with its whole query"),
    })
}

fn unauthorized(kind: &'static str, message: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, kind, message)
}

/// Status, length and bytes; what holds for every answer is added by [`describe`].
async fn answer(
    state: &AppState,
    file: &File,
    etag: &ETag,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let size = file.filesize;
    let known = headers.typed_get::<IfNoneMatch>();
    if known.is_some_and(|known| !known.precondition_passes(etag)) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let range = match ranged(headers, etag, size) {
        Ranged::Unsatisfiable => return not_satisfiable(size),
        Ranged::Part(range) => Some(range),
        Ranged::Whole => None,
    };
    let length = range.as_ref().map_or(size, |range| range.end - range.start);
    let content_range =
        range.as_ref().map(|range| format!("bytes {}-{}/{size}", range.start, range.end - 1));
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let key = file.key.clone();
        let bytes = state.storage.get(&key, range).await.map_err(unreadable)?;
        Body::from_stream(bytes.inspect_err(move |error| {
            tracing::error!(output.key = key, %error, "an output broke off while it was read");
        }))
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    if let Some(content_range) = content_range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response.headers_mut().insert(CONTENT_RANGE, value(content_range)?);
    }
    Ok(response)
}

fn ranged(headers: &HeaderMap, etag: &ETag, size: u64) -> Ranged {
    // A range of another version of the file would be glued to the wrong bytes.
    let changed = headers
        .typed_get::<IfRange>()
        .is_some_and(|condition| condition.is_modified(Some(etag), None));
    match headers.get(RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) if !changed => Ranged::parse(range, size),
        _ => Ranged::Whole,
    }
}

fn not_satisfiable(size: u64) -> Result<Response, Problem> {
    let message = format!("the file has {size} bytes and none in this range");
    let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", message);
    let mut response = problem.into_response();
    response.headers_mut().insert(CONTENT_RANGE, value(format!("bytes */{size}"))?);
    Ok(response)
}

fn describe(headers: &mut HeaderMap, file: &File) -> Result<(), Problem> {
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_str(served_type(&file.content_type)).map_err(Problem::internal)?,
        );
    }
    headers.insert(CONTENT_DISPOSITION, value(disposition(file))?);
    for (name, value) in [
        (ACCEPT_RANGES, "bytes"),
        (CACHE_CONTROL, MAX_AGE),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (REFERRER_POLICY, "no-referrer"),
    ]
    .into_iter()
    .chain(CROSS_ORIGIN)
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(())
}

/// What is made here beside media: lists of players, texts and shapes.
const OTHER_TYPES: [&str; 4] =
    ["application/vnd.apple.mpegurl", "application/dash+xml", "text/vtt", "application/json"];

/// What a browser is told that a file is. Whatever is written down: nothing that it would run.
fn served_type(content_type: &str) -> &str {
    if is_media(content_type) || OTHER_TYPES.contains(&content_type) {
        content_type
    } else {
        "application/octet-stream"
    }
}

/// Whether it can do nothing but be seen or heard. An SVG is a page.
fn is_media(content_type: &str) -> bool {
    let (family, name) = content_type.split_once('/').unwrap_or_default();
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    matches!(family, "video" | "audio" | "image") && !name.is_empty() && name.bytes().all(is_plain)
}

/// Media is shown in place, all else is saved to disk.
fn disposition(file: &File) -> String {
    let inline = is_media(&file.content_type);
    let name = file.key.rsplit('/').next().unwrap_or_default();
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .collect();
    format!("{}; filename=\"{name}\"", if inline { "inline" } else { "attachment" })
}

fn value(text: String) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(text).map_err(Problem::internal)
}

fn unreadable(error: StorageError) -> Problem {
    match error {
        // Its job was deleted a moment ago and the sweep came first.
        StorageError::Store(object_store::Error::NotFound { .. }) => unknown(),
        error => Problem::internal(error),
    }
}

fn unknown() -> Problem {
    Problem::not_found("file_not_found", "there is no such file")
        .hint("the job may have been deleted, with its outputs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_made_here_is_served_as_what_it_is_and_only_media_is_shown() {
        for media in ["video/mp4", "video/iso.segment", "audio/mpeg", "image/webp", "video/x-flv"] {
            assert_eq!((served_type(media), is_media(media)), (media, true));
        }
        for other in OTHER_TYPES {
            assert_eq!((served_type(other), is_media(other)), (other, false));
        }
        for never in [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "application/pdf",
            "text/javascript",
            "image/",
            "video",
            "",
            "VIDEO/mp4; x=\"y\"",
            "video/mp4\r\nx: y",
        ] {
            assert_eq!((served_type(never), is_media(never)), ("application/octet-stream", false));
        }
    }
}
