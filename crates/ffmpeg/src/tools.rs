//! The programs: found once, asked for their version and encoders, then handed around.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::cgroup::Cgroup;
use crate::child::{Containment, spawn, variable};
use crate::hardware::HardwareEncoder;
use crate::tail::Tail;
use crate::vips::{self, Savers, Vips};
use crate::watch::{End, Heard, Watch};
use crate::{Layer, Limits, Sandbox, Scope};

/// The oldest version that has every option used here.
const OLDEST: (u32, u32) = (5, 1);

/// The longest answer to `-version` or `-encoders` that is read, in bytes.
const ANSWER_BYTES: usize = 1 << 20;

/// How long a program may take to tell its version; a cold disk loads its libraries slowly.
const ANSWER_WALL: Duration = Duration::from_secs(20);

/// ffmpeg and ffprobe, and what they may cost. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tools(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    heif_convert: Option<PathBuf>,
    vips: Option<Vips>,
    hardware: Vec<HardwareEncoder>,
    version: String,
    encoders: BTreeSet<String>,
    limits: Limits,
    sandbox: Sandbox,
    cgroup: Option<Cgroup>,
}

/// Why ffmpeg or ffprobe cannot be used.
#[derive(Debug, Error)]
pub enum ToolsError {
    /// Not in `PATH`.
    #[error("{program} was not found; install it (apt-get install ffmpeg) or give its path")]
    NotFound {
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
    },
    /// There is no such file, or it may not be run.
    #[error("{path} is not a program; install ffmpeg (apt-get install ffmpeg) or correct the path")]
    NotAProgram {
        /// What was given, which is the operator's own.
        path: String,
    },
    /// It could not be started or asked.
    #[error("{program} could not be started; try `{program} -version`")]
    Start {
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It failed, or answers like another program.
    #[error("{program} does not answer like {program}; install it anew (apt-get install ffmpeg)")]
    Strange {
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
    },
    /// Older than 5.1.
    #[error("{program} {found} is too old, 5.1 or later is needed (apt-get install ffmpeg)")]
    TooOld {
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
        /// What it says it is.
        found: String,
    },
}

impl Tools {
    /// Finds both programs, at the path given or in `PATH`, and asks them who they are.
    pub async fn find(
        ffmpeg: Option<&Path>,
        ffprobe: Option<&Path>,
        limits: Limits,
    ) -> Result<Self, ToolsError> {
        let ffmpeg = locate("ffmpeg", ffmpeg)?;
        let ffprobe = locate("ffprobe", ffprobe)?;
        let sandbox = Sandbox::detect();
        let boxed = Containment::prepare(&limits, sandbox, Scope::default());
        // At once: a start is mostly the linking of many libraries, and every command waits here.
        let (ffmpeg_says, ffprobe_says, encoders, vips) = tokio::try_join!(
            ask("ffmpeg", &ffmpeg, &["-version"], &boxed),
            ask("ffprobe", &ffprobe, &["-version"], &boxed),
            ask("ffmpeg", &ffmpeg, &["-hide_banner", "-encoders"], &boxed),
            // Each process under way has buffers of its own; a future that holds four is too large.
            Box::pin(async { Ok(find_vips(&boxed).await) }),
        )?;
        let version = version("ffmpeg", &ffmpeg_says)?;
        self::version("ffprobe", &ffprobe_says)?;
        Ok(Self(Arc::new(Inner {
            ffmpeg,
            ffprobe,
            heif_convert: locate("heif-convert", None).ok(),
            vips,
            hardware: Vec::new(),
            version,
            encoders: self::encoders(&encoders),
            limits,
            sandbox,
            cgroup: None,
        })))
    }

    /// ffmpeg's version, such as `5.1.9-0+deb12u1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// Whether this ffmpeg has the encoder called `name`, such as `libx264`.
    #[must_use]
    pub fn has_encoder(&self, name: &str) -> bool {
        self.0.encoders.contains(name)
    }

    /// Where ffmpeg is.
    #[must_use]
    pub fn ffmpeg(&self) -> &Path {
        &self.0.ffmpeg
    }

    /// Where ffprobe is.
    #[must_use]
    pub fn ffprobe(&self) -> &Path {
        &self.0.ffprobe
    }

