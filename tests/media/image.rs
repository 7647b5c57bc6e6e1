//! Every option of an image, and what it promises.

use std::path::PathBuf;

use reelway::task::Kind::Image;
use serde_json::{Value, json};

use crate::harness::{Bench, Clip, Picture, clip, colors, likeness, photos};
use crate::video::moments;

const UPRIGHT: [&str; 4] = ["red", "lime", "blue", "white"];

fn still(name: &str, coded: &str) -> PathBuf {
    let picture = colors(320, 180, 1);
    let coded = format!("{coded} -frames:v 1 -update 1");
    clip(&Clip { name, sources: &[&picture], coded: &coded })
}

/// Lime in the middle; around it nothing, whose invisible colour is blue.
fn hole(name: &str, coded: &str) -> PathBuf {
    let graph = "color=0x0000ff:s=320x180:r=1:d=1,format=rgba,\
                 drawbox=x=80:y=45:w=160:h=90:c=lime:t=fill,colorchannelmixer=aa=0[ground];\
                 color=lime:s=160x90:r=1:d=1,format=rgba[box];[ground][box]overlay=80:45:format=rgb";
    let coded = format!("{coded} -frames:v 1 -update 1");
    clip(&Clip { name, sources: &[graph], coded: &coded })
}

#[tokio::test]
async fn the_format_is_the_one_asked_for_else_that_of_the_input() {
    let bench = Bench::open().await;
    let sources = [
        (still("a.jpg", "-c:v mjpeg -q:v 2"), "jpeg"),
        (still("a.png", "-c:v png -pix_fmt rgb24"), "png"),
        (still("grey.png", "-c:v png -pix_fmt pal8"), "png"),
        (still("a.webp", "-c:v libwebp -quality 95"), "webp"),
        (still("lossless.webp", "-c:v libwebp -lossless 1"), "webp"),
        (still("a.bmp", "-c:v bmp"), "png"),
        (still("a.tiff", "-c:v tiff -pix_fmt rgb24"), "png"),
        (still("a.avif", "-pix_fmt yuv420p -c:v libaom-av1 -crf 10 -cpu-used 8 -f avif"), "avif"),
        (still("a.gif", "-c:v gif"), "webp"),
        (moments(), "webp"),
    ];
    let asked = [Value::Null, json!("jpeg"), json!("png"), json!("webp"), json!("avif")];
    for (source, usual) in sources {
        // Every source once, and every pair once from the one that has most to lose.
        let some = if source.ends_with("a.png") { &asked[..] } else { &asked[..1] };
        for format in some {
            let mut options = json!({ "quality": "very_high" });
            if !format.is_null() {
                options["format"] = format.clone();
            }
            let output = bench.make(Image, options, &source).await;
            let what = format!("{} as {format}: {}", source.display(), output.told());
            assert_eq!(output.file.format, format.as_str().unwrap_or(usual), "{what}");
            let codec = match output.file.format.as_str() {
                "jpeg" => "mjpeg",
                "avif" => "av1",
                same => same,
            };
            assert_eq!(output.seen().video()["codec_name"], codec, "{what}");
            assert_eq!(output.size(), (320, 180), "{what}");
            assert_eq!(output.file.duration, None, "{what}");
            let corners = Picture::of(&output.path, 0).corners();
            let wanted = if usual == "webp" && source.ends_with("moments.mp4") {
                ["red"; 4]
            } else {
                UPRIGHT
            };
            assert_eq!(corners, wanted, "{what}");
        }
    }
}

