//! Makes an output of an input: the same for a server's task and a one-shot command.

use std::path::{Path, PathBuf};

use ffmpeg::{Cause, Facts, Ran, RunError, Tools};
use tokio_util::sync::CancellationToken;

use super::WorkError;
use crate::input::InputFile;
use crate::job::plan::{self, Av1Encoder, Plan, Step, Workspace};
use crate::job::{Codecs, File, FileKind, Options};
use crate::output::Stored;
use crate::task::Failure;

/// What the engine may do.
pub type EngineSettings = plan::Settings;

/// Turns inputs into outputs with ffmpeg.
#[derive(Clone, Debug)]
pub struct Engine {
    tools: Tools,
    settings: EngineSettings,
}

/// A file that was made, not yet stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in storage, made by the plan.
    pub name: &'static str,
    kind: FileKind,
    format: &'static str,
    content_type: &'static str,
    facts: Facts,
}

impl Engine {
    /// An engine on these tools.
    #[must_use]
    pub fn new(tools: Tools, mut settings: EngineSettings) -> Self {
        if !tools.has_encoder("libsvtav1") {
            settings.av1 = Av1Encoder::Aom;
        }
        Self { tools, settings }
    }

    /// The programs.
    #[must_use]
    pub const fn tools(&self) -> &Tools {
        &self.tools
    }

    /// The facts of an input, read once however many tasks ask.
    ///
    /// That it can never be used is found out once too. What may pass, and a stop, is the
    /// caller's own: the next one reads for itself.
    ///
    /// # Errors
    ///
    /// The file is not media or breaks a limit, or the work was stopped.
    pub async fn probe(
        &self,
        input: &InputFile,
        stop: &CancellationToken,
    ) -> Result<Facts, WorkError> {
        // Only the wait is cut off: a process under way is ended by the probe itself.
        let known = stop.run_until_cancelled(input.known().lock()).await;
        let mut known = known.ok_or(WorkError::Stopped)?;
        if let Some(known) = &*known {
            return Ok(known.clone()?);
        }
        let probed = self.tools.probe(input.path(), stop).await.map_err(WorkError::from);
        match &probed {
            Ok(facts) => *known = Some(Ok(facts.clone())),
            Err(WorkError::Failed(failure)) if !failure.kind.is_retryable() => {
                *known = Some(Err(failure.clone()));
            }
            Err(_) => {}
        }
        probed
    }

    /// The commands that make what `options` ask for, in `folder`.
    ///
    /// # Errors
    ///
    /// The input does not have what is asked, or costs too much.
    pub fn plan(
        &self,
        options: &Options,
        facts: &Facts,
        input: &InputFile,
        folder: &Path,
    ) -> Result<Plan, Failure> {
        let workspace = Workspace { input: input.path().to_owned(), output: folder.to_owned() };
        plan::plan(options, facts, &workspace, &self.settings)
    }

    /// Makes what `options` ask for in `folder`, telling per cent to `report`.
    ///
    /// # Errors
    ///
    /// The input does not have what is asked, ffmpeg fails, or the work was stopped.
    pub async fn make(
        &self,
        options: &Options,
        facts: &Facts,
        input: &InputFile,
        folder: &Path,
        report: impl Fn(f32) + Send + Sync,
        stop: &CancellationToken,
    ) -> Result<Made, WorkError> {
        let plan = self.plan(options, facts, input, folder)?;
        let ran = match (self.run(&plan.steps, &report, stop).await, &plan.fallback) {
            (Err(RunError::Refused { cause: Cause::NothingWritten, .. }), Some(steps)) => {
                self.run(steps, &report, stop).await?
            }
            (outcome, _) => outcome?,
        };
        plan.check_size(tokio::fs::metadata(&plan.output).await?.len())?;
        // Facts come from the file that was made, never from what was asked.
        let facts = self.tools.probe(&plan.output, stop).await?;
        plan.check_whole(&ran, facts.duration)?;
        Ok(Made {
            path: plan.output,
            name: plan.file_name,
            kind: plan.file_kind,
            format: plan.format,
            content_type: plan.content_type,
            facts,
        })
    }

    async fn run(
        &self,
        steps: &[Step],
        report: &(impl Fn(f32) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<Ran, RunError> {
        let (mut before, mut last) = (0.0, Ran::default());
        for Step { command, share } in steps {
            let expected = command.expected_secs.filter(|secs| *secs > 0.0);
            let on_progress = |progress: ffmpeg::Progress| {
                if let Some(expected) = expected {
                    let done = (progress.out_secs / expected).clamp(0.0, 1.0) as f32;
                    report((before + share * done) * 100.0);
                }
            };
            last = self.tools.run(command, on_progress, stop).await?;
            before += share;
        }
        Ok(last)
    }
}

impl Made {
    /// The wire's File of it, as it is stored under `key`.
    #[must_use]
    pub fn file(&self, key: String, stored: Stored) -> File {
        let (video, audio) = (self.facts.video(), self.facts.audio());
        let size = video.map(ffmpeg::VideoStream::display_size);
        let moves = self.kind != FileKind::Image;
        File {
            key,
            kind: self.kind,
            format: self.format.to_owned(),
            content_type: self.content_type.to_owned(),
            filesize: stored.size_bytes,
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            duration: self.facts.duration.filter(|_| moves),
            fps: video.filter(|_| moves).and_then(|video| video.fps).map(ffmpeg::Ratio::value),
            bitrate: self.facts.bit_rate.filter(|_| moves),
            codecs: moves.then(|| Codecs {
                video: video.map(|video| video.codec.clone()),
                audio: audio.map(|audio| audio.codec.clone()),
            }),
            sha256: stored.sha256,
            delivered_to: None,
        }
    }
}
