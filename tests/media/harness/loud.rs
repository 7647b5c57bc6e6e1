//! How loud a file is, as ffmpeg's own meter of EBU R 128 tells it.

use std::path::Path;

use super::process::said_well;

/// The integrated loudness in LUFS and the true peak in dBTP.
pub(crate) fn loudness(path: &Path) -> (f64, f64) {
    let path = path.to_str().expect("a path in UTF-8");
    let meter = "ebur128=peak=true:framelog=verbose";
    let arguments = ["-nostdin", "-i", path, "-map", "0:a:0", "-af", meter, "-f", "null", "-"];
    let said = said_well("ffmpeg", &arguments);
    let (_, summary) = said.rsplit_once("Summary:").expect("a summary");
    let after = |name: &str| -> f64 {
        let line = summary.lines().find_map(|line| line.trim().strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()).expect("a line");
        number.parse().expect("a number")
    };
    (after("I:"), after("Peak:"))
}
