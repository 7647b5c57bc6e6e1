//! Media made on the spot.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::is_here;

/// Two seconds of moving picture and sound, 640 × 360.
pub(crate) fn short_clip(folder: &Path) -> PathBuf {
    make(folder, "short.mp4", "testsrc2=size=640x360:rate=25:duration=2", 2)
}

/// Six seconds of the same, with half the pictures: longer than a segment, and soon coded.
pub(crate) fn film_clip(folder: &Path) -> PathBuf {
    make(folder, "film.mp4", "testsrc2=size=640x360:rate=12:duration=6", 6)
}

/// A clip whose encoding takes long enough to be interrupted: noise is hard work.
pub(crate) fn long_clip(folder: &Path) -> PathBuf {
    let noise = "testsrc2=size=1280x720:rate=30:duration=40,noise=alls=40:allf=t";
    make(folder, "long.mp4", noise, 40)
}

/// A clip of more bytes than a first request brings, with its index in front.
pub(crate) fn ranged_clip(folder: &Path) -> PathBuf {
    let noise = "testsrc2=size=640x360:rate=25:duration=12,noise=alls=80:allf=t";
    let quick = make_with(folder, "noise.mp4", noise, 12, "8");
    let path = folder.join("ranged.mp4");
    #[expect(clippy::disallowed_methods, reason = "the test makes its own media")]
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(quick)
        .args(["-c", "copy", "-movflags", "+faststart", "-y"])
        .arg(&path)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "ffmpeg could not put the index in front");
    path
}

/// So many pictures, ten a second, but for the last one, which is shown at `last_secs`.
pub(crate) fn gap_clip(folder: &Path, pictures: u32, last_secs: u32) -> PathBuf {
    let path = folder.join(format!("gap-{pictures}-{last_secs}.mkv"));
    let (secs, last) = (f64::from(pictures) / 10.0, pictures - 1);
    let times = format!("setpts='if(lt(N,{last}),N/10,{last_secs})/TB'");
    let picture = format!("testsrc2=size=128x72:rate=10:duration={secs},{times}");
    #[expect(clippy::disallowed_methods, reason = "the test makes its own media")]
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", &picture, "-vsync", "passthrough"])
        .args(["-c:v", "libx264", "-crf", "40", "-pix_fmt", "yuv420p", "-y"])
        .arg(&path)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "ffmpeg could not make a gap");
    path
}

/// A phone's own video, which `scripts/setup sample` installs.
pub(crate) fn phone_clip() -> Option<PathBuf> {
    let path = Path::new("/usr/share/forensics-samples/original-files/movie1")
        .join("VID_20191220_170832.mp4");
    is_here(&path.display().to_string(), path.exists()).then_some(path)
}

fn make(folder: &Path, name: &str, picture: &str, secs: u32) -> PathBuf {
    make_with(folder, name, picture, secs, "30")
}

#[expect(clippy::disallowed_methods, reason = "the test makes its own media")]
fn make_with(folder: &Path, name: &str, picture: &str, secs: u32, crf: &str) -> PathBuf {
    let path = folder.join(name);
    let sound = format!("sine=frequency=440:duration={secs}");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", picture])
        .args(["-f", "lavfi", "-i", &sound, "-c:v", "libx264", "-preset", "ultrafast"])
        .args(["-crf", crf, "-pix_fmt", "yuv420p", "-c:a", "aac", "-y"])
        .arg(&path)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "ffmpeg could not make {name}");
    path
}
