//! Pictures that libvips makes: the same as ffmpeg's, or better, and ffmpeg's where it fails.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use ffmpeg::{Limits, Shaping, Still, StillEncoder, Tools};
use reelway::task::Kind::Image;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::{Bench, Clip, Picture, clip, likeness, photos, run, security};

const BUSY: &str = "testsrc2=s=640x360:r=1:d=1";

fn still(name: &str, coded: &str) -> PathBuf {
    let coded = format!("{coded} -frames:v 1 -update 1");
    clip(&Clip { name, sources: &[BUSY], coded: &coded })
}

#[tokio::test]
async fn it_makes_the_picture_that_ffmpeg_makes() {
    let (ours, theirs) = (Bench::open().await, Bench::without_vips().await);
    if !ours.has_vips() {
        return;
    }
    let sources = [
        still("busy.jpg", "-c:v mjpeg -q:v 2"),
        still("busy-grey.jpg", "-c:v mjpeg -q:v 2 -pix_fmt gray"),
        still("busy-422.jpg", "-c:v mjpeg -q:v 2 -pix_fmt yuvj422p"),
        still("busy.png", "-c:v png -pix_fmt rgb24"),
        still("busy-palette.png", "-c:v png -pix_fmt pal8"),
        still("busy.webp", "-c:v libwebp -quality 95"),
        still("busy-lossless.webp", "-c:v libwebp -lossless 1"),
    ];
    let wishes = [
        json!({ "width": 321 }),
        json!({ "width": 200, "height": 200, "fit": "cover" }),
        json!({ "width": 300, "height": 111, "fit": "fill" }),
        json!({ "quality": "very_high" }),
    ];
    for source in &sources {
        for format in ["png", "webp", "avif"] {
            for wish in &wishes {
                let mut options = wish.clone();
                options["format"] = json!(format);
                let what = format!("{} {options}", source.display());
                // Both may be seen through, as far as their formats say.
                let alpha = ["busy-palette.png", "busy-lossless.webp"];
                let has_alpha = alpha.iter().any(|name| source.ends_with(name));
                let made = ours.make(Image, options.clone(), source).await;
                // What can be seen through lies on a ground in an AVIF, which is ffmpeg's work.
                assert_eq!(made.by_libvips, format != "avif" || !has_alpha, "{what}");
                let other = theirs.make(Image, options, source).await;
                assert!(!other.by_libvips, "{what}");
                assert_eq!((made.size(), made.told()), (other.size(), other.told()), "{what}");
                let alike = likeness(&made.path, &other.path);
                assert!(alike > 0.9, "{what}: {alike}");
            }
        }
    }
}

#[tokio::test]
async fn what_it_does_otherwise_is_left_to_ffmpeg() {
    let bench = Bench::open().await;
    if !bench.has_vips() {
        return;
    }
    let jpeg = still("busy.jpg", "-c:v mjpeg -q:v 2");
    let deep = still("deep.png", "-c:v png -pix_fmt rgb48be");
    let tiff = still("busy.tiff", "-c:v tiff -pix_fmt rgb24");
    let square = json!({ "width": 99, "height": 99, "format": "png" });
    let with = |name: &str, value| {
        let mut options = square.clone();
        options[name] = value;
        options
    };
    let left = [
        (json!({ "format": "jpeg" }), &jpeg),
        (with("background", json!("#ff8000")), &jpeg),
        (json!({ "width": 99, "height": 99, "fit": "cover", "position": "top" }), &jpeg),
        (json!({ "width": 900, "height": 900, "fit": "fill", "format": "png" }), &jpeg),
        (square.clone(), &deep),
        (square.clone(), &tiff),
    ];
    for (options, source) in left {
        let made = bench.make(Image, options.clone(), source).await;
        assert!(!made.by_libvips, "{} {options}", source.display());
    }
}

#[tokio::test]
async fn a_photograph_is_as_like_its_source_as_ffmpegs_at_every_level() {
    let (ours, theirs) = (Bench::open().await, Bench::without_vips().await);
    let Some(photograph) = photos("pic1/IMG_20200827_231612.jpg") else { return };
    if !ours.has_vips() {
        return;
    }
    // Both are given one small picture: libvips' own is sharper, and has more to lose.
    let small = json!({ "width": 640, "format": "png" });
    let whole = ours.make(Image, small, &photograph).await.path;
    let lost = |made: &Path| {
        let shown = made.with_extension("shown.png");
        let (made, to) = (made.to_str().expect("UTF-8"), shown.to_str().expect("UTF-8"));
        // As red, green and blue, for an AVIF of libvips has another range than one of ffmpeg.
        run("ffmpeg", &["-v", "error", "-nostdin", "-i", made, "-pix_fmt", "rgb24", to]);
        1.0 - likeness(&shown, &whole)
    };
    for format in ["webp", "avif"] {
        for level in ["very_low", "low", "medium", "high", "very_high"] {
            let options = json!({ "format": format, "quality": level });
            let made = ours.make(Image, options.clone(), &whole).await;
            let other = theirs.make(Image, options, &whole).await;
            assert!(made.by_libvips && !other.by_libvips, "{format} {level}");
            let (here, there) = (lost(&made.path), lost(&other.path));
            assert!(here < there * 1.25, "{format} {level}: {here} against {there}");
        }
    }
}

