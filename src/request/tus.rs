//! `/uploads`: files in as many pieces as it takes, by the [tus] protocol 1.0.
//!
//! With its extensions creation, creation-with-upload, expiration, checksum and termination.
//!
//! [tus]: https://tus.io/protocols/resumable-upload

use std::time::{Duration, UNIX_EPOCH};

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::may::{ReadsUploads, Writes};
use super::openapi::{NoUpload, NoUploadYet, NotUploaded};
use super::segment::Segment;
use super::{AppState, Problem, upload};
use crate::clock::Timestamp;
use crate::id::{UploadId, UploadTag};
use crate::store::Upload;
use crate::upload::{Checksum, ChecksumKind, Taking, shown_name};

/// The version of the protocol, on every request and every answer.
pub(super) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const VERSION: HeaderName = HeaderName::from_static("tus-version");
const EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const ALGORITHMS: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");

const SPOKEN: &str = "1.0.0";
const PIECE: &str = "application/offset+octet-stream";

/// The longest metadata that are kept, as they are sent.
const MAX_METADATA_BYTES: usize = 16 << 10;

/// Puts the protocol's version on every answer.
pub(super) async fn speak(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(RESUMABLE, HeaderValue::from_static(SPOKEN));
    response
}

/// `OPTIONS /uploads`: what is spoken here. Asks for no key: browsers send none.
#[utoipa::path(
    options,
    path = "/uploads",
    tag = "Files",
    operation_id = "getUploadProtocol",
    summary = "What of tus is spoken",
    description = "The version and the extensions of the tus protocol, in headers.",
    security(()),
    responses((status = 204, description = "In `Tus-Version`, `Tus-Extension`, `Tus-Max-Size`.")),
)]
pub(super) async fn options(State(state): State<AppState>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (VERSION, SPOKEN),
        (EXTENSION, "creation,creation-with-upload,expiration,checksum,termination"),
        (ALGORITHMS, "sha1,sha256"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(MAX_SIZE, state.uploads.limits.max_bytes.into());
    response
}

/// The same where an address ends with a slash.
#[utoipa::path(
    options,
    path = "/uploads/",
    tag = "Files",
    operation_id = "getUploadProtocolOfFolder",
    summary = "What of tus is spoken, at the address with a slash",
    description = "As `OPTIONS /uploads`.",
    security(()),
    responses((status = 204, description = "In `Tus-Version`, `Tus-Extension`, `Tus-Max-Size`.")),
)]
pub(super) async fn options_of_folder(state: State<AppState>) -> Response {
    options(state).await
}

/// The same of one upload.
#[utoipa::path(
    options,
    path = "/uploads/{id}",
    tag = "Files",
    operation_id = "getUploadProtocolOfOne",
    summary = "What of tus is spoken, at an upload",
    description = "As `OPTIONS /uploads`.",
    security(()),
    params(("id" = UploadTag, Path, description = "The upload.")),
    responses((status = 204, description = "In `Tus-Version`, `Tus-Extension`, `Tus-Max-Size`.")),
)]
pub(super) async fn options_of_one(state: State<AppState>) -> Response {
    options(state).await
}

