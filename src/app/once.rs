//! The engine without a server: for the one-shot commands.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use ffmpeg::Facts;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{engine_settings, fetcher, through_gateway, tools};
use crate::cli::{CliError, Commands, Made, NotMade, Order, Sketch, Source};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::input::{Downloads, InputFile};
use crate::job::plan::{Step, Work};
use crate::output::Stored;
use crate::package::{KEY_BYTES, KEY_FILE};
use crate::task::StageKind;
use crate::worker::{Engine, Ingredients, Told, WorkError};

/// Makes one output of one input, with no database and no queue.
#[derive(Debug)]
pub struct Once {
    engine: Engine,
    downloads: Downloads,
    sandbox: ffmpeg::Sandbox,
    _folder: TempDir,
}

impl Once {
    /// Finds the programs and makes room for a download.
    ///
    /// # Errors
    ///
    /// ffmpeg is missing, or there is no temporary folder.
    pub async fn open(config: &Config) -> Result<Self, CliError> {
        let tools = tools(config).await.map_err(|error| CliError::failed(error.to_string()))?;
        let folder = tempfile::tempdir()
            .map_err(|error| CliError::failed("there is no temporary folder").because(&error))?;
        let (fetcher, inputs) = (fetcher(config), folder.path().to_owned());
        let keep = std::time::Duration::ZERO;
        let downloads = Downloads::new(fetcher, inputs, keep, Arc::new(SystemClock));
        Ok(Self {
            sandbox: tools.sandbox(),
            downloads: through_gateway(downloads, config, &tools),
            engine: Engine::new(tools, engine_settings(config)),
            _folder: folder,
        })
    }

    /// What to know before a file from a stranger is read here, if anything.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let missing = self.sandbox.level().missing().first()?.to_string();
        Some(format!(
            "warning: this kernel has no {missing}, so ffmpeg reads the input with all your \
             rights; `reelway doctor` says what it takes"
        ))
    }

    /// Makes what was ordered.
    ///
    /// # Errors
    ///
    /// The job fails, or was told to stop.
    pub async fn make(&self, order: Order<'_>) -> Result<Vec<Made>, NotMade> {
        let Order { options, source, scratch, report, stop } = order;
        let encode = StageKind::Encode(options.kind());
        let input = self.import(source, report, stop).await?;
        if options.read_all() {
            input.read_ahead();
        }
        report(StageKind::Probe, 0.0);
        let facts = self.engine.probe(&input, stop).await?;
        let scratch = scratch.canonicalize().map_err(WorkError::from)?;
        if let Some(url) = options.key_url() {
            let key = self.downloads.key::<KEY_BYTES>(url, stop).await.map_err(WorkError::from)?;
            std::fs::write(scratch.join(KEY_FILE), key).map_err(WorkError::from)?;
        }
        let subtitles = match options.subtitle_url() {
            Some(url) => {
                let fetched = self.downloads.fetcher().subtitles(url, &scratch, stop).await;
                Some(fetched.map_err(WorkError::from)?)
            }
            None => None,
        };
        let on_progress = |told: Told<'_>| {
            if let Told::Percent(percent) = told {
                report(encode, percent);
            }
        };
        let from = Ingredients { input: &input, facts: &facts, subtitles: subtitles.as_ref() };
        let made = self.engine.make(options, &from, &scratch, on_progress, stop).await?;
        let told = made.into_iter().map(|made| {
            // Nobody asks a file on their own disk for its checksum.
            let stored = Stored { size_bytes: made.size_bytes, sha256: String::new() };
            Made { file: made.file(String::new(), stored), path: made.path, name: made.name }
        });
        Ok(told.collect())
    }

    /// The commands that [`Once::make`] would run.
    ///
    /// Files between two of them lie in the system's temporary folder.
    ///
    /// # Errors
    ///
    /// The input is not media or does not have what is asked, or the work was told to stop.
    pub async fn sketch(&self, sketch: Sketch<'_>) -> Result<Commands, NotMade> {
        let Sketch { options, input, output, stop } = sketch;
        let input = InputFile::local(input).await.map_err(WorkError::from)?;
        let output = std::path::absolute(output).map_err(WorkError::from)?;
        let facts = self.engine.probe(&input, stop).await?;
        let folder = std::env::temp_dir();
        let from = Ingredients { input: &input, facts: &facts, subtitles: None };
        let known = self.engine.find_out(options, &from, |_| {}, stop).await?;
        let plan = self.engine.plan(options, &from, &known, &folder);
        let plan = plan.map_err(WorkError::from)?;
        let planned = plan.main_path();
        let named = |step: &Step| {
            if let Work::Still(still) = &step.work {
                let still = ffmpeg::Still { output: output.clone(), ..still.clone() };
                return Some(self.engine.tools().still_line(&still));
            }
            let argv = self.engine.tools().command_line(step.command()?).into_iter();
            let renamed = |word: OsString| {
                let Some(path) = word.to_str().and_then(|word| word.strip_prefix("file:")) else {
                    return word;
                };
                match Path::new(path).strip_prefix(&folder) {
                    // A package is a folder; what is between two steps stays where it is.
                    Ok(name) if options.makes_folder() => argument(&output.join(name)),
                    _ if planned.as_deref() == Some(Path::new(path)) => argument(&output),
                    _ => word,
                }
            };
            Some(argv.map(renamed).collect())
        };
        Ok(Commands {
            steps: plan.steps.iter().filter_map(named).collect(),
            fallback: plan
                .fallback
                .iter()
                .flat_map(|other| &other.steps)
                .filter_map(named)
                .collect(),
            is_finished_here: plan
                .steps
                .iter()
                .any(|step| step.command().is_none() && !matches!(step.work, Work::Still(_))),
        })
    }

    /// The facts of an input.
    ///
    /// # Errors
    ///
    /// It cannot be had or is not media, or the work was told to stop.
    pub async fn probe(&self, source: &Source, stop: &CancellationToken) -> Result<Facts, NotMade> {
        let input = self.import(source, &|_, _| {}, stop).await?;
        Ok(self.engine.probe(&input, stop).await?)
    }

    async fn import(
        &self,
        source: &Source,
        report: &(dyn Fn(StageKind, f32) + Sync),
        stop: &CancellationToken,
    ) -> Result<Arc<InputFile>, NotMade> {
        report(StageKind::Import, 0.0);
        let url = match source {
            Source::File(path) => {
                let file = InputFile::local(path).await.map_err(WorkError::from)?;
                return Ok(Arc::new(file));
            }
            Source::Url(url) => url,
        };
        let got = self.downloads.get(url, SystemClock.now(), |_, _| {}, stop).await;
        Ok(got.map_err(WorkError::from)?)
    }
}

/// A path as a command names it.
fn argument(path: &Path) -> OsString {
    let mut argument = OsString::from("file:");
    argument.push(path);
    argument
}

impl From<WorkError> for NotMade {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Stopped => Self::Stopped,
            WorkError::Failed(failure) => Self::Failed(failure),
        }
    }
}
