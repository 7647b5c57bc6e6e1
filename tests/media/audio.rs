//! Every option of an audio file, and what it promises.

use std::path::PathBuf;

use reelway::task::Kind::{Audio, Image, Video};
use serde_json::json;

use crate::harness::{Bench, Clip, H264, Picture, clip, colors, tones};

const FORMATS: [(&str, &str, &str, &str); 7] = [
    ("mp3", "mp3", "mp3", "audio/mpeg"),
    ("aac", "mov,mp4,m4a,3gp,3g2,mj2", "aac", "audio/mp4"),
    ("m4a", "mov,mp4,m4a,3gp,3g2,mj2", "aac", "audio/mp4"),
    ("ogg", "ogg", "vorbis", "audio/ogg"),
    ("opus", "ogg", "opus", "audio/ogg"),
    ("wav", "wav", "pcm_s16le", "audio/wav"),
    ("flac", "flac", "flac", "audio/flac"),
];

fn sound(layout: &str, sample_rate: u32, secs: u32) -> PathBuf {
    let source = tones(layout, sample_rate, secs);
    let name = format!("{layout}-{sample_rate}.wav");
    clip(&Clip { name: &name, sources: &[&source], coded: "-c:a pcm_s16le" })
}

#[tokio::test]
async fn every_format_is_what_it_says() {
    let (bench, clip) = (Bench::open().await, sound("stereo", 44_100, 2));
    for (format, container, codec, content_type) in FORMATS {
        let output = bench.make(Audio, json!({ "format": format }), &clip).await;
        let seen = output.seen();
        assert_eq!(seen.container(), container, "{format}");
        assert_eq!(seen.audio()["codec_name"], codec, "{format}");
        assert_eq!(output.file.content_type, content_type, "{format}");
        assert_eq!(seen.audio()["channels"], 2, "{format}");
        assert!((seen.secs() - 2.0).abs() < 0.07, "{format}: {} s", seen.secs());
        let told = output.file.codecs.expect("codecs");
        assert_eq!((told.audio.as_deref(), told.video), (Some(codec), None), "{format}");
        let rate = if format == "opus" { "48000" } else { "44100" };
        assert_eq!(seen.audio()["sample_rate"], rate, "{format}");
        assert!(seen.is_faststart().is_none_or(|fast| fast), "{format}");
    }
}

#[tokio::test]
async fn mono_stays_mono_and_surround_is_mixed_where_people_listen() {
    let bench = Bench::open().await;
    let (mono, surround) = (sound("mono", 48_000, 1), sound("5.1", 48_000, 1));
    for format in ["mp3", "aac", "ogg", "opus", "wav", "flac"] {
        let lossless = matches!(format, "wav" | "flac");
        for (clip, channels) in [(&mono, 1), (&surround, if lossless { 6 } else { 2 })] {
            let output = bench.make(Audio, json!({ "format": format }), clip).await;
            assert_eq!(output.seen().audio()["channels"], channels, "{format}");
        }
    }
}

#[tokio::test]
async fn any_sample_rate_becomes_one_that_the_format_has() {
    let bench = Bench::open().await;
    for rate in [8000, 22_050, 96_000] {
        let clip = sound("stereo", rate, 1);
        for format in ["mp3", "aac", "ogg", "opus", "flac"] {
            let output = bench.make(Audio, json!({ "format": format }), &clip).await;
            let wanted = match format {
                "opus" => 48_000,
                "flac" => rate,
                _ => rate.min(48_000),
            };
            assert_eq!(output.seen().audio()["sample_rate"], wanted.to_string(), "{format}");
        }
    }
}

#[tokio::test]
async fn more_quality_costs_more_in_every_lossy_format() {
    let bench = Bench::open().await;
    let source = "anoisesrc=d=2:c=pink:r=48000:a=0.3:seed=7,aformat=channel_layouts=stereo";
    let clip = clip(&Clip { name: "noise.wav", sources: &[source], coded: "-c:a pcm_s16le" });
    for format in ["mp3", "aac", "ogg", "opus"] {
        let mut before = 0;
        for quality in ["very_low", "low", "medium", "high", "very_high"] {
            let options = json!({ "format": format, "quality": quality });
            let output = bench.make(Audio, options, &clip).await;
            let now = output.file.filesize;
            assert!(now > before, "{format} {quality}: {now} after {before}");
            before = now;
        }
    }
}