/// `POST /uploads`: begins one, perhaps with its first bytes.
#[utoipa::path(
    post,
    path = "/uploads",
    tag = "Files",
    operation_id = "createUpload",
    summary = "Begin an upload",
    description = "By the tus protocol 1.0.0: a file in as many pieces as it takes. The body may be the first.",
    security(("key" = ["jobs:write"])),
    params(
        ("Tus-Resumable" = String, Header, description = "Always `1.0.0`."),
        ("Upload-Length" = i64, Header, description = "How many bytes the file has."),
        ("Upload-Metadata" = Option<String>, Header, description = "Pairs of a name and base64; `filename` is kept."),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha1` or `sha256` of the body, in base64."),
    ),
    responses(
        (
            status = 201,
            description = "It has begun; `Upload-Offset` says how much is here.",
            headers(("Location" = String, description = "The path of the upload.")),
        ),
        NotUploaded,
    ),
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Writes(caller): Writes,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers();
    check_version(headers)?;
    let size = length(headers)?;
    let metadata = metadata(headers)?;
    let checksum = checksum(headers)?;
    let has_piece = is_piece(headers);
    let name = metadata.as_deref().and_then(file_name);
    let body = request.into_body();
    if has_piece {
        check_fits(0, body.size_hint().lower(), size)?;
    }
    let begun = state.uploads.begin(&caller, Some(size), name, metadata).await;
    let mut upload = begun.map_err(upload::problem)?;
    if has_piece {
        let taking = Taking { checksum, ..Taking::default() };
        upload = upload::resumed(&state, upload, 0, taking, body.into_data_stream()).await?;
    }
    let mut response = StatusCode::CREATED.into_response();
    // The path alone: callers need not have come by the address that the operator knows.
    let location = upload::url(&state, upload.id).path().to_owned();
    let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(OFFSET, upload.received.into());
    put_end(response.headers_mut(), &upload)?;
    Ok(response)
}

/// The same where an address ends with a slash, as clients like to have it.
#[utoipa::path(
    post,
    path = "/uploads/",
    tag = "Files",
    operation_id = "createUploadInFolder",
    summary = "Begin an upload, at the address with a slash",
    description = "As `POST /uploads`.",
    security(("key" = ["jobs:write"])),
    params(
        ("Tus-Resumable" = String, Header, description = "Always `1.0.0`."),
        ("Upload-Length" = i64, Header, description = "How many bytes the file has."),
    ),
    responses(
        (
            status = 201,
            description = "It has begun; `Upload-Offset` says how much is here.",
            headers(("Location" = String, description = "The path of the upload.")),
        ),
        NotUploaded,
    ),
)]
pub(super) async fn create_in_folder(
    state: State<AppState>,
    caller: Writes,
    request: Request,
) -> Result<Response, Problem> {
    create(state, caller, request).await
}

/// `HEAD /uploads/{id}`: how much of it is here. `GET`: the file itself, once it is whole.
#[utoipa::path(
    get,
    path = "/uploads/{id}",
    tag = "Files",
    operation_id = "getUpload",
    summary = "Get an uploaded file",
    description = "The bytes, for keys of the project that sent them. HEAD says in `Upload-Offset` how much is here; it \
                   wants `Tus-Resumable`.",
    security(("key" = ["files:read"])),
    params(("id" = UploadTag, Path, description = "The upload.")),
    responses(
        (status = 200, description = "The file.", body = Vec<u8>, content_type = "*/*"),
        NoUploadYet,
    ),
)]
pub(super) async fn show(
    State(state): State<AppState>,
    ReadsUploads(caller): ReadsUploads,
    Segment(id): Segment,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = upload_id(&id)?;
    if method == Method::GET {
        return upload::show(&state, &caller, id).await;
    }
    check_version(&headers)?;
    let upload = state.uploads.find(&caller.project, id).await.map_err(upload::problem)?;
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(OFFSET, upload.received.into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(size) = upload.size {
        headers.insert(LENGTH, size.into());
    }
    if let Some(metadata) = &upload.metadata {
        headers.insert(METADATA, HeaderValue::try_from(metadata).map_err(Problem::internal)?);
    }
    put_end(headers, &upload)?;
    Ok(response)
}

/// `PATCH /uploads/{id}`: more of it.
#[utoipa::path(
    patch,
    path = "/uploads/{id}",
    tag = "Files",
    operation_id = "appendUpload",
    summary = "Go on with an upload",
    description = "The next bytes, as `application/offset+octet-stream`.",
    security(("key" = ["jobs:write"])),
    params(
        ("id" = UploadTag, Path, description = "The upload."),
        ("Tus-Resumable" = String, Header, description = "Always `1.0.0`."),
        ("Upload-Offset" = i64, Header, description = "How much is here already."),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha1` or `sha256` of the body, in base64."),
    ),
    responses(
        (status = 204, description = "They count; `Upload-Offset` says how much is here now."),
        NotUploaded,
        NoUpload,
    ),
)]
pub(super) async fn append(
    State(state): State<AppState>,
    Writes(caller): Writes,
    Segment(id): Segment,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers();
    check_version(headers)?;
    if !is_piece(headers) {
        let message = "a piece of an upload must say that it is one";
        let problem =
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message);
        return Err(problem.hint(format!("send the header `Content-Type: {PIECE}`")));
    }
    let from = number(headers, &OFFSET)?.ok_or_else(|| missing("Upload-Offset"))?;
    let checksum = checksum(headers)?;
    let id = upload_id(&id)?;
    let upload = state.uploads.find(&caller.project, id).await.map_err(upload::problem)?;
    let body = request.into_body();
    if let Some(size) = upload.size {
        check_fits(from, body.size_hint().lower(), size)?;
    }
    let taking = Taking { checksum, ..Taking::default() };
    let upload = upload::resumed(&state, upload, from, taking, body.into_data_stream()).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(OFFSET, upload.received.into());
    put_end(response.headers_mut(), &upload)?;
    Ok(response)
}

