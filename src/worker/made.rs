//! What a plan's steps have made: found where the plan says, each file with its facts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ffmpeg::{Cause, Facts, RunError, Tools};
use tokio_util::sync::CancellationToken;

use super::WorkError;
use crate::job::plan::{FactsFrom, Place, Plan, Planned};
use crate::job::{Codecs, File, FileKind, Loudness};
use crate::output::Stored;

/// A file that was made, not yet stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in storage, made by the plan.
    pub name: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    pub(super) facts: Facts,
    pub(super) loudness: Option<Loudness>,
    kind: FileKind,
    format: &'static str,
    content_type: &'static str,
}

/// Facts of files, by the names that the plan has for them.
pub(super) type Known = HashMap<String, Facts>;

/// The facts that files tell of themselves: from what was made, never from what was asked.
///
/// # Errors
///
/// One is missing or empty or cannot be read, or the work was stopped.
pub(super) async fn known(
    tools: &Tools,
    plan: &Plan,
    stop: &CancellationToken,
) -> Result<Known, WorkError> {
    let mut known = Known::new();
    for planned in &plan.outputs {
        if let (FactsFrom::Itself, Place::File(name)) = (&planned.facts, &planned.place) {
            let path = plan.folder.join(name);
            size_of(&path).await?;
            known.insert(name.clone(), read(tools, planned.kind, &path, stop).await?);
        }
    }
    Ok(known)
}

/// The files of a plan, in its order, with the facts that were read before.
///
/// # Errors
///
/// One is missing or empty or cannot be read, or the work was stopped.
pub(super) async fn collect(
    tools: &Tools,
    plan: &Plan,
    facts: Option<Known>,
    stop: &CancellationToken,
) -> Result<Vec<Made>, WorkError> {
    let known = match facts {
        Some(known) => known,
        None => known(tools, plan, stop).await?,
    };
    let mut made = Vec::new();
    for planned in &plan.outputs {
        match &planned.place {
            Place::File(name) => {
                let facts = match &planned.facts {
                    FactsFrom::Itself => known.get(name).cloned().unwrap_or_default(),
                    FactsFrom::Others(names) => {
                        together(names.iter().filter_map(|name| known.get(name)))
                    }
                    FactsFrom::Nobody => Facts::default(),
                };
                made.push(Made::new(planned, plan, name.clone(), facts).await?);
            }
            Place::Folder(name) => {
                let names = names_in(&plan.folder.join(name)).await?;
                let names: Vec<_> = names.iter().map(|file| format!("{name}/{file}")).collect();
                let facts = match planned.facts {
                    FactsFrom::Itself => {
                        read(tools, planned.kind, &plan.folder.join(&names[0]), stop).await?
                    }
                    FactsFrom::Others(_) | FactsFrom::Nobody => Facts::default(),
                };
                for name in names {
                    made.push(Made::new(planned, plan, name, facts.clone()).await?);
                }
            }
        }
    }
    Ok(made)
}

/// The facts of one file. A picture's size stands in its first bytes.
async fn read(
    tools: &Tools,
    kind: FileKind,
    path: &Path,
    stop: &CancellationToken,
) -> Result<Facts, WorkError> {
    if kind == FileKind::Image
        && let Some(facts) = ffmpeg::made_picture(path).await?
    {
        return Ok(facts);
    }
    Ok(tools.probe(path, stop).await?)
}

/// The facts of several files that are played as one.
fn together<'a>(files: impl Iterator<Item = &'a Facts>) -> Facts {
    files.fold(Facts::default(), |all, file| Facts {
        format: all.format,
        duration: match (all.duration, file.duration) {
            (Some(before), Some(secs)) => Some(before.max(secs)),
            (before, secs) => before.or(secs),
        },
        size_bytes: all.size_bytes + file.size_bytes,
        bit_rate: match (all.bit_rate, file.bit_rate) {
            (Some(before), Some(bits)) => Some(before + bits),
            (before, bits) => before.or(bits),
        },
        streams: all.streams.into_iter().chain(file.streams.iter().cloned()).collect(),
    })
}

/// The names of a folder's files in their order; at least one.
pub(super) async fn names_in(folder: &Path) -> Result<Vec<String>, WorkError> {
    let mut entries = match tokio::fs::read_dir(folder).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(nothing()),
        entries => entries?,
    };
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name().into_string();
        if let Ok(name) = name
            && entry.file_type().await?.is_file()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    if names.is_empty() { Err(nothing()) } else { Ok(names) }
}

/// The size of a file that is there and not empty.
async fn size_of(path: &Path) -> Result<u64, WorkError> {
    match tokio::fs::metadata(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(nothing()),
        found => match found?.len() {
            0 => Err(nothing()),
            size_bytes => Ok(size_bytes),
        },
    }
}

fn nothing() -> WorkError {
    RunError::Refused { cause: Cause::NothingWritten, log: Vec::new() }.into()
}

impl Made {
    async fn new(
        planned: &Planned,
        plan: &Plan,
        name: String,
        facts: Facts,
    ) -> Result<Self, WorkError> {
        let path = plan.folder.join(&name);
        let Planned { kind, format, content_type, .. } = *planned;
        Ok(Self {
            size_bytes: size_of(&path).await?,
            path,
            name,
            facts,
            loudness: None,
            kind,
            format,
            content_type,
        })
    }

    /// The wire's File of it, as it is stored under `key`.
    #[must_use]
    pub fn file(&self, key: String, stored: Stored) -> File {
        let (video, audio) = (self.facts.video(), self.facts.audio());
        let size = video.map(ffmpeg::VideoStream::display_size);
        let moves = !matches!(self.kind, FileKind::Image | FileKind::Text);
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
            loudness: self.loudness,
            sha256: stored.sha256,
            delivered_to: None,
            remote_url: None,
        }
    }
}
