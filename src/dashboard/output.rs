//! How a file that was made is shown: played, looked at, listened to, or only named.

use url::{Position, Url};

use super::words::{bitrate, bytes, clock};
use crate::job::{File, FileKind, Job};
use crate::request::AppState;

/// A picture larger than this is no thumbnail.
const MAX_THUMB_BYTES: u64 = 3 << 20;

/// What a row has in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thumb {
    /// A picture.
    Image(String),
    /// A film, whose first picture a script asks for when the row is seen.
    Video(String),
    /// The kind's own sign.
    Sign,
}

/// How a file is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Show {
    Video,
    Audio,
    Image,
    /// A playlist that a script plays.
    Playlist,
    /// A link, and nothing more.
    Link,
}

/// A file on a page.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// Its own name.
    pub(super) name: String,
    /// Where the page itself gets it: a path of this server, so that the page's policy need name
    /// no other origin. None for a file that is kept elsewhere.
    pub(super) path: Option<String>,
    /// Where it is when it is not here.
    pub(super) elsewhere: Option<String>,
    pub(super) show: Show,
    pub(super) content_type: String,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    /// `1280 × 720 · 0:07 · h264, aac · 4.2 MB`.
    pub(super) facts: String,
    pub(super) sha256: String,
}

impl Output {
    pub(super) fn of(state: &AppState, file: &File) -> Self {
        let path = path(state, file);
        let elsewhere = file.url_elsewhere();
        Self {
            name: file.key.rsplit('/').next().unwrap_or_default().to_owned(),
            show: if path.is_some() { show(file) } else { Show::Link },
            path,
            elsewhere,
            content_type: file.content_type.clone(),
            width: file.width,
            height: file.height,
            facts: facts(file),
            sha256: file.sha256.clone(),
        }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        name == match self.show {
            Show::Video => "video",
            Show::Audio => "audio",
            Show::Image => "image",
            Show::Playlist => "playlist",
            Show::Link => "link",
        }
    }

    /// Where a link to it leads.
    pub(super) fn href(&self) -> Option<&str> {
        let is_web = |url: &&str| url.starts_with("https://") || url.starts_with("http://");
        self.path.as_deref().or_else(|| self.elsewhere.as_deref().filter(is_web))
    }
}

/// The path at which this server gives the file, wherever it is kept.
pub(super) fn path(state: &AppState, file: &File) -> Option<String> {
    if file.url_elsewhere().is_some() {
        return None;
    }
    let link = Url::parse(&state.links.own_link(&file.key)).ok()?;
    let base = state.public_url.path().trim_end_matches('/');
    let path = &link[Position::BeforePath..];
    Some(path.strip_prefix(base).unwrap_or(path).to_owned())
}

/// Whether the file's name has this extension; names are the server's own.
pub(super) fn is_called(file: &File, extension: &str) -> bool {
    file.key.rsplit_once('.').is_some_and(|(_, known)| known == extension)
}

fn show(file: &File) -> Show {
    let is_playlist = is_called(file, "m3u8");
    match (file.kind, file.format.as_str()) {
        (FileKind::Video, "mp4" | "webm" | "mov") => Show::Video,
        (FileKind::Audio, _) => Show::Audio,
        (FileKind::Image | FileKind::Animation, _) if file.content_type.starts_with("image/") => {
            Show::Image
        }
        (FileKind::AdaptiveVideo, _) if is_playlist => Show::Playlist,
        _ => Show::Link,
    }
}

/// What stands in front of the job in a list.
pub(super) fn thumb(state: &AppState, job: &Job) -> Thumb {
    let outputs = job.state.outputs();
    let is_small = |file: &&File| file.filesize <= MAX_THUMB_BYTES;
    let picture = outputs.iter().filter(is_small).find(|file| show(file) == Show::Image);
    if let Some(path) = picture.and_then(|file| path(state, file)) {
        return Thumb::Image(path);
    }
    let film = outputs.first().filter(|file| show(file) == Show::Video);
    match film.and_then(|file| path(state, file)) {
        Some(path) => Thumb::Video(path),
        None => Thumb::Sign,
    }
}

fn facts(file: &File) -> String {
    let mut facts = Vec::new();
    if let (Some(width), Some(height)) = (file.width, file.height) {
        facts.push(format!("{width} × {height}"));
    }
    if let Some(secs) = file.duration {
        facts.push(clock(secs));
    }
    if let Some(fps) = file.fps {
        facts.push(format!("{} fps", (fps * 100.0).round() / 100.0));
    }
    if let Some(codecs) = &file.codecs {
        let names: Vec<&str> =
            [&codecs.video, &codecs.audio].into_iter().flatten().map(String::as_str).collect();
        facts.extend((!names.is_empty()).then(|| names.join(", ")));
    }
    facts.extend(file.bitrate.map(bitrate));
    facts.extend((file.filesize > 0).then(|| bytes(file.filesize)));
    facts.join(" · ")
}
