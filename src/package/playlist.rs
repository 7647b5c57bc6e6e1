//! HLS as text (RFC 8216). Everything in it is a number, a name made by the server or a URL.

use std::fmt::Write as _;
use std::ops::Range;

use url::Url;

use super::{Audio, Package, Read, Segment, Track, Video, keyframes_name, language, playlist_name};

/// The version that knows everything that is used here, `EXT-X-MAP` in any playlist included.
const VERSION: u32 = 7;

/// The shorter side of the rendition that players should begin with.
const BEGIN_WITH: u32 = 720;

/// The playlist that names all others.
pub(super) fn master(
    package: &Package,
    videos: &[Read<'_, Video>],
    audio: Option<&Read<'_, Audio>>,
) -> String {
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    if let Some((audio, _)) = audio {
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\",DEFAULT=YES,\
             AUTOSELECT=YES,CHANNELS=\"{}\",URI=\"{}\"",
            audio.channels,
            playlist_name(&audio.name)
        );
    }
    for (n, subtitles) in package.subtitles.iter().enumerate() {
        let language = subtitles.language.as_deref().map(language::tag);
        let language = language.map(|code| format!("LANGUAGE=\"{code}\",")).unwrap_or_default();
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"Subtitles {}\",{language}\
             DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI=\"{}\"",
            n + 1,
            playlist_name(&subtitles.name)
        );
    }
    // Players that measure nothing begin with the first one.
    let is_usual = |(video, _): &&Read<'_, Video>| video.width.min(video.height) <= BEGIN_WITH;
    let first = videos.iter().find(is_usual).or_else(|| videos.last());
    let is_first = |(video, _): &&Read<'_, Video>| first.is_some_and(|first| first.0 == *video);
    for read in first.into_iter().chain(videos.iter().filter(|read| !is_first(read))) {
        stream(&mut text, package, read, audio);
    }
    if package.has_keyframes() {
        videos.iter().for_each(|read| keyframe_stream(&mut text, read));
    }
    text
}

fn stream(
    text: &mut String,
    package: &Package,
    (video, track): &Read<'_, Video>,
    audio: Option<&Read<'_, Audio>>,
) {
    let sound = audio.map(|(_, track)| track);
    let peak = track.peak_bits() + sound.map_or(0, Track::peak_bits);
    let average = track.average_bits() + sound.map_or(0, Track::average_bits);
    let codecs = sound
        .map_or_else(|| track.codec.clone(), |sound| format!("{},{}", track.codec, sound.codec));
    let _ = write!(
        text,
        "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{codecs}\",\
         RESOLUTION={}x{},FRAME-RATE={:.3}",
        video.width,
        video.height,
        track.fps()
    );
    if audio.is_some() {
        text.push_str(",AUDIO=\"audio\"");
    }
    if !package.subtitles.is_empty() {
        text.push_str(",SUBTITLES=\"subtitles\"");
    }
    let _ = writeln!(text, ",CLOSED-CAPTIONS=NONE\n{}", playlist_name(&video.name));
}

fn keyframe_stream(text: &mut String, (video, track): &Read<'_, Video>) {
    let only = Track { segments: keyframes_of(track).collect(), ..track.clone() };
    let _ = writeln!(
        text,
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\",\
         RESOLUTION={}x{},URI=\"{}\"",
        only.peak_bits(),
        only.average_bits(),
        track.codec,
        video.width,
        video.height,
        keyframes_name(&video.name)
    );
}

/// The segments cut off behind the pictures that they begin with.
fn keyframes_of(track: &Track) -> impl Iterator<Item = Segment> {
    track.segments.iter().map(|segment| Segment {
        range: segment.range.start..segment.keyframe_end.unwrap_or(segment.range.end),
        ..segment.clone()
    })
}

/// The playlist of one rendition.
pub(super) fn media(uri: &str, track: &Track, key_url: Option<&Url>) -> String {
    let mut text = head(&track.segments);
    map(&mut text, uri, track);
    if let Some(url) = key_url {
        // Behind the map, which stays open; each segment's number is where its cipher begins.
        let _ = writeln!(text, "#EXT-X-KEY:METHOD=AES-128,URI=\"{url}\"");
    }
    track.segments.iter().for_each(|segment| entry(&mut text, uri, segment));
    text + "#EXT-X-ENDLIST\n"
}

/// The playlist of a rendition's keyframes, for thumbnails and for winding fast.
pub(super) fn keyframes(uri: &str, track: &Track) -> String {
    let mut text = head(&track.segments);
    text.push_str("#EXT-X-I-FRAMES-ONLY\n");
    map(&mut text, uri, track);
    keyframes_of(track).for_each(|segment| entry(&mut text, uri, &segment));
    text + "#EXT-X-ENDLIST\n"
}

/// The playlist of a file that is one segment.
pub(super) fn whole(uri: &str, secs: f64) -> String {
    format!(
        "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{}\n\
         #EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:{secs:.6},\n{uri}\n\
         #EXT-X-ENDLIST\n",
        (secs.round() as u64).max(1)
    )
}

fn head(segments: &[Segment]) -> String {
    let longest = segments.iter().map(|segment| segment.secs).fold(0.0, f64::max);
    format!(
        "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{}\n\
         #EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n",
        (longest.round() as u64).max(1)
    )
}

fn map(text: &mut String, uri: &str, track: &Track) {
    if let Some(init) = &track.init {
        let _ = writeln!(text, "#EXT-X-MAP:URI=\"{uri}\",BYTERANGE=\"{}\"", range(init));
    }
}

fn entry(text: &mut String, uri: &str, segment: &Segment) {
    let _ = writeln!(
        text,
        "#EXTINF:{:.6},\n#EXT-X-BYTERANGE:{}\n{uri}",
        segment.secs,
        range(&segment.range)
    );
}

fn range(range: &Range<u64>) -> String {
    format!("{}@{}", range.end - range.start, range.start)
}