/// `DELETE /uploads/{id}`: neither the upload nor the file is wanted any more.
#[utoipa::path(
    delete,
    path = "/uploads/{id}",
    tag = "Files",
    operation_id = "deleteUpload",
    summary = "Delete an upload",
    description = "With its bytes, whole or not.",
    security(("key" = ["jobs:write"])),
    params(("id" = UploadTag, Path, description = "The upload.")),
    responses((status = 204, description = "It is gone."), NoUpload),
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    Writes(caller): Writes,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    let id = upload_id(&id)?;
    state.uploads.remove(&caller.project, id).await.map_err(upload::problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is no id of an upload is the id of no upload.
fn upload_id(text: &str) -> Result<UploadId, Problem> {
    text.parse().map_err(|_| upload::unknown())
}

fn check_version(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(RESUMABLE).is_some_and(|version| version == SPOKEN) {
        return Ok(());
    }
    let message = format!("this route speaks version {SPOKEN} of the tus protocol");
    let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "unsupported_version", message);
    Err(problem.hint(format!(
        "send the header `Tus-Resumable: {SPOKEN}`, or the whole file to POST /files"
    )))
}

fn length(headers: &HeaderMap) -> Result<u64, Problem> {
    number(headers, &LENGTH)?.ok_or_else(|| missing("Upload-Length"))
}

fn missing(name: &'static str) -> Problem {
    Problem::invalid_input(name, format!("`{name}` is required"))
        .hint("it is a whole number of bytes; sizes that are told later are not taken")
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).map(Some).ok_or_else(|| {
        let message = format!("`{name}` must be a whole number of bytes");
        Problem::invalid_input(name.as_str(), message)
            .hint("digits alone, without a sign or a unit")
    })
}

fn is_piece(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind == PIECE)
}

/// Refuses bytes behind the end of the file before any of them is taken.
fn check_fits(from: u64, coming: u64, size: u64) -> Result<(), Problem> {
    if from.saturating_add(coming) <= size {
        return Ok(());
    }
    Err(upload::problem(crate::upload::UploadError::TooLarge(size)))
}

/// The metadata as they are sent, once they are what the protocol says.
fn metadata(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(METADATA) else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| text.len() <= MAX_METADATA_BYTES);
    match text {
        Some("") => Ok(None),
        Some(text) if pairs(text).all(|pair| pair.is_some()) => Ok(Some(text.to_owned())),
        _ => {
            let message = format!(
                "`Upload-Metadata` must be pairs of a name and base64 text, at most \
                 {MAX_METADATA_BYTES} bytes"
            );
            Err(Problem::invalid_input("Upload-Metadata", message)
                .hint("for example `filename Y2xpcC5tcDQ=,filetype dmlkZW8vbXA0`"))
        }
    }
}