#[tokio::test]
async fn bitrate_is_kept_as_far_as_the_format_can() {
    let bench = Bench::open().await;
    let source = "anoisesrc=d=4:c=pink:r=48000:a=0.3:seed=7,aformat=channel_layouts=stereo";
    let stereo = clip(&Clip { name: "noise4.wav", sources: &[source], coded: "-c:a pcm_s16le" });
    for format in ["mp3", "aac", "ogg", "opus"] {
        for wanted in [96_000, 192_000] {
            let options = json!({ "format": format, "bitrate": wanted });
            let output = bench.make(Audio, options, &stereo).await;
            let share = output.file.filesize as f64 * 8.0 / 4.0 / f64::from(wanted);
            // Opus spends less on what is easy.
            assert!((0.6..1.25).contains(&share), "{format} {wanted}: {share}");
        }
        // The ends of what may be asked, on the ends of what may come in.
        for (layout, rate, wanted) in
            [("mono", 8000, 32_000), ("mono", 8000, 320_000), ("stereo", 96_000, 320_000)]
        {
            let options = json!({ "format": format, "bitrate": wanted });
            let output = bench.make(Audio, options, &sound(layout, rate, 1)).await;
            // Frames of 1152 samples are long where samples are few.
            assert!((output.seen().secs() - 1.0).abs() < 0.2, "{}", output.told());
        }
    }
}

#[tokio::test]
async fn start_and_end_cut_the_sound() {
    let (bench, clip) = (Bench::open().await, sound("stereo", 44_100, 2));
    for (format, ..) in FORMATS {
        let options = json!({ "format": format, "start": 0.5, "end": 1.25 });
        let output = bench.make(Audio, options, &clip).await;
        let secs = output.seen().secs();
        assert!((secs - 0.75).abs() < 0.07, "{format}: {secs} s");
    }
    let failure = bench.refuse(Audio, json!({ "start": 5 }), &clip).await;
    assert_eq!(failure.kind.name(), "input_too_short", "{failure}");
}

#[tokio::test]
async fn sound_of_a_silent_video_is_a_clear_error() {
    let (bench, picture) = (Bench::open().await, colors(320, 180, 1));
    let silent = clip(&Clip { name: "silent.mp4", sources: &[&picture], coded: H264 });
    let failure = bench.refuse(Audio, json!({}), &silent).await;
    assert_eq!(failure.kind.name(), "input_no_audio");
    assert_eq!(failure.message, "the input has no sound");
    let output = bench.make(Video, json!({}), &silent).await;
    assert!(output.seen().stream("audio").is_none(), "no silence is made up");
}

#[tokio::test]
async fn cover_art_is_not_a_video_and_is_to_be_had_as_an_image() {
    let bench = Bench::open().await;
    let (sound, picture) = (tones("stereo", 44_100, 1), colors(320, 180, 1));
    for (name, coded) in [
        ("cover.mp3", "-map 0 -map 1 -c:a libmp3lame -c:v mjpeg -q:v 2 -frames:v 1"),
        (
            "cover.m4a",
            "-map 0 -map 1 -c:a aac -c:v mjpeg -q:v 2 -frames:v 1 -disposition:v attached_pic",
        ),
        ("cover.flac", "-map 0 -map 1 -c:a flac -c:v png -frames:v 1 -disposition:v attached_pic"),
    ] {
        let song = clip(&Clip { name, sources: &[&sound, &picture], coded });
        for format in ["mp3", "m4a", "flac"] {
            let output = bench.make(Audio, json!({ "format": format }), &song).await;
            assert!(output.seen().stream("video").is_none(), "{name} {format}");
        }
        let image = bench.make(Image, json!({}), &song).await;
        let corners = Picture::of(&image.path, 0).corners();
        assert_eq!(corners, ["red", "lime", "blue", "white"], "{name}");
        let failure = bench.refuse(Video, json!({}), &song).await;
        assert_eq!(failure.kind.name(), "input_no_video", "{name}");
        assert!(failure.hint.is_some_and(|hint| hint.contains("cover")), "{name}");
    }
}
