//! Packages for adaptive playback: what players find in them.

use std::path::PathBuf;

use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use ffmpeg::Stream;
use m3u8_rs::AlternativeMediaType;
use reelway::task::ErrorKind;
use reelway::task::Kind::{AdaptiveVideo, Audio};
use serde_json::{Value, json};

use crate::harness::{
    Bench, Clip, H264, KEY, Output, Pack, Seen, Track, clip, codec, colors, complaints, decoded,
    kept, keyframes, size, tones,
};

/// Sizes of renditions, largest first.
type Sizes = &'static [(u64, u64)];

/// Nine seconds that change all the time, with cuts where no segment begins, and sound.
fn film(width: u32, height: u32) -> PathBuf {
    let picture = format!(
        "testsrc2=s={width}x{height}:r=30:d=3,format=yuv420p[a];\
         mandelbrot=s={width}x{height}:r=30,trim=duration=6,format=yuv420p[b];[a][b]concat=n=2"
    );
    let sound = tones("stereo", 48_000, 9);
    let name = format!("film{width}.mp4");
    clip(&Clip { name: &name, sources: &[&picture, &sound], coded: H264 })
}

fn name(output: &Output) -> String {
    output.path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// Every promise that holds for the pictures of any package that is not encrypted.
fn assert_plays(pack: &Pack, secs: f64, what: &str) {
    let sound = pack.other(&AlternativeMediaType::Audio);
    let mut starts: Option<Vec<f64>> = None;
    for (variant, track) in pack.variants().into_iter().zip(pack.tracks()) {
        let what = format!("{what}: {}", track.name);
        let played = track.played();
        let seen = Seen::of(&played);
        let video = seen.video();
        assert_eq!(complaints(&played), "", "{what}");
        assert_eq!(
            (video["width"].as_u64(), video["height"].as_u64()),
            (Some(size(variant).0), Some(size(variant).1)),
            "{what}"
        );
        assert_eq!(video["sample_aspect_ratio"], "1:1", "{what}");
        assert!((track.secs() - secs).abs() < 0.1, "{what}: {} s", track.secs());

        // A segment begins with the only keyframe in it, at the same moments in all renditions.
        let moments = keyframes(&played);
        assert_eq!(moments.len(), track.list.segments.len(), "{what}: {moments:?}");
        let mut at = 0.0;
        for (segment, moment) in track.list.segments.iter().zip(&moments) {
            assert!((moment - at).abs() < 0.01, "{what}: {moment} and not {at}");
            at += f64::from(segment.duration);
        }
        let first = starts.get_or_insert_with(|| moments.clone());
        assert_eq!(first.len(), moments.len(), "{what}");
        assert!(first.iter().zip(&moments).all(|(a, b)| (a - b).abs() < 0.002), "{what}");

        // Any segment plays by itself.
        let last = track.list.segments.len() - 1;
        assert_eq!(complaints(&track.played_from(last)), "", "{what}");

        let codecs = sound.as_ref().map_or_else(String::new, |_| ",mp4a.40.2".to_owned());
        let expected = codec(&seen) + &codecs;
        assert_eq!(variant.codecs.as_deref(), Some(&*expected), "{what}");
        let bits = track.peak_bits() + sound.as_ref().map_or(0, Track::peak_bits);
        assert!(variant.bandwidth >= bits, "{what}: {} < {bits}", variant.bandwidth);
        assert!(variant.bandwidth <= bits + bits / 4, "{what}: {} > {bits}", variant.bandwidth);
        let average = variant.average_bandwidth.expect("an average");
        assert!(average <= variant.bandwidth, "{what}");
        let fps = f64::from(seen.frames()) / secs;
        let told = variant.frame_rate.expect("a rate");
        assert!((told - fps).abs() < 0.4, "{what}: {told} and not {fps}");
    }
    if let Some(sound) = sound {
        let played = sound.played();
        assert_eq!(complaints(&played), "", "{what}: sound");
        assert_eq!(Seen::of(&played).audio()["profile"], "LC", "{what}");
        assert!((sound.secs() - secs).abs() < 0.1, "{what}: {} s of sound", sound.secs());
    }
}

#[tokio::test]
async fn a_ladder_of_renditions_begins_at_the_same_moments() {
    let bench = Bench::open().await;
    let made = bench.make_all(AdaptiveVideo, &json!({}), &film(1280, 720)).await;
    let pack = Pack::of(&made);
    assert_eq!(pack.sizes(), [(1280, 720), (854, 480), (640, 360), (426, 240)]);
    assert_plays(&pack, 9.0, "fmp4");
    let secs: Vec<f32> =
        pack.tracks()[0].list.segments.iter().map(|segment| segment.duration).collect();
    assert_eq!(secs, [4.0, 4.0, 1.0]);

    let names: Vec<String> = made.iter().map(name).collect();
    assert_eq!(names[..3], ["master.m3u8", "manifest.mpd", "video_720p.m3u8"]);
    assert_eq!(names.last().map(String::as_str), Some("audio.mp4"));
    let told: Vec<String> = made.iter().take(4).map(Output::told).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    hls application/vnd.apple.mpegurl 1280×720 9.00 s 30.00 fps h264 aac
    dash application/dash+xml 1280×720 9.00 s 30.00 fps h264 aac
    m3u8 application/vnd.apple.mpegurl
    m3u8 application/vnd.apple.mpegurl
    ");
    // Nothing lies in the folder that is not told of, and nothing is told of twice.
    let mut files: Vec<String> = std::fs::read_dir(&pack.folder)
        .expect("the folder")
        .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.contains(".bin"))
        .collect();
    let mut names = names;
    files.sort();
    names.sort();
    assert_eq!(files, names);
}