    /// Where heif-convert is, which opens HEIC photographs; not every machine has it.
    #[must_use]
    pub fn heif_convert(&self) -> Option<&Path> {
        self.0.heif_convert.as_deref()
    }

    /// The same without heif-convert, to see what becomes of a HEIC photograph then.
    #[must_use]
    pub fn without_heif_convert(&self) -> Self {
        Self(Arc::new(Inner { heif_convert: None, ..(*self.0).clone() }))
    }

    /// The libvips that makes pictures of pictures; not every machine has it.
    #[must_use]
    pub fn vips(&self) -> Option<&Vips> {
        self.0.vips.as_ref()
    }

    /// The same without libvips, to see what ffmpeg makes in its place.
    #[must_use]
    pub fn without_vips(&self) -> Self {
        Self(Arc::new(Inner { vips: None, ..(*self.0).clone() }))
    }

    /// The encoders in hardware that are used; none before [`Tools::with_hardware`].
    #[must_use]
    pub fn hardware(&self) -> &[HardwareEncoder] {
        &self.0.hardware
    }

    pub(crate) fn knowing(&self, hardware: Vec<HardwareEncoder>) -> Self {
        Self(Arc::new(Inner { hardware, ..(*self.0).clone() }))
    }

    /// The box in which they run: all that this kernel has.
    #[must_use]
    pub fn sandbox(&self) -> Sandbox {
        self.0.sandbox
    }

    /// The same in another box, to see what one layer holds by itself.
    #[must_use]
    pub fn in_sandbox(&self, sandbox: Sandbox) -> Self {
        Self(Arc::new(Inner { sandbox, ..(*self.0).clone() }))
    }

    /// The same with every process in a cgroup of its own.
    #[must_use]
    pub fn in_cgroup(&self, cgroup: Cgroup) -> Self {
        Self(Arc::new(Inner { cgroup: Some(cgroup), ..(*self.0).clone() }))
    }

    /// The layers that are around every process.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        let cgroup = self.0.cgroup.as_ref().map(|_| Layer::Cgroup);
        self.sandbox().layers().into_iter().chain(cgroup).collect()
    }

    /// What holds a process that is given what is in `scope`, and may have so much memory.
    pub(crate) fn containment(&self, scope: Scope, memory_bytes: u64) -> Containment {
        let contained = Containment::prepare(self.limits(), self.sandbox(), scope);
        contained.within(self.0.cgroup.as_ref(), memory_bytes)
    }

    /// What a run may cost.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }
}

#[cfg(test)]
impl Tools {
    /// The same with another program in ffmpeg's place.
    pub(crate) fn with_ffmpeg(&self, path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Inner { ffmpeg: path.into(), ..(*self.0).clone() }))
    }
}

fn locate(program: &'static str, given: Option<&Path>) -> Result<PathBuf, ToolsError> {
    let Some(given) = given else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found =
            std::env::split_paths(&path).map(|folder| folder.join(program)).find(is_program);
        return found.ok_or(ToolsError::NotFound { program });
    };
    let path = std::path::absolute(given).unwrap_or_else(|_| given.to_owned());
    if is_program(&path) {
        Ok(path)
    } else {
        Err(ToolsError::NotAProgram { path: given.display().to_string() })
    }
}

#[expect(clippy::ptr_arg, reason = "used as a function on paths that are owned")]
fn is_program(path: &PathBuf) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

async fn ask(
    program: &'static str,
    path: &Path,
    question: &[&str],
    containment: &Containment,
) -> Result<String, ToolsError> {
    let start = |source| ToolsError::Start { program, source };
    let argv: Vec<OsString> = question.iter().map(OsString::from).collect();
    let (child, pipes) = spawn(path, &argv, Path::new("/"), containment).map_err(start)?;
    let stop = CancellationToken::new();
    let watch = Watch {
        wall: ANSWER_WALL,
        stall: None,
        grace: Duration::ZERO,
        processor: None,
        memory_bytes: Limits::default().probe_memory_bytes,
        waiting: &[],
        stop: &stop,
    };
    let mut answer = Vec::new();
    let hear = |bytes: &[u8]| {
        answer.extend_from_slice(bytes);
        if answer.len() > ANSWER_BYTES { Heard::TooMuch } else { Heard::Life }
    };
    match watch.over(child, pipes, &mut Tail::new(&argv), hear).await.map_err(start)? {
        End::Exited(status) if status.success() => {
            Ok(String::from_utf8_lossy(&answer).into_owned())
        }
        _ => Err(ToolsError::Strange { program }),
    }
}

