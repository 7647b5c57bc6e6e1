//! Bytes on their way in: gathered to parts, looked at, hashed, put into storage, counted.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::digest::Running;
use super::{Checksum, UploadError, UploadLimits, Uploads, folder, media};
use crate::input::{HEAD_BYTES, sniff};
use crate::store::{AppendUpload, Appended, Upload, UploadPart};

/// How a stream of bytes is taken.
#[derive(Debug, Default)]
pub struct Taking {
    /// Whether the end of the stream is the end of the file, when its size was not said.
    pub is_whole: bool,
    /// What the bytes are said to be: if they are not, none of them counts.
    pub checksum: Option<Checksum>,
}

/// How a stream ended.
enum End {
    Whole,
    Broken(UploadError),
}

struct Receiver<'a> {
    uploads: &'a Uploads,
    /// As it counts.
    upload: Upload,
    /// Where the next part begins: behind those that wait for the checksum.
    position: u64,
    waiting: Vec<UploadPart>,
    buffer: BytesMut,
    digest: Running,
    taking: Taking,
}

impl Uploads {
    /// Appends what `body` sends to an upload that has `from` bytes. What came before the stream
    /// broke counts all the same, unless there is a checksum.
    ///
    /// # Errors
    ///
    /// See [`UploadError`]. What counts by then is what the store says.
    pub async fn append<E: Send>(
        &self,
        upload: Upload,
        from: u64,
        taking: Taking,
        mut body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
        stop: &CancellationToken,
    ) -> Result<Upload, UploadError> {
        if upload.received != from {
            return Err(UploadError::Elsewhere(upload.received));
        }
        if upload.finished_at.is_some() {
            return Ok(upload);
        }
        let digest = match &upload.digest_state {
            Some(state) => Running::from_state(state).ok_or(UploadError::Unknown)?,
            None => Running::default(),
        };
        let mut receiver = Receiver {
            uploads: self,
            upload,
            position: from,
            waiting: Vec::new(),
            buffer: BytesMut::new(),
            digest,
            taking,
        };
        let end = receiver.take_all(&mut body, stop).await;
        let ended = receiver.end(end).await;
        if ended.is_err() {
            receiver.forget_waiting().await;
        }
        ended.map(|()| receiver.upload)
    }
}

