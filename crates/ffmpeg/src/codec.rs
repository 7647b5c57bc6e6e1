//! Encoders and containers as enums: a setting in, its ffmpeg arguments out.
//!
//! What is here was tried with ffmpeg 5.1; an encoder's traps are noted where they are avoided.
//! Which number stands for which quality is not known here.

use crate::args::{Arguments, FINE_TICKS, Source};
use crate::hardware::HardwareEncoder;

/// How many bits a picture may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// A constant quality on the encoder's own scale; less is better.
    Quality(u8),
    /// Bits a second on average.
    Bits(u64),
    /// A constant quality, as long as it costs no more than so many bits in any second.
    Capped {
        /// On the encoder's own scale; less is better.
        quality: u8,
        /// Bits a second at most.
        bits: u64,
    },
}

/// A number of pictures that lies behind the next forced keyframe, whatever the source's clock.
const NO_OTHER_KEYFRAMES: u32 = 100_000;

/// How hard libx264 or libx265 tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it all")]
pub enum Preset {
    Veryfast,
    Faster,
    Fast,
    Medium,
}

impl Preset {
    const fn name(self) -> &'static str {
        match self {
            Self::Veryfast => "veryfast",
            Self::Faster => "faster",
            Self::Fast => "fast",
            Self::Medium => "medium",
        }
    }
}

/// An encoder of pictures with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoEncoder {
    /// H.264 by libx264, 8 bit, profile high.
    X264 {
        /// How hard it tries.
        preset: Preset,
        /// How many bits it may use.
        rate: Rate,
    },
    /// H.265 by libx265.
    X265 {
        /// How hard it tries.
        preset: Preset,
        /// How many bits it may use.
        rate: Rate,
    },
    /// VP9 by libvpx.
    Vp9 {
        /// 0 (slow) to 5.
        cpu_used: u8,
        /// How many bits it may use.
        rate: Rate,
    },
    /// AV1 by SVT-AV1.
    SvtAv1 {
        /// 0 (slow) to 13.
        preset: u8,
        /// How many bits it may use.
        rate: Rate,
    },
    /// AV1 by libaom, for an ffmpeg without SVT-AV1.
    AomAv1 {
        /// 0 (slow) to 8.
        cpu_used: u8,
        /// How many bits it may use.
        rate: Rate,
    },
    /// By something else than the processors.
    Hardware {
        /// Which.
        encoder: HardwareEncoder,
        /// How many bits it may use; a quality is on the encoder's own scale.
        rate: Rate,
    },
    /// One AV1 picture by libaom.
    AomStill {
        /// 0 (best) to 63.
        crf: u8,
    },
    /// JPEG.
    Jpeg {
        /// 2 (best) to 31.
        quantizer: u8,
    },
    /// PNG.
    Png,
    /// One `WebP` picture.
    Webp {
        /// 0 to 100 (best).
        quality: u8,
    },
    /// Moving `WebP`.
    WebpAnimation {
        /// 0 to 100 (best).
        quality: u8,
    },
    /// GIF of pictures that already have a palette.
    Gif,
    /// None: a stream of the input as it is, without words that lie among its pictures.
    Copy {
        /// The stream.
        source: Source,
        /// How it is coded.
        syntax: Syntax,
    },
}

/// How pictures are coded that are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it all")]
pub enum Syntax {
    H264,
    Vp9,
    Av1,
}

impl Syntax {
    /// The units that a picture is made of. What is left out can hold anything: where a camera
    /// was, what made the file.
    const fn units(self) -> Option<&'static str> {
        match self {
            // Slices, parameter sets, delimiters and ends.
            Self::H264 => Some("filter_units=pass_types=1-5|7-11"),
            // Headers, tiles and frames.
            Self::Av1 => Some("filter_units=pass_types=1-4|6-7"),
            // It has room for nothing else.
            Self::Vp9 => None,
        }
    }
}

impl VideoEncoder {
    /// What it needs beside the processors.
    pub(crate) const fn hardware(self) -> Option<HardwareEncoder> {
        match self {
            Self::Hardware { encoder, .. } => Some(encoder),
            _ => None,
        }
    }

    /// The same with keyframes where they are forced and nowhere else, each of which can be
    /// begun at.
    pub(crate) fn write_segmented(self, args: &mut Arguments, threads: Option<u32>) {
        self.write(args, threads);
        args.pair("-g", NO_OTHER_KEYFRAMES);
        match self {
            Self::X264 { .. } => args.pair("-sc_threshold", 0),
            Self::X265 { .. } => {
                let params = x265_params(threads);
                // The last one counts; a keyframe that is forced is open unless told otherwise.
                args.pair("-x265-params", format!("{params}:scenecut=0:open-gop=0"));
                args.pair("-forced-idr", 1);
            }
            _ => {}
        }
    }