/// A libvips that is there, new enough and answers: whatever else it is, ffmpeg does its work.
async fn find_vips(containment: &Containment) -> Option<Vips> {
    let program = locate("vipsthumbnail", None).ok()?;
    let with = |pair| containment.clone().with_environment(vec![variable(pair)]);
    let (talkative, bare) = (with(vips::TALKATIVE), with(vips::WITHOUT_MODULES));
    let (version, config) = tokio::try_join!(
        ask("vipsthumbnail", &program, &["--version"], &talkative),
        ask("vipsthumbnail", &program, &["--vips-config"], &bare),
    )
    .ok()?;
    let vips = Vips::read(program, &version, Savers::read(&config))?;
    (numbers(&vips.version)? >= vips::OLDEST).then_some(vips)
}

/// Reads the version and refuses an old one. A build from between two releases is named after a
/// commit and taken as new.
fn version(program: &'static str, answer: &str) -> Result<String, ToolsError> {
    let mut words = answer.split_whitespace();
    if words.next() != Some(program) || words.next() != Some("version") {
        return Err(ToolsError::Strange { program });
    }
    let found = words.next().ok_or(ToolsError::Strange { program })?.to_owned();
    match numbers(&found) {
        Some(number) if number < OLDEST => Err(ToolsError::TooOld { program, found }),
        _ => Ok(found),
    }
}

/// The first two numbers of `5.1.9-0+deb12u1`, `n7.1` or `8.0`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let digits = version.strip_prefix('n').unwrap_or(version);
    let mut parts = digits.split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

/// The names in ffmpeg's table of encoders, whose rows start with six flags.
fn encoders(answer: &str) -> BTreeSet<String> {
    let rows = answer.lines().skip_while(|line| !line.trim_start().starts_with("------")).skip(1);
    rows.filter_map(|row| row.split_whitespace().nth(1)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_old_ones_refused() {
        let read = |found: &str| version("ffmpeg", &format!("ffmpeg version {found} Copyright"));
        for good in ["5.1.9-0+deb12u1", "5.1", "n7.1.1", "8", "N-109542-g1bf1a94", "git-2024-01-01"]
        {
            assert_eq!(read(good).unwrap(), good);
        }
        for old in ["4.4.2-0ubuntu0.22.04.1", "5.0.3", "n4.4"] {
            let text = read(old).unwrap_err().to_string();
            assert!(text.contains(old) && text.contains("apt-get install ffmpeg"), "{text}");
        }
        assert!(matches!(version("ffmpeg", "hello"), Err(ToolsError::Strange { .. })));
        assert!(matches!(
            version("ffprobe", "ffmpeg version 8.0"),
            Err(ToolsError::Strange { .. })
        ));
    }

    #[tokio::test]
    async fn the_installed_programs_are_found_and_asked() {
        let tools = Tools::find(None, None, Limits::default()).await.unwrap();
        assert!(numbers(tools.version()).is_none_or(|version| version >= OLDEST));
        assert!(tools.has_encoder("libx264") && tools.has_encoder("aac"));
        assert!(!tools.has_encoder("=") && !tools.has_encoder("nosuch"));
    }

    #[tokio::test]
    async fn a_path_that_is_no_program_says_what_to_do() {
        let find = |path: &'static str| Tools::find(Some(Path::new(path)), None, Limits::default());
        let error = find("/nowhere/ffmpeg").await.unwrap_err().to_string();
        assert!(error.contains("/nowhere/ffmpeg") && error.contains("apt-get"), "{error}");
        let error = find("/etc/passwd").await.unwrap_err();
        assert!(matches!(error, ToolsError::NotAProgram { .. }), "{error}");
        let error = find("/bin/echo").await.unwrap_err();
        assert!(matches!(error, ToolsError::Strange { program: "ffmpeg" }), "{error}");
    }
}