#[tokio::test]
async fn keyframes_can_be_had_by_themselves() {
    let bench = Bench::open().await;
    for options in [json!({}), json!({ "segment_type": "ts" })] {
        let made = bench.make_all(AdaptiveVideo, &options, &film(640, 360)).await;
        let pack = Pack::of(&made);
        let only: Vec<_> = pack.master.variants.iter().filter(|it| it.is_i_frame).collect();
        assert_eq!(only.len(), 2, "{options}");
        for variant in only {
            let track = pack.track(&variant.uri);
            assert!(track.list.i_frames_only);
            assert_eq!(track.list.segments.len(), 3, "{options}");
            for (number, bytes) in track.segments().into_iter().enumerate() {
                let seen = Seen::of(&track.joined(&format!("key{number}"), bytes));
                assert_eq!(seen.frames(), 1, "{options}: {} {number}", track.name);
                assert_eq!(seen.video()["width"], size(variant).0, "{options}");
            }
            assert!(variant.bandwidth >= track.peak_bits(), "{options}");
        }
    }
}

#[tokio::test]
async fn sources_of_every_shape_become_packages() {
    every_shape(&json!({})).await;
}

#[tokio::test]
async fn sources_of_every_shape_become_transport_streams() {
    every_shape(&json!({ "segment_type": "ts" })).await;
}

async fn every_shape(options: &Value) {
    let bench = Bench::open().await;
    let sound = tones("mono", 44_100, 5);
    let turned = kept("turned.mp4", &["a quarter"], |path| {
        let source =
            clip(&Clip { name: "lying.mp4", sources: &[&colors(640, 360, 5)], coded: H264 });
        crate::harness::turn(&source, path);
    });
    let uneven = "testsrc2=s=640x360:r=60:d=5,select='lt(mod(n\\,7)\\,2)+eq(mod(n\\,11)\\,0)'";
    let passed = "-fps_mode passthrough -enc_time_base 1/60 -c:v libx264 -preset ultrafast";
    let made = |name: &str, sources: &[&str], coded: &str| clip(&Clip { name, sources, coded });
    let cases: [(&str, PathBuf, Sizes); 5] = [
        (
            "upright",
            made("upright.mp4", &[&colors(360, 640, 5), &sound], H264),
            &[(360, 640), (240, 426)],
        ),
        ("turned", turned, &[(360, 640), (240, 426)]),
        ("tiny", made("tiny.mp4", &[&colors(64, 36, 5), &sound], H264), &[(64, 36)]),
        ("silent", made("silent.mp4", &[&colors(640, 360, 5)], H264), &[(640, 360), (426, 240)]),
        ("uneven", made("uneven5.mp4", &[uneven], passed), &[(640, 360), (426, 240)]),
    ];
    for (what, source, sizes) in cases {
        let what = format!("{what} {options}");
        let made = bench.make_all(AdaptiveVideo, options, &source).await;
        let pack = Pack::of(&made);
        assert_eq!(pack.sizes(), sizes, "{what}");
        let has_sound = pack.other(&AlternativeMediaType::Audio).is_some();
        assert_eq!(has_sound, what.starts_with("upright") || what.starts_with("tiny"), "{what}");
        assert_plays(&pack, 5.0, &what);
    }
}

