//! Turned, mirrored, stretched and odd pictures: each comes out upright, square and even.

use std::path::{Path, PathBuf};

use reelway::task::Kind::{Animation, Image, Video};
use serde_json::json;

use crate::harness::{Bench, Clip, H264, Picture, clip, colors};

const UPRIGHT: [&str; 4] = ["red", "lime", "blue", "white"];

fn source(name: &str, width: u32, height: u32, coded: &str) -> PathBuf {
    let picture = colors(width, height, 1);
    clip(&Clip { name, sources: &[&picture], coded })
}

/// The clip with another display matrix in its only track.
fn turned(path: &Path, folder: &Path, [a, b, c, d]: [i32; 4]) -> PathBuf {
    let mut bytes = std::fs::read(path).expect("the clip");
    let name = bytes.windows(4).position(|at| at == b"tkhd").expect("a track");
    let matrix = name + 4 + 40;
    for (number, value) in [(0, a), (1, b), (3, c), (4, d)] {
        let at = matrix + number * 4;
        bytes[at..at + 4].copy_from_slice(&(value << 16).to_be_bytes());
    }
    let turned = folder.join(format!("{a}{b}{c}{d}.mp4"));
    std::fs::write(&turned, bytes).expect("written");
    turned
}

#[tokio::test]
async fn clips_stand_upright_whatever_their_matrix_says() {
    let bench = Bench::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let plain = source("plain.mp4", 320, 180, H264);
    let shown = [
        ([1, 0, 0, 1], UPRIGHT),
        ([0, 1, -1, 0], ["blue", "red", "white", "lime"]),
        ([-1, 0, 0, -1], ["white", "blue", "lime", "red"]),
        ([0, -1, 1, 0], ["lime", "white", "red", "blue"]),
        ([-1, 0, 0, 1], ["lime", "red", "white", "blue"]),
        ([1, 0, 0, -1], ["blue", "white", "red", "lime"]),
        ([0, 1, 1, 0], ["red", "blue", "lime", "white"]),
        ([0, -1, -1, 0], ["white", "lime", "blue", "red"]),
    ];
    for (matrix, corners) in shown {
        let clip = turned(&plain, folder.path(), matrix);
        let size = if matrix[0] == 0 { (180, 320) } else { (320, 180) };
        let fast = json!({ "quality": "very_high", "end": 0.3 });
        let asked = [
            (Video, fast.clone()),
            (Image, json!({ "format": "png" })),
            (Video, json!({ "format": "mov", "codec": "h265", "end": 0.3 })),
            (Video, json!({ "format": "webm", "end": 0.3 })),
            (Image, json!({ "format": "png", "start": 50 })),
            (Animation, json!({ "end": 0.3, "quality": "very_high" })),
        ];
        // The turn of a phone that is held upright goes into everything.
        let some = if matrix == [0, 1, -1, 0] { asked.len() } else { 2 };
        for (kind, options) in asked.into_iter().take(some) {
            let what = format!("{matrix:?} {} {options}", kind.name());
            let output = bench.make(kind, options, &clip).await;
            assert_eq!(output.size(), size, "{what}");
            let seen = output.seen();
            assert!(!seen.line().contains("SIDE"), "{what}: {}", seen.line());
            assert_eq!(Picture::of(&output.path, 0).corners(), corners, "{what}");
        }
    }
}

#[tokio::test]
async fn stretched_pixels_become_square() {
    let bench = Bench::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let stretched = |name, width, aspect| {
        let picture = format!("{},setsar={aspect}", colors(width, 180, 1));
        clip(&Clip { name, sources: &[&picture], coded: H264 })
    };
    let wide = stretched("wide.mp4", 160, "2/1");
    let tall = stretched("tall.mp4", 640, "1/2");
    let turned = turned(&wide, folder.path(), [0, 1, -1, 0]);
    for (clip, size) in [(wide, (320, 180)), (tall, (320, 180)), (turned, (180, 320))] {
        for (kind, options) in
            [(Video, json!({ "end": 0.3 })), (Image, json!({})), (Animation, json!({ "end": 0.3 }))]
        {
            let output = bench.make(kind, options, &clip).await;
            assert_eq!(output.size(), size, "{} of {}", kind.name(), clip.display());
            if kind == Video {
                assert_eq!(output.seen().video()["sample_aspect_ratio"], "1:1");
            }
        }
        let half = bench.make(Video, json!({ "width": "50%", "end": 0.3 }), &clip).await;
        assert_eq!(half.size(), (size.0 / 2, size.1 / 2), "{}", clip.display());
    }
}

#[tokio::test]
async fn odd_sizes_become_even_in_every_codec() {
    let bench = Bench::open().await;
    let odd = "testsrc=s=321x181:r=10:d=1";
    let sources = [
        ("odd.mkv", "-c:v libx264 -preset ultrafast -pix_fmt yuv444p"),
        ("odd.webm", "-c:v libvpx-vp9 -cpu-used 8 -deadline realtime -pix_fmt yuv420p"),
        ("odd.mov", "-c:v png"),
        ("odd.gif", "-c:v gif"),
    ];
    for (name, coded) in sources {
        let clip = clip(&Clip { name, sources: &[odd], coded });
        for (format, codec) in [("mp4", "h264"), ("mp4", "h265"), ("webm", "vp9"), ("mp4", "av1")] {
            let options = json!({ "format": format, "codec": codec, "end": 0.5 });
            assert_eq!(
                bench.make(Video, options, &clip).await.size(),
                (320, 180),
                "{name} {codec}"
            );
        }
        for format in ["gif", "webp"] {
            let options = json!({ "format": format, "end": 0.5 });
            assert_eq!(bench.make(Animation, options, &clip).await.size(), (320, 180), "{name}");
        }
        assert_eq!(bench.make(Image, json!({}), &clip).await.size(), (321, 181), "{name}");
    }
    let tiny = clip(&Clip {
        name: "tiny.mov",
        sources: &["color=red:s=2x2:r=10:d=1,format=gbrp,crop=1:1:0:0"],
        coded: "-c:v png",
    });
    assert_eq!(bench.make(Video, json!({}), &tiny).await.size(), (2, 2));
    assert_eq!(bench.make(Image, json!({}), &tiny).await.size(), (1, 1));
}
