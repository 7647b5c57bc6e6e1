use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

/// A JPEG that ffmpeg makes, or nothing where it cannot.
fn made(graph: &str, coded: &[&str]) -> Vec<u8> {
    #[expect(clippy::disallowed_methods, reason = "a test makes its own picture")]
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", graph, "-frames:v", "1"]);
    ffmpeg.args(["-c:v", "mjpeg", "-strict", "unofficial"]).args(coded);
    ffmpeg.args(["-f", "mjpeg", "-"]).stdin(Stdio::null());
    let output = ffmpeg.output().expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn photograph() -> Vec<u8> {
    made("testsrc2=s=48x32:d=1", &["-pix_fmt", "yuvj420p"])
}

/// The same with a segment behind its first two bytes.
fn with(jpeg: &[u8], marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).expect("short").to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, body, &jpeg[2..]].concat()
}

/// EXIF that says how the camera was held, with one more entry in front.
fn exif(orientation: u16, is_little: bool) -> Vec<u8> {
    let two = |number: u16| if is_little { number.to_le_bytes() } else { number.to_be_bytes() };
    let four = |number: u32| if is_little { number.to_le_bytes() } else { number.to_be_bytes() };
    let mut body = b"Exif\0\0".to_vec();
    body.extend(if is_little { b"II" } else { b"MM" });
    body.extend(two(42));
    body.extend(four(8));
    body.extend(two(2));
    for (tag, value) in [(0x0103_u16, 6_u16), (0x0112, orientation)] {
        body.extend(two(tag));
        body.extend(two(3));
        body.extend(four(1));
        body.extend(two(value));
        body.extend(two(0));
    }
    body.extend(four(0));
    body
}

async fn by_ffprobe(path: &Path) -> Facts {
    let tools = crate::Tools::find(None, None, crate::Limits::default()).await.unwrap();
    let size_bytes = path.metadata().unwrap().len();
    let kind = crate::sniff::Kind::Still(crate::sniff::JPEG);
    tools
        .ask_ffprobe(&path.into(), kind, size_bytes, &tokio_util::sync::CancellationToken::new())
        .await
        .unwrap()
}

async fn agrees(what: &str, jpeg: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.jpg");
    std::fs::write(&path, jpeg).unwrap();
    let own = read(jpeg, jpeg.len() as u64).unwrap_or_else(|| panic!("{what} has no facts"));
    assert_eq!(own, by_ffprobe(&path).await, "{what}");
}

#[tokio::test]
async fn every_orientation_and_sampling_is_what_ffprobe_says() {
    let jpeg = photograph();
    agrees("without EXIF", &jpeg).await;
    for orientation in 1..=8 {
        let is_little = orientation % 2 == 0;
        agrees("turned", &with(&jpeg, 0xe1, &exif(orientation, is_little))).await;
    }
    for pixels in ["yuvj422p", "yuvj444p"] {
        agrees(pixels, &made("testsrc2=s=49x31:d=1", &["-pix_fmt", pixels])).await;
    }
    agrees("remarked", &with(&jpeg, 0xfe, b"made by hand")).await;
    agrees("with a profile", &with(&jpeg, 0xe2, b"ICC_PROFILE\0\x01\x01profile")).await;
}

#[tokio::test]
async fn real_photographs_are_what_ffprobe_says() {
    let folder = Path::new("/usr/share/forensics-samples/original-files");
    let photographs = ["pic1", "pic2"].map(|name| folder.join(name).read_dir());
    let photographs = photographs.into_iter().flatten().flatten();
    let mut read_here = 0;
    for path in photographs.map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&path).unwrap();
        if let Some(own) = read(&bytes, bytes.len() as u64) {
            assert_eq!(own, by_ffprobe(&path).await, "{}", path.display());
            read_here += 1;
        }
    }
    assert!(read_here >= 5 || !folder.exists(), "only {read_here} have facts");
}

#[test]
fn what_might_be_something_else_is_left_to_ffprobe() {
    let jpeg = photograph();
    let twice = with(&with(&jpeg, 0xe1, &exif(1, true)), 0xe1, &exif(6, true));
    let cases = [
        ("two EXIF", twice),
        ("an orientation that is none", with(&jpeg, 0xe1, &exif(9, true))),
        ("broken EXIF", with(&jpeg, 0xe1, b"Exif\0\0II*\0\xff\xff\0\0")),
        ("red, green and blue", with(&jpeg, 0xee, b"Adobe\0d\0\0\0\0\0")),
        ("a remark that ffmpeg obeys", with(&jpeg, 0xfe, b"CS=ITU601")),
        ("pixels that are not square", with(&jpeg, 0xe0, b"JFIF\0\x01\x02\0\0\x01\0\x02\0\0")),
        ("a motion JPEG of an AVI", with(&jpeg, 0xe0, b"AVI1\0\0\0\0")),
        ("a cut head", jpeg[..30].to_vec()),
        ("another file", b"\x89PNG\r\n".to_vec()),
    ];
    for (what, bytes) in cases {
        assert_eq!(read(&bytes, 1), None, "{what}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(marker in any::<u8>(), body in any::<Vec<u8>>()) {
        let jpeg = b"\xff\xd8\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\x01\x11\0";
        let _facts = read(&with(jpeg, marker, &body), 1);
        let body = [b"Exif\0\0", &body[..]].concat();
        let _facts = read(&with(jpeg, 0xe1, &body), 1);
    }
}
