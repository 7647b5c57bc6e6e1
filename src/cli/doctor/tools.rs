//! The programs: there, new enough, and with the encoders that jobs ask for.

use std::path::Path;

use ffmpeg::{Limits, Tools};

use super::{Check, sandbox};
use crate::config;

/// The encoders of the usual formats.
const NEEDED: &[&str] =
    &["libx264", "libx265", "libvpx-vp9", "aac", "libmp3lame", "libopus", "libvorbis", "libwebp"];

/// Either of them makes AV1.
const AV1: &[&str] = &["libsvtav1", "libaom-av1"];

pub(super) async fn check(
    ffmpeg: Option<&Path>,
    ffprobe: Option<&Path>,
    rule: config::Sandbox,
) -> Vec<Check> {
    let tools = match Tools::find(ffmpeg, ffprobe, Limits::default()).await {
        Ok(tools) => tools,
        Err(error) => {
            let fix = "apt-get install ffmpeg, or set REELWAY_FFMPEG and REELWAY_FFPROBE";
            return vec![Check::bad("ffmpeg", error.to_string(), fix)];
        }
    };
    vec![
        Check::good("ffmpeg", tools.version()),
        encoders(&tools),
        sandbox::check(&tools, rule).await,
    ]
}

fn encoders(tools: &Tools) -> Check {
    let mut missing: Vec<&str> =
        NEEDED.iter().copied().filter(|name| !tools.has_encoder(name)).collect();
    if !AV1.iter().any(|name| tools.has_encoder(name)) {
        missing.push("an AV1 encoder");
    }
    if missing.is_empty() {
        return Check::good("encoders", "all that jobs can ask for");
    }
    let found = format!("missing: {}", missing.join(", "));
    Check::doubtful("encoders", found, "install your distribution's full ffmpeg")
}
