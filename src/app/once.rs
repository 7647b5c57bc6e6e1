//! The engine without a server: for the one-shot commands.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ffmpeg::{Facts, Media};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{engine_settings, fetcher, through_gateway, tools, unmet};
use crate::cli::{CliError, Commands, Made, NotMade, Order, Sketch, Source};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::input::{Downloads, InputFile};
use crate::job::plan::{Place, Plan, Step, Work};
use crate::output::Stored;
use crate::package::{KEY_BYTES, KEY_FILE};
use crate::task::{ErrorKind, Failure, StageKind};
use crate::worker::{Engine, Ingredients, Told, WorkError};

/// Makes one output of one input, with no database and no queue.
#[derive(Debug)]
pub struct Once {
    engine: Engine,
    downloads: Downloads,
    sandbox: ffmpeg::Sandbox,
    unmet: Option<String>,
    folder: TempDir,
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
            unmet: unmet(config, &tools),
            downloads: through_gateway(downloads, config, &tools),
            engine: Engine::new(tools, engine_settings(config)),
            folder,
        })
    }

    /// What to know before a file is read here, if anything.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let without = |missing: &ffmpeg::Layer| {
            format!(
                "this kernel has no {missing}, so ffmpeg reads the input with all your rights; \
                 `reelway doctor` says what it takes"
            )
        };
        let sandbox = self.sandbox.level().missing().first().map(without);
        let all = sandbox.into_iter().chain(self.unmet.clone());
        all.map(|warning| format!("warning: {warning}")).collect()
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
    /// The input is not media, does not have what is asked or is made into another by no command,
    /// or the work was told to stop.
    pub async fn sketch(&self, sketch: Sketch<'_>) -> Result<Commands, NotMade> {
        let Sketch { options, input: typed, output, stop } = sketch;
        let input = InputFile::local(typed).await.map_err(WorkError::from)?;
        let facts = self.engine.probe(&input, stop).await?;
        // A folder that nobody's file is in: a path below it is one that the plan has made up.
        let folder = self.folder.path().join("plan");
        let from = Ingredients { input: &input, facts: &facts, subtitles: None };
        let known = self.engine.find_out(options, &from, |_| {}, stop).await?;
        let plan = self.engine.plan(options, &from, &known, &folder);
        let plan = plan.map_err(WorkError::from)?;
        let places = Places {
            plan: &plan,
            output: std::path::absolute(output).map_err(WorkError::from)?,
            is_folder: options.makes_folder(),
            stand_in: stand_in(&input, &facts)?,
        };
        let mut steps = Vec::new();
        if places.stand_in.is_some() {
            let heic = std::path::absolute(typed).map_err(WorkError::from)?;
            let png = between(Path::new(ffmpeg::PNG_OF_HEIC));
            steps.push(self.engine.tools().heic_line(&heic, &png));
        }
        if places.is_folder {
            steps.push(make_folder(&places.output));
        }
        let typed = |step: &Step| self.typed(step, &places);
        steps.extend(plan.steps.iter().filter_map(typed));
        let fallback = plan.fallback.iter().flat_map(|other| &other.steps);
        let is_finished_here = plan.steps.iter().any(|step| typed(step).is_none());
        Ok(Commands { steps, fallback: fallback.filter_map(typed).collect(), is_finished_here })
    }

    /// A step as somebody would type it; nothing where no command does it.
    fn typed(&self, step: &Step, places: &Places<'_>) -> Option<Vec<OsString>> {
        match &step.work {
            Work::Folder(name) => Some(make_folder(&places.of(&places.plan.folder.join(name)))),
            Work::Still(still) => {
                let (input, output) = (places.of(&still.input), places.of(&still.output));
                let still = ffmpeg::Still { input, output, ..still.clone() };
                Some(self.engine.tools().still_line(&still))
            }
            _ => {
                let argv = self.engine.tools().command_line(step.command()?);
                Some(argv.into_iter().map(|word| places.in_word(word)).collect())
            }
        }
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

/// Where the files of a plan are for somebody who types its commands.
struct Places<'a> {
    /// The plan, in a folder that is not there.
    plan: &'a Plan,
    /// Where the job's output goes.
    output: PathBuf,
    /// Whether that is a folder, with everything in it.
    is_folder: bool,
    /// What is read in place of the input, which is gone with this process.
    stand_in: Option<PathBuf>,
}

impl Places<'_> {
    /// The place of a file that a command names.
    fn of(&self, path: &Path) -> PathBuf {
        if self.stand_in.as_deref() == Some(path) {
            return between(path.file_name().map_or(path, Path::new));
        }
        let Ok(name) = path.strip_prefix(&self.plan.folder) else { return path.to_owned() };
        let is_kept = || {
            self.plan.outputs.iter().any(|planned| match &planned.place {
                Place::File(file) => name == Path::new(file),
                Place::Folder(folder) => name.starts_with(folder),
            })
        };
        if self.is_folder {
            self.output.join(name)
        } else if self.plan.main_path().as_deref() == Some(path) {
            self.output.clone()
        } else if is_kept() {
            self.output.with_file_name(name)
        } else {
            between(name)
        }
    }

    /// The same in an argument of ffmpeg.
    fn in_word(&self, word: OsString) -> OsString {
        let Some(path) = word.to_str().and_then(|word| word.strip_prefix("file:")) else {
            return word;
        };
        Media::from(self.of(Path::new(path))).argument()
    }
}

/// Where a file lies that one command writes for the next.
fn between(name: &Path) -> PathBuf {
    let mut file = OsString::from("reelway-");
    file.push(name);
    std::env::temp_dir().join(file)
}

fn make_folder(path: &Path) -> Vec<OsString> {
    vec!["mkdir".into(), "-p".into(), path.into()]
}

/// What is read in place of an input that ffmpeg does not open, where a command can make it.
fn stand_in(input: &InputFile, facts: &Facts) -> Result<Option<PathBuf>, NotMade> {
    if !input.has_stand_in() {
        return Ok(None);
    }
    if facts.format == "apng" {
        let refused = "no command can be printed for a moving WebP";
        return Err(NotMade::Failed(
            Failure::new(ErrorKind::InputUnsupported, refused)
                .hint("reelway itself reads its pictures: leave --print-command out"),
        ));
    }
    Ok(input.media().path().map(Path::to_owned))
}

impl From<WorkError> for NotMade {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Stopped => Self::Stopped,
            WorkError::Failed(failure) => Self::Failed(failure),
        }
    }
}
