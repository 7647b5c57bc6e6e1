//! DASH as text (ISO 23009-1, on-demand profile): each rendition one file with an index.

use std::fmt::Write as _;
use std::ops::Range;

use super::{Audio, Read, Subtitles, Track, Video, language};

/// The manifest of renditions in fragments.
pub(super) fn write(
    videos: &[Read<'_, Video>],
    audio: Option<&Read<'_, Audio>>,
    subtitles: &[Subtitles],
) -> String {
    let tracks = videos.iter().map(|(_, track)| track).chain(audio.map(|(_, track)| track));
    let secs = tracks.map(Track::secs).fold(0.0, f64::max);
    let mut text = format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" type="static" mediaPresentationDuration="PT{secs:.3}S" minBufferTime="PT4S">
<Period>
<AdaptationSet contentType="video" mimeType="video/mp4" segmentAlignment="true" subsegmentAlignment="true" subsegmentStartsWithSAP="1">
"#
    );
    for (video, track) in videos {
        let size = format!(
            r#"width="{}" height="{}" sar="1:1" frameRate="{}""#,
            video.width,
            video.height,
            frame_rate(track)
        );
        representation(&mut text, &video.name, &size, track, "");
    }
    text.push_str("</AdaptationSet>\n");
    if let Some((audio, track)) = audio {
        text.push_str(
            "<AdaptationSet contentType=\"audio\" mimeType=\"audio/mp4\" \
             segmentAlignment=\"true\" subsegmentAlignment=\"true\" \
             subsegmentStartsWithSAP=\"1\">\n",
        );
        let rate = format!(r#"audioSamplingRate="{}""#, audio.sample_rate);
        let channels = format!(
            "<AudioChannelConfiguration \
             schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" \
             value=\"{}\"/>\n",
            audio.channels
        );
        representation(&mut text, &audio.name, &rate, track, &channels);
        text.push_str("</AdaptationSet>\n");
    }
    for Subtitles { name, language } in subtitles {
        let language = language.as_deref().map(language::tag);
        let language = language.map(|code| format!(r#" lang="{code}""#)).unwrap_or_default();
        let _ = writeln!(
            text,
            r#"<AdaptationSet contentType="text" mimeType="text/vtt"{language}>
<Representation id="{name}" bandwidth="1000">
<BaseURL>{name}.vtt</BaseURL>
</Representation>
</AdaptationSet>"#
        );
    }
    text + "</Period>\n</MPD>\n"
}

fn representation(text: &mut String, name: &str, more: &str, track: &Track, inside: &str) {
    let (init, index) = (&track.init, &track.index);
    let range = |range: &Option<Range<u64>>| {
        range.as_ref().map(|range| format!("{}-{}", range.start, range.end - 1)).unwrap_or_default()
    };
    let _ = writeln!(
        text,
        r#"<Representation id="{name}" bandwidth="{}" codecs="{}" {more}>
{inside}<BaseURL>{name}.mp4</BaseURL>
<SegmentBase indexRange="{}"><Initialization range="{}"/></SegmentBase>
</Representation>"#,
        track.peak_bits(),
        track.codec,
        range(index),
        range(init)
    );
}

/// Pictures a second as DASH writes them: a whole number, or a ratio.
fn frame_rate(track: &Track) -> String {
    let fps = track.fps();
    if (fps - fps.round()).abs() < 0.005 {
        format!("{}", fps.round() as u64)
    } else {
        format!("{}/1000", (fps * 1000.0).round() as u64)
    }
}