#[tokio::test]
async fn sizes_are_exact_and_never_larger() {
    let (bench, source) = (Bench::open().await, still("a.png", "-c:v png -pix_fmt rgb24"));
    let cases = [
        (json!({ "width": 101 }), (101, 57)),
        (json!({ "height": 45 }), (80, 45)),
        (json!({ "width": "25%" }), (80, 45)),
        (json!({ "width": 999 }), (320, 180)),
        (json!({ "width": 77, "height": 77, "fit": "cover" }), (77, 77)),
        (json!({ "width": 500, "height": 500, "fit": "cover" }), (180, 180)),
        (json!({ "width": 333, "height": 444, "fit": "fill" }), (333, 444)),
        (json!({ "width": 99, "height": 99, "background": "#ff8000" }), (99, 99)),
        (json!({ "width": 640, "height": 640, "background": "#ff8000" }), (640, 640)),
    ];
    for (options, size) in cases {
        let odd = options.get("background").is_some() || options.get("fit").is_some();
        let formats = ["jpeg", "png", "webp"];
        for format in if odd { &formats[..] } else { &formats[..1] } {
            let mut options = options.clone();
            options["format"] = json!(format);
            let output = bench.make(Image, options.clone(), &source).await;
            assert_eq!(output.size(), size, "{options}");
            if options.get("background").is_some() {
                assert_eq!(Picture::of(&output.path, 0).corners(), ["orange"; 4], "{options}");
            }
        }
    }
    let avif = bench.make(Image, json!({ "format": "avif", "width": 101 }), &source).await;
    assert_eq!(avif.size(), (100, 56), "two pixels of an AVIF share their colour");
}

#[tokio::test]
async fn start_chooses_the_moment_and_past_the_end_it_is_the_last_one() {
    let (bench, clip) = (Bench::open().await, moments());
    let moments = [
        (0.0, "red"),
        (0.3, "red"),
        (0.5, "lime"),
        (1.3, "blue"),
        (1.9, "white"),
        (1.99, "white"),
        (2.0, "white"),
        (3600.0, "white"),
    ];
    for format in ["webp", "jpeg", "png", "avif"] {
        let some = if format == "webp" { &moments[..] } else { &moments[5..7] };
        for &(start, color) in some {
            let options = json!({ "format": format, "start": start, "width": 64 });
            let output = bench.make(Image, options, &clip).await;
            assert_eq!(Picture::of(&output.path, 0).name(0.5, 0.5), color, "{format} {start}");
        }
    }
}

#[tokio::test]
async fn more_quality_costs_more_and_looks_better() {
    let bench = Bench::open().await;
    let picture = "testsrc2=s=640x360:r=1:d=1,noise=alls=8";
    let coded = "-c:v png -pix_fmt rgb24 -frames:v 1 -update 1";
    let source = clip(&Clip { name: "busy.png", sources: &[picture], coded });
    for format in ["jpeg", "webp", "avif"] {
        let mut before = (0, 0.0);
        for quality in ["very_low", "low", "medium", "high", "very_high"] {
            let options = json!({ "format": format, "quality": quality });
            let output = bench.make(Image, options, &source).await;
            let now = (output.file.filesize, likeness(&output.path, &source));
            assert!(now.0 > before.0 && now.1 > before.1, "{format} {quality}: {before:?} {now:?}");
            before = now;
        }
    }
}

#[tokio::test]
async fn what_is_transparent_stays_so_where_it_can_and_lies_on_the_background_else() {
    let bench = Bench::open().await;
    let sources = [hole("hole.png", "-c:v png"), hole("hole.webp", "-c:v libwebp -lossless 1")];
    for source in sources {
        for (format, background, around) in [
            ("png", None, None),
            ("webp", None, None),
            ("jpeg", None, Some("white")),
            ("avif", None, Some("white")),
            ("jpeg", Some("#ff8000"), Some("orange")),
            ("png", Some("#ff8000"), Some("orange")),
            ("webp", Some("#ff8000"), Some("orange")),
        ] {
            for width in [64] {
                let mut options =
                    json!({ "format": format, "quality": "very_high", "width": width });
                if let Some(background) = background {
                    options["background"] = json!(background);
                    options["height"] = json!(width * 9 / 16);
                }
                let output = bench.make(Image, options.clone(), &source).await;
                let (picture, what) = (Picture::of(&output.path, 0), options.to_string());
                assert_eq!(picture.name(0.5, 0.5), "lime", "{what}");
                assert_eq!(picture.alpha(0.5, 0.5), 255, "{what}");
                match around {
                    None => assert_eq!(picture.alpha(0.05, 0.05), 0, "{what}"),
                    Some(color) => {
                        assert_eq!(picture.corners(), [color; 4], "{what}");
                        assert_eq!(picture.alpha(0.05, 0.05), 255, "{what}");
                    }
                }
                // No invisible blue bleeds into the edge: blue comes only from the ground.
                let [_, _, blue] = picture.at(0.26, 0.5);
                assert!(around == Some("white") || blue < 40, "{what}: {blue}");
            }
        }
    }
}

