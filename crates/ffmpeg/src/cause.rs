//! Why ffmpeg gave up, from what it said.
//!
//! The cleaned lines of standard error and how the process ended come in, one [`Cause`] goes
//! out. ffmpeg has no error codes that say more than "1", so the texts are all there is; the
//! order of the table decides when several match, the most certain first.

use std::fmt;

/// Why ffmpeg or ffprobe refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Not a video, sound or picture of a kind that may be opened.
    NotMedia,
    /// Media, but damaged or cut off.
    Corrupt,
    /// Media whose codec there is no permitted decoder for.
    UnsupportedCodec,
    /// A HEIC photograph, which ffmpeg before 7.1 cannot open; without heif-convert it stays shut.
    Heic,
    /// A picture above [`crate::policy::MAX_PIXELS`].
    TooManyPixels,
    /// More streams than [`crate::policy::MAX_STREAMS`].
    TooManyStreams,
    /// The disk is full.
    NoSpace,
    /// An output grew over [`crate::Limits::output_bytes`].
    FileTooLarge,
    /// Memory ran out.
    OutOfMemory,
    /// ffmpeg was content, yet an output is missing or empty.
    NothingWritten,
    /// None of these.
    Unknown,
}

impl Cause {
    /// What to tell the one whose file it is.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotMedia => "the file is not a video, a sound or a picture that can be read",
            Self::Corrupt => "the file is damaged or incomplete",
            Self::UnsupportedCodec => "the file uses a codec that is not supported",
            Self::Heic => "the file is a HEIC photograph, and heif-convert is not installed",
            Self::TooManyPixels => "the picture has more than 67 million pixels",
            Self::TooManyStreams => "the file has more than 64 streams",
            Self::NoSpace => "the disk is full",
            Self::FileTooLarge => "the output grew over the size limit",
            Self::OutOfMemory => "there was not enough memory",
            Self::NothingWritten => {
                "nothing was written: the part asked for holds no pictures or sound"
            }
            Self::Unknown => "ffmpeg failed",
        }
    }

    /// Reads what was said, lines of weight before mere warnings.
    #[must_use]
    pub fn of<'a>(lines: impl Iterator<Item = &'a str> + Clone) -> Self {
        SAYINGS
            .iter()
            .find(|(saying, _)| lines.clone().any(|line| line.contains(saying)))
            .map_or(Self::Unknown, |&(_, cause)| cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

/// What ffmpeg 5.1 to 8 says, and what it means; the first that matches counts.
const SAYINGS: &[(&str, Cause)] = &[
    ("No space left on device", Cause::NoSpace),
    ("Disk quota exceeded", Cause::NoSpace),
    ("File too large", Cause::FileTooLarge),
    // Said together with "Cannot allocate memory".
    ("exceeds max_streams", Cause::TooManyStreams),
    ("exceeds specified max pixel count", Cause::TooManyPixels),
    // What libavutil cannot address at all: before any limit of ours.
    ("Picture size", Cause::TooManyPixels),
    ("Cannot allocate memory", Cause::OutOfMemory),
    ("malloc of size", Cause::OutOfMemory),
    ("Format not on whitelist", Cause::NotMedia),
    (") not on whitelist", Cause::UnsupportedCodec),
    // An encoder or an option is our doing; what is said of the input beside it is not why.
    ("Unknown encoder", Cause::Unknown),
    ("Error initializing output stream", Cause::Unknown),
    ("Error while opening encoder", Cause::Unknown),
    ("Decoder not found", Cause::UnsupportedCodec),
    ("no decoder found", Cause::UnsupportedCodec),
    ("Decoding requested, but", Cause::UnsupportedCodec),
    ("moov atom not found", Cause::Corrupt),
    ("error reading header", Cause::Corrupt),
    ("while decoding", Cause::Corrupt),
    ("Error submitting packet to decoder", Cause::Corrupt),
    ("ended prematurely", Cause::Corrupt),
    ("partial file", Cause::Corrupt),
    ("runcat", Cause::Corrupt),
    ("orrupt", Cause::Corrupt),
    ("Cannot determine format of input stream", Cause::Corrupt),
    ("Could not find codec parameters", Cause::Corrupt),
    // Tags of an MP3 with no sound behind them, and what only looks like one.
    ("Could not seek to", Cause::Corrupt),
    (": End of file", Cause::Corrupt),
    ("Output file is empty, nothing was encoded", Cause::NothingWritten),
    ("WebPAnimEncoderAssemble() failed with error: 1", Cause::NothingWritten),
    ("Invalid data found when processing input", Cause::NotMedia),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What ffmpeg 5.1.9 really said to such files, addresses and paths taken out.
    const SAID: &[(&str, &[&str], Cause)] = &[
        (
            "a playlist named .mp4",
            &[
                "[hls] Format not on whitelist 'mov,mp4,m4a'",
                "evil_hls_media.mp4: Invalid argument",
            ],
            Cause::NotMedia,
        ),
        ("text", &["plain_text.txt: Invalid data found when processing input"], Cause::NotMedia),
        (
            "an mp4 whose index never came",
            &[
                "[mov,mp4,m4a,3gp,3g2,mj2] moov atom not found",
                "nomoov.mp4: Invalid data found when processing input",
            ],
            Cause::Corrupt,
        ),
        (
            "an MP3 of tags alone",
            &[
                "[mp3] Failed to read frame size: Could not seek to 1026.",
                "x.id3: Invalid argument",
            ],
            Cause::Corrupt,
        ),
        (
            "an MP3 whose sound ends at once",
            &["[mp3] Invalid frame size (72): Could not seek to 72.", "x.mp3: Invalid argument"],
            Cause::Corrupt,
        ),
        (
            "a Matroska whose parts are longer than the whole",
            &[
                "[matroska,webm] Duplicate element",
                "[matroska,webm] Element at 0x45 ending at 0x34e05 exceeds containing master \
                 element ending at 0x13f1",
                "sample.mkv: End of file",
            ],
            Cause::Corrupt,
        ),
        ("a header and no more", &["x.caf: End of file"], Cause::Corrupt),
        (
            "boxes in boxes",
            &[
                "[mov,mp4,m4a,3gp,3g2,mj2] Atoms too deeply nested",
                "[mov,mp4,m4a,3gp,3g2,mj2] error reading header",
                "deepmoov.mp4: Invalid data found when processing input",
            ],
            Cause::Corrupt,
        ),
        (
            "a decoder that is not permitted",
            &[
                "[magicyuv] Codec (magicyuv) not on whitelist 'h264,hevc'",
                "Error while opening decoder for input stream #0:0 : Invalid argument",
            ],
            Cause::UnsupportedCodec,
        ),
        (
            "sound of a codec nobody knows",
            &["Decoding requested, but no decoder found for: none"],
            Cause::UnsupportedCodec,
        ),
        (
            "a picture over the limit",
            &[
                "[png] [IMGUTILS] Picture size 16000x16000 exceeds specified max pixel count 67108864, see the documentation if you wish to increase it",
                "Error while decoding stream #0:0: Invalid argument",
                "Cannot determine format of input stream 0:0 after EOF",
                "Error marking filters as finished",
            ],
            Cause::TooManyPixels,
        ),
        (
            "a picture over every limit",
            &["[IMGUTILS] Picture size 30000x30000 is invalid", "[png] Invalid image size"],
            Cause::TooManyPixels,
        ),
        (
            "a thousand tracks",
            &[
                "[mov,mp4,m4a,3gp,3g2,mj2] Number of streams exceeds max_streams parameter (64), see the documentation if you wish to increase it",
                "[mov,mp4,m4a,3gp,3g2,mj2] error reading header",
                "traks1000.mp4: Cannot allocate memory",
            ],
            Cause::TooManyStreams,
        ),
        (
            "a full disk",
            &[
                "av_interleaved_write_frame(): No space left on device",
                "Error writing trailer of big.mp4: No space left on device",
            ],
            Cause::NoSpace,
        ),
        (
            "a compressed index that unfolds",
            &[
                "[mov,mp4,m4a,3gp,3g2,mj2] error reading header",
                "cmov512m.mov: Cannot allocate memory",
            ],
            Cause::OutOfMemory,
        ),
        (
            "a thumbnail after the end",
            &[
                "Output file is empty, nothing was encoded (check -ss / -t / -frames parameters if used)",
            ],
            Cause::NothingWritten,
        ),
        (
            "a webp after the end",
            &[
                "[libwebp encoder] WebPAnimEncoderAssemble() failed with error: 1",
                "Error submitting video frame to the encoder",
            ],
            Cause::NothingWritten,
        ),
        (
            "a size the encoder cannot do, from a file with a scratch",
            &[
                "[h264] error while decoding MB 25 17, bytestream -29",
                "[libx264] width not divisible by 2 (853x480)",
                "Error initializing output stream 0:0 -- Error while opening encoder for output stream #0:0",
            ],
            Cause::Unknown,
        ),
        ("nothing at all", &[], Cause::Unknown),
    ];

    #[test]
    fn what_ffmpeg_says_names_the_cause() {
        for (what, lines, cause) in SAID {
            assert_eq!(Cause::of(lines.iter().copied()), *cause, "{what}");
        }
    }
}
