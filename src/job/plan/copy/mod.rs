//! What of a film stays as it is: copied, in place of being decoded and coded again.
//!
//! A stream is copied when it is, as it lies there, what was asked for; pictures and sound are
//! judged apart. Whatever is in doubt is coded anew, which always works. What a copy cannot be
//! cleaned of (words among the pictures of H.265, comments of Vorbis) is never copied.

use std::fmt;

use ffmpeg::{AudioEncoder, AudioStream, Facts, Ran, Rotation, Source, Syntax};
use ffmpeg::{VideoEncoder, VideoStream};

use super::color::{Coding, to_standard};
use super::picture::Picture;
use super::quality;
use crate::job::options::{Copying, VideoCodec, VideoFormat, VideoOptions};

/// Containers that tell when each packet is shown and where a film can be begun at.
const CONTAINERS: [&str; 2] = ["mp4", "matroska"];

/// How much longer or shorter a copy may be than what was copied, in seconds.
const MAY_DIFFER_SECS: f64 = 0.1;

/// What becomes of a film's streams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ways {
    /// Of its pictures.
    pub video: Way,
    /// Of its sound, where the output has any.
    pub audio: Option<Way>,
}

/// What becomes of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// It stays as it is.
    Copied,
    /// It is coded anew.
    Encoded(Why),
}

/// Why a stream is not copied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Why {
    /// `copy` is `never`.
    Asked,
    /// Only a part of the film is wanted.
    Part,
    /// Something is written into the pictures.
    Subtitles,
    /// The input's container is none of those from which streams are copied.
    Container,
    /// It is in another codec, or in one that is not copied.
    Codec,
    /// It is of a kind that not every player takes.
    Profile,
    /// Pictures are halves of two moments.
    Interlaced,
    /// Captions lie among the pictures: they would be lost.
    Captions,
    /// It has to be turned.
    Turned,
    /// It has to get another size or square pixels.
    Size,
    /// It has more light or other colours than a standard screen.
    Light,
    /// Another number of pictures or samples a second is wanted.
    Rate,
    /// It has more channels than are played.
    Channels,
    /// The file has pictures that are not shown.
    Hidden,
    /// The file does not tell how long it is or how many bits it takes.
    Untold,
    /// It takes more bits than what was asked for.
    Bits {
        /// Bits a second that it takes.
        found: u64,
        /// The most that are taken.
        most: u64,
    },
}

impl Ways {
    /// Whether anything is copied.
    #[must_use]
    pub fn copies(&self) -> bool {
        self.video == Way::Copied || self.audio == Some(Way::Copied)
    }

    /// Whether what was made of `source` by these ways is not it: ffmpeg copies what it is given,
    /// whether it can be played or not.
    #[must_use]
    pub fn are_off(&self, ran: &Ran, source: &Facts, made: &Facts) -> bool {
        if !self.copies() {
            return false;
        }
        let pictures = |facts: &Facts| {
            let video = facts.video()?;
            Some((video.width, video.height, video.duration.or(facts.duration)?, video.frames))
        };
        let video_is_off = self.video == Way::Copied
            && match pictures(source).zip(pictures(made)) {
                Some(((width, height, secs, frames), (w, h, made_secs, made_frames))) => {
                    (width, height) != (w, h)
                        || differ(secs, made_secs)
                        || frames.zip(made_frames).is_some_and(|(all, copied)| all != copied)
                }
                None => true,
            };
        let sound = |facts: &Facts| facts.audio()?.duration.or(facts.duration);
        let audio_is_off = self.audio == Some(Way::Copied)
            && sound(source).zip(sound(made)).is_none_or(|(secs, copied)| differ(secs, copied));
        ran.times_are_made_up || video_is_off || audio_is_off
    }
}

fn differ(secs: f64, made: f64) -> bool {
    (secs - made).abs() > MAY_DIFFER_SECS
}

/// The pictures as they are, if that is what was asked for.
pub(super) fn pictures(
    options: &VideoOptions,
    picture: &Picture<'_>,
    facts: &Facts,
    has_subtitles: bool,
    whole: Result<(), Why>,
) -> Result<VideoEncoder, Why> {
    let video = picture.video;
    whole?;
    if has_subtitles {
        return Err(Why::Subtitles);
    }
    let syntax = syntax(options.codec(), video)?;
    check_kind(video)?;
    check_shape(picture)?;
    let fps = video.fps.ok_or(Why::Untold)?.value();
    let most = options.bitrate.map_or_else(
        || {
            let size = (video.width, video.height);
            quality::most_of_picture(options.codec(), options.quality, size, fps)
        },
        crate::job::options::VideoBitrate::get,
    );
    check_bits(video.bit_rate.or(facts.bit_rate), most)?;
    Ok(VideoEncoder::Copy { source: Source { input: 0, stream: video.index }, syntax })
}

/// The sound as it is, if that is what would be made of it.
pub(super) fn sound(
    format: VideoFormat,
    wanted: &ffmpeg::Audio,
    audio: &AudioStream,
    whole: Result<(), Why>,
) -> Result<ffmpeg::Audio, Why> {
    whole?;
    match (format, audio.codec.as_str(), audio.profile.as_str()) {
        (VideoFormat::Mp4 | VideoFormat::Mov, "aac", "LC") | (VideoFormat::Webm, "opus", _) => {}
        (VideoFormat::Mp4 | VideoFormat::Mov, "aac", _) => return Err(Why::Profile),
        _ => return Err(Why::Codec),
    }
    if wanted.channels.is_some() || audio.channels == 0 {
        return Err(Why::Channels);
    }
    if wanted.sample_rate.is_some_and(|rate| rate != audio.sample_rate) {
        return Err(Why::Rate);
    }
    check_bits(audio.bit_rate, quality::most_of_sound(wanted.encoder).ok_or(Why::Codec)?)?;
    Ok(ffmpeg::Audio {
        source: wanted.source,
        encoder: AudioEncoder::Copy,
        channels: None,
        sample_rate: None,
        gain: None,
    })
}

