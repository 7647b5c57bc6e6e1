//! ffprobe's JSON into [`Facts`].
//!
//! Every number in it was chosen by whoever made the file. What is missing, not a number, not
//! finite, negative, or beyond sense becomes "not known"; nothing here can fail but the JSON
//! itself.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::facts::{AudioStream, Color, Facts, OtherStream, Ratio, Rotation, Stream, VideoStream};
use crate::{pixel, turn};

/// The longest length that is believed, in seconds: ten years.
const MAX_SECS: f64 = 10.0 * 365.25 * 24.0 * 3600.0;

/// The highest picture rate that is believed.
const MAX_FPS: u32 = 1000;

/// How far a pixel may be from square.
const MAX_ASPECT: u32 = 20;

impl Facts {
    /// Reads what ffprobe answered in JSON about a file of `size_bytes`.
    pub fn from_ffprobe(json: &[u8], size_bytes: u64) -> Result<Self, serde_json::Error> {
        read(json, size_bytes)
    }
}

/// Reads what ffprobe answered about a file of `size_bytes`.
pub(crate) fn read(json: &[u8], size_bytes: u64) -> Result<Facts, serde_json::Error> {
    let report: Report = serde_json::from_str(&String::from_utf8_lossy(json))?;
    let still = report.format.format_name.0.ends_with("_pipe");
    let mut streams: Vec<_> = report.streams.iter().map(|raw| raw.stream(still)).collect();
    for stream in &mut streams {
        if let Stream::Video(video) = stream {
            let frame = report.frames.iter().find(|frame| frame.stream_index.u32() == video.index);
            if let Some(turn) = frame.and_then(|frame| turn::of(&frame.side_data_list)) {
                (video.rotation, video.mirrored) = turn;
            }
        }
    }
    let duration = report.format.duration.secs().or_else(|| longest(&streams));
    Ok(Facts {
        duration: duration.filter(|_| !still),
        size_bytes: report.format.size.parse().unwrap_or(size_bytes),
        bit_rate: report.format.bit_rate.count().filter(|_| !still),
        format: report.format.format_name.0,
        streams,
    })
}

fn longest(streams: &[Stream]) -> Option<f64> {
    let all = streams.iter().filter_map(|stream| match stream {
        Stream::Video(video) if !video.attached_picture => video.duration,
        Stream::Audio(audio) => audio.duration,
        Stream::Video(_) | Stream::Other(_) => None,
    });
    all.max_by(f64::total_cmp)
}

