//! The first answer: whether a file can be had by parts, or is simply downloaded.

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::blocks::BLOCK_BYTES;
use super::cache::Cache;
use super::kind::{self, HEAD_BYTES};
use super::remote::{Body, Remote, ranged};
use crate::input::fetch::{Break, FetchError, Fetched, Fetcher, Rate, too_slow};
use crate::input::{answer, sniff};
use crate::job::InputUrl;
use crate::outbound::{OutboundError, Response};
use crate::task::Failure;

/// How much is asked for first. A file that is no larger comes whole by that, and is simply a
/// file: three more requests would take as long as its bytes do.
const FIRST_BYTES: u64 = 4 << 20;

/// How a file was opened.
#[derive(Debug)]
pub(in crate::input) enum Opened {
    /// It is here.
    Whole(Fetched),
    /// Some of it is here, and more comes when it is read.
    Parts(Arc<Cache>),
}

/// What the first answer says.
enum First {
    /// To be downloaded, by what has come already or from the start.
    Download(Option<Response>),
    /// To be had by parts.
    Parts(Box<Begun>),
}

/// A file whose first part is on its way.
struct Begun {
    remote: Remote,
    head: Bytes,
    /// How many whole blocks the part brings.
    blocks: u64,
    body: Body,
}

impl Fetcher {
    /// Opens `url` at `path`, by parts if the server gives any and the file is worth it; else it
    /// is downloaded.
    ///
    /// # Errors
    ///
    /// As of [`Fetcher::fetch`].
    pub(in crate::input) async fn open(
        &self,
        url: &InputUrl,
        path: &Path,
        on_bytes: impl FnMut(u64, Option<u64>) + Send,
        stop: &CancellationToken,
    ) -> Result<Opened, FetchError> {
        let first = timeout(self.limits().deadline, self.first(url));
        let first = match stop.run_until_cancelled(first).await {
            None => return Err(FetchError::Stopped),
            Some(Err(_)) => return Err(too_slow("the download took too long").into()),
            Some(Ok(first)) => first?,
        };
        match first {
            First::Download(begun) => {
                let fetched = self.fetch_on(url, path, begun, on_bytes, stop).await?;
                Ok(Opened::Whole(fetched))
            }
            First::Parts(begun) => {
                let Begun { remote, head, blocks, body } = *begun;
                let demuxer = kind::demuxer(&head);
                Ok(Opened::Parts(Cache::create(remote, demuxer, path, blocks, body)?))
            }
        }
    }

    async fn first(&self, url: &InputUrl) -> Result<First, Failure> {
        let asked = self.client().get(url.url(), ranged(&(0..FIRST_BYTES)));
        let asked = timeout(self.limits().headers, asked).await;
        let asked = asked.map_err(|_| OutboundError::Timeout).flatten();
        let response = asked.map_err(|error| answer::failure_of(&error))?;
        match response.status() {
            200 => return Ok(First::Download(Some(response))),
            // What a server says that does not like to be asked for parts, or has an empty file.
            400 | 405 | 406 | 412 | 416 | 501 => return Ok(First::Download(None)),
            status => answer::check_status(status)?,
        }
        let headers = response.headers();
        let part = answer::part(headers).filter(|part| part.from == 0);
        let Some((part, total)) = part.and_then(|part| Some((part, part.total?))) else {
            return Ok(First::Download(None));
        };
        if answer::check_encoding(headers).is_err() {
            return Ok(First::Download(None));
        }
        self.check_size(total)?;
        if part.end() == total {
            return Ok(First::Download(Some(response)));
        }
        let blocks = part.end() / BLOCK_BYTES;
        match answer::validator(headers) {
            Some(validator) if blocks > 0 && part.end() <= FIRST_BYTES => {
                let (fetcher, url) = (self.clone(), url.clone());
                let remote = Remote { fetcher, url, total_bytes: total, validator };
                self.begin(remote, response, blocks).await
            }
            // Nothing tells whether two parts are of one version.
            _ => Ok(First::Download(None)),
        }
    }

    /// Reads and looks at the first bytes: what opens other files never reaches ffmpeg.
    async fn begin(
        &self,
        remote: Remote,
        mut response: Response,
        blocks: u64,
    ) -> Result<First, Failure> {
        let (mut rate, mut head) = (Rate::new(self.limits()), BytesMut::new());
        while head.len() < HEAD_BYTES.max(sniff::HEAD_BYTES) {
            match rate.next(&mut response).await {
                Ok(Some(bytes)) => head.extend_from_slice(&bytes),
                Ok(None) | Err(Break::Broken(_)) => return Ok(First::Download(None)),
                Err(Break::Final(failure)) => return Err(failure),
            }
        }
        sniff::sniff(&head).check()?;
        let head = head.freeze();
        let body = Body::new(response, rate, head.clone(), blocks * BLOCK_BYTES);
        Ok(First::Parts(Box::new(Begun { remote, head, blocks, body })))
    }
}