/// Watches that bytes come fast enough: one byte a minute would keep a connection for ever.
struct Rate {
    min_bytes: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Rate {
    const fn new(limits: &UploadLimits) -> Self {
        let (min_bytes, window) = (limits.min_bytes_per_stall, limits.stall);
        Self { min_bytes, window, waited: Duration::ZERO, bytes: 0 }
    }

    /// The next bytes; nothing at their end.
    async fn next<E: Send>(
        &mut self,
        body: &mut (impl Stream<Item = Result<Bytes, E>> + Send + Unpin),
    ) -> Result<Option<Bytes>, UploadError> {
        loop {
            let begun = Instant::now();
            let left = self.window.saturating_sub(self.waited);
            let next = timeout(left, body.next()).await;
            self.waited += begun.elapsed();
            if let Ok(next) = next {
                let bytes = next.transpose().map_err(|_| UploadError::Cut)?;
                self.bytes += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
                return Ok(bytes);
            }
            if self.bytes < self.min_bytes {
                return Err(UploadError::Stalled);
            }
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
    }
}

impl Receiver<'_> {
    async fn take_all<E: Send>(
        &mut self,
        body: &mut (impl Stream<Item = Result<Bytes, E>> + Send + Unpin),
        stop: &CancellationToken,
    ) -> End {
        let mut rate = Rate::new(&self.uploads.limits);
        loop {
            let next = rate.next(body);
            let bytes = match stop.run_until_cancelled(next).await {
                None => return End::Broken(UploadError::Stopping),
                Some(Err(error)) => return End::Broken(error),
                Some(Ok(None)) => return End::Whole,
                Some(Ok(Some(bytes))) => bytes,
            };
            if let Err(error) = self.take(bytes).await {
                // What is in the buffer is not to be tried again.
                self.buffer.clear();
                return End::Broken(error);
            }
        }
    }

    async fn take(&mut self, mut bytes: Bytes) -> Result<(), UploadError> {
        let limit = self.upload.size.unwrap_or(self.uploads.limits.max_bytes);
        let have = self.position + self.buffer.len() as u64;
        if have + bytes.len() as u64 > limit {
            return Err(UploadError::TooLarge(limit));
        }
        if let Some(checksum) = &mut self.taking.checksum {
            checksum.update(&bytes);
        }
        while !bytes.is_empty() {
            let room = self.uploads.limits.part_bytes - self.buffer.len();
            let piece = bytes.copy_to_bytes(room.min(bytes.len()));
            self.buffer.extend_from_slice(&piece);
            if self.buffer.len() == self.uploads.limits.part_bytes {
                self.put().await?;
            }
        }
        Ok(())
    }

    /// Writes down what came, and says how it ended.
    async fn end(&mut self, end: End) -> Result<(), UploadError> {
        let has_checksum = self.taking.checksum.is_some();
        match end {
            End::Broken(error) if has_checksum => return Err(error),
            End::Broken(error) => {
                if !self.buffer.is_empty() {
                    self.put().await?;
                }
                return Err(error);
            }
            End::Whole => {}
        }
        if self.taking.checksum.take().is_some_and(|checksum| !checksum.holds()) {
            return Err(UploadError::Checksum);
        }
        if !self.buffer.is_empty() {
            self.put().await?;
        }
        if self.upload.size.is_none() && self.taking.is_whole && self.position == 0 {
            return Err(UploadError::Empty);
        }
        let is_open = self.upload.finished_at.is_none();
        if is_open && (!self.waiting.is_empty() || self.is_at_the_end(true)) {
            let waiting = std::mem::take(&mut self.waiting);
            self.count(waiting, true).await?;
        }
        Ok(())
    }

    /// Whether the file is whole with what is there; `over` when the stream is.
    fn is_at_the_end(&self, over: bool) -> bool {
        match self.upload.size {
            Some(size) => self.position == size,
            None => over && self.taking.is_whole,
        }
    }

    /// The buffer becomes a part in storage. It counts at once, or waits for the checksum.
    async fn put(&mut self) -> Result<(), UploadError> {
        let bytes = std::mem::take(&mut self.buffer).freeze();
        if self.position == 0 {
            let head = &bytes[..bytes.len().min(HEAD_BYTES)];
            sniff(head).check().map_err(UploadError::Unsupported)?;
            self.upload.media = media(head).map(|media| media.content_type.to_owned());
        }
        let parts = self.upload.part_count as usize + self.waiting.len();
        if parts >= self.uploads.limits.max_parts as usize {
            return Err(UploadError::TooManyParts(self.uploads.limits.max_parts));
        }
        self.uploads.check_room(bytes.len() as u64)?;
        let (start, size) = (self.position, bytes.len() as u64);
        // No two senders of the same bytes write to one key.
        let key = format!("{}/{start:014}-{:016x}", folder(self.upload.id), rand::random::<u64>());
        self.digest.update(&bytes);
        self.uploads.storage.put_bytes(&key, bytes).await?;
        self.position += size;
        self.waiting.push(UploadPart { start, size, key });
        if self.taking.checksum.is_none() {
            let waiting = std::mem::take(&mut self.waiting);
            self.count(waiting, false).await?;
        }
        Ok(())
    }

    /// Makes parts count; `over` when no more will come with this stream.
    async fn count(&mut self, parts: Vec<UploadPart>, over: bool) -> Result<(), UploadError> {
        let is_last = self.is_at_the_end(over);
        let limits = &self.uploads.limits;
        let append = AppendUpload {
            id: self.upload.id,
            project: self.upload.project.clone(),
            from: self.upload.received,
            parts,
            media: self.upload.media.clone(),
            digest_state: self.digest.state(),
            sha256: is_last.then(|| self.digest.finish()),
            keep: if is_last { limits.keep_finished } else { limits.keep_unfinished },
        };
        let refused = match self.uploads.store.append_upload(&append).await? {
            Appended::Done(upload) => {
                self.upload = *upload;
                return Ok(());
            }
            Appended::Elsewhere(received) => UploadError::Elsewhere(received),
            Appended::Gone => UploadError::Unknown,
        };
        self.waiting = append.parts;
        Err(refused)
    }

    /// Removes parts that will never count.
    async fn forget_waiting(&mut self) {
        for part in std::mem::take(&mut self.waiting) {
            if let Err(error) = self.uploads.storage.delete(&part.key).await {
                // It goes with the upload.
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "a part of an upload that does not count stays");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;

    use super::*;

    /// A sender of so many bytes a second, for an hour.
    fn sender(
        bytes_per_sec: usize,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + Unpin {
        let seconds = stream::iter(0..3600).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Bytes::from(vec![0; bytes_per_sec]))
        });
        Box::pin(seconds)
    }

    /// How many seconds of that are listened to, and whether to the end.
    async fn listened(bytes_per_sec: usize) -> (u64, bool) {
        let (mut body, begun) = (sender(bytes_per_sec), Instant::now());
        let mut rate = Rate::new(&UploadLimits::default());
        loop {
            match rate.next(&mut body).await {
                Ok(Some(_)) => {}
                ended => return (begun.elapsed().as_secs(), ended.is_ok()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_of_less_than_a_kibibyte_a_second_is_not_listened_to_for_long() {
        assert_eq!(listened(1).await, (60, false));
        assert_eq!(listened(1000).await, (60, false));
        assert_eq!(listened(1100).await, (3600, true));
    }
}
