//! Listens to a sound before it is brought to another loudness, and to what came of it.

use std::path::Path;

use ffmpeg::{Facts, Gain, Input, RunError, Sound, Tools};
use tokio_util::sync::CancellationToken;

use crate::job::Loudness;

/// The share of the whole work's time that listening takes, in per cent.
pub(super) const SHARE_PERCENT: f32 = 30.0;

/// How often a gain with a limiter is listened to and corrected before it is used.
const ROUNDS: u32 = 3;

/// How close to its target a gain need not be corrected any more, in LU.
const CLOSE_LU: f64 = 0.1;

/// The most by which corrections raise a gain, in decibels: what a limiter has taken so much from
/// does not become louder any more, only worse.
const MOST_DB: f64 = 12.0;

/// The gain that brings `sound` to `target_lufs`; none for silence. Per cent go to `report`.
pub(super) async fn gain(
    tools: &Tools,
    sound: &Sound,
    target_lufs: f64,
    expected_secs: Option<f64>,
    report: &(impl Fn(f32) + Send + Sync),
    stop: &CancellationToken,
) -> Result<Option<Gain>, RunError> {
    let on_progress = |progress: ffmpeg::Progress| {
        if let Some(secs) = expected_secs.filter(|secs| *secs > 0.0) {
            report((progress.out_secs / secs).clamp(0.0, 1.0) as f32 * 100.0);
        }
    };
    let heard = tools.loudness(sound, on_progress, stop).await?;
    let Some(mut gain) = Gain::to(target_lufs, &heard, sound.is_surround) else { return Ok(None) };
    let most_db = gain.decibels + MOST_DB;
    for _ in 0..if gain.limited { ROUNDS } else { 0 } {
        let louder = Sound { gain: Some(gain), ..sound.clone() };
        let heard = tools.loudness(&louder, |_| {}, stop).await?;
        if heard.integrated_lufs.is_none_or(|lufs| (lufs - target_lufs).abs() <= CLOSE_LU) {
            break;
        }
        gain = gain.corrected(target_lufs, &heard);
        gain.decibels = gain.decibels.min(most_db);
    }
    Ok(Some(gain))
}

/// How loud the file at `path` is, which is as `facts` say; nothing where it has no sound.
pub(super) async fn of_file(
    tools: &Tools,
    path: &Path,
    facts: &Facts,
    stop: &CancellationToken,
) -> Result<Option<Loudness>, RunError> {
    let Some(audio) = facts.audio() else { return Ok(None) };
    let sound = Sound {
        input: Input::whole(path, facts),
        stream: audio.index,
        channels: None,
        is_surround: false,
        gain: None,
        bound_secs: f64::from(u32::MAX),
    };
    let heard = tools.loudness(&sound, |_| {}, stop).await?;
    Ok(Some(Loudness {
        integrated_lufs: heard.integrated_lufs,
        true_peak_dbtp: heard.true_peak_dbtp,
        range_lu: heard.range_lu,
    }))
}