#[tokio::test]
async fn what_is_asked_for_is_what_comes() {
    let bench = Bench::open().await;
    let film = film(640, 360);
    let cases: [(Value, Sizes, f64); 4] = [
        (json!({ "width": 320, "start": 1, "end": 6 }), &[(320, 180)], 5.0),
        (json!({ "width": "50%", "quality": "low" }), &[(320, 180)], 9.0),
        (
            json!({ "width": 300, "height": 300, "fit": "cover", "end": 2 }),
            &[(300, 300), (240, 240)],
            2.0,
        ),
        (json!({ "codec": "h265", "end": 5, "width": 4000 }), &[(640, 360), (426, 240)], 5.0),
    ];
    for (options, sizes, secs) in cases {
        let made = bench.make_all(AdaptiveVideo, &options, &film).await;
        let pack = Pack::of(&made);
        assert_eq!(pack.sizes(), sizes, "{options}");
        assert_plays(&pack, secs, &options.to_string());
    }
}

#[tokio::test]
async fn transport_streams_keep_picture_and_sound_together() {
    let bench = Bench::open().await;
    let made =
        bench.make_all(AdaptiveVideo, &json!({ "segment_type": "ts" }), &film(640, 360)).await;
    let pack = Pack::of(&made);
    assert_plays(&pack, 9.0, "ts");
    assert!(made.iter().all(|output| name(output) != "manifest.mpd"));
    let begins = |track: &Track| Seen::of(&track.played()).begins();
    let sound = begins(&pack.other(&AlternativeMediaType::Audio).expect("sound"));
    for track in pack.tracks() {
        let picture = begins(&track);
        // The first packet of AAC only warms the decoder up.
        assert!((picture - sound).abs() < 0.025, "{}: {picture} and {sound}", track.name);
    }
}

#[tokio::test]
async fn a_manifest_leads_to_the_same_files() {
    let bench = Bench::open().await;
    let made = bench.make_all(AdaptiveVideo, &json!({ "format": "dash" }), &film(640, 360)).await;
    assert_eq!(name(&made[0]), "manifest.mpd");
    assert_eq!(made[0].file.format, "dash");
    let seen = Seen::of(&made[0].path);
    assert_eq!((seen.count("video"), seen.count("audio")), (2, 1));
    assert!((seen.secs() - 9.0).abs() < 0.1, "{} s", seen.secs());
    assert_eq!(complaints(&made[0].path), "");
    assert_plays(&Pack::of(&made), 9.0, "beside DASH");
}

