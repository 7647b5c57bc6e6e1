//! Ten bits, more light and full range: what comes out is what every screen shows.

use std::path::PathBuf;

use reelway::task::Kind::{Animation, Image, Video};
use serde_json::json;

use crate::harness::{Bench, Clip, Picture, clip, colors};

const PQ: &str = "smpte2084";
const HLG: &str = "arib-std-b67";

/// Four colours of a tenth of the light that fits, in wide colours and ten bits.
fn hdr(name: &str, transfer: &str, size: &str) -> PathBuf {
    let source = format!("{},scale={size}", colors(320, 180, 1));
    let coded = format!(
        "-vf scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le -c:v libx265 \
         -preset ultrafast -crf 10 -tag:v hvc1 -color_primaries bt2020 -color_trc {transfer} \
         -colorspace bt2020nc -x265-params \
         log-level=error:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    );
    clip(&Clip { name, sources: &[&source], coded: &coded })
}

/// Which channels carry the light in the four corners.
fn lit(picture: &Picture) -> [[bool; 3]; 4] {
    let corners = [(0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9)];
    corners.map(|(x, y)| {
        let color = picture.at(x, y);
        let most = *color.iter().max().expect("three channels");
        assert!(most > 60, "{color:?} is too dark");
        color.map(|channel| channel > most / 2)
    })
}

const COLORS: [[bool; 3]; 4] =
    [[true, false, false], [false, true, false], [false, false, true], [true; 3]];

#[tokio::test]
async fn more_light_is_mapped_to_what_a_screen_has() {
    let bench = Bench::open().await;
    let clips = [
        hdr("pq.mp4", PQ, "320:180"),
        hdr("hlg.mp4", HLG, "320:180"),
        hdr("odd.mkv", PQ, "322:182"),
    ];
    for (number, clip) in clips.into_iter().enumerate() {
        let asked = [json!({}), json!({ "format": "webm" }), json!({ "format": "mov" })];
        for options in asked.into_iter().take(if number == 0 { 3 } else { 1 }) {
            let output = bench.make(Video, options, &clip).await;
            let (seen, what) = (output.seen(), clip.display());
            let video = seen.video();
            assert_eq!(video["pix_fmt"], "yuv420p", "{what}");
            for field in ["color_space", "color_transfer", "color_primaries"] {
                assert_eq!(video[field], "bt709", "{what} {field}");
            }
            assert_eq!(video["color_range"], "tv", "{what}");
            assert_eq!(lit(&Picture::of(&output.path, 5)), COLORS, "{what}");
        }
        let formats = ["png", "jpeg", "webp", "avif"];
        for format in formats.into_iter().take(if number == 0 { 4 } else { 1 }) {
            let output = bench.make(Image, json!({ "format": format }), &clip).await;
            assert_eq!(lit(&Picture::of(&output.path, 0)), COLORS, "{format}");
        }
        let output = bench.make(Animation, json!({ "end": 0.5 }), &clip).await;
        assert_eq!(lit(&Picture::of(&output.path, 0)), COLORS);
    }
}

#[tokio::test]
async fn a_codec_that_was_named_keeps_light_and_ten_bits() {
    let bench = Bench::open().await;
    let clip = hdr("pq.mp4", PQ, "320:180");
    for (format, codec) in [("mp4", "h265"), ("mov", "h265"), ("webm", "vp9"), ("mp4", "av1")] {
        let output = bench.make(Video, json!({ "format": format, "codec": codec }), &clip).await;
        let seen = output.seen();
        let video = seen.video();
        assert_eq!(video["pix_fmt"], "yuv420p10le", "{codec}");
        assert_eq!(video["color_transfer"], PQ, "{codec}");
        assert_eq!(video["color_primaries"], "bt2020", "{codec}");
        assert_eq!(video["color_space"], "bt2020nc", "{codec}");
    }
    // H.264 with ten bits plays almost nowhere.
    let output = bench.make(Video, json!({ "codec": "h264" }), &clip).await;
    assert_eq!(output.seen().video()["pix_fmt"], "yuv420p");
}

#[tokio::test]
async fn ten_bits_of_standard_light_become_eight_with_the_same_colours() {
    let bench = Bench::open().await;
    let coded = "-vf scale=out_color_matrix=bt709:out_range=tv,format=yuv420p10le -c:v libx265 \
                 -preset ultrafast -crf 8 -tag:v hvc1 -x265-params \
                 log-level=error:colorprim=bt709:transfer=bt709:colormatrix=bt709";
    let source = colors(320, 180, 1);
    let clip = clip(&Clip { name: "ten.mp4", sources: &[&source], coded });
    let output = bench.make(Video, json!({ "quality": "very_high" }), &clip).await;
    assert_eq!(output.seen().video()["pix_fmt"], "yuv420p");
    let upright = ["red", "lime", "blue", "white"];
    assert_eq!(Picture::of(&output.path, 5).corners(), upright);
    let image = bench.make(Image, json!({ "format": "png" }), &clip).await;
    assert_eq!(Picture::of(&image.path, 0).corners(), upright);
}

#[tokio::test]
async fn full_range_and_old_matrices_keep_their_colours() {
    let bench = Bench::open().await;
    let h264 = "-c:v libx264 -preset ultrafast -crf 12";
    let cases = [
        ("full709.mp4", "bt709", "bt709", "pc", "yuv420p"),
        ("tv601.mp4", "bt601", "smpte170m", "tv", "yuv420p"),
        ("full601.mp4", "bt601", "smpte170m", "pc", "yuvj420p"),
        ("yuv444.mkv", "bt709", "bt709", "tv", "yuv444p"),
    ];
    let labelled = cases.map(|(name, matrix, space, range, pixels)| {
        let coded = format!(
            "-vf scale=out_color_matrix={matrix}:out_range={range},format={pixels} {h264} \
             -color_range {range} -colorspace {space} -color_primaries bt709 -color_trc bt709"
        );
        (name, coded)
    });
    let rgb = ("rgb.mkv", "-c:v libx264rgb -preset ultrafast -crf 4 -pix_fmt rgb24".to_owned());
    for (name, coded) in labelled.into_iter().chain([rgb]) {
        let clip = clip(&Clip { name, sources: &[&colors(320, 180, 1)], coded: &coded });
        let upright = ["red", "lime", "blue", "white"];
        let asked = [
            (Video, json!({ "quality": "very_high" })),
            (Image, json!({ "format": "png" })),
            (Image, json!({ "format": "jpeg", "quality": "very_high" })),
            (Video, json!({ "format": "webm", "quality": "very_high" })),
            (Image, json!({ "format": "webp", "quality": "very_high" })),
            (Image, json!({ "format": "avif", "quality": "very_high" })),
            (Animation, json!({ "end": 0.5, "quality": "very_high" })),
        ];
        // What differs is read in one place and written in seven.
        let some = if name == "full601.mp4" { asked.len() } else { 3 };
        for (kind, options) in asked.into_iter().take(some) {
            let what = format!("{name} {} {options}", kind.name());
            let output = bench.make(kind, options, &clip).await;
            if kind == Video {
                assert_eq!(output.seen().video()["color_range"], "tv", "{what}");
            }
            assert_eq!(Picture::of(&output.path, 0).corners(), upright, "{what}");
        }
    }
}
