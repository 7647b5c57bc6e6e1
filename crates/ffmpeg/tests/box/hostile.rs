//! Every hostile file against every layer alone.
//!
//! A file is followed in two worlds that differ in one thing: what it leads to is there, or is
//! not. Whatever comes out must be the same in both; then no foreign byte can be in it. Where
//! only the kernel stands in the way, ffmpeg is started as openly as it can be.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ffmpeg::{Layer, Sandbox, Scope, policy};
use tempfile::TempDir;

use crate::shared::{Port, command, files, security, wait};

/// How long a run may take. A session description waits for its sender for ever.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_WITH_A_SENDER: Duration = Duration::from_secs(3);

/// How ffmpeg is told to treat what it is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// With the lists and limits that every run has.
    Listed,
    /// Following everything wherever it leads.
    Open,
}

/// A folder of hostile files and what they lead to, or not.
struct World {
    folder: TempDir,
    port: Port,
}

impl World {
    fn new(inputs: &Path, is_populated: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["inputs", "made", "secret", "tenant-b"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let clip = inputs.join("neighbour.mp4");
        std::fs::copy(&clip, at("film.mp4")).unwrap();
        ffmpeg(&["-i", text(&clip), "-c", "copy", "-f", "mpegts", text(&at("film.ts"))]);
        let film = std::fs::read(at("film.ts")).unwrap();
        std::fs::remove_file(at("film.ts")).unwrap();
        let port = Port::serving(if is_populated { film.clone() } else { vec![] });
        let (dir, number) = (text(folder.path()), port.number.to_string());
        for input in files(inputs) {
            let bytes = std::fs::read(&input).unwrap();
            let bytes = match String::from_utf8(bytes) {
                Ok(words) => words.replace("@DIR@", dir).replace("@PORT@", &number).into_bytes(),
                Err(media) => media.into_bytes(),
            };
            std::fs::write(at("inputs").join(input.file_name().unwrap()), bytes).unwrap();
        }
        if is_populated {
            std::fs::copy(inputs.join("neighbour.txt"), at("secret/secret.txt")).unwrap();
            ffmpeg(&["-i", text(&clip), "-frames:v", "1", text(&at("secret/pic.png"))]);
            std::fs::write(at("tenant-b/private.ts"), film).unwrap();
            std::fs::copy(&clip, at("tenant-b/private.mp4")).unwrap();
            let captions = "WEBVTT\n\n00:00.000 --> 00:02.000\nprivate words of another\n";
            std::fs::write(at("tenant-b/private.vtt"), captions).unwrap();
        } else {
            for neighbour in ["inputs/neighbour.mp4", "inputs/neighbour.txt"] {
                std::fs::remove_file(at(neighbour)).unwrap();
            }
        }
        Self { folder, port }
    }

    /// What comes out of a file: checksums of its pictures and sounds, or nothing.
    fn follow(&self, name: &str, manner: Manner, sandbox: Option<Sandbox>) -> String {
        let at = |name: &str| self.folder.path().join(name);
        let input = at("inputs").join(name);
        let output = at("made/sums");
        std::fs::remove_file(&output).unwrap_or_default();
        let mut command = command("/usr/bin/ffmpeg");
        command.args(["-nostdin", "-v", "error", "-y"]);
        let mut read = vec![input.clone()];
        if manner == Manner::Open && is_a(name, "srt") {
            read.push(at("film.mp4"));
            command.arg("-i").arg(at("film.mp4"));
            command.args(["-an", "-vf", &format!("subtitles={}", text(&input))]);
        } else {
            match manner {
                Manner::Listed => command.args(policy::before_input()),
                Manner::Open => command.args(open(&input)),
            };
            command.arg("-i").arg(format!("file:{}", text(&input)));
        }
        command.args(["-t", "2", "-f", "framemd5", text(&output)]);
        command.env_clear().stdin(Stdio::null()).stderr(Stdio::null());
        if let Some(sandbox) = sandbox {
            let scope = Scope { read, write: vec![at("made")], ..Scope::default() };
            sandbox.confine(&mut command, &scope).unwrap();
        }
        let patience = if is_a(name, "sdp") { PATIENCE_WITH_A_SENDER } else { PATIENCE };
        wait(command.spawn().unwrap(), patience);
        let sums = std::fs::read_to_string(&output).unwrap_or_default();
        sums.lines().filter(|line| !line.starts_with('#')).collect()
    }
}

/// What opens every door that ffmpeg itself closes.
fn open(input: &Path) -> Vec<&'static str> {
    let mut options = vec!["-max_pixels", "4000000", "-protocol_whitelist"];
    options.push("file,http,tcp,udp,rtp,crypto,data,concat,subfile");
    let words = std::fs::read(input).unwrap();
    if words.starts_with(b"#EXTM3U") {
        options.extend(["-f", "hls", "-allowed_extensions", "ALL"]);
    } else if words.starts_with(b"ffconcat") {
        options.extend(["-f", "concat", "-safe", "0"]);
    }
    options
}