    pub(crate) fn write(self, args: &mut Arguments, threads: Option<u32>) {
        match self {
            Self::X264 { preset, rate } => {
                args.pair("-c:v", "libx264");
                args.pair("-preset", preset.name());
                args.pair("-profile:v", "high");
                crf_or_bits(args, rate);
            }
            Self::X265 { preset, rate } => {
                args.pair("-c:v", "libx265");
                args.pair("-preset", preset.name());
                args.pair("-x265-params", x265_params(threads));
                // Apple's players refuse ffmpeg's usual `hev1`.
                args.pair("-tag:v", "hvc1");
                crf_or_bits(args, rate);
            }
            Self::Vp9 { cpu_used, rate } => {
                args.pair("-c:v", "libvpx-vp9");
                args.pair("-deadline", "good");
                args.pair("-cpu-used", cpu_used);
                args.pair("-row-mt", 1);
                open_crf_or_bits(args, rate);
            }
            Self::SvtAv1 { preset, rate } => write_svt(args, preset, rate, threads),
            Self::AomAv1 { cpu_used, rate } => {
                args.pair("-c:v", "libaom-av1");
                args.pair("-cpu-used", cpu_used);
                args.pair("-row-mt", 1);
                open_crf_or_bits(args, rate);
            }
            Self::Hardware { encoder, rate } => encoder.write(args, rate),
            still => still.write_still(args),
        }
    }

    fn write_still(self, args: &mut Arguments) {
        match self {
            Self::AomStill { crf } => {
                args.pair("-c:v", "libaom-av1");
                args.pair("-still-picture", 1);
                args.pair("-cpu-used", 6);
                open_crf_or_bits(args, Rate::Quality(crf));
            }
            Self::Jpeg { quantizer } => {
                args.pair("-c:v", "mjpeg");
                args.pair("-q:v", quantizer);
            }
            Self::Png => args.pair("-c:v", "png"),
            Self::Webp { quality } => {
                args.pair("-c:v", "libwebp");
                args.pair("-quality", quality);
            }
            Self::WebpAnimation { quality } => {
                args.pair("-c:v", "libwebp_anim");
                args.pair("-quality", quality);
            }
            Self::Gif => args.pair("-c:v", "gif"),
            Self::Copy { syntax, .. } => {
                args.pair("-c:v", "copy");
                if let Some(units) = syntax.units() {
                    args.pair("-bsf:v", units);
                }
            }
            Self::X264 { .. }
            | Self::X265 { .. }
            | Self::Vp9 { .. }
            | Self::SvtAv1 { .. }
            | Self::AomAv1 { .. }
            | Self::Hardware { .. } => {}
        }
    }
}

fn crf_or_bits(args: &mut Arguments, rate: Rate) {
    match rate {
        Rate::Quality(crf) => args.pair("-crf", crf),
        Rate::Bits(bits) => capped_bits(args, bits),
        Rate::Capped { quality, bits } => {
            args.pair("-crf", quality);
            args.pair("-maxrate", bits);
            args.pair("-bufsize", bits);
        }
    }
}

/// libvpx and libaom take `-crf` for an upper limit unless the bit rate is said to be 0.
fn open_crf_or_bits(args: &mut Arguments, rate: Rate) {
    match rate {
        Rate::Quality(crf) => {
            args.pair("-crf", crf);
            args.pair("-b:v", 0);
        }
        Rate::Bits(bits) => capped_bits(args, bits),
        // To them a bit rate beside a quality is its upper limit.
        Rate::Capped { quality, bits } => {
            args.pair("-crf", quality);
            args.pair("-b:v", bits);
        }
    }
}

/// An average with room for a second of something harder.
pub(crate) fn capped_bits(args: &mut Arguments, bits: u64) {
    args.pair("-b:v", bits);
    args.pair("-maxrate", bits + bits / 2);
    args.pair("-bufsize", bits * 2);
}

/// SVT-AV1 takes its threads only by its own parameter, and refuses `-maxrate` beside `-b:v`.
fn write_svt(args: &mut Arguments, preset: u8, rate: Rate, threads: Option<u32>) {
    args.pair("-c:v", "libsvtav1");
    args.pair("-preset", preset);
    match rate {
        Rate::Quality(crf) => args.pair("-crf", crf),
        Rate::Bits(bits) => args.pair("-b:v", bits),
        Rate::Capped { quality, bits } => {
            args.pair("-crf", quality);
            args.pair("-maxrate", bits);
        }
    }
    if let Some(threads) = threads {
        args.pair("-svtav1-params", format!("lp={threads}"));
    }
}

