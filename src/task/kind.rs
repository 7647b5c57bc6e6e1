//! What a job makes, and what a task does beside.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a job makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A video file.
    Video,
    /// An audio file.
    Audio,
    /// A still image.
    Image,
    /// A short silent loop.
    Animation,
    /// Renditions of a video, and playlists to choose from them.
    AdaptiveVideo,
    /// Nothing: the facts of the input.
    Probe,
    /// A copy of the input in this server's storage: a task of its own, and no job.
    Import,
    /// A copy of the input in a bucket of the user's own: a task of its own, and no job.
    Export,
}

impl Kind {
    /// Every kind, in the order in which they are named to users.
    pub const ALL: [Self; 8] = [
        Self::Video,
        Self::Audio,
        Self::Image,
        Self::Animation,
        Self::AdaptiveVideo,
        Self::Probe,
        Self::Import,
        Self::Export,
    ];

    /// Those that a job can be of; the others are tasks alone.
    pub const OF_JOBS: [Self; 6] =
        [Self::Video, Self::Audio, Self::Image, Self::Animation, Self::AdaptiveVideo, Self::Probe];

    /// The kind's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Image => "image",
            Self::Animation => "animation",
            Self::AdaptiveVideo => "adaptive_video",
            Self::Probe => "probe",
            Self::Import => "import",
            Self::Export => "export",
        }
    }

    /// The kind called `name`, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
