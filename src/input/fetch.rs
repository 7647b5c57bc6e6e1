//! One download: from a URL to a file, within limits, resumed when the connection breaks.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::part::{Content, PartFile};
use super::{Supplied, Supply, answer};
use crate::job::InputUrl;
use crate::outbound::{Client, OutboundError, Response};
use crate::task::{ErrorKind, Failure};

/// The same failure, said of a key.
fn of_key(failure: Failure) -> Failure {
    let message = format!("`encryption.key_url`: {}", failure.message);
    Failure { message, ..failure }
}

/// What a download may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimits {
    /// The largest file in bytes.
    pub max_bytes: u64,
    /// How many bytes must come in every [`Self::rate_window`] of waiting for them.
    pub min_bytes_per_window: u64,
    /// How long the speed is looked at; time spent writing to the disk does not count.
    pub rate_window: Duration,
    /// How long the server may take to begin its answer, redirects included.
    pub headers: Duration,
    /// How long the whole download may take, resumed parts included.
    pub deadline: Duration,
    /// How many bytes must stay free on the disk.
    pub reserve_bytes: u64,
    /// How often a broken download is taken up again.
    pub max_resumes: u32,
    /// How long to wait before that.
    pub resume_pause: Duration,
}

impl Default for FetchLimits {
    /// 10 GiB in an hour, never slower than 16 KiB/s over 30 s.
    fn default() -> Self {
        Self {
            max_bytes: 10 << 30,
            min_bytes_per_window: 30 * (16 << 10),
            rate_window: Duration::from_secs(30),
            headers: Duration::from_secs(15),
            deadline: Duration::from_hours(1),
            reserve_bytes: 256 << 20,
            max_resumes: 3,
            resume_pause: Duration::from_secs(1),
        }
    }
}

/// A file that has been fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// Why there is no file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nobody wants it any more.
    #[error("the download was stopped")]
    Stopped,
    /// It could not be fetched.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Fetches inputs.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: Client,
    limits: FetchLimits,
    content: Content,
}

/// How one connection of a download ended without its last byte.
pub(super) enum Break {
    /// The connection broke; what has come so far may be of use.
    Broken(Failure),
    /// Trying again at once would change nothing.
    Final(Failure),
}

impl From<Failure> for Break {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// The version of the file that is being fetched, as its first answer told it.
struct Version {
    total: Option<u64>,
    validator: Option<HeaderValue>,
}

impl Fetcher {
    /// A fetcher that reaches out through `client`.
    #[must_use]
    pub const fn new(client: Client, limits: FetchLimits) -> Self {
        Self { client, limits, content: Content::Media }
    }

    /// The same for files of at most so many bytes, which are not media.
    #[must_use]
    pub(super) fn for_small_text(&self, max_bytes: u64) -> Self {
        let limits = FetchLimits { max_bytes: max_bytes.min(self.limits.max_bytes), ..self.limits };
        Self { client: self.client.clone(), limits, content: Content::Any }
    }

    /// What it reaches out through.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// What a download may cost.
    pub(super) const fn limits(&self) -> &FetchLimits {
        &self.limits
    }

    /// Fetches `url` into a new file at `path`, which is read-only afterwards.
    ///
    /// `on_bytes` is told how many bytes have come and how many there are in all, as far as the
    /// server says so; the first number goes back when the download has to begin anew.
    ///
    /// # Errors
    ///
    /// [`FetchError::Stopped`] when `stop` is cancelled, else the failure, of an `input_` kind,
    /// `disk_full` or `internal_error`. Then there is no file at `path`, unless there was one
    /// before, which is left as it is.
    pub async fn fetch(
        &self,
        url: &InputUrl,
        path: &Path,
        on_bytes: impl FnMut(u64, Option<u64>) + Send,
        stop: &CancellationToken,
    ) -> Result<Fetched, FetchError> {
        self.fetch_on(url, path, None, on_bytes, stop).await
    }

    /// The same, with an answer that has begun already, to the question for the file or its start.
    pub(super) async fn fetch_on(
        &self,
        url: &InputUrl,
        path: &Path,
        begun: Option<Response>,
        mut on_bytes: impl FnMut(u64, Option<u64>) + Send,
        stop: &CancellationToken,
    ) -> Result<Fetched, FetchError> {
        let whole = self.fetch_whole(url, path, begun, &mut on_bytes);
        let whole = timeout(self.limits.deadline, whole);
        match stop.run_until_cancelled(whole).await {
            None => Err(FetchError::Stopped),
            Some(Err(_)) => Err(too_slow("the download took too long").into()),
            Some(Ok(done)) => Ok(Fetched { size_bytes: done? }),
        }
    }

    /// Copies what is had without the network into a new file at `path`, within the same limits.
    ///
    /// # Errors
    ///
    /// As of [`Self::fetch`].
    pub async fn copy(
        &self,
        supply: &dyn Supply,
        path: &Path,
        mut on_bytes: impl FnMut(u64, Option<u64>) + Send,
        stop: &CancellationToken,
    ) -> Result<Fetched, FetchError> {
        let whole = timeout(self.limits.deadline, self.copy_whole(supply, path, &mut on_bytes));
        match stop.run_until_cancelled(whole).await {
            None => Err(FetchError::Stopped),
            Some(Err(_)) => Err(too_slow("reading the file took too long").into()),
            Some(Ok(done)) => Ok(Fetched { size_bytes: done? }),
        }
    }

