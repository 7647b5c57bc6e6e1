//! Moving WebP, which no ffmpeg before 9 reads: its pictures become a moving PNG.
//!
//! Read and written by libraries in safe Rust, a picture at a time, in this process: what a
//! stranger's file can do here is take time and memory, and both are bounded by its facts, which
//! [`crate::Tools::probe`] reads without decoding anything.

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;

use image_webp::{DecodingError, WebPDecoder};
use tokio_util::sync::CancellationToken;

use crate::{Cause, RunError, policy};

/// The longest time that a picture of a moving PNG can be shown, in milliseconds.
const MAX_MILLIS: u32 = u16::MAX as u32;

/// For how long the last picture is shown a second time, in milliseconds, at most: an encoder knows
/// when a picture begins and not when the last one ends, so something must begin near the end.
const TAIL_MILLIS: u16 = 40;

/// Makes a moving PNG at `to` of the moving WebP at `from`.
pub async fn webp_to_apng(
    from: &Path,
    to: &Path,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let (from, to, asked) = (from.to_owned(), to.to_owned(), stop.clone());
    let made = tokio::task::spawn_blocking(move || convert(&from, &to, &asked)).await;
    made.map_err(|lost| RunError::Lost(lost.into()))?.map_err(|error| match error {
        FilmError::Stopped => RunError::Stopped,
        FilmError::Webp(DecodingError::IoError(error)) if !is_short(&error) => {
            RunError::Input(error)
        }
        FilmError::Webp(DecodingError::MemoryLimitExceeded | DecodingError::ImageTooLarge) => {
            RunError::Refused { cause: Cause::TooManyPixels, log: Vec::new() }
        }
        FilmError::Webp(_) => RunError::Refused { cause: Cause::Corrupt, log: Vec::new() },
        FilmError::Png(png::EncodingError::IoError(error)) => RunError::Lost(error),
        FilmError::Png(error) => RunError::Lost(io::Error::other(error)),
    })
}

/// Why there is no moving PNG.
enum FilmError {
    Stopped,
    Webp(DecodingError),
    Png(png::EncodingError),
}

impl From<DecodingError> for FilmError {
    fn from(error: DecodingError) -> Self {
        Self::Webp(error)
    }
}

impl From<png::EncodingError> for FilmError {
    fn from(error: png::EncodingError) -> Self {
        Self::Png(error)
    }
}

/// Cut off in the middle is the file's fault.
fn is_short(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

fn convert(from: &Path, to: &Path, stop: &CancellationToken) -> Result<(), FilmError> {
    let file = File::open(from).map_err(DecodingError::IoError)?;
    let mut film = WebPDecoder::new(BufReader::new(file))?;
    film.set_memory_limit(policy::MAX_ALLOCATION_BYTES as usize);
    let (width, height) = film.dimensions();
    let (pictures, alpha) = (film.num_frames(), film.has_alpha());
    let bytes = film.output_buffer_size().ok_or(DecodingError::ImageTooLarge)?;
    let mut picture = vec![0; bytes];
    let made = BufWriter::new(File::create_new(to).map_err(png::EncodingError::IoError)?);
    let mut png = png::Encoder::new(made, width, height);
    png.set_color(if alpha { png::ColorType::Rgba } else { png::ColorType::Rgb });
    png.set_depth(png::BitDepth::Eight);
    // It is read once and thrown away.
    png.set_compression(png::Compression::Fastest);
    png.set_animated(pictures.saturating_add(1), 0)?;
    let mut png = png.write_header()?;
    for left in (0..pictures).rev() {
        if stop.is_cancelled() {
            return Err(FilmError::Stopped);
        }
        let millis = film.read_frame(&mut picture)?.clamp(1, MAX_MILLIS) as u16;
        let tail = if left == 0 { TAIL_MILLIS.min(millis / 2).max(1) } else { 0 };
        png.set_frame_delay((millis - tail).max(1), 1000)?;
        png.write_image_data(&picture)?;
        if left == 0 {
            png.set_frame_delay(tail, 1000)?;
            png.write_image_data(&picture)?;
        }
    }
    png.finish()?;
    Ok(())
}
