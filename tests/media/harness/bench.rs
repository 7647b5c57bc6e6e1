//! The engine, as the worker and the command line use it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ffmpeg::subtitles::Subtitles;
use ffmpeg::{Facts, Limits, Tools};
use reelway::input::InputFile;
use reelway::job::plan::{Known, Plan};
use reelway::job::{File, Options};
use reelway::output::Stored;
use reelway::package::KEY_FILE;
use reelway::task::{Failure, Kind};
use reelway::worker::{Engine, EngineSettings, Ingredients, Told, WorkError};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::Seen;

/// The key of everything that is encrypted here, as if it had been fetched.
pub(crate) const KEY: [u8; 16] = *b"sixteen bytes...";

async fn tools() -> Tools {
    Tools::find(None, None, Limits::default()).await.expect("ffmpeg is installed")
}

/// An engine and a folder for what it makes.
pub(crate) struct Bench {
    engine: Engine,
    folder: TempDir,
    made: AtomicU32,
    known: Mutex<HashMap<PathBuf, Arc<InputFile>>>,
}

/// A file that was made: what a user is told of it, and where it is.
pub(crate) struct Output {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    /// Whether libvips made it, and not ffmpeg.
    pub(crate) by_libvips: bool,
    /// Whether a first way was given up.
    pub(crate) second_way: bool,
}

impl Bench {
    pub(crate) async fn open() -> Self {
        Self::with(EngineSettings::default()).await
    }

    pub(crate) async fn with(settings: EngineSettings) -> Self {
        Self::on(tools().await, settings)
    }

    /// On a machine that cannot open HEIC.
    pub(crate) async fn without_heif_convert() -> Self {
        Self::on(tools().await.without_heif_convert(), EngineSettings::default())
    }

    /// On a machine without libvips.
    pub(crate) async fn without_vips() -> Self {
        Self::on(tools().await.without_vips(), EngineSettings::default())
    }

    /// Whether the machine has libvips; where it has not, that is said, and in CI it must.
    pub(crate) fn has_vips(&self) -> bool {
        let is_there = self.engine.tools().vips().is_some();
        if !is_there {
            super::shared::skip("libvips-tools are not installed");
        }
        is_there
    }