#[tokio::test]
async fn photographs_stand_upright_whatever_their_exif_says() {
    let bench = Bench::open().await;
    let plain = std::fs::read(still("plain.jpg", "-c:v mjpeg -q:v 2")).expect("a picture");
    let folder = tempfile::tempdir().expect("a folder");
    let shown = [
        (1, UPRIGHT),
        (2, ["lime", "red", "white", "blue"]),
        (3, ["white", "blue", "lime", "red"]),
        (4, ["blue", "white", "red", "lime"]),
        (5, ["red", "blue", "lime", "white"]),
        (6, ["blue", "red", "white", "lime"]),
        (7, ["white", "lime", "blue", "red"]),
        (8, ["lime", "white", "red", "blue"]),
    ];
    for (orientation, corners) in shown {
        let path = folder.path().join(format!("{orientation}.jpg"));
        std::fs::write(&path, with_orientation(&plain, orientation)).expect("written");
        let formats = ["jpeg", "png", "webp", "avif"];
        for format in if orientation == 7 { &formats[..] } else { &formats[..1] } {
            let output = bench.make(Image, json!({ "format": format }), &path).await;
            let size = if orientation < 5 { (320, 180) } else { (180, 320) };
            assert_eq!(output.size(), size, "{orientation} {format}");
            let found = Picture::of(&output.path, 0).corners();
            assert_eq!(found, corners, "{orientation} {format}");
            let exif = output.bytes().windows(4).any(|bytes| bytes == b"Exif");
            assert!(!exif, "{orientation} {format} still has EXIF");
        }
    }
}

/// A JPEG with an EXIF segment that says how it is to be turned, and where it was taken.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01".to_vec();
    exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}

#[tokio::test]
async fn the_name_of_a_file_does_not_matter() {
    let bench = Bench::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let sources = [
        (still("a.jpg", "-c:v mjpeg -q:v 2"), "jpg"),
        (still("a.png", "-c:v png -pix_fmt rgb24"), "png"),
        (still("a.webp", "-c:v libwebp -quality 95"), "webp"),
        (still("a.bmp", "-c:v bmp"), "bmp"),
        (still("a.tiff", "-c:v tiff -pix_fmt rgb24"), "tiff"),
        (still("a.gif", "-c:v gif"), "gif"),
    ];
    let names =
        ["photo", "photo.jpg", "IMG_%03d.jpg", "a[1]*?.png", "-i.png", "ü 'x'.mov", "x:y.jpg"];
    for (source, kind) in sources {
        let folder = folder.path().join(kind);
        std::fs::create_dir(&folder).expect("a folder");
        let own = format!("PHOTO.{kind}");
        let some = if kind == "jpg" { &names[..] } else { &names[1..3] };
        for name in some.iter().copied().chain([own.as_str()]) {
            let path = folder.join(name);
            std::fs::copy(&source, &path).expect("copied");
            let output = bench.make(Image, json!({ "format": "png" }), &path).await;
            assert_eq!(Picture::of(&output.path, 0).corners(), UPRIGHT, "{kind} as {name}");
        }
    }
}

#[tokio::test]
async fn a_real_photograph_of_twelve_megapixels_becomes_a_thumbnail() {
    let Some(photo) = photos("pic2/IMG_20191224_234846.jpg") else { return };
    let bench = Bench::open().await;
    let output = bench.make(Image, json!({ "width": 640, "format": "webp" }), &photo).await;
    insta::assert_snapshot!(output.seen().line());
    let name = photo.file_name().expect("a name");
    assert!(output.file.filesize < 200_000, "{name:?}: {}", output.told());
}