    async fn copy_whole(
        &self,
        supply: &dyn Supply,
        path: &Path,
        on_bytes: &mut (impl FnMut(u64, Option<u64>) + Send),
    ) -> Result<u64, Failure> {
        let mut part = PartFile::create(path, self.limits.reserve_bytes, self.content)?;
        let Supplied { size_bytes, mut bytes } = supply.open().await?;
        self.check_size(size_bytes)?;
        part.check_space(size_bytes)?;
        while let Some(piece) = bytes.next().await {
            part.write(&piece?).await?;
            on_bytes(part.size_bytes(), Some(size_bytes));
        }
        if part.size_bytes() != size_bytes {
            return Err(cut_short());
        }
        part.keep().await
    }

    async fn fetch_whole(
        &self,
        url: &InputUrl,
        path: &Path,
        mut begun: Option<Response>,
        on_bytes: &mut (impl FnMut(u64, Option<u64>) + Send),
    ) -> Result<u64, Failure> {
        let mut part = PartFile::create(path, self.limits.reserve_bytes, self.content)?;
        let mut version = None;
        let mut resumes = 0;
        loop {
            let ended = match begun.take() {
                Some(response) => {
                    self.take_on(response, true, &mut part, &mut version, on_bytes).await
                }
                None => self.fetch_rest(url, &mut part, &mut version, on_bytes).await,
            };
            match ended {
                Ok(()) => return part.keep().await,
                Err(Break::Final(failure)) => return Err(failure),
                Err(Break::Broken(failure)) if resumes == self.limits.max_resumes => {
                    return Err(failure);
                }
                Err(Break::Broken(failure)) => {
                    resumes += 1;
                    let at = part.size_bytes();
                    tracing::info!(resumes, size_bytes = at, %failure, "resuming a download");
                    tokio::time::sleep(self.limits.resume_pause).await;
                }
            }
        }
    }

    /// Fetches what is missing over one connection.
    async fn fetch_rest(
        &self,
        url: &InputUrl,
        part: &mut PartFile,
        version: &mut Option<Version>,
        on_bytes: &mut (impl FnMut(u64, Option<u64>) + Send),
    ) -> Result<(), Break> {
        // An error before the first good answer is for the queue to try again, later.
        let has_begun = version.is_some();
        let broken = |error: OutboundError| match answer::failure_of(&error) {
            failure if has_begun && failure.kind.is_retryable() => Break::Broken(failure),
            failure => Break::Final(failure),
        };
        let asked = self.client.get(url.url(), request_headers(part, version.as_ref()));
        let asked = timeout(self.limits.headers, asked).await;
        let response = asked.map_err(|_| OutboundError::Timeout).flatten().map_err(broken)?;
        match answer::check_status(response.status()) {
            Ok(()) => {}
            // The part that was asked for does not exist: it is another file by now.
            Err(_) if has_begun && response.status() == 416 => {
                *version = None;
                return Err(Break::Broken(changed()));
            }
            Err(failure) if has_begun && failure.kind.is_retryable() => {
                return Err(Break::Broken(failure));
            }
            Err(failure) => return Err(Break::Final(failure)),
        }
        self.take_on(response, false, part, version, on_bytes).await
    }

    /// Takes what a good answer brings. The whole file may be called a part of it, where a part
    /// was asked for.
    async fn take_on(
        &self,
        response: Response,
        may_be_part: bool,
        part: &mut PartFile,
        version: &mut Option<Version>,
        on_bytes: &mut (impl FnMut(u64, Option<u64>) + Send),
    ) -> Result<(), Break> {
        answer::check_encoding(response.headers())?;
        let total = begin(&response, may_be_part, part, version).await?;
        self.check_size(total.unwrap_or(0))?;
        part.check_space(total.unwrap_or(0).saturating_sub(part.size_bytes()))?;
        self.receive(response, part, total, on_bytes).await
    }

    /// The few bytes at `url`: a key that an output is encrypted with.
    ///
    /// # Errors
    ///
    /// The URL cannot be reached or is refused, or there are not `N` bytes.
    pub(super) async fn key<const N: usize>(&self, url: &Url) -> Result<[u8; N], Failure> {
        let asked = async {
            let mut response = self.client.get(url, HeaderMap::new()).await?;
            let (status, mut bytes) = (response.status(), Vec::new());
            while bytes.len() <= N
                && let Some(chunk) = response.chunk().await?
            {
                bytes.extend_from_slice(&chunk);
            }
            Ok((status, bytes))
        };
        let asked = timeout(self.limits.headers, asked).await;
        let (status, bytes) = asked
            .map_err(|_| OutboundError::Timeout)
            .flatten()
            .map_err(|error| of_key(answer::failure_of(&error)))?;
        answer::check_status(status).map_err(of_key)?;
        bytes.try_into().map_err(|_| {
            let message = format!("what is behind `encryption.key_url` is no key of {N} bytes");
            Failure::new(ErrorKind::InputUnsupported, message)
                .hint("the URL answers with the bytes of the key and nothing else")
        })
    }