/// Whether all of a film is wanted, and can be copied at all.
pub(super) fn whole(options: &VideoOptions, video: &VideoStream, facts: &Facts) -> Result<(), Why> {
    if options.copy == Copying::Never {
        return Err(Why::Asked);
    }
    if !has_index(facts) {
        return Err(Why::Container);
    }
    let secs = facts.duration.ok_or(Why::Untold)?;
    if !is_whole(options, facts) {
        return Err(Why::Part);
    }
    check_shown(video, secs)
}

/// Whether the container has exact time stamps, and an index of its keyframes.
pub(super) fn has_index(facts: &Facts) -> bool {
    facts.format.split(',').any(|name| CONTAINERS.contains(&name))
}

/// Whether all of an input is asked for whose length is known.
pub(super) fn is_whole(options: &VideoOptions, facts: &Facts) -> bool {
    let begins_later = options.start.is_some_and(|start| start.get() > 0.0);
    let ends_earlier = |secs: f64| options.end.is_some_and(|end| end.get() < secs);
    facts.duration.is_some_and(|secs| !begins_later && !ends_earlier(secs))
}

/// How the pictures are coded, if it is the wanted codec in a form that every player of it takes.
fn syntax(wanted: VideoCodec, video: &VideoStream) -> Result<Syntax, Why> {
    let (syntax, profiles): (_, &[&str]) = match (wanted, video.codec.as_str()) {
        (VideoCodec::H264, "h264") => (Syntax::H264, &["Constrained Baseline", "Main", "High"]),
        (VideoCodec::Vp9, "vp9") => (Syntax::Vp9, &["Profile 0"]),
        (VideoCodec::Av1, "av1") => (Syntax::Av1, &["Main"]),
        _ => return Err(Why::Codec),
    };
    let is_taken = profiles.contains(&video.profile.as_str()) && video.pixel_format == "yuv420p";
    if is_taken { Ok(syntax) } else { Err(Why::Profile) }
}

fn check_kind(video: &VideoStream) -> Result<(), Why> {
    if video.is_interlaced {
        return Err(Why::Interlaced);
    }
    if video.has_captions {
        return Err(Why::Captions);
    }
    let is_full = video.color.range == "pc";
    if is_full || to_standard(video, Coding::of(video, false)).is_some() {
        return Err(Why::Light);
    }
    Ok(())
}

fn check_shape(picture: &Picture<'_>) -> Result<(), Why> {
    let video = picture.video;
    if video.rotation != Rotation::None || video.mirrored {
        return Err(Why::Turned);
    }
    let geometry = picture.geometry();
    let coded = (video.width, video.height);
    let is_cut = geometry.crop.is_some() || geometry.pad.is_some();
    if is_cut || geometry.scaled != coded || video.display_size() != coded {
        return Err(Why::Size);
    }
    let is_rate = |fps: f64| {
        video.is_steady && video.fps.is_some_and(|found| (found.value() - fps).abs() < 0.01)
    };
    if picture.fps.is_some_and(|fps| !is_rate(fps)) {
        return Err(Why::Rate);
    }
    Ok(())
}

/// What an editor has cut away with a word in the index is in the file yet, and would be in the
/// copy.
fn check_shown(video: &VideoStream, secs: f64) -> Result<(), Why> {
    let (Some(frames), Some(fps)) = (video.frames, video.fps) else { return Ok(()) };
    let shown = video.duration.unwrap_or(secs) * fps.value() + 2.0;
    if frames as f64 > shown { Err(Why::Hidden) } else { Ok(()) }
}

fn check_bits(found: Option<u64>, most: u64) -> Result<(), Why> {
    match found {
        None => Err(Why::Untold),
        Some(found) if found > most => Err(Why::Bits { found, most }),
        Some(_) => Ok(()),
    }
}

impl fmt::Display for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_way(f, self.video, "video")?;
        let Some(audio) = self.audio else { return Ok(()) };
        f.write_str(", ")?;
        write_way(f, audio, "audio")
    }
}

fn write_way(f: &mut fmt::Formatter<'_>, way: Way, what: &str) -> fmt::Result {
    match way {
        Way::Copied => write!(f, "copied {what}"),
        Way::Encoded(why) => write!(f, "encoded {what}: {why}"),
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "`copy` is never",
            Self::Part => "a part of it is wanted",
            Self::Subtitles => "subtitles are written into it",
            Self::Container => "the input's container is not one to copy from",
            Self::Codec => "the input's codec is another",
            Self::Profile => "not every player takes the input's profile or pixel format",
            Self::Interlaced => "the input is interlaced",
            Self::Captions => "the input has captions",
            Self::Turned => "it has to be turned",
            Self::Size => "its size has to change",
            Self::Light => "its light or colours have to change",
            Self::Rate => "its rate has to change",
            Self::Channels => "its channels have to be mixed",
            Self::Hidden => "the input hides pictures",
            Self::Untold => "the input does not tell its length or bit rate",
            Self::Bits { found, most } => {
                let kbit = |bits: &u64| bits / 1000;
                return write!(f, "{} kbit/s are over the {}", kbit(found), kbit(most));
            }
        })
    }
}

#[cfg(test)]
mod tests;
