//! Clips made on the spot, kept between runs: nextest runs each test in a process of its own.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use super::process::run;

/// A clip to be made by ffmpeg.
pub(crate) struct Clip<'a> {
    /// Its name, whose ending chooses the container.
    pub(crate) name: &'a str,
    /// Inputs, each a graph of lavfi.
    pub(crate) sources: &'a [&'a str],
    /// How they are coded.
    pub(crate) coded: &'a str,
}

/// The file of a clip, made when it is not there yet.
pub(crate) fn clip(clip: &Clip<'_>) -> PathBuf {
    let mut arguments: Vec<&str> = "-v error -nostdin -y".split(' ').collect();
    for source in clip.sources {
        arguments.extend(["-f", "lavfi", "-i", source]);
    }
    arguments.extend(clip.coded.split_whitespace());
    kept(clip.name, &arguments, |path| {
        let path = path.to_str().expect("a path in UTF-8");
        run("ffmpeg", &[arguments.as_slice(), &[path]].concat());
    })
}

/// A file that `make` writes once for all runs; another `recipe` makes another file.
pub(crate) fn kept(name: &str, recipe: &[&str], make: impl FnOnce(&Path)) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clips");
    let folder = folder.join(format!("{:016x}", hasher.finish()));
    let path = folder.join(name);
    if !path.exists() {
        std::fs::create_dir_all(&folder).expect("a folder for clips");
        // Others may be making it too: whoever is first wins. A file that is in its place is
        // never replaced, for a sandbox may be open for that very file.
        let half = folder.join(format!("{}-{name}", std::process::id()));
        make(&half);
        let placed = std::fs::hard_link(&half, &path);
        std::fs::remove_file(&half).expect("a name of its own");
        let is_there = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AlreadyExists;
        assert!(placed.as_ref().map_or_else(is_there, |()| true), "{placed:?}");
    }
    path
}

/// Coded fast and small, without loss that a test of colours would see; labelled BT.709.
pub(crate) const H264: &str = "-vf scale=out_color_matrix=bt709:out_range=tv,format=yuv420p \
     -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv \
     -c:v libx264 -preset ultrafast -crf 12 -c:a aac -b:a 96k";

/// Four quarters: red, lime, blue, white.
pub(crate) fn colors(width: u32, height: u32, secs: u32) -> String {
    let (wide, high) = (width / 2, height / 2);
    let quarter = |color, name| format!("color={color}:s={wide}x{high}:r=25:d={secs}[{name}]");
    [
        quarter("red", "a"),
        quarter("lime", "b"),
        quarter("blue", "c"),
        quarter("white", "d"),
        "[a][b][c][d]xstack=inputs=4:layout=0_0|w0_0|0_h0|w0_h0,format=gbrp".to_owned(),
    ]
    .join(";")
}

/// A note of so many channels and samples a second.
pub(crate) fn tones(layout: &str, sample_rate: u32, secs: u32) -> String {
    format!(
        "aevalsrc=exprs=0.2*sin(880*t):channel_layout=mono:sample_rate={sample_rate}:duration={secs},\
         aformat=channel_layouts={layout}"
    )
}

/// The same pictures with a note that they are to be turned by a quarter.
pub(crate) fn turn(source: &Path, turned: &Path) {
    let [source, turned] = [source, turned].map(|path| path.to_str().expect("a path in UTF-8"));
    let copy = ["-v", "error", "-y", "-i", source, "-c", "copy"];
    let rotate = ["-metadata:s:v:0", "rotate=90", turned];
    run("ffmpeg", &[&copy[..], &rotate].concat());
}

/// The same with subtitles, one for each language, that name it.
pub(crate) fn title(source: &Path, titled: &Path, languages: &[&str]) {
    let mut arguments: Vec<String> = ["-v", "error", "-y", "-i"].map(str::to_owned).into();
    arguments.push(source.display().to_string());
    for (n, language) in languages.iter().enumerate() {
        let text = titled.with_extension(format!("{n}.srt"));
        let cues = [("1", "2", "First"), ("3", "4", "Second")].map(|(from, to, words)| {
            format!("{from}\n00:00:0{from},000 --> 00:00:0{to},000\n{words} {language}\n\n")
        });
        std::fs::write(&text, cues.concat()).expect("written");
        arguments.extend(["-i".to_owned(), text.display().to_string()]);
    }
    arguments.extend(["-map", "0", "-c", "copy", "-c:s", "srt"].map(str::to_owned));
    for (n, language) in languages.iter().enumerate() {
        arguments.extend(["-map".to_owned(), (n + 1).to_string()]);
        arguments.extend([format!("-metadata:s:s:{n}"), format!("language={language}")]);
    }
    arguments.push(titled.display().to_string());
    run("ffmpeg", &arguments);
}

/// A HEIC of a picture, where heif-enc is installed; where it is not, that is said, and in CI it
/// must be.
pub(crate) fn heic(name: &str, picture: &Path) -> Option<PathBuf> {
    let is_there = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join("heif-enc").is_file())
    });
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "heif-enc is not installed");
        #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
        {
            eprintln!("skipped: heif-enc is not installed (libheif-examples)");
        }
        return None;
    }
    let picture = picture.to_str().expect("a path in UTF-8");
    let arguments = ["-q", "100", "-p", "chroma=444", picture, "-o"];
    Some(kept(name, &arguments, |path| {
        let path = path.to_str().expect("a path in UTF-8");
        run("heif-enc", &[arguments.as_slice(), &[path]].concat());
    }))
}
