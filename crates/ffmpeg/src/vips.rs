//! One picture made of another by libvips: `vipsthumbnail` in the same box as ffmpeg.
//!
//! A [`Still`] comes in, a file of exactly the planned size goes out, or an error that says
//! "make it another way". It reads a large JPEG at a fraction of its size, knows colour profiles
//! and scales by Lanczos. Of libvips' loaders only those run that its authors hold fit for files
//! of strangers, and of its modules only those that an output needs.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::beside::Beside;
use crate::child::{Variable, variable};
use crate::run::failed;
use crate::still;
use crate::{Cause, RunError, Tools, webp_bare};

/// The first version that can be told to leave loaders out that are not fit for strangers' files.
pub(crate) const OLDEST: (u32, u32) = (8, 13);

/// How long a picture may take; one of 50 megapixels takes two seconds.
const WALL: Duration = Duration::from_mins(2);

/// No loader runs but the hardened ones.
const TRUSTED_ONLY: (&str, &str) = ("VIPS_BLOCK_UNTRUSTED", "1");

/// Where modules are looked for, instead of beside the library.
const HOME: &str = "VIPSHOME";

/// Nothing lies there.
pub(crate) const WITHOUT_MODULES: (&str, &str) = (HOME, "/dev/null");

/// It says what it loads, when it is asked for its version.
pub(crate) const TALKATIVE: (&str, &str) = ("VIPS_INFO", "1");

/// The module that writes AVIF, where it is one: in Debian it lies beside PDF and slides.
const AVIF_MODULE: &str = "vips-heif.so";

/// Up to this size a picture lies in memory, where the watchdog counts it: there is no other
/// place for it in the box.
const DISC_THRESHOLD: &str = "--vips-disc-threshold=2g";

/// A picture made of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Still {
    /// What is read: a JPEG, PNG or WebP.
    pub input: PathBuf,
    /// What is written.
    pub output: PathBuf,
    /// The size of what is written, in pixels.
    pub size: (u32, u32),
    /// How it gets that size.
    pub shape: Shaping,
    /// Whether the picture is turned upright by its EXIF; it has its size after that.
    pub turns: bool,
    /// What is written.
    pub encoder: StillEncoder,
    /// Threads; libvips' own choice when not given.
    pub threads: Option<u32>,
}

/// How a picture gets a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shaping {
    /// Both sides are scaled to it.
    Scaled,
    /// It is scaled until it covers it, and its middle is kept.
    Middle,
}

/// What a picture is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StillEncoder {
    /// PNG.
    Png,
    /// WebP.
    Webp {
        /// 0 to 100 (best).
        quality: u8,
    },
    /// AVIF by libheif.
    Avif {
        /// 0 to 100 (best).
        quality: u8,
    },
}

/// An installed libvips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vips {
    pub(crate) program: PathBuf,
    /// Its version, such as `8.14.1`.
    pub version: String,
    /// What it writes.
    pub savers: Savers,
    /// Its module that writes AVIF; nothing where that is no module.
    pub(crate) avif_module: Option<PathBuf>,
}

impl Vips {
    /// Reads what it says of its version and, as it is [`TALKATIVE`], of its modules.
    pub(crate) fn read(program: PathBuf, answer: &str, savers: Savers) -> Option<Self> {
        let version = answer.lines().find_map(|line| line.trim().strip_prefix("vips-"))?.to_owned();
        let loaded =
            answer.lines().filter_map(|line| line.split_once("loading \"")?.1.strip_suffix('"'));
        let mut modules = loaded.map(PathBuf::from);
        let avif_module = modules.find(|module| module.ends_with(AVIF_MODULE));
        Some(Self { program, version, savers, avif_module })
    }
}

/// Where libvips looks for its modules.
enum Home {
    /// Nowhere, which halves the time of a start.
    Nowhere,
    /// In a folder with the one module that is needed, as long as this lives.
    Own(TempDir),
    /// Where they were installed, all of them.
    Installed,
}

impl Home {
    /// The one for this encoder; it lies in `folder` where it has to be made.
    fn open(encoder: StillEncoder, vips: &Vips, folder: &Path) -> io::Result<Self> {
        match (encoder, &vips.avif_module) {
            (StillEncoder::Png | StillEncoder::Webp { .. }, _) => Ok(Self::Nowhere),
            (StillEncoder::Avif { .. }, None) => Ok(Self::Installed),
            (StillEncoder::Avif { .. }, Some(module)) => Self::with(module, folder).map(Self::Own),
        }
    }

    /// Below a home libvips looks under the last names of its modules' own folders, such as
    /// `x86_64-linux-gnu/vips-modules-8.14`.
    fn with(module: &Path, folder: &Path) -> io::Result<TempDir> {
        let home = tempfile::Builder::new().prefix("vips-").tempdir_in(folder)?;
        let mut names: Vec<_> = module.components().rev().take(3).collect();
        names.reverse();
        let place = home.path().join(names.iter().collect::<PathBuf>());
        std::fs::create_dir_all(place.parent().unwrap_or(home.path()))?;
        std::os::unix::fs::symlink(module, place)?;
        Ok(home)
    }

