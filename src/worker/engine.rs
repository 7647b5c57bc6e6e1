//! Makes an output of an input: the same for a server's task and a one-shot command.

use std::path::{Path, PathBuf};

use ffmpeg::subtitles::Subtitles;
use ffmpeg::{Cause, Facts, Progress, Ran, RunError, Shape, Tools};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::made::{self, Made, collect};
use super::{WorkError, loudness, stand_in};
use crate::input::InputFile;
use crate::job::Options;
use crate::job::plan::{
    self, After, Av1Encoder, Hardwares, Known, Memory, Plan, Step, Work, Workspace,
};
use crate::task::{ErrorKind, Failure};

/// What the engine may do.
pub type EngineSettings = plan::Settings;

/// Turns inputs into outputs with ffmpeg.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) tools: Tools,
    settings: EngineSettings,
}

/// What a job's files are made from.
#[derive(Clone, Copy, Debug)]
pub struct Ingredients<'a> {
    /// The input.
    pub input: &'a InputFile,
    /// What the input is.
    pub facts: &'a Facts,
    /// The subtitles that the options name.
    pub subtitles: Option<&'a Subtitles>,
}

/// What the engine tells while it works.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// How far it is, in per cent.
    Percent(f32),
    /// What it runs from now on.
    Runs(&'a ffmpeg::Command),
    /// What that had to say although it went well.
    Said(&'a [String]),
    /// Something for a person.
    Note(&'a str),
    /// The picture that it has libvips make from now on.
    MakesStill(&'a ffmpeg::Still),
    /// Why it goes another way.
    GivesUp(&'a RunError),
}

impl Engine {
    /// An engine on these tools.
    #[must_use]
    pub fn new(tools: Tools, mut settings: EngineSettings) -> Self {
        if !tools.has_encoder("libsvtav1") {
            settings.av1 = Av1Encoder::Aom;
        }
        settings.hardware = Hardwares::first_of(tools.hardware());
        settings.vips = tools.vips().map(|vips| vips.savers);
        Self { tools, settings }
    }

    /// The programs.
    #[must_use]
    pub const fn tools(&self) -> &Tools {
        &self.tools
    }

    /// The same with so many threads for each decoder and encoder, unless the settings say how many.
    #[must_use]
    pub(super) fn with_threads(&self, threads: u32) -> Self {
        let threads = self.settings.threads.or(Some(threads));
        Self { tools: self.tools.clone(), settings: EngineSettings { threads, ..self.settings } }
    }

    /// What is needed of memory to make what `options` ask for.
    ///
    /// # Errors
    ///
    /// The input does not have what is asked, or costs too much.
    pub(super) fn memory(
        &self,
        options: &Options,
        from: &Ingredients<'_>,
        folder: &Path,
    ) -> Result<Memory, Failure> {
        // How loud it is changes nothing here.
        let known = Known { gain: None, subtitles: from.subtitles.cloned() };
        Ok(self.plan(options, from, &known, folder)?.memory)
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
        let work = |stop| async move { stand_in::probe(&self.tools, input, &stop).await };
        let probed = while_it_lasts(input, stop, work).await;
        match &probed {
            Ok(facts) => *known = Some(Ok(facts.clone())),
            Err(WorkError::Failed(failure)) if !failure.kind.is_retryable() => {
                *known = Some(Err(failure.clone()));
            }
            Err(_) => {}
        }
        probed
    }

    /// What must be known for a plan beside the facts, telling per cent to `report`.
    ///
    /// # Errors
    ///
    /// The input does not have what is asked, ffmpeg fails, or the work was stopped.
    pub async fn find_out(
        &self,
        options: &Options,
        from: &Ingredients<'_>,
        report: impl Fn(f32) + Send + Sync,
        stop: &CancellationToken,
    ) -> Result<Known, WorkError> {
        let mut known = Known { gain: None, subtitles: from.subtitles.cloned() };
        let files = Workspace { input: from.input.media(), output: PathBuf::new() };
        let to_level = plan::to_level(options, from.facts, &files, &self.settings)?;
        if let Some((sound, target_lufs)) = to_level {
            let (tools, secs) = (&self.tools, from.facts.duration);
            known.gain = loudness::gain(tools, &sound, target_lufs, secs, &report, stop).await?;
        }
        Ok(known)
    }

    /// The commands that make what `options` ask for, in `folder`.
    ///
    /// # Errors
    ///
    /// The input does not have what is asked, or costs too much.
    pub fn plan(
        &self,
        options: &Options,
        from: &Ingredients<'_>,
        known: &Known,
        folder: &Path,
    ) -> Result<Plan, Failure> {
        let files = Workspace { input: from.input.media(), output: folder.to_owned() };
        plan::plan(options, from.facts, known, &files, &self.settings)
    }

    /// Makes what `options` ask for in `folder`, telling `report` of it. The first of the
    /// files is the job's output; each stands in front of those that it names.
    ///
    /// # Errors
    ///
    /// The input does not have what is asked, ffmpeg fails, or the work was stopped.
    pub async fn make(
        &self,
        options: &Options,
        from: &Ingredients<'_>,
        folder: &Path,
        report: impl Fn(Told<'_>) + Send + Sync,
        stop: &CancellationToken,
    ) -> Result<Vec<Made>, WorkError> {
        let report = &report;
        let work = |stop| async move {
            Box::pin(self.make_of(options, from, folder, report, &stop)).await
        };
        while_it_lasts(from.input, stop, work).await
    }

    async fn make_of(
        &self,
        options: &Options,
        from: &Ingredients<'_>,
        folder: &Path,
        report: &(impl Fn(Told<'_>) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<Vec<Made>, WorkError> {
        let is_levelled = options.target_lufs().is_some();
        let share = if is_levelled { loudness::SHARE_PERCENT } else { 0.0 };
        let listening = |percent: f32| report(Told::Percent(percent * share / 100.0));
        let known = self.find_out(options, from, listening, stop).await?;
        let plan = self.plan(options, from, &known, folder)?;
        let report = |told: Told<'_>| {
            report(match told {
                Told::Percent(percent) => Told::Percent(share + percent * (100.0 - share) / 100.0),
                other => other,
            });
        };
        if let Some(ways) = plan.ways {
            report(Told::Note(&ways.to_string()));
        }
        let mut made = Box::pin(self.carry_out(&plan, from.facts, &report, stop)).await?;
        if let Some(main) = made.first_mut().filter(|_| is_levelled) {
            main.loudness = loudness::of_file(&self.tools, &main.path, &main.facts, stop).await?;
        }
        Ok(made)
    }

    /// The files of a plan: those of its steps, or of its fallback where they did not do.
    async fn carry_out(
        &self,
        plan: &Plan,
        source: &Facts,
        report: &(impl Fn(Told<'_>) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<Vec<Made>, WorkError> {
        let first = Box::pin(self.follow(plan, &plan.steps, report, stop)).await;
        let mut is_given_up = false;
        let first = match (first, &plan.fallback) {
            (Err(StepError::Run(error)), Some(other)) if leads_to(other.after, &error) => {
                if other.after == After::Failure {
                    tracing::warn!(error = &error as &dyn std::error::Error, "another way is gone");
                    report(Told::GivesUp(&error));
                    is_given_up = true;
                }
                None
            }
            (outcome, _) => Some(outcome?),
        };
        if let Some((ran, told)) = first {
            match self.checked(plan, &ran, told, stop).await {
                Err(WorkError::Failed(failure)) if plan.copies() && is_large(&failure) => {}
                Ok(made) if plan.is_off(&ran, source, made.first().map(|main| &main.facts)) => {}
                checked => return checked,
            }
        }
        if plan.copies() && !is_given_up {
            report(Told::Note("the copy is not as it should be: all of it is encoded"));
        }
        let steps = plan.fallback.as_ref().map(|other| other.steps.as_slice()).unwrap_or_default();
        let (ran, told) = Box::pin(self.follow(plan, steps, report, stop)).await?;
        self.checked(plan, &ran, told, stop).await
    }

    /// What a run has made, if it is all that was asked for.
    pub(super) async fn checked(
        &self,
        plan: &Plan,
        ran: &Ran,
        told: Option<made::Known>,
        stop: &CancellationToken,
    ) -> Result<Vec<Made>, WorkError> {
        plan.check_glyphs(ran)?;
        let made = collect(&self.tools, plan, told, stop).await?;
        plan.check_size(made.iter().map(|made| made.size_bytes).sum())?;
        plan.check_whole(ran, made.first().and_then(|main| main.facts.duration))?;
        Ok(made)
    }

    /// The files of a plan whose conversion ran with others; nothing where only a run of its own
    /// can tell whether they are good: ffmpeg complained of an output, a file that does not say how
    /// many pictures it has may have come to the bound of them, or something was copied that did not
    /// come out as it was.
    pub(super) async fn made_of_shared(
        &self,
        plan: &Plan,
        ran: &Ran,
        source: &Facts,
        stop: &CancellationToken,
    ) -> Result<Option<Vec<Made>>, WorkError> {
        if ran.time_is_lost {
            return Ok(None);
        }
        // What the process counted may be another's: each file tells of itself, if it can.
        let of = |frame| Ran { written: Progress { frame, ..ran.written }, ..ran.clone() };
        let made = self.checked(plan, &of(0), None, stop).await?;
        let main = made.first().map(|main| &main.facts);
        let frames = main.and_then(|main| main.video()?.frames);
        let secs = main.and_then(|main| main.duration);
        // Containers round.
        let at_most = secs.map_or(f64::INFINITY, |secs| (secs + 1.0) * self.settings.max_fps);
        if frames.is_none() && plan.may_be_full(at_most) {
            return Ok(None);
        }
        plan.check_whole(&of(frames.unwrap_or(0)), secs)?;
        Ok(if plan.is_off(ran, source, main) { None } else { Some(made) })
    }

    /// The shape of a sound that was made.
    async fn shape(
        &self,
        path: &Path,
        points: u32,
        stop: &CancellationToken,
    ) -> Result<Shape, StepError> {
        let facts = self.tools.probe(path, stop).await?;
        let no_sound = || RunError::Refused { cause: Cause::NothingWritten, log: Vec::new() };
        let audio = facts.audio().ok_or_else(no_sound)?;
        let input = ffmpeg::Input::whole(path, &facts);
        let secs = facts.duration.or(audio.duration);
        Ok(self.tools.shape(&input, audio, secs, points, stop).await?)
    }

    async fn follow(
        &self,
        plan: &Plan,
        steps: &[Step],
        report: &(impl Fn(Told<'_>) + Send + Sync),
        stop: &CancellationToken,
    ) -> Result<(Ran, Option<made::Known>), StepError> {
        let (mut before, mut last, mut facts) = (0.0, Ran::default(), None);
        for Step { work, share } in steps {
            match work {
                Work::Run(command) => {
                    report(Told::Runs(command));
                    let expected = command.expected_secs.filter(|secs| *secs > 0.0);
                    let on_progress = |progress: Progress| {
                        if let Some(expected) = expected {
                            let done = (progress.out_secs / expected).clamp(0.0, 1.0) as f32;
                            report(Told::Percent((before + share * done) * 100.0));
                        }
                    };
                    last = self.tools.run(command, on_progress, stop).await?;
                    report(Told::Said(&last.log));
                }
                Work::Still(still) => {
                    report(Told::MakesStill(still));
                    Box::pin(self.tools.run_still(still, stop)).await?;
                }
                Work::Folder(name) => {
                    let made = tokio::fs::create_dir(plan.folder.join(name)).await;
                    made.map_err(WorkError::from)?;
                }
                Work::Shape { sound, name, points } => {
                    let shape = self.shape(&plan.folder.join(sound), *points, stop).await?;
                    let written = tokio::fs::write(plan.folder.join(name), shape.to_json()).await;
                    written.map_err(WorkError::from)?;
                }
                Work::Thumbnails(list) => {
                    let sheets = made::names_in(&plan.folder.join(list.folder)).await?;
                    let written =
                        tokio::fs::write(plan.folder.join(list.name), list.text(&sheets)).await;
                    written.map_err(WorkError::from)?;
                }
                Work::Write { name, text } => {
                    let path = plan.folder.join(name);
                    tokio::fs::write(path, text).await.map_err(WorkError::from)?;
                }
                Work::Package(package) => {
                    // Now: what is encrypted tells nobody what it is.
                    facts = Some(made::known(&self.tools, plan, stop).await?);
                    let (package, folder) = (package.clone(), plan.folder.clone());
                    let written = spawn_blocking(move || package.write(&folder)).await;
                    written.map_err(lost)?.map_err(WorkError::from)?;
                }
            }
            before += share;
        }
        Ok((last, facts))
    }
}

/// Does `work`, which is told to stop when the source of `input` fails: then that is what went
/// wrong, whatever the programs make of a file that breaks off.
pub(super) async fn while_it_lasts<T, F: Future<Output = Result<T, WorkError>>>(
    input: &InputFile,
    stop: &CancellationToken,
    work: impl FnOnce(CancellationToken) -> F,
) -> Result<T, WorkError> {
    let until = stop.child_token();
    let mut working = std::pin::pin!(work(until.clone()));
    let outcome = tokio::select! {
        outcome = &mut working => outcome,
        () = input.broke() => {
            until.cancel();
            working.await
        }
    };
    input.check_source()?;
    outcome
}

fn lost(error: tokio::task::JoinError) -> WorkError {
    std::io::Error::other(error).into()
}

/// Why a step of a plan failed.
enum StepError {
    Run(RunError),
    Work(WorkError),
}

impl From<RunError> for StepError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<WorkError> for StepError {
    fn from(error: WorkError) -> Self {
        Self::Work(error)
    }
}

impl From<StepError> for WorkError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Run(error) => error.into(),
            StepError::Work(error) => error,
        }
    }
}

/// Whether it fails by its size: coded anew it may be smaller.
fn is_large(failure: &Failure) -> bool {
    failure.kind == ErrorKind::OutputTooLarge
}

/// Whether a copy failed by what was copied: to code it may go well yet.
const fn is_of_copy(error: &RunError) -> bool {
    matches!(
        error,
        RunError::Refused { cause, .. } if !matches!(cause, Cause::NoSpace | Cause::OutOfMemory)
    )
}

/// Whether a fallback is there for this error. A stop is none: nobody waits any more.
const fn leads_to(after: After, error: &RunError) -> bool {
    match after {
        After::Nothing => matches!(error, RunError::Refused { cause: Cause::NothingWritten, .. }),
        After::Copy => is_of_copy(error),
        After::Failure => !matches!(error, RunError::Stopped),
    }
}