/// libx265 writes its own log to stderr, and takes its threads only by its own parameter.
fn x265_params(threads: Option<u32>) -> String {
    match threads {
        Some(threads) => format!("log-level=error:pools={threads}"),
        None => "log-level=error".to_owned(),
    }
}

/// An encoder of sound with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioEncoder {
    /// AAC at bits a second.
    Aac(u32),
    /// MP3 at bits a second.
    Mp3(u32),
    /// MP3 of constant quality: 0 (best) to 9.
    Mp3Quality(u8),
    /// Opus at bits a second on average.
    Opus(u32),
    /// Vorbis at bits a second on average.
    Vorbis(u32),
    /// Vorbis of constant quality: 0 to 10 (best).
    VorbisQuality(u8),
    /// Samples of 16 bits.
    Pcm16,
    /// FLAC.
    Flac,
    /// None: the sound as it is.
    Copy,
}

impl AudioEncoder {
    pub(crate) fn write(self, args: &mut Arguments) {
        let name = match self {
            Self::Aac(_) => "aac",
            Self::Mp3(_) | Self::Mp3Quality(_) => "libmp3lame",
            Self::Opus(_) => "libopus",
            Self::Vorbis(_) | Self::VorbisQuality(_) => "libvorbis",
            Self::Pcm16 => "pcm_s16le",
            Self::Flac => "flac",
            Self::Copy => "copy",
        };
        args.pair("-c:a", name);
        match self {
            Self::Aac(bits) | Self::Mp3(bits) | Self::Opus(bits) | Self::Vorbis(bits) => {
                args.pair("-b:a", bits);
            }
            Self::Mp3Quality(quality) | Self::VorbisQuality(quality) => {
                args.pair("-q:a", quality);
            }
            Self::Pcm16 | Self::Flac | Self::Copy => {}
        }
    }
}

/// A container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it all")]
pub enum Muxer {
    Mp4,
    Mov,
    Webm,
    /// AAC in MPEG-4 (`.m4a`).
    M4a,
    Mp3,
    Ogg,
    Opus,
    Wav,
    Flac,
    /// One picture in a file of its own: JPEG, PNG, `WebP`.
    Picture,
    /// Pictures in files of their own, numbered from 1: the path has `%04d` for the number.
    Pictures,
    Avif,
    /// Repeats for ever.
    Gif,
    /// Repeats for ever.
    Webp,
}

impl Muxer {
    pub(crate) fn write(self, args: &mut Arguments) {
        match self {
            // The index goes in front, so that a browser can begin before it has the whole file.
            Self::Mp4 | Self::Mov | Self::M4a => args.pair("-movflags", "+faststart"),
            // Without it the second picture's name would be a pattern.
            Self::Picture => args.pair("-update", 1),
            Self::Pictures => args.pair("-start_number", 1),
            Self::Gif | Self::Webp => args.pair("-loop", 0),
            // Over 4 GiB the plain header's size field is not enough.
            Self::Wav => args.pair("-rf64", "auto"),
            Self::Webm | Self::Mp3 | Self::Ogg | Self::Opus | Self::Flac | Self::Avif => {}
        }
        args.pair("-f", self.name());
    }

    /// For a piece: times as exact as they are coded, and nothing that takes a second pass.
    pub(crate) fn write_slice(self, args: &mut Arguments) {
        if self.is_mpeg4() {
            args.pair("-video_track_timescale", FINE_TICKS);
            args.pair("-movie_timescale", FINE_TICKS);
        }
        args.pair("-f", self.name());
    }

    /// For a file of pieces.
    pub(crate) fn write_stitched(self, args: &mut Arguments) {
        if self.is_mpeg4() {
            args.pair("-video_track_timescale", FINE_TICKS);
        }
        self.write(args);
    }

    /// The container of its sound alone, from which it can be copied back to the moment where it
    /// was: without pictures, `WebM` forgets how much of the sound lies before 0.
    #[must_use]
    pub const fn of_sound(self) -> Self {
        match self {
            Self::Webm => Self::Ogg,
            other => other,
        }
    }

    const fn is_mpeg4(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov | Self::M4a)
    }

    /// ffmpeg's name of it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Webm => "webm",
            Self::M4a => "ipod",
            Self::Mp3 => "mp3",
            Self::Ogg => "ogg",
            Self::Opus => "opus",
            Self::Wav => "wav",
            Self::Flac => "flac",
            Self::Picture | Self::Pictures => "image2",
            Self::Avif => "avif",
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }
}