/// Names and their values; none for what is no pair.
fn pairs(text: &str) -> impl Iterator<Item = Option<(&str, Vec<u8>)>> {
    text.split(',').map(|pair| {
        let pair = pair.trim();
        let (name, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD.decode(value.trim()).ok()?;
        (!name.is_empty()).then_some((name, value))
    })
}

/// What clients call the file, under either of the usual names.
fn file_name(metadata: &str) -> Option<String> {
    let named = |(name, _): &(&str, Vec<u8>)| matches!(*name, "filename" | "name");
    let (_, name) = pairs(metadata).flatten().find(named)?;
    shown_name(&String::from_utf8(name).ok()?)
}

fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Problem> {
    let Some(value) = headers.get(CHECKSUM) else { return Ok(None) };
    let read = |text: &str| {
        let (algorithm, digest) = text.split_once(' ')?;
        let (kind, length) = match algorithm {
            "sha1" => (ChecksumKind::Sha1, 20),
            "sha256" => (ChecksumKind::Sha256, 32),
            _ => return None,
        };
        let digest = STANDARD.decode(digest.trim()).ok()?;
        (digest.len() == length).then(|| Checksum::new(kind, digest))
    };
    value.to_str().ok().and_then(read).map(Some).ok_or_else(|| {
        let message = "`Upload-Checksum` must be `sha1` or `sha256` and a digest in base64";
        Problem::invalid_input("Upload-Checksum", message)
            .hint("for example `sha1 Lve95gjOVATpfV8EL5X4nxwjKHE=`")
    })
}

/// Says when an upload goes, if nothing happens.
fn put_end(headers: &mut HeaderMap, upload: &Upload) -> Result<(), Problem> {
    let end = HeaderValue::try_from(http_date(upload.expires_at)).map_err(Problem::internal)?;
    headers.insert(EXPIRES, end);
    Ok(())
}

fn http_date(at: Timestamp) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at.secs().unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header"))])
    }

    #[test]
    fn metadata_are_kept_as_they_are_and_name_the_file() {
        for (sent, name) in [
            ("filename Y2xpcC5tcDQ=", Some("clip.mp4")),
            ("name Y2xpcC5tcDQ=, filetype dmlkZW8vbXA0", Some("clip.mp4")),
            ("is_confidential,filename L2V0Yy9wYXNzd2Q=", Some("passwd")),
            ("filename /w==", None),
            ("is_confidential", None),
        ] {
            let kept = metadata(&with(METADATA, sent)).expect("metadata").expect("some");
            assert_eq!((kept.as_str(), file_name(&kept).as_deref()), (sent, name));
        }
        for wrong in ["filename clip.mp4", "a Y2xpcC5tcDQ=,,", &"a".repeat(MAX_METADATA_BYTES + 1)]
        {
            assert!(metadata(&with(METADATA, wrong)).is_err(), "{wrong}");
        }
        assert_eq!(metadata(&with(METADATA, "")).expect("none"), None);
    }

    #[test]
    fn numbers_are_digits_and_checksums_are_whole() {
        assert_eq!(number(&with(OFFSET, "70"), &OFFSET).expect("a number"), Some(70));
        for wrong in ["", "-1", "+1", "1.5", "0x1", "99999999999999999999999"] {
            assert!(number(&with(OFFSET, wrong), &OFFSET).is_err(), "{wrong}");
        }
        assert!(checksum(&with(CHECKSUM, "sha1 Lve95gjOVATpfV8EL5X4nxwjKHE=")).is_ok());
        for wrong in ["sha1", "sha1 AAAA", "md5 Lve95gjOVATpfV8EL5X4nxwjKHE=", "sha1 %%%"] {
            assert!(checksum(&with(CHECKSUM, wrong)).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_a_reader_panic(text in "[ -~]{0,80}") {
            let _metadata = metadata(&with(METADATA, &text)).map(|kept| kept.map(|it| file_name(&it)));
            let _checksum = checksum(&with(CHECKSUM, &text));
            let _number = number(&with(OFFSET, &text), &OFFSET);
        }
    }
}
