//! A file that a provider made and keeps, as the provider told of it.

use serde::de::IntoDeserializer as _;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Codecs, File, FileKind, Kind};

/// The longest name of a format that is taken from a provider, in bytes.
const MAX_FORMAT: usize = 16;

/// What a provider told about a file: its URL, and any of its facts or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the wire's File")]
pub struct RemoteFile {
    pub url: Url,
    pub kind: Option<FileKind>,
    pub format: Option<String>,
    pub filesize: Option<u64>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub duration: Option<f64>,
    pub fps: Option<f64>,
    pub bitrate: Option<u64>,
    pub codecs: Option<Codecs>,
    pub sha256: Option<String>,
}

impl RemoteFile {
    /// A file of which only its URL is known.
    #[must_use]
    pub const fn at(url: Url) -> Self {
        Self {
            url,
            kind: None,
            format: None,
            filesize: None,
            width: None,
            height: None,
            duration: None,
            fps: None,
            bitrate: None,
            codecs: None,
            sha256: None,
        }
    }

    /// The file as the output of a job of `of` kind, under the `position`-th key below `prefix`.
    #[must_use]
    pub fn file(self, of: Kind, prefix: &str, position: usize) -> File {
        let kind = self.kind.unwrap_or_else(|| usual_kind(of));
        let said = self.format.filter(|format| is_format(format));
        let format =
            said.or_else(|| extension(&self.url)).unwrap_or_else(|| usual(kind).to_owned());
        File {
            key: format!("{prefix}/{position}.{format}"),
            kind,
            content_type: content_type(kind, &format),
            format,
            filesize: self.filesize.unwrap_or(0),
            width: self.width,
            height: self.height,
            duration: self.duration,
            fps: self.fps,
            bitrate: self.bitrate,
            codecs: self.codecs,
            loudness: None,
            sha256: self.sha256.unwrap_or_default(),
            delivered_to: None,
            remote_url: Some(self.url),
        }
    }
}

/// What a job of a kind makes is called like the kind.
fn usual_kind(of: Kind) -> FileKind {
    let name: StrDeserializer<'_, serde::de::value::Error> = of.name().into_deserializer();
    FileKind::deserialize(name).unwrap_or(FileKind::Text)
}

/// A word that can stand in a key.
fn is_format(word: &str) -> bool {
    (1..=MAX_FORMAT).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The format by the name of the file.
fn extension(url: &Url) -> Option<String> {
    let name = url.path_segments()?.next_back()?;
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty() && is_format(extension)).then(|| extension.to_ascii_lowercase())
}

const fn usual(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Video => "mp4",
        FileKind::Audio => "mp3",
        FileKind::Image => "jpeg",
        FileKind::Animation => "gif",
        FileKind::AdaptiveVideo => "hls",
        FileKind::Text => "txt",
    }
}

fn content_type(kind: FileKind, format: &str) -> String {
    let family = match kind {
        FileKind::Video => "video",
        FileKind::Audio => "audio",
        FileKind::Image | FileKind::Animation => "image",
        FileKind::AdaptiveVideo | FileKind::Text => return "application/octet-stream".to_owned(),
    };
    format!("{family}/{format}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(url: &str, of: Kind) -> File {
        RemoteFile::at(Url::parse(url).expect("a URL")).file(of, "job_1/1", 0)
    }

    #[test]
    fn a_bare_url_becomes_a_file_by_its_name_and_the_kind_of_its_job() {
        for (url, of, format, key) in [
            ("https://cdn.example/a/b.WEBP?x=1", Kind::Image, "webp", "job_1/1/0.webp"),
            ("https://cdn.example/a/b", Kind::Video, "mp4", "job_1/1/0.mp4"),
            ("https://cdn.example/a/b.m%2f4", Kind::Audio, "mp3", "job_1/1/0.mp3"),
            ("https://cdn.example/.mp4", Kind::Animation, "gif", "job_1/1/0.gif"),
            ("https://cdn.example/", Kind::Image, "jpeg", "job_1/1/0.jpeg"),
        ] {
            let file = file(url, of);
            assert_eq!((file.format.as_str(), file.key.as_str()), (format, key), "{url}");
            assert_eq!(file.url_elsewhere().as_deref(), Some(url));
            assert_eq!((file.filesize, file.sha256.as_str()), (0, ""));
        }
    }

    #[test]
    fn what_a_provider_calls_a_format_cannot_leave_its_place_in_the_key() {
        let url = Url::parse("https://cdn.example/a.mp4").expect("a URL");
        for format in ["../../etc", "", "a/b", &"x".repeat(17)] {
            let told =
                RemoteFile { format: Some(format.to_owned()), ..RemoteFile::at(url.clone()) };
            assert_eq!(told.file(Kind::Video, "job_1/1", 2).key, "job_1/1/2.mp4", "{format}");
        }
    }
}