fn is_a(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn ffmpeg(arguments: &[&str]) {
    let mut command = command("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]).args(arguments);
    assert!(command.status().unwrap().success(), "{arguments:?}");
}

/// What the hostile files got at.
struct Got {
    /// The files whose output was not the same in both worlds.
    leaks: Vec<String>,
    /// The files that reached the port.
    requests: Vec<String>,
}

/// Follows every hostile file in both worlds.
fn follow_all(inputs: &Path, manner: Manner, sandbox: Option<Sandbox>) -> Got {
    let (full, empty) = (World::new(inputs, true), World::new(inputs, false));
    let mut got = Got { leaks: vec![], requests: vec![] };
    for name in hostile(inputs) {
        let before = full.port.connections() + empty.port.connections();
        let same = full.follow(&name, manner, sandbox) == empty.follow(&name, manner, sandbox);
        if !same {
            got.leaks.push(name.clone());
        }
        if full.port.connections() + empty.port.connections() > before {
            got.requests.push(name);
        }
    }
    got
}

/// The names of the hostile files: all but those that are led to, and the controls.
fn hostile(inputs: &Path) -> Vec<String> {
    let names = files(inputs).into_iter().map(|path| PathBuf::from(path.file_name().unwrap()));
    let names = names.map(|name| text(&name).to_owned());
    let hostile: Vec<_> =
        names.filter(|name| !name.starts_with("neighbour.") && name != "ok.srt").collect();
    assert!(hostile.len() >= 20, "{hostile:?}");
    hostile
}

const NOTHING: &[String] = &[];

#[test]
fn with_nothing_in_the_way_hostile_files_read_others_and_reach_the_network() {
    let Some(inputs) = security("inputs") else { return };
    let got = follow_all(&inputs, Manner::Open, None);
    for name in [
        "evil.mpd",
        "evil_concat_http.mp4",
        "evil_concat_rel.mp4",
        "evil_hls_http.m3u8",
        "evil_hls_media.m3u8",
        "evil_hls_media.mp4",
        "evil_sub2.srt",
    ] {
        assert!(got.leaks.iter().any(|leak| leak == name), "{name} is harmless: {:?}", got.leaks);
    }
    for name in ["evil_concat_http.mp4", "evil_hls_http.m3u8", "evil_hls_key.m3u8"] {
        assert!(got.requests.iter().any(|request| request == name), "{name} is harmless");
    }
}

#[test]
fn the_lists_in_the_arguments_alone_stop_every_hostile_file() {
    let Some(inputs) = security("inputs") else { return };
    let got = follow_all(&inputs, Manner::Listed, None);
    assert_eq!((&got.leaks[..], &got.requests[..]), (NOTHING, NOTHING));
}

#[test]
fn landlock_alone_stops_every_hostile_file() {
    let Some(inputs) = security("inputs") else { return };
    let sandbox = Sandbox::detect().without_seccomp();
    let got = follow_all(&inputs, Manner::Open, Some(sandbox));
    assert_eq!((&got.leaks[..], &got.requests[..]), (NOTHING, NOTHING));
}

#[test]
fn seccomp_alone_keeps_every_hostile_file_from_the_network_and_from_nothing_else() {
    let Some(inputs) = security("inputs") else { return };
    let sandbox = Sandbox::detect().without_landlock();
    let got = follow_all(&inputs, Manner::Open, Some(sandbox));
    assert_eq!(&got.requests[..], NOTHING);
    assert!(got.leaks.iter().any(|leak| leak == "evil.mpd"), "files are not its business");
}

#[test]
fn namespaces_alone_keep_every_hostile_file_from_the_network_and_from_nothing_else() {
    let Some(inputs) = security("inputs") else { return };
    let sandbox = Sandbox::detect().without_landlock().without_seccomp();
    assert_eq!(sandbox.layers(), [Layer::Namespaces], "these tests need namespaces");
    let got = follow_all(&inputs, Manner::Open, Some(sandbox));
    assert_eq!(&got.requests[..], NOTHING);
    // Files are not their business.
    let local = [
        "evil.mpd",
        "evil_concat_rel.mp4",
        "evil_hls_media.m3u8",
        "evil_hls_media.mp4",
        "evil_sub2.srt",
    ];
    assert_eq!(got.leaks, local);
}

#[test]
fn the_whole_box_stops_every_hostile_file_whatever_the_arguments_are() {
    let Some(inputs) = security("inputs") else { return };
    for manner in [Manner::Open, Manner::Listed] {
        let got = follow_all(&inputs, manner, Some(Sandbox::detect()));
        assert_eq!((&got.leaks[..], &got.requests[..]), (NOTHING, NOTHING));
    }
}

#[test]
fn a_good_clip_and_good_captions_come_out_of_the_box_as_they_do_without() {
    let Some(inputs) = security("inputs") else { return };
    let (world, sandbox) = (World::new(&inputs, true), Some(Sandbox::detect()));
    for manner in [Manner::Open, Manner::Listed] {
        let boxed = world.follow("neighbour.mp4", manner, sandbox);
        assert!(!boxed.is_empty());
        assert_eq!(boxed, world.follow("neighbour.mp4", manner, None));
    }
    let captioned = world.follow("ok.srt", Manner::Open, sandbox);
    assert_eq!(captioned, world.follow("ok.srt", Manner::Open, None));
    let refused = world.follow("evil_sub2.srt", Manner::Open, sandbox);
    assert_ne!(captioned, refused, "the words are in the picture");
}
