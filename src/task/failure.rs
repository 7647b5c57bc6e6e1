//! Why a task failed: a stable kind, words, whose fault it is, whether to try again.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// How many lines of a tool's output an error carries at most (wire.md section 1).
pub const MAX_LOG_LINES: usize = 20;

/// Who can do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The media or its URL.
    Input,
    /// The place where outputs go.
    Destination,
    /// This server.
    Ours,
}

macro_rules! error_kinds {
    ($($(#[$doc:meta])+ $kind:ident = $name:literal, $fault:ident, $verdict:ident;)+) => {
        /// The stable name of what went wrong, as in `error.kind`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorKind {
            $($(#[$doc])+ #[serde(rename = $name)] $kind,)+
        }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The kind's name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$kind => Fault::$fault),+ }
            }

            /// Whether the same work may succeed when it is tried again.
            #[must_use]
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$kind => verdict::$verdict),+ }
            }
        }
    };
}

mod verdict {
    pub(super) const RETRY: bool = true;
    pub(super) const FAIL: bool = false;
}

error_kinds! {
    /// The URL leads to an address that this server does not reach for anyone.
    InputForbidden = "input_forbidden", Input, FAIL;
    /// The server of the URL says that there is nothing (404, 410).
    InputNotFound = "input_not_found", Input, FAIL;
    /// The server of the URL asks for permission (401, 403): often a link that ran out.
    InputUnauthorized = "input_unauthorized", Input, FAIL;
    /// The server of the URL does not answer, or answers with an error that may pass.
    InputUnavailable = "input_unavailable", Input, RETRY;
    /// The server of the URL answers with something that cannot be a file.
    InputRefused = "input_refused", Input, FAIL;
    /// The download came to a near stop or took too long.
    InputTooSlow = "input_too_slow", Input, RETRY;
    /// The file is larger than this server takes.
    InputTooLarge = "input_too_large", Input, FAIL;
    /// The file has no bytes.
    InputEmpty = "input_empty", Input, FAIL;
    /// The file is not media, or of a kind that this server does not take.
    InputUnsupported = "input_unsupported", Input, FAIL;
    /// The file is media but broken.
    InputCorrupt = "input_corrupt", Input, FAIL;
    /// The file is media but costs more than this server's limits: pixels, streams, duration.
    InputOverLimit = "input_over_limit", Input, FAIL;
    /// A picture was asked for, and the file has none.
    InputNoVideo = "input_no_video", Input, FAIL;
    /// Sound was asked for, and the file has none.
    InputNoAudio = "input_no_audio", Input, FAIL;
    /// `start` is behind the end of the input.
    InputTooShort = "input_too_short", Input, FAIL;
    /// ffmpeg gave up, and its words match no cause known here.
    FfmpegFailed = "ffmpeg_failed", Ours, FAIL;
    /// ffmpeg was killed by a signal or crashed.
    FfmpegCrashed = "ffmpeg_crashed", Ours, RETRY;
    /// ffmpeg made no progress and was killed.
    FfmpegStalled = "ffmpeg_stalled", Ours, RETRY;
    /// ffmpeg ran longer than its limit and was killed.
    FfmpegTimedOut = "ffmpeg_timed_out", Ours, FAIL;
    /// ffmpeg or ffprobe could not be started.
    FfmpegMissing = "ffmpeg_missing", Ours, RETRY;
    /// No font of this server has the letters of the subtitles.
    FontMissing = "font_missing", Ours, FAIL;
    /// ffmpeg ended well and wrote nothing.
    OutputEmpty = "output_empty", Ours, FAIL;
    /// The output is larger than this server writes.
    OutputTooLarge = "output_too_large", Ours, FAIL;
    /// The storage did not take the output.
    OutputFailed = "output_failed", Destination, RETRY;
    /// The user's own bucket says no: wrong keys, no such bucket, an address not reached.
    OutputRefused = "output_refused", Destination, FAIL;
    /// The disk is full.
    DiskFull = "disk_full", Ours, RETRY;
    /// The provider does not know the operator's key, or does not let it do this (401, 403).
    ProviderUnauthorized = "provider_unauthorized", Ours, FAIL;
    /// The operator's account at the provider has no credit left (402).
    ProviderNoCredit = "provider_no_credit", Ours, FAIL;
    /// The provider does not take the job as it was asked for (400, 422).
    ProviderRefused = "provider_refused", Input, FAIL;
    /// The provider could not be reached, or had no time, for as long as is waited for it.
    ProviderUnavailable = "provider_unavailable", Ours, RETRY;
    /// The provider's answer says nothing that can be understood.
    ProviderUnreadable = "provider_unreadable", Ours, RETRY;
    /// The provider took the job and failed.
    ProviderFailed = "provider_failed", Input, FAIL;
    /// The provider took the job and does not know it any more, or never came to an end.
    ProviderLost = "provider_lost", Ours, FAIL;
    /// The worker was lost with this task in its hands, as often as is allowed.
    Poison = "poison", Ours, FAIL;
    /// Something that should not happen; the server's log says what.
    InternalError = "internal_error", Ours, RETRY;
}

impl PartialSchema for ErrorKind {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The stable name of what went wrong."))
            .enum_values(Some(Self::ALL.iter().map(|kind| kind.name())))
            .into()
    }
}

impl ToSchema for ErrorKind {}

/// Why a task or a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The stable name of what went wrong.
    pub kind: ErrorKind,
    /// What went wrong, for a person. Never holds addresses, paths or other jobs' words.
    pub message: String,
    /// What to do about it, when there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The last meaningful lines that the tool said; at most [`MAX_LOG_LINES`].
    #[serde(default)]
    pub log: Vec<String>,
}

impl ErrorKind {
    /// What to do about an error of this kind, when nothing better is known.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::InputNotFound => "put the file there and retry, or submit the right URL",
            Self::InputUnauthorized => "make a link that is good for longer, and submit that",
            Self::InputForbidden => {
                "use a public URL, or allow the network with REELWAY_ALLOW_NETWORKS"
            }
            Self::InputEmpty => "see whether the upload was whole, and send the file again",
            Self::InputUnsupported => "submit a video, a sound or a picture",
            Self::InputNoAudio => "ask for a video or an image of it",
            Self::DiskFull => "make room on the worker's disk, then retry",
            Self::Poison => "look in the log of the workers that had it: each of them died",
            _ => match (self.fault(), self.is_retryable()) {
                (Fault::Input, true) => "see whether the input can be fetched now, then retry",
                (Fault::Input, false) => "the same input fails again: mend it, and submit it anew",
                (Fault::Destination, true) => {
                    "see whether the storage takes files again, then retry"
                }
                (Fault::Destination, false) => {
                    "see to the bucket's name, keys and rights, then retry"
                }
                (Fault::Ours, true) => "retry; if it fails again, the server's log has the cause",
                (Fault::Ours, false) => {
                    "look at the error's `log`, and at the server's log for this job's id"
                }
            },
        }
    }

    /// The kind called `name` on the wire, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl Failure {
    /// A failure of a `kind`, with words.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, log: Vec::new() }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to do: the failure's own words, else what holds for whoever can do something.
    #[must_use]
    pub fn advice(&self) -> String {
        self.hint.clone().unwrap_or_else(|| self.kind.advice().to_owned())
    }

    /// The same with the tail of a tool's output.
    #[must_use]
    pub fn log(mut self, mut lines: Vec<String>) -> Self {
        lines.drain(..lines.len().saturating_sub(MAX_LOG_LINES));
        self.log = lines;
        self
    }
}
