use ffmpeg::subtitles::Subtitles;
use ffmpeg::{AudioStream, Color, Facts, Ran, Ratio, Stream, VideoStream};
use serde_json::{Value, json};

use super::*;
use crate::job::Options;
use crate::job::plan::{Known, Plan, Settings, Work, Workspace, plan};
use crate::task::Kind;

/// What a browser's usual film is: 640 × 360, 25 a second, 4 s.
fn video() -> VideoStream {
    VideoStream {
        codec: "h264".into(),
        width: 640,
        height: 360,
        fps: Some(Ratio { num: 25, den: 1 }),
        frames: Some(100),
        duration: Some(4.0),
        pixel_format: "yuv420p".into(),
        bit_depth: 8,
        bit_rate: Some(500_000),
        profile: "High".into(),
        is_steady: true,
        ..VideoStream::default()
    }
}

fn audio() -> AudioStream {
    AudioStream {
        index: 1,
        codec: "aac".into(),
        channels: 2,
        sample_rate: 48_000,
        duration: Some(4.0),
        bit_rate: Some(128_000),
        profile: "LC".into(),
        default: true,
    }
}

fn film(video: VideoStream, audio: AudioStream) -> Facts {
    Facts {
        format: "mov,mp4,m4a,3gp,3g2,mj2".into(),
        duration: Some(4.0),
        size_bytes: 320_000,
        bit_rate: Some(640_000),
        streams: vec![Stream::Video(video), Stream::Audio(audio)],
    }
}

fn planned(options: &Value, facts: &Facts) -> Plan {
    planned_with(options, facts, &Known::default())
}

fn planned_with(options: &Value, facts: &Facts, known: &Known) -> Plan {
    let options = options.as_object().expect("an object");
    let options = Options::decode(Kind::Video, options).expect("valid options");
    let files = Workspace { input: "/in".into(), output: "/out".into() };
    plan(&options, facts, known, &files, &Settings::default()).expect("a plan")
}

fn ways(options: &Value, facts: &Facts) -> String {
    planned(options, facts).ways.expect("ways").to_string()
}

#[test]
fn a_film_that_is_as_asked_is_copied_and_can_be_encoded_yet() {
    let plan = planned(&json!({}), &film(video(), audio()));
    let argv = |steps: &[crate::job::plan::Step]| {
        let command = steps[0].command().expect("a process");
        let words = command.argv().iter().map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>().join(" ")
    };
    let copy = argv(&plan.steps);
    assert!(
        copy.contains(
            "-i file:/in -map 0:0 -c:v copy -bsf:v filter_units=pass_types=1-5|7-11 -map 0:1 \
             -c:a copy -sn -dn -map_metadata -1 -map_chapters -1"
        ),
        "{copy}"
    );
    assert!(copy.ends_with("-movflags +faststart -f mp4 file:/out/video.mp4"), "{copy}");
    assert!(!copy.contains("-filter_complex "), "{copy}");
    let encode = argv(&plan.fallback.as_ref().expect("the slower way").steps);
    assert!(encode.contains("-c:v libx264") && encode.contains("-c:a aac"), "{encode}");
}

