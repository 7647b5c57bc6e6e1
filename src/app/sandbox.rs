//! How well ffmpeg is boxed in here, and whether that is enough to work.

use std::fmt;
use std::path::Path;

use anyhow::bail;
use ffmpeg::{Cgroup, Layer, Level, Tools, TrialError};

use crate::config;

/// How well ffmpeg is boxed in, tried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containment {
    level: Level,
    layers: Vec<Layer>,
}

impl Containment {
    /// The level as a number: 2 is full, 1 partial, 0 none.
    pub(super) const fn number(&self) -> f64 {
        match self.level {
            Level::Full => 2.0,
            Level::Partial { .. } => 1.0,
            Level::None { .. } => 0.0,
        }
    }

    /// How much of the box there is.
    #[must_use]
    pub const fn level(&self) -> &Level {
        &self.level
    }

    /// The names of the layers.
    #[must_use]
    pub fn layers(&self) -> Vec<String> {
        self.layers.iter().map(|layer| layer.to_string().to_lowercase()).collect()
    }
}

impl fmt::Display for Containment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.layers();
        if layers.is_empty() {
            return self.level.fmt(formatter);
        }
        write!(formatter, "{} ({})", self.level, layers.join(", "))
    }
}

/// Puts everything that the host has around `tools`, and tries it out in an empty `folder`.
///
/// # Errors
///
/// The box is not whole or does not hold, and that is not permitted.
pub(super) async fn contain(
    tools: &mut Tools,
    folder: &Path,
    settings: &config::Tools,
) -> anyhow::Result<Containment> {
    if settings.extras.cgroup {
        match Cgroup::divide_own() {
            Ok(cgroup) => *tools = tools.in_cgroup(cgroup),
            Err(why) => tracing::debug!(%why, "no process gets a cgroup of its own"),
        }
    }
    let level = tools.sandbox().level();
    let trial = try_out(tools, folder).await;
    let contained = |level| Containment { level, layers: tools.layers() };
    let Some(wrong) = wrong(&level, &trial) else { return Ok(contained(level)) };
    match settings.sandbox {
        config::Sandbox::Required => bail!(
            "{wrong}; or set REELWAY_SANDBOX=permissive, and files from strangers are read with \
             all the rights of this server's user"
        ),
        config::Sandbox::Permissive => {
            tracing::warn!(containment = %level, "{wrong}");
            Ok(contained(if level == Level::Full { nothing() } else { level }))
        }
    }
}

/// Tries the box out. What is around it is never worth a server that does not start: where
/// ffmpeg does not work in namespaces, it works without.
async fn try_out(tools: &mut Tools, folder: &Path) -> Result<(), TrialError> {
    let (first, second) = (folder.join("first"), folder.join("second"));
    for folder in [&first, &second] {
        std::fs::create_dir(folder)?;
    }
    let trial = tools.try_sandbox(&first).await;
    let plain = tools.sandbox().without_namespaces();
    if matches!(trial, Ok(()) | Err(TrialError::Leak { .. })) || plain == tools.sandbox() {
        return trial;
    }
    let without = tools.in_sandbox(plain);
    let again = without.try_sandbox(&second).await;
    if again.is_ok() {
        tracing::warn!("ffmpeg does not work in namespaces here, and goes without them");
        *tools = without;
    }
    again
}

/// A box that is whole by its parts and yet does not hold is none.
fn nothing() -> Level {
    Level::None { missing: vec![] }
}

/// What is wrong with a box, and the way out.
fn wrong(level: &Level, trial: &Result<(), TrialError>) -> Option<String> {
    let missing = level.missing();
    if let Some(layer) = missing.first() {
        let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let (names, needs) = (names.join(" and "), layer.needs());
        return Some(format!("ffmpeg cannot be boxed in here, without {names}: it takes {needs}"));
    }
    match trial {
        Ok(()) => None,
        Err(TrialError::Broken { log }) => {
            let said = log.last().map(|line| format!(" ({line})")).unwrap_or_default();
            Some(format!(
                "ffmpeg does not work inside its sandbox{said}; use your distribution's, or a \
                 build with its libraries in `lib` beside its `bin`"
            ))
        }
        Err(error @ TrialError::Start(source)) => {
            Some(format!("{error} ({source}); look whether the data folder can be written to"))
        }
        Err(error) => Some(format!("the sandbox does not hold: {error}; update the kernel")),
    }
}

#[cfg(test)]
mod tests {
    use ffmpeg::Layer;

    use super::*;

    #[test]
    fn what_is_wrong_names_the_missing_part_of_the_kernel() {
        assert_eq!(wrong(&Level::Full, &Ok(())), None);
        let partial = Level::Partial { missing: vec![Layer::Landlock] };
        let text = wrong(&partial, &Ok(())).expect("something is wrong");
        assert!(text.contains("without Landlock") && text.contains("Linux 5.13"), "{text}");
        let none = Level::None { missing: vec![Layer::Landlock, Layer::Seccomp] };
        let text = wrong(&none, &Ok(())).expect("something is wrong");
        assert!(text.contains("Landlock and seccomp"), "{text}");
    }

    #[test]
    fn a_box_that_does_not_hold_is_wrong_although_it_is_whole() {
        let leak = Err(TrialError::Leak { hostile: "a playlist" });
        let text = wrong(&Level::Full, &leak).expect("something is wrong");
        assert!(text.contains("does not hold") && text.contains("a playlist"), "{text}");
        let broken = Err(TrialError::Broken { log: vec!["no such library".to_owned()] });
        let text = wrong(&Level::Full, &broken).expect("something is wrong");
        assert!(text.contains("no such library"), "{text}");
    }

    #[tokio::test]
    async fn a_box_that_is_not_whole_is_refused_unless_that_is_permitted() {
        let tools = Tools::find(None, None, ffmpeg::Limits::default()).await.expect("ffmpeg");
        // The process of the tests stays in the cgroup that it is in.
        let extras = config::Extras { cgroup: false, ..config::Extras::default() };
        let try_in = async |tools: &Tools, rule| {
            let folder = tempfile::tempdir().expect("a folder");
            let settings = config::Tools { sandbox: rule, extras, ..config::Tools::default() };
            let contained = contain(&mut tools.clone(), folder.path(), &settings).await;
            contained.map(|found| found.to_string())
        };
        let (required, permissive) = (config::Sandbox::Required, config::Sandbox::Permissive);
        let found = try_in(&tools, required).await.expect("whole");
        assert!(found.starts_with("full (landlock, seccomp"), "{found}");
        let half = tools.in_sandbox(tools.sandbox().without_landlock());
        let refused = try_in(&half, required).await.expect_err("refused").to_string();
        assert!(refused.contains("Landlock"), "{refused}");
        assert!(refused.contains("REELWAY_SANDBOX=permissive"), "{refused}");
        let found = try_in(&half, permissive).await.expect("permitted");
        assert!(found.starts_with("partial (seccomp"), "{found}");
    }
}