    pub(crate) fn on(tools: Tools, settings: EngineSettings) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = Engine::new(tools, settings);
        Self { engine, folder, made: AtomicU32::new(0), known: Mutex::default() }
    }

    /// The whole way: sniffed, probed, planned, made, read back.
    pub(crate) async fn try_make(
        &self,
        kind: Kind,
        options: Value,
        input: &Path,
    ) -> Result<Output, Failure> {
        let options = options.as_object().expect("options are an object");
        let options = Options::decode(kind, options).expect("valid options");
        let made =
            self.run(&options, input, None, |_| {}).await.map_err(WorkError::into_failure)?;
        Ok(made.into_iter().next().expect("an output"))
    }

    /// The same, with everything that is made beside the output.
    pub(crate) async fn make_all(&self, kind: Kind, options: &Value, input: &Path) -> Vec<Output> {
        let options = options.as_object().expect("options are an object");
        let options = Options::decode(kind, options).expect("valid options");
        self.run(&options, input, None, |_| {}).await.expect("it is made")
    }

    /// The output, and what a person is told of how it was made.
    pub(crate) async fn make_told(
        &self,
        kind: Kind,
        options: &Value,
        input: &Path,
    ) -> (Output, Vec<String>) {
        let options = options.as_object().expect("options are an object");
        let options = Options::decode(kind, options).expect("valid options");
        let notes = Mutex::new(Vec::new());
        let note = |text: &str| notes.lock().expect("a lock").push(text.to_owned());
        let made = self.run(&options, input, None, note).await.expect("it is made");
        let notes = notes.into_inner().expect("notes");
        (made.into_iter().next().expect("an output"), notes)
    }

    /// The same, where it must go well.
    pub(crate) async fn make(&self, kind: Kind, options: Value, input: &Path) -> Output {
        let asked = options.to_string();
        match self.try_make(kind, options, input).await {
            Ok(output) => output,
            Err(failure) => panic!("{} {asked} of {}: {failure:?}", kind.name(), input.display()),
        }
    }

    /// The same, where it must fail.
    pub(crate) async fn refuse(&self, kind: Kind, options: Value, input: &Path) -> Failure {
        match self.try_make(kind, options, input).await {
            Ok(output) => panic!("{} made {}", kind.name(), Seen::of(&output.path).line()),
            Err(failure) => failure,
        }
    }

    /// What the product itself reads of a file.
    pub(crate) async fn probe(&self, path: &Path) -> Facts {
        let input = self.input(path).await.expect("a file");
        self.engine.probe(&input, &CancellationToken::new()).await.expect("facts")
    }

    /// One input however often it is asked for, as on a worker: its facts are read once.
    async fn input(&self, path: &Path) -> Result<Arc<InputFile>, WorkError> {
        let known = self.known.lock().expect("a lock").get(path).cloned();
        if let Some(input) = known {
            return Ok(input);
        }
        let input = Arc::new(InputFile::local(path).await?);
        let mut known = self.known.lock().expect("a lock");
        known.insert(path.to_owned(), input.clone());
        Ok(input)
    }

    /// The same for a video with subtitles burnt in.
    pub(crate) async fn make_with_subtitles(
        &self,
        options: Value,
        input: &Path,
        subtitles: &str,
    ) -> Result<Output, Failure> {
        let subtitles = Subtitles::parse(subtitles.as_bytes()).expect("subtitles");
        let options = options.as_object().expect("options are an object");
        let options = Options::decode(Kind::Video, options).expect("valid options");
        let made = self.run(&options, input, Some(&subtitles), |_| {}).await;
        made.map(|mut made| made.remove(0)).map_err(WorkError::into_failure)
    }

    /// What would be done, each in a folder of its own.
    pub(crate) async fn plans(&self, kind: Kind, wanted: &[Value], input: &Path) -> Vec<Plan> {
        let input = self.input(input).await.expect("a file");
        let stop = CancellationToken::new();
        let facts = self.engine.probe(&input, &stop).await.expect("facts");
        let from = Ingredients { input: &input, facts: &facts, subtitles: None };
        let plan = |options: &Value| {
            let options = options.as_object().expect("options are an object");
            let options = Options::decode(kind, options).expect("valid options");
            let folder = self.fresh_folder().expect("a folder");
            self.engine.plan(&options, &from, &Known::default(), &folder).expect("a plan")
        };
        wanted.iter().map(plan).collect()
    }

    fn fresh_folder(&self) -> std::io::Result<PathBuf> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.path().join(number.to_string());
        std::fs::create_dir(&folder)?;
        Ok(folder)
    }

    async fn run(
        &self,
        options: &Options,
        input: &Path,
        subtitles: Option<&Subtitles>,
        note: impl Fn(&str) + Send + Sync,
    ) -> Result<Vec<Output>, WorkError> {
        let stop = CancellationToken::new();
        let input = self.input(input).await?;
        let facts = self.engine.probe(&input, &stop).await?;
        let folder = self.fresh_folder()?;
        if options.key_url().is_some() {
            std::fs::write(folder.join(KEY_FILE), KEY)?;
        }
        let from = Ingredients { input: &input, facts: &facts, subtitles };
        let (by_libvips, second_way) = (AtomicBool::new(false), AtomicBool::new(false));
        let report = |told: Told<'_>| match told {
            Told::MakesStill(_) => by_libvips.store(true, Ordering::Relaxed),
            Told::GivesUp(_) => {
                by_libvips.store(false, Ordering::Relaxed);
                second_way.store(true, Ordering::Relaxed);
            }
            Told::Note(text) => note(text),
            Told::Percent(_) | Told::Runs(_) | Told::Said(_) => {}
        };
        let made = self.engine.make(options, &from, &folder, report, &stop).await?;
        let (by_libvips, second_way) = (by_libvips.into_inner(), second_way.into_inner());
        let told = made.into_iter().map(|made| {
            let stored = Stored { size_bytes: made.size_bytes, sha256: String::new() };
            Output {
                file: made.file(String::new(), stored),
                path: made.path,
                by_libvips,
                second_way,
            }
        });
        Ok(told.collect())
    }
}

impl Output {
    /// What ffprobe sees in it.
    pub(crate) fn seen(&self) -> Seen {
        Seen::of(&self.path)
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        (self.file.width.unwrap_or(0), self.file.height.unwrap_or(0))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).expect("the file that was made")
    }

    /// What a user is told of it, in a line.
    pub(crate) fn told(&self) -> String {
        let file = &self.file;
        let mut words = vec![file.format.clone(), file.content_type.clone()];
        if let (Some(width), Some(height)) = (file.width, file.height) {
            words.push(format!("{width}×{height}"));
        }
        words.extend(file.duration.map(|secs| format!("{secs:.2} s")));
        words.extend(file.fps.map(|fps| format!("{fps:.2} fps")));
        if let Some(codecs) = &file.codecs {
            words.extend([&codecs.video, &codecs.audio].into_iter().flatten().cloned());
        }
        let lufs = file.loudness.and_then(|loudness| loudness.integrated_lufs);
        words.extend(lufs.map(|lufs| format!("{lufs:.0} LUFS")));
        words.join(" ")
    }
}