    fn variable(&self) -> Option<Variable> {
        match self {
            Self::Nowhere => Some(variable(WITHOUT_MODULES)),
            Self::Own(home) => Some((HOME, home.path().into())),
            Self::Installed => None,
        }
    }
}

/// What a libvips writes beside PNG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it all")]
pub struct Savers {
    pub webp: bool,
    pub avif: bool,
}

impl Savers {
    /// Reads what `--vips-config` answers.
    pub(crate) fn read(answer: &str) -> Self {
        let has = |name: &str| {
            answer.lines().any(|line| {
                line.contains(name) && line.contains("load/save") && line.contains(": true")
            })
        };
        Self { webp: has("WebP"), avif: has("AVIF") }
    }

    /// Whether a picture can be written as that.
    #[must_use]
    pub const fn write(self, encoder: StillEncoder) -> bool {
        match encoder {
            StillEncoder::Png => true,
            StillEncoder::Webp { .. } => self.webp,
            StillEncoder::Avif { .. } => self.avif,
        }
    }
}

impl Still {
    /// The arguments, without the program's name.
    #[must_use]
    pub fn argv(&self) -> Vec<OsString> {
        let (width, height) = self.size;
        let mut argv: Vec<OsString> = vec![self.input.clone().into()];
        match self.shape {
            Shaping::Scaled => argv.push(format!("--size={width}x{height}!").into()),
            Shaping::Middle => {
                argv.push(format!("--size={width}x{height}").into());
                argv.push("--smartcrop=centre".into());
            }
        }
        if !self.turns {
            argv.push("--no-rotate".into());
        }
        // Both: what brings no profile is taken for something else than sRGB, and shifted.
        argv.extend(["--import-profile=srgb", "--export-profile=srgb"].map(Into::into));
        if let Some(threads) = self.threads {
            argv.push(format!("--vips-concurrency={threads}").into());
        }
        argv.push(DISC_THRESHOLD.into());
        let mut output = OsString::from("--output=");
        output.push(&self.output);
        output.push(self.encoder.options());
        argv.push(output);
        argv
    }

    /// Whether the names of its files are nothing but names to libvips, which takes `[` for the
    /// start of options and `%` for the start of another name.
    #[must_use]
    pub fn has_plain_names(&self) -> bool {
        let special = |path: &PathBuf| {
            path.as_os_str().as_encoded_bytes().iter().any(|byte| b"[]%".contains(byte))
        };
        self.input.is_absolute() && !special(&self.input) && !special(&self.output)
    }
}

impl StillEncoder {
    /// Behind the file's name. `strip` leaves out whatever the source says beside its pixels.
    fn options(self) -> String {
        match self {
            // Each row by the filter that suits it: a seventh less of a photograph.
            Self::Png => "[strip,filter=all]".to_owned(),
            Self::Webp { quality } => format!("[Q={quality},strip]"),
            // Two pixels share their colour as they do for ffmpeg, whatever the quality.
            Self::Avif { quality } => {
                format!("[Q={quality},compression=av1,effort=2,subsample_mode=on,strip]")
            }
        }
    }
}

impl Tools {
    /// Makes a picture of another, of exactly the size that `still` says.
    ///
    /// Whatever it has to say about its input is an error: there is a second way to make the
    /// picture, which knows how to tell what is wrong. The same rules as for [`Tools::run`] hold
    /// for `stop`, for dropping and for where to call it from.
    pub async fn run_still(&self, still: &Still, stop: &CancellationToken) -> Result<(), RunError> {
        let refused = |cause, log| RunError::Refused { cause, log };
        let Some(vips) = self.vips() else { return Err(refused(Cause::Unknown, Vec::new())) };
        let folder = still.output.parent().unwrap_or(Path::new("/"));
        let argv = still.argv();
        let home = Home::open(still.encoder, vips, folder).map_err(RunError::Lost)?;
        let run = Beside {
            name: "vipsthumbnail",
            program: &vips.program,
            argv: &argv,
            environment: home.variable().into_iter().chain([variable(TRUSTED_ONLY)]).collect(),
            input: &still.input,
            folder,
            wall: WALL,
        };
        let (status, tail) = self.run_beside(run, stop).await?;
        if !status.success() {
            return Err(failed(status, &tail));
        }
        if !tail.log().is_empty() {
            return Err(refused(Cause::Corrupt, tail.log()));
        }
        match still::made(&still.output).await.map_err(RunError::Lost)? {
            Some(facts) if facts.video().is_some_and(|made| made.display_size() == still.size) => {
                strip(still).await
            }
            _ => Err(refused(Cause::NothingWritten, Vec::new())),
        }
    }

    /// The command line of a picture, as a person types it.
    #[must_use]
    pub fn still_line(&self, still: &Still) -> Vec<OsString> {
        let program = self.vips().map_or(Path::new("vipsthumbnail"), |vips| &vips.program);
        std::iter::once(program.into()).chain(still.argv()).collect()
    }
}