/// A number or a text, kept as text; anything else is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loose(pub(crate) String);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        }))
    }
}

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    streams: Vec<Raw>,
    #[serde(default)]
    frames: Vec<Frame>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Format {
    format_name: Loose,
    duration: Loose,
    size: Loose,
    bit_rate: Loose,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Frame {
    stream_index: Loose,
    side_data_list: Vec<SideData>,
}

/// What may come beside a stream or a picture.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct SideData {
    pub(crate) displaymatrix: Loose,
    pub(crate) rotation: Loose,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    index: Loose,
    codec_name: Loose,
    codec_type: Loose,
    profile: Loose,
    field_order: Loose,
    closed_captions: Loose,
    width: Loose,
    height: Loose,
    sample_aspect_ratio: Loose,
    pix_fmt: Loose,
    color_range: Loose,
    color_space: Loose,
    color_transfer: Loose,
    color_primaries: Loose,
    r_frame_rate: Loose,
    avg_frame_rate: Loose,
    nb_frames: Loose,
    duration: Loose,
    bit_rate: Loose,
    channels: Loose,
    sample_rate: Loose,
    disposition: Disposition,
    tags: Tags,
    side_data_list: Vec<SideData>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Disposition {
    default: Loose,
    attached_pic: Loose,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tags {
    rotate: Loose,
    language: Loose,
    #[serde(rename = "DURATION")]
    duration: Loose,
}

impl Raw {
    fn stream(&self, still: bool) -> Stream {
        match self.codec_type.0.as_str() {
            "video" => Stream::Video(self.video(still)),
            "audio" => Stream::Audio(self.audio()),
            kind => Stream::Other(OtherStream {
                index: self.index.u32(),
                kind: if kind.is_empty() { "unknown".to_owned() } else { kind.to_owned() },
                codec: self.codec_name.0.clone(),
                language: language(&self.tags.language.0),
            }),
        }
    }

    fn video(&self, still: bool) -> VideoStream {
        let (rotation, mirrored) = turn::of(&self.side_data_list)
            .or_else(|| turn::of_tag(&self.tags.rotate.0))
            .unwrap_or((Rotation::None, false));
        let attached_picture = self.disposition.attached_pic.0 == "1";
        let moving = !still && !attached_picture;
        VideoStream {
            index: self.index.u32(),
            codec: self.codec_name.0.clone(),
            width: self.width.u32(),
            height: self.height.u32(),
            rotation,
            mirrored,
            sample_aspect: aspect(&self.sample_aspect_ratio.0),
            fps: rate(&self.avg_frame_rate.0)
                .or_else(|| rate(&self.r_frame_rate.0))
                .filter(|_| moving),
            frames: if moving { self.nb_frames.count() } else { Some(1) },
            duration: self.secs().filter(|_| moving),
            bit_depth: pixel::bit_depth(&self.pix_fmt.0),
            alpha: pixel::has_alpha(&self.pix_fmt.0),
            pixel_format: self.pix_fmt.0.clone(),
            color: Color {
                range: known(&self.color_range.0),
                space: known(&self.color_space.0),
                transfer: known(&self.color_transfer.0),
                primaries: known(&self.color_primaries.0),
            },
            bit_rate: self.bit_rate.count(),
            profile: known(&self.profile.0),
            is_steady: rate(&self.avg_frame_rate.0).is_some_and(|average| {
                rate(&self.r_frame_rate.0).is_some_and(|grid| grid == average)
            }),
            is_interlaced: !matches!(self.field_order.0.as_str(), "" | "unknown" | "progressive"),
            has_captions: self.closed_captions.0 == "1",
            attached_picture,
        }
    }

    fn audio(&self) -> AudioStream {
        AudioStream {
            index: self.index.u32(),
            codec: self.codec_name.0.clone(),
            channels: self.channels.u32(),
            sample_rate: self.sample_rate.u32(),
            duration: self.secs(),
            bit_rate: self.bit_rate.count(),
            profile: known(&self.profile.0),
            default: self.disposition.default.0 == "1",
        }
    }

    /// Matroska tells the length of a stream in a tag.
    fn secs(&self) -> Option<f64> {
        self.duration.secs().or_else(|| clock(&self.tags.duration.0))
    }
}

impl Loose {
    fn parse<T: std::str::FromStr>(&self) -> Option<T> {
        self.0.trim().parse().ok()
    }

    fn u32(&self) -> u32 {
        self.parse::<i32>().and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
    }

    fn count(&self) -> Option<u64> {
        self.parse::<i64>().and_then(|number| u64::try_from(number).ok()).filter(|&n| n > 0)
    }

    fn secs(&self) -> Option<f64> {
        self.parse().and_then(sane_secs)
    }
}

fn sane_secs(secs: f64) -> Option<f64> {
    (secs.is_finite() && secs > 0.0 && secs <= MAX_SECS).then_some(secs)
}

/// `00:00:04.011000000`
fn clock(text: &str) -> Option<f64> {
    let mut parts = text.trim().splitn(3, ':');
    let hours: u32 = parts.next()?.parse().ok()?;
    let minutes: u32 = parts.next()?.parse().ok()?;
    let secs: f64 = parts.next()?.parse().ok()?;
    sane_secs(f64::from(hours) * 3600.0 + f64::from(minutes) * 60.0 + secs)
}

/// A code of ISO 639-2. Whatever else stands there is its author's own text.
fn language(text: &str) -> Option<String> {
    let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_code && text != "und").then(|| text.to_owned())
}

/// What ffprobe calls unknown is not said.
fn known(text: &str) -> String {
    if matches!(text, "unknown" | "reserved" | "unspecified") {
        String::new()
    } else {
        text.to_owned()
    }
}

/// `25/1`
fn rate(text: &str) -> Option<Ratio> {
    ratio(text, '/').filter(|rate| rate.num <= rate.den.saturating_mul(MAX_FPS))
}

/// `4:3`, or square where it is missing, 0 or beyond sense.
fn aspect(text: &str) -> Ratio {
    let sane = |ratio: &Ratio| {
        ratio.num <= ratio.den.saturating_mul(MAX_ASPECT)
            && ratio.den <= ratio.num.saturating_mul(MAX_ASPECT)
    };
    ratio(text, ':').filter(sane).unwrap_or_default()
}

/// Two numbers over 0 in lowest terms.
fn ratio(text: &str, between: char) -> Option<Ratio> {
    let (num, den) = text.trim().split_once(between)?;
    let (num, den): (u32, u32) = (num.parse().ok()?, den.parse().ok()?);
    Ratio::reduced(num.into(), den.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn video(fields: &str) -> VideoStream {
        let json = format!(
            r#"{{"streams":[{{"index":0,"codec_type":"video","codec_name":"h264"{fields}}}],
                "format":{{"format_name":"mov,mp4"}}}}"#
        );
        read(json.as_bytes(), 7).unwrap().video().unwrap().clone()
    }

    #[test]
    fn nonsense_in_numbers_becomes_not_known() {
        let nonsense = video(
            r#","width":-5,"height":99999999999,"sample_aspect_ratio":"0:1",
            "avg_frame_rate":"0/0","r_frame_rate":"90000/1","nb_frames":"-1","duration":"N/A",
            "side_data_list":[{"rotation":-9223372036854775808}],"color_space":"unknown""#,
        );
        let silent = VideoStream { codec: "h264".into(), bit_depth: 8, ..VideoStream::default() };
        assert_eq!(nonsense, silent);
        for duration in ["nan", "inf", "-1", "0", "1e300", "9999999999"] {
            assert_eq!(video(&format!(r#","duration":"{duration}""#)).duration, None);
        }
    }

    #[test]
    fn rates_and_aspects_are_in_lowest_terms() {
        let seen = video(r#","avg_frame_rate":"60000/2002","sample_aspect_ratio":"64:48""#);
        assert_eq!(seen.fps, Some(Ratio { num: 30000, den: 1001 }));
        assert_eq!(seen.sample_aspect, Ratio { num: 4, den: 3 });
        let fallback = video(r#","avg_frame_rate":"0/0","r_frame_rate":"25/1""#);
        assert_eq!(fallback.fps, Some(Ratio { num: 25, den: 1 }));
        let long = video(r#","sample_aspect_ratio":"1:4000000000""#);
        assert_eq!(long.sample_aspect, Ratio::default());
    }

    #[test]
    fn a_length_comes_from_the_streams_when_the_file_has_none() {
        let json = br#"{"streams":[
            {"codec_type":"audio","duration":"2.5"},
            {"codec_type":"video","tags":{"DURATION":"00:01:04.011000000"}},
            {"codec_type":"subtitle","duration":"900"}],"format":{"duration":"N/A"}}"#;
        let facts = read(json, 7).unwrap();
        assert_eq!((facts.duration, facts.size_bytes), (Some(64.011), 7));
    }

    #[test]
    fn what_is_no_json_is_an_error_and_an_empty_answer_is_no_media() {
        assert!(read(b"", 0).is_err());
        assert!(read(b"[]", 0).is_err() || read(b"[]", 0).unwrap().streams.is_empty());
        assert_eq!(read(b"{}", 3).unwrap(), Facts { size_bytes: 3, ..Facts::default() });
    }

    proptest! {
        #[test]
        fn any_text_in_any_field_gives_sane_facts(
            width in ".{0,12}", rate in "[-0-9/:. ]{0,24}", secs in "[-0-9.:eNA/inf]{0,16}", rotation in any::<f64>(),
        ) {
            let json = serde_json::json!({
                "streams": [{
                    "index": width, "codec_type": "video", "width": width, "height": rate,
                    "sample_aspect_ratio": rate, "avg_frame_rate": rate, "r_frame_rate": secs,
                    "duration": secs, "tags": { "DURATION": secs, "rotate": secs },
                    "side_data_list": [{ "displaymatrix": rate, "rotation": rotation }],
                }],
                "format": { "format_name": width, "duration": secs, "bit_rate": rate },
            });
            let facts = read(json.to_string().as_bytes(), 0).unwrap();
            prop_assert!(facts.duration.is_none_or(|secs| secs.is_finite() && secs > 0.0));
            let video = facts.video().unwrap();
            prop_assert!(video.fps.is_none_or(|fps| fps.value() > 0.0 && fps.value() <= 1000.0));
            let (wide, high) = video.display_size();
            prop_assert!(wide > 0 && high > 0);
        }
    }
}
