//! What a server's answer to the question for a file means. Pure.

use std::time::Duration;

use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName,
    HeaderValue, LAST_MODIFIED,
};

use crate::outbound::OutboundError;
use crate::task::{ErrorKind, Failure};

/// How much older than the answer a file must be for its date to name one version of it.
const STRONG_DATE_AGE: Duration = Duration::from_mins(1);

/// What a status means for the download.
///
/// # Errors
///
/// Every status but 200 and 206.
pub(super) fn check_status(status: u16) -> Result<(), Failure> {
    let (kind, message) = match status {
        200 | 206 => return Ok(()),
        204 | 205 => (ErrorKind::InputEmpty, "the server says that the file has no content"),
        401 | 403 | 407 => (ErrorKind::InputUnauthorized, "the server does not give the file out"),
        404 | 410 => (ErrorKind::InputNotFound, "the server says that there is no such file"),
        408 | 425 | 429 | 500..=599 => {
            (ErrorKind::InputUnavailable, "the server cannot give the file out at present")
        }
        _ => (ErrorKind::InputRefused, "the server answers with something that is not a file"),
    };
    let failure = Failure::new(kind, format!("{message} (HTTP {status})"));
    Err(match kind {
        ErrorKind::InputUnauthorized => {
            failure.hint("a signed link may have run out: sign it for longer than jobs may wait")
        }
        _ => failure,
    })
}

/// The failure that stands for a request without an answer.
pub(super) fn failure_of(error: &OutboundError) -> Failure {
    let kind = match error {
        OutboundError::BlockedAddress | OutboundError::BlockedPort => ErrorKind::InputForbidden,
        OutboundError::Dns(_)
        | OutboundError::Connect(_)
        | OutboundError::Timeout
        | OutboundError::Reset(_) => ErrorKind::InputUnavailable,
        OutboundError::InvalidUrl(_)
        | OutboundError::Tls { .. }
        | OutboundError::TooManyRedirects
        | OutboundError::RedirectDowngrade
        | OutboundError::TooLarge
        | OutboundError::Protocol(_) => ErrorKind::InputRefused,
        OutboundError::Request(_) => ErrorKind::InternalError,
    };
    let failure = Failure::new(kind, error.to_string());
    if kind == ErrorKind::InputForbidden {
        failure.hint("whoever runs this server can open networks with REELWAY_ALLOW_NETWORKS")
    } else {
        failure
    }
}

/// Refuses a body that is packed although that was not asked for: it would not be the file.
///
/// # Errors
///
/// `input_refused`.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<(), Failure> {
    let plain = |value: &HeaderValue| {
        let value = value.as_bytes().trim_ascii();
        value.is_empty() || value.eq_ignore_ascii_case(b"identity")
    };
    if headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return Ok(());
    }
    let message = "the server sends the file compressed although asked not to";
    Err(Failure::new(ErrorKind::InputRefused, message))
}

/// The length that the server announces.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// A part of a file, as `content-range` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The first byte of the part.
    pub(super) from: u64,
    /// The last byte of the part.
    pub(super) last: u64,
    /// The length of the whole file.
    pub(super) total: Option<u64>,
}

impl Part {
    /// The byte behind the part.
    pub(super) const fn end(&self) -> u64 {
        self.last.saturating_add(1)
    }

    /// Whether nothing comes behind it, as far as is told.
    pub(super) fn reaches_end(&self) -> bool {
        self.total.is_none_or(|total| self.end() == total)
    }
}

/// Reads `content-range: bytes 5-9/10`.
pub(super) fn part(headers: &HeaderMap) -> Option<Part> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (from, last) = range.split_once('-')?;
    let (from, last): (u64, u64) = (from.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    let is_within = total.is_none_or(|total| last < total);
    (from <= last && is_within).then_some(Part { from, last, total })
}

/// What names this one version of a file: a strong entity tag, or a date old enough to be sure.
pub(super) fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    if let Some(tag) = headers.get(ETAG) {
        return tag.as_bytes().starts_with(b"\"").then(|| tag.clone());
    }
    let date = |name: HeaderName| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let age = date(DATE)?.duration_since(date(LAST_MODIFIED)?).ok()?;
    (age >= STRONG_DATE_AGE).then(|| headers.get(LAST_MODIFIED).cloned()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::UrlProblem;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(pair).collect()
    }

    #[test]
    fn each_status_has_its_kind() {
        let kind =
            |status| check_status(status).map_or_else(|failure| failure.kind.name(), |()| "ok");
        let cases = [
            ("ok", &[200, 206][..]),
            ("input_empty", &[204, 205]),
            ("input_unauthorized", &[401, 403, 407]),
            ("input_not_found", &[404, 410]),
            ("input_unavailable", &[408, 425, 429, 500, 502, 503, 504, 599]),
            ("input_refused", &[201, 300, 301, 304, 400, 402, 405, 406, 409, 416, 418, 451]),
        ];
        for (wanted, statuses) in cases {
            for status in statuses {
                assert_eq!(kind(*status), wanted, "{status}");
            }
        }
    }

    #[test]
    fn a_blocked_address_is_told_with_advice_and_without_the_address() {
        let failure = failure_of(&OutboundError::BlockedAddress);
        assert_eq!(failure.kind, ErrorKind::InputForbidden);
        assert!(failure.hint.expect("a hint").contains("REELWAY_ALLOW_NETWORKS"));
        let failure = failure_of(&OutboundError::InvalidUrl(UrlProblem::Scheme));
        assert_eq!((failure.kind, failure.hint), (ErrorKind::InputRefused, None));
    }

    #[test]
    fn a_part_is_within_its_file_and_may_reach_its_end() {
        let read = |value| part(&headers(&[("content-range", value)]));
        let rest = Part { from: 5, last: 9, total: Some(10) };
        assert_eq!(read("bytes 5-9/10"), Some(rest));
        assert_eq!(read("bytes 5-9/*"), Some(Part { total: None, ..rest }));
        assert_eq!(read("bytes 5-8/10"), Some(Part { last: 8, ..rest }));
        assert!(rest.reaches_end() && !Part { last: 8, ..rest }.reaches_end());
        for bad in ["bytes 5-10/10", "bytes 9-5/10", "bytes */10", "items 5-9/10", "bytes 5-9", ""]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_what_names_one_version_is_a_validator() {
        let found = |lines: &[_]| validator(&headers(lines)).is_some();
        let (old, new) = ("Mon, 23 Nov 2026 10:00:00 GMT", "Mon, 23 Nov 2026 10:01:00 GMT");
        assert!(found(&[("etag", "\"a\"")]));
        assert!(!found(&[("etag", "W/\"a\"")]));
        assert!(!found(&[("etag", "W/\"a\""), ("last-modified", old), ("date", new)]));
        assert!(found(&[("last-modified", old), ("date", new)]));
        assert!(!found(&[("last-modified", old), ("date", old)]));
        assert!(!found(&[("last-modified", old)]));
        assert!(!found(&[]));
    }

    #[test]
    fn a_packed_body_is_refused() {
        assert!(check_encoding(&headers(&[("content-encoding", "gzip")])).is_err());
        assert!(check_encoding(&headers(&[("content-encoding", "Identity")])).is_ok());
        assert!(check_encoding(&HeaderMap::new()).is_ok());
    }
}
