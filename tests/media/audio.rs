//! Every option of an audio file, and what it promises.

use std::path::PathBuf;

use reelway::task::Kind::{Audio, Image, Video};
use serde_json::json;

use crate::harness::{Bench, Clip, H264, Picture, clip, colors, loudness, media, tones};

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
async fn normalize_brings_the_loudness_of_real_clips_to_the_target() {
    let Some(clips) = media() else { return };
    let bench = Bench::open().await;
    let mut heard = 0;
    let asked = [("mp3", None), ("m4a", Some(-23.0)), ("wav", Some(-19.5))];
    for clip in clips {
        // Others are the same sound in other containers.
        let chosen = [
            "bigbuckbunny.mp4",
            "multiple-aac-tracks.mp4",
            "phone-portrait.mov",
            "rotate-buck-bunny.mp4",
            "sample.mp4",
            "video-h265.mp4",
        ];
        if !chosen.iter().any(|name| clip.ends_with(name)) {
            continue;
        }
        // The loud one in every format, the others in turn.
        let is_loud = clip.ends_with("bigbuckbunny.mp4");
        let some = asked.iter().skip(if is_loud { 0 } else { heard % 3 });
        for &(format, target) in some.take(if is_loud { 3 } else { 1 }) {
            let mut options = json!({ "format": format, "normalize": "lufs" });
            if let Some(target) = target {
                options["target_lufs"] = json!(target);
            }
            let output = bench.make(Audio, options, &clip).await;
            let (what, target) = (format!("{} {format}", clip.display()), target.unwrap_or(-16.0));
            let (lufs, peak) = loudness(&output.path);
            // Surround is lifted until its peaks are where they may be, and no further.
            let is_full = output.seen().audio()["channels"] == 6 && peak > -1.2;
            let is_there = (lufs - target).abs() < 0.5 || is_full && lufs < target;
            assert!(is_there, "{what}: {lufs} LUFS");
            // What a lossy codec adds to a peak at -1 is its own.
            assert!(peak < -0.2, "{what}: {peak} dBTP");
            let told = output.file.loudness.expect("the loudness of the output");
            let found = told.integrated_lufs.expect("it is not silent");
            assert!((found - lufs).abs() < 0.11, "{what}: told {found}, heard {lufs}");
            heard += 1;
        }
    }
    assert!(heard >= 8, "{heard}");
}

#[tokio::test]
async fn a_loud_target_holds_the_peaks_and_tells_what_came_of_it() {
    let bench = Bench::open().await;
    // Soft, with a bang in the middle: one gain would cut it.
    let source = "aevalsrc=exprs='if(between(t,2,2.02),0.9,0.02)*sin(2764*t)':d=5:s=48000";
    let bang = clip(&Clip { name: "bang.wav", sources: &[source], coded: "-c:a pcm_s16le" });
    let options = json!({ "format": "flac", "normalize": "lufs", "target_lufs": -14 });
    let output = bench.make(Audio, options, &bang).await;
    let (lufs, peak) = loudness(&output.path);
    assert!((lufs + 14.0).abs() < 0.5 && peak <= -0.9, "{lufs} LUFS, {peak} dBTP");
    assert_eq!(output.seen().audio()["sample_rate"], "48000");
}

#[tokio::test]
async fn silence_stays_silent() {
    let bench = Bench::open().await;
    let source = "anullsrc=r=44100:cl=stereo:d=2";
    let silence = clip(&Clip { name: "silence.wav", sources: &[source], coded: "-c:a pcm_s16le" });
    for format in ["mp3", "flac"] {
        let options = json!({ "format": format, "normalize": "lufs" });
        let output = bench.make(Audio, options, &silence).await;
        let told = output.file.loudness.expect("it was listened to");
        assert_eq!((told.integrated_lufs, told.true_peak_dbtp), (None, None), "{format}");
        assert!((output.seen().secs() - 2.0).abs() < 0.07, "{format}");
    }
    let usual = bench.make(Audio, json!({}), &silence).await;
    assert!(usual.file.loudness.is_none(), "nobody asked");
}

#[tokio::test]
async fn only_the_part_that_is_kept_is_brought_to_the_target() {
    let bench = Bench::open().await;
    let source = "aevalsrc=exprs='if(lt(t,3),0.5,0.01)*sin(2764*t)':d=6:s=48000";
    let steps = clip(&Clip { name: "steps.wav", sources: &[source], coded: "-c:a pcm_s16le" });
    for (start, end) in [(0.0, 3.0), (3.0, 6.0)] {
        let options = json!({ "format": "opus", "normalize": "lufs", "start": start, "end": end });
        let output = bench.make(Audio, options, &steps).await;
        let (lufs, _) = loudness(&output.path);
        assert!((lufs + 16.0).abs() < 0.5, "from {start}: {lufs}");
    }
}

#[tokio::test]
async fn a_waveform_has_the_shape_of_the_sound_in_the_form_that_players_draw() {
    let bench = Bench::open().await;
    // Silence for a second, then half as loud as can be, then silence.
    let source = "aevalsrc=exprs='if(between(t,1,2),0.5,0)*sin(2764*t)':d=4:s=48000";
    let pulse = clip(&Clip { name: "pulse.wav", sources: &[source], coded: "-c:a pcm_s16le" });
    for (format, points) in [("wav", None), ("mp3", Some(40)), ("opus", Some(10))] {
        let mut options = json!({ "format": format, "waveform": "json" });
        if let Some(points) = points {
            options["waveform_points"] = json!(points);
        }
        let made = bench.make_all(Audio, &options, &pulse).await;
        let [sound, shape] = &made[..] else { panic!("{} files", made.len()) };
        assert_eq!((sound.file.format.as_str(), shape.file.format.as_str()), (format, "json"));
        assert_eq!(shape.file.content_type, "application/json");
        let json: serde_json::Value = serde_json::from_slice(&shape.bytes()).expect("JSON");
        let number = |name: &str| json[name].as_i64().expect(name);
        assert_eq!([number("version"), number("channels"), number("bits")], [2, 1, 8]);
        assert_eq!(number("sample_rate"), 48_000);
        let data: Vec<i64> =
            serde_json::from_value(json["data"].clone()).expect("a list of numbers");
        let length = number("length");
        assert_eq!(data.len() as i64, 2 * length, "{format}");
        let wanted = points.unwrap_or(1000);
        assert!(length <= wanted && length >= wanted * 9 / 10, "{format}: {length}");
        let secs = (length * number("samples_per_pixel")) as f64 / 48_000.0;
        assert!((4.0..4.6).contains(&secs), "{format}: {secs} s");
        let point = |secs: f64| (secs * 48_000.0) as usize / number("samples_per_pixel") as usize;
        let at = |secs: f64| (data[2 * point(secs)], data[2 * point(secs) + 1]);
        let (low, high) = at(1.5);
        assert!((-70..=-58).contains(&low) && (58..=70).contains(&high), "{format} {low} {high}");
        for quiet in [0.3, 3.5] {
            let (low, high) = at(quiet);
            assert!(low >= -2 && high <= 1, "{format} at {quiet}: {low} {high}");
        }
    }
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