#[test]
fn what_is_not_as_asked_is_encoded_and_says_why() {
    let plain = || film(video(), audio());
    let pictures = |change: fn(&mut VideoStream)| {
        let mut video = video();
        change(&mut video);
        film(video, audio())
    };
    let sound = |change: fn(&mut AudioStream)| {
        let mut audio = audio();
        change(&mut audio);
        film(video(), audio)
    };
    let cases: Vec<(&str, Value, Facts)> = vec![
        ("as it is", json!({}), plain()),
        ("its own size", json!({"width": 640, "height": 360}), plain()),
        ("larger", json!({"width": 4000}), plain()),
        ("its own rate", json!({"fps": 25}), plain()),
        ("all of it", json!({"start": 0, "end": 4}), plain()),
        ("mute", json!({"mute": true}), plain()),
        ("mov", json!({"format": "mov"}), plain()),
        ("enough bits", json!({"bitrate": 500_000}), plain()),
        ("never", json!({"copy": "never"}), plain()),
        ("a part", json!({"end": 3.9}), plain()),
        ("a later start", json!({"start": 0.5}), plain()),
        ("smaller", json!({"width": 320}), plain()),
        ("on a ground", json!({"width": 640, "height": 640, "background": "#000"}), plain()),
        ("another rate", json!({"fps": 24}), plain()),
        ("fewer bits", json!({"bitrate": 400_000}), plain()),
        ("a low quality", json!({"quality": "very_low"}), plain()),
        ("webm", json!({"format": "webm"}), plain()),
        ("h265", json!({"codec": "h265"}), plain()),
        ("a transport stream", json!({}), Facts { format: "mpegts".into(), ..plain() }),
        ("no length", json!({}), Facts { duration: None, ..plain() }),
        ("many bits", json!({}), pictures(|video| video.bit_rate = Some(9_000_000))),
        ("turned", json!({}), pictures(|video| video.rotation = Rotation::Quarter)),
        ("mirrored", json!({}), pictures(|video| video.mirrored = true)),
        ("wide pixels", json!({}), pictures(|it| it.sample_aspect = Ratio { num: 4, den: 3 })),
        ("an odd side", json!({}), pictures(|video| video.height = 361)),
        ("ten bits", json!({}), pictures(|video| video.pixel_format = "yuv420p10le".into())),
        ("all colours", json!({}), pictures(|video| video.profile = "High 4:4:4".into())),
        ("full range", json!({}), pictures(|video| video.color.range = "pc".into())),
        (
            "wide colours",
            json!({}),
            pictures(|video| {
                video.color = Color { primaries: "bt2020".into(), ..Color::default() };
            }),
        ),
        ("interlaced", json!({}), pictures(|video| video.is_interlaced = true)),
        ("captions", json!({}), pictures(|video| video.has_captions = true)),
        ("hidden pictures", json!({}), pictures(|video| video.frames = Some(150))),
        ("unsteady", json!({"fps": 25}), pictures(|video| video.is_steady = false)),
        ("a broken clock", json!({}), pictures(|it| it.fps = Some(Ratio { num: 500, den: 1 }))),
        ("no rate", json!({}), pictures(|video| video.fps = None)),
        ("surround", json!({}), sound(|audio| audio.channels = 6)),
        ("96 kHz", json!({}), sound(|audio| audio.sample_rate = 96_000)),
        ("HE-AAC", json!({}), sound(|audio| audio.profile = "HE-AAC".into())),
        ("mp3", json!({}), sound(|audio| audio.codec = "mp3".into())),
        ("rich sound", json!({}), sound(|audio| audio.bit_rate = Some(320_000))),
        (
            "rich sound, high",
            json!({"quality": "very_high"}),
            sound(|audio| {
                audio.bit_rate = Some(320_000);
            }),
        ),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|(what, options, facts)| format!("{what}: {}", ways(options, facts)))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_is_written_into_the_pictures_is_there_although_the_sound_is_copied() {
    let subtitles = Subtitles::parse(b"1\n00:00:00,000 --> 00:00:01,000\nHello\n");
    let known = Known { subtitles: Some(subtitles.expect("subtitles")), ..Known::default() };
    let options = json!({"subtitle_url": "https://example.com/a.srt"});
    let plan = planned_with(&options, &film(video(), audio()), &known);
    assert!(plan.copies() && plan.shareable.is_none());
    let told = plan.ways.expect("ways").to_string();
    assert_eq!(told, "encoded video: subtitles are written into it, copied audio");
    for steps in [&plan.steps, &plan.fallback.as_ref().expect("the slower way").steps] {
        assert!(matches!(steps[0].work, Work::Write { .. }), "{steps:?}");
        assert_eq!(steps.len(), 2);
    }
}

#[test]
fn webm_takes_what_browsers_play_from_it() {
    let mut film = film(
        VideoStream { codec: "vp9".into(), profile: "Profile 0".into(), ..video() },
        AudioStream {
            codec: "opus".into(),
            profile: String::new(),
            bit_rate: Some(96_000),
            ..audio()
        },
    );
    film.format = "matroska,webm".into();
    assert_eq!(ways(&json!({"format": "webm"}), &film), "copied video, copied audio");
}

#[test]
fn a_copy_that_is_not_what_was_copied_is_off() {
    let source = film(video(), audio());
    let copied = Ways { video: Way::Copied, audio: Some(Way::Copied) };
    let well = Ran::default();
    assert!(!copied.are_off(&well, &source, &source));
    let made_up = Ran { times_are_made_up: true, ..well.clone() };
    assert!(copied.are_off(&made_up, &source, &source));
    let fewer = film(VideoStream { frames: Some(98), ..video() }, audio());
    assert!(copied.are_off(&well, &source, &fewer));
    let shorter = film(VideoStream { duration: Some(3.5), ..video() }, audio());
    assert!(copied.are_off(&well, &source, &shorter));
    let cut = film(video(), AudioStream { duration: Some(3.0), ..audio() });
    assert!(copied.are_off(&well, &source, &cut));
    let encoded = Ways { video: Way::Encoded(Why::Size), audio: None };
    assert!(!encoded.are_off(&made_up, &source, &fewer), "what was encoded is judged elsewhere");
}