#[tokio::test]
async fn subtitles_of_the_source_come_along_as_text() {
    let bench = Bench::open().await;
    let source = kept("titled.mkv", &["two languages, 5 s"], |path| {
        let picture =
            clip(&Clip { name: "plain5.mp4", sources: &[&colors(320, 180, 5)], coded: H264 });
        crate::harness::title(&picture, path, &["deu", "und"]);
    });
    for (options, map) in [
        (json!({}), None),
        (json!({ "segment_type": "ts" }), Some("X-TIMESTAMP-MAP=MPEGTS:216000,LOCAL:00:00:00.000")),
    ] {
        let made = bench.make_all(AdaptiveVideo, &options, &source).await;
        let pack = Pack::of(&made);
        let told: Vec<_> = pack
            .master
            .alternatives
            .iter()
            .map(|it| (it.media_type.clone(), it.name.clone(), it.language.clone()))
            .collect();
        let kind = AlternativeMediaType::Subtitles;
        assert_eq!(
            told,
            [
                (kind.clone(), "Subtitles 1".to_owned(), Some("de".to_owned())),
                (kind.clone(), "Subtitles 2".to_owned(), None),
            ]
        );
        assert!(pack.variants().iter().all(|it| it.subtitles.as_deref() == Some("subtitles")));
        let track = pack.other(&kind).expect("subtitles");
        assert!((track.secs() - 5.0).abs() < 0.1);
        let text = String::from_utf8(track.segments().concat()).expect("text");
        assert!(text.starts_with("WEBVTT\n"), "{text}");
        assert!(text.contains("00:01.000 --> 00:02.000\nFirst deu\n"), "{text}");
        assert_eq!(text.lines().find(|line| line.starts_with("X-TIMESTAMP")), map, "{text}");
    }
}

#[tokio::test]
async fn encrypted_segments_play_with_the_key_and_not_without() {
    let bench = Bench::open().await;
    for segment_type in ["fmp4", "ts"] {
        let options = json!({
            "segment_type": segment_type,
            "encryption": { "method": "aes-128", "key_url": "https://keys.example.com/a\"b?c=d" },
        });
        let made = bench.make_all(AdaptiveVideo, &options, &film(640, 360)).await;
        assert_eq!(made[0].size(), (640, 360), "{segment_type}");
        let pack = Pack::of(&made);
        for name in made.iter().map(name) {
            assert!(!name.contains("key") && name != "manifest.mpd", "{name}");
        }
        let sound = pack.other(&AlternativeMediaType::Audio);
        for track in pack.tracks().into_iter().chain(sound) {
            let what = format!("{segment_type} {}", track.name);
            let key = track.list.segments[0].key.clone().expect("a key");
            assert_eq!(key.uri.as_deref(), Some("https://keys.example.com/a%22b?c=d"), "{what}");
            assert_eq!((key.method.to_string(), key.iv), ("AES-128".to_owned(), None), "{what}");
            assert_eq!(decoded(&track.played()), 0, "{what} plays without its key");
            let plain = (0_u128..).zip(track.segments()).map(|(number, bytes)| {
                let cipher =
                    cbc::Decryptor::<Aes128>::new(&KEY.into(), &number.to_be_bytes().into());
                cipher.decrypt_padded_vec::<Pkcs7>(&bytes).expect("the key fits")
            });
            let opened = track.joined("opened", plain.collect::<Vec<_>>().concat());
            assert_eq!(complaints(&opened), "", "{what}");
            assert!(decoded(&opened) > 200, "{what}");
            assert!((Seen::of(&opened).secs() - 9.0).abs() < 0.15, "{what}");
        }
    }
}

#[tokio::test]
async fn sound_alone_is_no_video_and_says_so() {
    let bench = Bench::open().await;
    let sound = clip(&Clip {
        name: "sound.m4a",
        sources: &[&tones("stereo", 44_100, 2)],
        coded: "-c:a aac",
    });
    let failure = bench.refuse(AdaptiveVideo, json!({}), &sound).await;
    assert_eq!(failure.kind, ErrorKind::InputNoVideo);
    let heard = bench.make(Audio, json!({}), &sound).await;
    assert_eq!(heard.seen().count("audio"), 1);
}

#[tokio::test]
async fn a_language_is_a_code_or_nothing() {
    let source = kept("titled2.mkv", &["three languages, 5 s"], |path| {
        let picture =
            clip(&Clip { name: "plain5.mp4", sources: &[&colors(320, 180, 5)], coded: H264 });
        crate::harness::title(&picture, path, &["fra", "\"\nX", "UND"]);
    });
    let facts = Bench::open().await.probe(&source).await;
    let languages: Vec<_> = facts
        .streams
        .iter()
        .filter_map(|stream| match stream {
            Stream::Other(other) => Some(other.language.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(languages, [Some("fra".to_owned()), None, None]);
}
