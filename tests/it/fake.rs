//! An ffmpeg and an ffprobe that do what their input says: fail, hang, flood, ignore a signal.
//!
//! The order is in the input file, as `fake:busy`. So nothing but the arguments and the file
//! itself, which any containment must let through, decides what the process does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const FFMPEG: &str = r#"#!/bin/sh
case "$1 $2" in
"-version "*) echo "ffmpeg version 5.1.9-fake Copyright (c) nobody"; exit 0 ;;
*" -encoders") printf 'Encoders:\n ------\n V....D libx264 fake\n A....D aac fake\n'; exit 0 ;;
esac
for word do
    [ "$before" = "-i" ] && input=${word#file:}
    before=$word
done
output=${before#file:}
progress() {
    printf 'frame=%d\nout_time_us=%d\ntotal_size=%d\nprogress=continue\n' \
        "$1" "$(($1 * 40000))" "$1"
}
work_on() {
    frame=0
    while :; do
        frame=$((frame + 1))
        progress $frame
        sleep 0.1
    done
}
case $(grep -ao 'fake:[a-z]*' "$input" | head -n 1) in
fake:ok) progress 25; progress 50; echo made >"$output" ;;
fake:steady) for frame in 10 20 30 40; do progress $frame; sleep 0.2; done; echo made >"$output" ;;
fake:busy) echo half >"$output"; work_on ;;
fake:stubborn) trap '' TERM; echo half >"$output"; work_on ;;
fake:hang) echo half >"$output"; sleep 1000 ;;
fake:crash) echo half >"$output"; kill -SEGV $$ ;;
fake:refuse) echo '[error] Conversion failed!' >&2; exit 1 ;;
fake:full) echo '[error] av_interleaved_write_frame(): No space left on device' >&2; exit 1 ;;
fake:nothing) progress 25 ;;
fake:flood)
    line=$(head -c 2000 /dev/zero | tr '\0' 'x')
    number=0
    while [ $number -lt 2000 ]; do number=$((number + 1)); echo "[error] $number $line"; done >&2
    exit 1
    ;;
*) echo "[error] no order in $input" >&2; exit 1 ;;
esac
"#;

const FFPROBE: &str = r#"#!/bin/sh
if [ "$1" = -version ]; then echo "ffprobe version 5.1.9-fake Copyright (c) nobody"; exit 0; fi
for word do input=${word#file:}; done
case $(grep -ao 'fake:[a-z]*' "$input" | head -n 1) in
fake:corrupt) echo '[error] moov atom not found' >&2; exit 1 ;;
esac
cat <<'JSON'
{"streams": [
  {"index": 0, "codec_name": "h264", "codec_type": "video", "width": 640, "height": 360,
   "pix_fmt": "yuv420p", "avg_frame_rate": "25/1", "r_frame_rate": "25/1", "duration": "2.0"},
  {"index": 1, "codec_name": "aac", "codec_type": "audio", "sample_rate": "48000", "channels": 2,
   "channel_layout": "stereo", "duration": "2.0"}],
 "format": {"format_name": "mov,mp4,m4a,3gp,3g2,mj2", "duration": "2.0", "bit_rate": "800000"}}
JSON
"#;

/// The two programs, written into a folder.
#[derive(Clone, Debug)]
pub(crate) struct FakeTools {
    pub(crate) ffmpeg: PathBuf,
    pub(crate) ffprobe: PathBuf,
}

impl FakeTools {
    pub(crate) fn write(folder: &Path) -> Self {
        let write = |name: &str, script: &str| {
            let path = folder.join(name);
            fs::write(&path, script).expect("a script");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
            path
        };
        Self { ffmpeg: write("ffmpeg", FFMPEG), ffprobe: write("ffprobe", FFPROBE) }
    }
}

/// Media that orders something: it looks like an MP4 and is none.
pub(crate) fn media(order: &str) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x18ftypisom\0\0\x02\0isommp42\n".to_vec();
    bytes.extend_from_slice(format!("fake:{order}\n").as_bytes());
    bytes
}

/// The processes that work in `folder` or run a program of it, whoever their parent is.
pub(crate) fn processes_in(folder: &Path) -> Vec<u32> {
    let folder = folder.canonicalize().expect("the folder");
    let needle = folder.to_str().expect("a path in UTF-8");
    let pids = fs::read_dir("/proc").expect("a Linux").filter_map(Result::ok).filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<u32>().ok()?;
        if pid == std::process::id() {
            return None;
        }
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let works_there = fs::read_link(entry.path().join("cwd"))
            .is_ok_and(|cwd| cwd.to_string_lossy().contains(needle));
        (works_there || String::from_utf8_lossy(&line).contains(needle)).then_some(pid)
    });
    pids.collect()
}
