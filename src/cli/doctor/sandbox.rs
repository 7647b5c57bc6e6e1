//! The box around ffmpeg: whether it is whole, and whether it holds.

use ffmpeg::{Layer, Level, Tools, TrialError};

use super::Check;
use crate::config;

/// What is always a way out, if not a good one.
const PERMISSIVE: &str = "REELWAY_SANDBOX=permissive runs ffmpeg with all the server's rights";

pub(super) async fn check(tools: &Tools, rule: config::Sandbox) -> Check {
    let sandbox = tools.sandbox();
    let judge = |found: String, fix: String| match rule {
        config::Sandbox::Required => Check::bad("sandbox", found, format!("{fix}; {PERMISSIVE}")),
        config::Sandbox::Permissive => Check::doubtful("sandbox", found, fix),
    };
    let level = sandbox.level();
    if let Some(layer) = level.missing().first() {
        let names: Vec<String> = level.missing().iter().map(ToString::to_string).collect();
        let found = format!("{level}: without {}", names.join(" and "));
        return judge(found, format!("it takes {}", layer.needs()));
    }
    let tried = match tempfile::tempdir() {
        Ok(folder) => tools.try_sandbox(folder.path()).await,
        Err(error) => Err(error.into()),
    };
    match tried {
        Ok(()) => Check::good("sandbox", whole(&level, tools)),
        Err(error @ TrialError::Broken { .. }) => {
            let fix = "use your distribution's ffmpeg, or a build with its libraries in `lib` \
                       beside its `bin`";
            judge(error.to_string(), fix.to_owned())
        }
        Err(error @ TrialError::Start(_)) => {
            judge(error.to_string(), "look whether /tmp can be written to".to_owned())
        }
        Err(error) => judge(format!("it does not hold: {error}"), "update the kernel".to_owned()),
    }
}

/// A server may have a cgroup for each process beside; what it has, `/readyz` says.
fn whole(level: &Level, tools: &Tools) -> String {
    let version = tools.sandbox().landlock_version();
    let names = tools.layers().into_iter().map(|layer| match (layer, version) {
        (Layer::Landlock, Some(version)) => format!("landlock {version}"),
        _ => layer.to_string().to_lowercase(),
    });
    let names: Vec<String> = names.collect();
    format!("{level} ({}): hostile files got nothing", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[tokio::test]
    async fn a_whole_box_is_good_and_half_of_one_is_judged_by_the_setting() {
        let tools = Tools::find(None, None, ffmpeg::Limits::default()).await.expect("ffmpeg");
        let whole = check(&tools, config::Sandbox::Required).await;
        assert_eq!(whole.verdict, Verdict::Good, "{whole:?}");
        assert!(whole.found.starts_with("full (landlock "), "{whole:?}");
        let half = tools.in_sandbox(tools.sandbox().without_landlock());
        let required = check(&half, config::Sandbox::Required).await;
        assert_eq!(required.verdict, Verdict::Bad);
        let fix = required.fix.expect("a fix");
        assert!(fix.contains("Linux 5.13") && fix.contains("REELWAY_SANDBOX"), "{fix}");
        let permissive = check(&half, config::Sandbox::Permissive).await;
        assert_eq!(permissive.verdict, Verdict::Doubtful);
    }
}