    async fn receive(
        &self,
        mut response: Response,
        part: &mut PartFile,
        total: Option<u64>,
        on_bytes: &mut (impl FnMut(u64, Option<u64>) + Send),
    ) -> Result<(), Break> {
        let mut rate = Rate::new(&self.limits);
        on_bytes(part.size_bytes(), total);
        while let Some(bytes) = rate.next(&mut response).await? {
            self.check_size(part.size_bytes() + bytes.len() as u64)?;
            part.write(&bytes).await?;
            on_bytes(part.size_bytes(), total);
        }
        match total {
            Some(total) if part.size_bytes() != total => Err(Break::Broken(cut_short())),
            _ => Ok(()),
        }
    }

    pub(super) fn check_size(&self, size_bytes: u64) -> Result<(), Failure> {
        if size_bytes <= self.limits.max_bytes {
            return Ok(());
        }
        let message =
            format!("the file is larger than the {} bytes allowed", self.limits.max_bytes);
        let failure = Failure::new(ErrorKind::InputTooLarge, message);
        Err(match self.content {
            Content::Media => {
                failure.hint("whoever runs this server sets the limit with REELWAY_MAX_INPUT_SIZE")
            }
            Content::Any => failure,
        })
    }
}

/// Asks for the rest of the same version where that can be had, else for all of it.
fn request_headers(part: &PartFile, version: Option<&Version>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let validator = version.and_then(|version| version.validator.clone());
    let range = HeaderValue::try_from(format!("bytes={}-", part.size_bytes()));
    if let (Some(validator), Ok(range), 1..) = (validator, range, part.size_bytes()) {
        headers.insert(RANGE, range);
        headers.insert(IF_RANGE, validator);
    }
    headers
}

/// Makes ready for the body of a good answer; returns the size of the whole file, if known.
async fn begin(
    response: &Response,
    may_be_part: bool,
    part: &mut PartFile,
    version: &mut Option<Version>,
) -> Result<Option<u64>, Break> {
    let headers = response.headers();
    let told = answer::part(headers).filter(answer::Part::reaches_end);
    if response.status() == 200 || may_be_part && told.is_some_and(|told| told.from == 0) {
        if part.size_bytes() > 0 {
            part.restart().await?;
        }
        let total = match response.status() {
            200 => answer::length(headers),
            _ => told.and_then(|told| told.total),
        };
        *version = Some(Version { total, validator: answer::validator(headers) });
        return Ok(total);
    }
    let Some(known) = version.as_ref().filter(|_| part.size_bytes() > 0) else {
        let message = "the server sends a part of the file although all of it was asked for";
        return Err(Break::Final(Failure::new(ErrorKind::InputRefused, message)));
    };
    let rest = told;
    let fits = rest.is_some_and(|rest| {
        let same_size = rest.total.is_none() || known.total.is_none() || rest.total == known.total;
        rest.from == part.size_bytes() && same_size
    });
    // Not every server that knows parts knows `if-range`.
    let is_same = answer::validator(headers).is_none_or(|now| Some(now) == known.validator);
    if fits && is_same {
        Ok(known.total.or_else(|| rest.and_then(|rest| rest.total)))
    } else {
        *version = None;
        part.restart().await?;
        Err(Break::Broken(changed()))
    }
}

/// Watches that bytes come fast enough.
pub(super) struct Rate {
    min_bytes: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Rate {
    pub(super) const fn new(limits: &FetchLimits) -> Self {
        Self {
            min_bytes: limits.min_bytes_per_window,
            window: limits.rate_window,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// The next bytes of the body, unless they come too slowly.
    pub(super) async fn next(
        &mut self,
        response: &mut Response,
    ) -> Result<Option<bytes::Bytes>, Break> {
        loop {
            let begun = Instant::now();
            let left = self.window.saturating_sub(self.waited);
            let next = timeout(left, response.chunk()).await;
            self.waited += begun.elapsed();
            if let Ok(next) = next {
                let bytes = next.map_err(|error| match answer::failure_of(&error) {
                    failure if failure.kind.is_retryable() => Break::Broken(failure),
                    failure => Break::Final(failure),
                })?;
                self.bytes += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
                return Ok(bytes);
            }
            if self.bytes < self.min_bytes {
                return Err(too_slow("the server sends the file too slowly").into());
            }
            self.waited = Duration::ZERO;
            self.bytes = 0;
        }
    }
}

pub(super) fn too_slow(message: &str) -> Failure {
    Failure::new(ErrorKind::InputTooSlow, message)
}

pub(super) fn changed() -> Failure {
    Failure::new(ErrorKind::InputUnavailable, "the file changed while it was downloaded")
}

pub(super) fn cut_short() -> Failure {
    Failure::new(ErrorKind::InputUnavailable, "the server sent less than it announced")
}
