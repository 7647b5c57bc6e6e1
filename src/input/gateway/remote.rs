//! One version of a file at a server, had by parts: every answer must be of that version and be
//! the part that was asked for.

use std::ops::Range;

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use tokio::time::timeout;

use crate::input::answer;
use crate::input::fetch::{Break, Fetcher, Rate, changed, cut_short};
use crate::job::InputUrl;
use crate::outbound::{OutboundError, Response};
use crate::task::{ErrorKind, Failure};

/// One version of a file at a server.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) fetcher: Fetcher,
    pub(super) url: InputUrl,
    pub(super) total_bytes: u64,
    /// What names the version.
    pub(super) validator: HeaderValue,
}

/// The bytes of a part as they come.
pub(super) struct Body {
    response: Response,
    rate: Rate,
    /// What was read of it before.
    begun: Option<Bytes>,
    /// How many bytes are still to come.
    left: u64,
}

impl Body {
    pub(super) const fn new(response: Response, rate: Rate, begun: Bytes, part_bytes: u64) -> Self {
        Self { response, rate, begun: Some(begun), left: part_bytes }
    }

    /// The next bytes; none at the end of the part, and never more than it has.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Break> {
        if self.left == 0 {
            return Ok(None);
        }
        let begun = self.begun.take().filter(|begun| !begun.is_empty());
        let next = match begun {
            Some(begun) => Some(begun),
            None => self.rate.next(&mut self.response).await?,
        };
        let Some(mut bytes) = next else { return Err(Break::Broken(cut_short())) };
        bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= bytes.len() as u64;
        Ok(Some(bytes))
    }
}

impl Remote {
    /// Asks for these bytes, of which there are some. What comes may end before they do.
    pub(super) async fn ask(&self, bytes: &Range<u64>) -> Result<Body, Break> {
        let mut headers = ranged(bytes);
        headers.insert(IF_RANGE, self.validator.clone());
        let broken = |error: OutboundError| match answer::failure_of(&error) {
            failure if failure.kind.is_retryable() => Break::Broken(failure),
            failure => Break::Final(failure),
        };
        let limits = self.fetcher.limits();
        let asked = timeout(limits.headers, self.fetcher.client().get(self.url.url(), headers));
        let response = asked.await.map_err(|_| OutboundError::Timeout).flatten().map_err(broken)?;
        match response.status() {
            206 => {}
            // All of it, or none of it: the version that was asked for is not there any more.
            200 | 412 | 416 => return Err(Break::Final(changed())),
            status => {
                return Err(match answer::check_status(status) {
                    Err(failure) if failure.kind.is_retryable() => Break::Broken(failure),
                    Err(failure) => Break::Final(failure),
                    Ok(()) => Break::Final(another_part()),
                });
            }
        }
        answer::check_encoding(response.headers())?;
        let length = self.check_part(response.headers(), bytes)?;
        Ok(Body { response, rate: Rate::new(limits), begun: None, left: length })
    }

    /// How many bytes the part has that an answer brings.
    fn check_part(&self, headers: &HeaderMap, asked: &Range<u64>) -> Result<u64, Break> {
        let part = answer::part(headers).ok_or_else(another_part)?;
        let is_same_size = part.total.is_none_or(|total| total == self.total_bytes);
        // Not every server that knows parts knows `if-range`.
        let is_same = answer::validator(headers).is_none_or(|now| now == self.validator);
        if !is_same_size || !is_same {
            return Err(Break::Final(changed()));
        }
        if part.from != asked.start || part.end() > asked.end {
            return Err(Break::Final(another_part()));
        }
        Ok(part.end() - part.from)
    }
}

/// The headers that ask for a part of a file, as it lies there.
pub(super) fn ranged(bytes: &Range<u64>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let last = bytes.end.saturating_sub(1);
    if let Ok(range) = HeaderValue::try_from(format!("bytes={}-{last}", bytes.start)) {
        headers.insert(RANGE, range);
    }
    headers
}

pub(super) fn another_part() -> Failure {
    let message = "the server sends another part of the file than was asked for";
    Failure::new(ErrorKind::InputRefused, message)
}
