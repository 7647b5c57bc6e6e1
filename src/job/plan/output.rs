//! What a plan's steps will have made: one file, or several that belong together.

use std::path::PathBuf;

use super::{FileType, Plan};
use crate::job::FileKind;

/// A file that a plan's steps make, or a folder of files of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Where it is, below the plan's folder; in storage it is called the same.
    pub place: Place,
    /// What it is.
    pub kind: FileKind,
    /// Its format as in the options: `mp4`, `webp`, `aac`.
    pub format: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Who tells its facts.
    pub facts: FactsFrom,
}

/// Where files are, below a plan's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One file.
    File(String),
    /// Every file of a folder, in the order of their names.
    Folder(String),
}

/// Who tells a file's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactsFrom {
    /// The file itself is probed; of a folder the first one, for all of them.
    Itself,
    /// The files that it leads to, named as they are in the plan: the facts of all of them
    /// together.
    Others(Vec<String>),
    /// Nobody: it is a text.
    Nobody,
}

impl Planned {
    /// A file of its own.
    pub(super) fn media(file: FileType) -> Self {
        Self::file(file, file.file_name.to_owned(), FactsFrom::Itself)
    }

    /// A file with a name of its own.
    pub(super) fn file(file: FileType, name: String, facts: FactsFrom) -> Self {
        let FileType { kind, format, content_type, .. } = file;
        Self { place: Place::File(name), kind, format, content_type, facts }
    }
}

impl Plan {
    /// Where the job's output is: the first of them.
    #[must_use]
    pub fn main_path(&self) -> Option<PathBuf> {
        match self.outputs.first().map(|planned| &planned.place) {
            Some(Place::File(name)) => Some(self.folder.join(name)),
            Some(Place::Folder(_)) | None => None,
        }
    }
}