/// Leaves out what libvips 8.14 leaves in: a WebP has the source's notes although it is told to
/// strip them.
async fn strip(still: &Still) -> Result<(), RunError> {
    let StillEncoder::Webp { .. } = still.encoder else { return Ok(()) };
    let made = tokio::fs::read(&still.output).await.map_err(RunError::Lost)?;
    let bare = webp_bare::bare(&made).ok_or_else(|| {
        let log = vec!["libvips wrote a WebP that cannot be read".to_owned()];
        RunError::Refused { cause: Cause::Unknown, log }
    })?;
    tokio::fs::write(&still.output, bare).await.map_err(RunError::Lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn still(encoder: StillEncoder) -> Still {
        Still {
            input: "/in/input".into(),
            output: "/out/image.webp".into(),
            size: (640, 480),
            shape: Shaping::Scaled,
            turns: false,
            encoder,
            threads: None,
        }
    }

    fn words(still: &Still) -> String {
        let argv = still.argv();
        argv.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_picture_is_one_line_of_arguments() {
        let photograph = Still {
            shape: Shaping::Middle,
            turns: true,
            threads: Some(2),
            ..still(StillEncoder::Webp { quality: 78 })
        };
        insta::assert_snapshot!(words(&photograph), @"/in/input --size=640x480 --smartcrop=centre --import-profile=srgb --export-profile=srgb --vips-concurrency=2 --vips-disc-threshold=2g --output=/out/image.webp[Q=78,strip]");
        let avif = still(StillEncoder::Avif { quality: 54 });
        insta::assert_snapshot!(words(&avif), @"/in/input --size=640x480! --no-rotate --import-profile=srgb --export-profile=srgb --vips-disc-threshold=2g --output=/out/image.webp[Q=54,compression=av1,effort=2,subsample_mode=on,strip]");
    }

    #[test]
    fn names_that_mean_more_than_a_name_are_not_given_to_it() {
        let png = still(StillEncoder::Png);
        assert!(png.has_plain_names());
        for name in ["/in/a[b].jpg", "/in/a].jpg", "/in/%s.jpg", "in.jpg", "-o"] {
            let named = Still { input: name.into(), ..png.clone() };
            assert!(!named.has_plain_names(), "{name}");
        }
        let output = Still { output: "/out/%s.png".into(), ..png };
        assert!(!output.has_plain_names());
    }

    #[test]
    fn it_tells_its_version_and_its_modules() {
        let savers = Savers { webp: true, avif: true };
        let read = |answer| Vips::read("/bin/vipsthumbnail".into(), answer, savers);
        let debian = "VIPS-INFO: 04:31:16.167: searching \"/usr/lib/x/vips-modules-8.14\"\n\
                      VIPS-INFO: 04:31:16.167: loading \"/usr/lib/x/vips-modules-8.14/vips-poppler.so\"\n\
                      VIPS-INFO: 04:31:16.191: loading \"/usr/lib/x/vips-modules-8.14/vips-heif.so\"\n\
                      vips-8.14.1\n";
        let vips = read(debian).expect("a version");
        assert_eq!(vips.version, "8.14.1");
        let module = Path::new("/usr/lib/x/vips-modules-8.14/vips-heif.so");
        assert_eq!(vips.avif_module.as_deref(), Some(module));
        assert_eq!(read("vips-8.16.0").and_then(|vips| vips.avif_module), None);
        assert_eq!(read("8.16.0"), None);
    }

    #[test]
    fn avif_has_a_home_with_one_module_and_the_others_have_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let module = folder.path().join("lib/x86_64/vips-modules-8.14/vips-heif.so");
        std::fs::create_dir_all(module.parent().expect("a folder")).expect("folders");
        std::fs::write(&module, "a module").expect("a file");
        let savers = Savers { webp: true, avif: true };
        let mut vips = Vips::read("/bin/vipsthumbnail".into(), "vips-8.14.1", savers).expect("it");
        let open = |encoder, vips: &Vips| {
            Home::open(encoder, vips, folder.path()).expect("a home").variable()
        };
        let avif = StillEncoder::Avif { quality: 54 };
        assert_eq!(open(avif, &vips), None);
        assert_eq!(open(StillEncoder::Png, &vips), Some((HOME, "/dev/null".into())));

        vips.avif_module = Some(module);
        let home = Home::open(avif, &vips, folder.path()).expect("a home");
        let (_, path) = home.variable().expect("a home");
        let found = Path::new(&path).join("x86_64/vips-modules-8.14/vips-heif.so");
        assert_eq!(std::fs::read(found).expect("the module"), b"a module");
        drop(home);
        assert!(!Path::new(&path).exists(), "nothing is left");
    }

    #[test]
    fn what_it_writes_is_what_it_says_that_it_writes() {
        let debian = "WebP load/save with libwebp: true\nHEIC/AVIF load/save with libheif: true \
                      (dynamic module: true)\nPDF load with PDFium: false";
        assert_eq!(Savers::read(debian), Savers { webp: true, avif: true });
        let small = "WebP load/save with libwebp: true\nHEIC/AVIF load/save with libheif: false";
        assert_eq!(Savers::read(small), Savers { webp: true, avif: false });
        assert_eq!(Savers::read(""), Savers::default());
    }
}