/// A JPEG whose profile says that its numbers are wide: what is shown is not what they say.
#[tokio::test]
async fn colours_are_those_of_the_profile() {
    let bench = Bench::open().await;
    if !bench.has_vips() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let graph = "color=0x00ff00:s=64x64:r=1:d=1";
    let coded = "-frames:v 1 -update 1 -c:v png -pix_fmt rgb24";
    let green = clip(&Clip { name: "green.png", sources: &[graph], coded });
    let wide = folder.path().join("wide.jpg");
    // libvips brings a profile of Display P3 along.
    let output = format!("--output={}[Q=100]", wide.display());
    let green = green.to_str().expect("UTF-8");
    let profiles = ["--import-profile=srgb", "--export-profile=p3"];
    run("vipsthumbnail", &[green, "--size=64", profiles[0], profiles[1], &output]);
    assert_ne!(Picture::of(&wide, 0).name(0.5, 0.5), "lime", "its numbers are others");
    let made = bench.make(Image, json!({ "format": "png" }), &wide).await;
    assert!(made.by_libvips);
    assert_eq!(Picture::of(&made.path, 0).name(0.5, 0.5), "lime");
    assert!(!made.bytes().windows(4).any(|bytes| bytes == b"iCCP"), "the profile is gone");
}

#[tokio::test]
async fn a_picture_that_is_cut_off_is_made_by_ffmpeg_after_all() {
    let bench = Bench::open().await;
    if !bench.has_vips() {
        return;
    }
    let mut bytes = std::fs::read(still("busy.jpg", "-c:v mjpeg -q:v 2")).expect("bytes");
    bytes.truncate(bytes.len() / 2);
    let folder = tempfile::tempdir().expect("a folder");
    let cut = folder.path().join("cut.jpg");
    std::fs::write(&cut, bytes).expect("written");
    let made = bench.make(Image, json!({ "format": "webp", "width": 64 }), &cut).await;
    assert!(!made.by_libvips);
    assert_eq!(made.size(), (64, 36));
}

#[tokio::test]
async fn no_hostile_file_makes_it_read_another_or_ask_the_network() {
    let bench = Bench::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    if !bench.has_vips() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().canonicalize().expect("a folder");
    let secret = folder.join("secret.png");
    std::fs::copy(still("busy.png", "-c:v png -pix_fmt rgb24"), &secret).expect("a copy");
    let url = format!("http://{}/a.png", listener.local_addr().expect("an address"));
    let svg = |to: &str| {
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' \
             width='64' height='64'><image width='64' height='64' xlink:href='{to}'/></svg>"
        )
    };
    let written = [
        ("file.svg", svg(&format!("file://{}", secret.display()))),
        ("url.svg", svg(&url)),
        ("list.m3u8", format!("#EXTM3U\n#EXTINF:1,\n{url}\n")),
        ("script.mvg", format!("image over 0,0 64,64 '{}'", secret.display())),
        ("script.msl", format!("<image><read filename='{}'/></image>", secret.display())),
        ("picture.ppm", "P6\n4 4\n255\n".to_owned() + &"x".repeat(48)),
    ];
    let given = folder.join("given");
    std::fs::create_dir(&given).expect("a folder");
    let mut files: Vec<PathBuf> = Vec::new();
    for (name, words) in written {
        std::fs::write(given.join(name), words).expect("written");
        files.push(given.join(name));
    }
    for hostile in ["bombs", "inputs"] {
        files.extend(security(hostile).into_iter().flatten());
    }
    for file in &files {
        for encoder in [StillEncoder::Png, StillEncoder::Avif { quality: 50 }] {
            let size = made_of(file, encoder, &folder).await;
            // A bomb may be a picture; the gate refuses it before it comes here.
            let is_picture = file.extension().is_some_and(|ending| ending == "png");
            assert!(size.is_none() || is_picture, "{} became a picture", file.display());
        }
    }
    let asked = listener.accept().expect_err("nobody asks");
    assert_eq!(asked.kind(), std::io::ErrorKind::WouldBlock);
}

/// The size of the picture that libvips makes of a file, if it makes one.
async fn made_of(file: &Path, encoder: StillEncoder, folder: &Path) -> Option<u64> {
    let limits = Limits { memory_bytes: 1 << 30, ..Limits::default() };
    let tools = Tools::find(None, None, limits).await.expect("the tools");
    let folder = tempfile::tempdir_in(folder).expect("a folder");
    let still = Still {
        input: file.to_owned(),
        output: folder.path().join("picture.png"),
        size: (32, 32),
        shape: Shaping::Scaled,
        turns: false,
        encoder,
        threads: None,
    };
    let ran = tools.run_still(&still, &CancellationToken::new()).await;
    ran.ok().map(|()| still.output.metadata().expect("a file").len())
}
