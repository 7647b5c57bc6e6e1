//! What ffmpeg says with `-progress`, as it comes through a pipe.

use reelway::ffmpeg::{Progress, ProgressParser};

/// Reports are sane, no more than there are lines, and the same however the pipe cuts them.
pub(crate) fn holds(data: &[u8]) {
    let whole = reports(data, usize::MAX);
    let lines = data.split(|byte| *byte == b'\n').count() - 1;
    assert!(whole.len() <= lines, "{} reports of {lines} lines", whole.len());
    for report in &whole {
        assert!(report.out_secs.is_finite() && report.out_secs >= 0.0, "{report:?}");
        assert!(report.speed.is_none_or(|speed| speed.is_finite() && speed > 0.0), "{report:?}");
        assert!(!report.moved_since(report), "{report:?}");
    }
    for size in [1, 7, 1 + data.len() / 2] {
        assert_eq!(reports(data, size), whole, "in pieces of {size}");
    }
    // Said anew, the last report is read as it was meant.
    if let Some(last) = whole.last().filter(|last| is_plain(last)) {
        assert_eq!(reports(said(last).as_bytes(), usize::MAX), [*last]);
    }
}

fn reports(data: &[u8], size: usize) -> Vec<Progress> {
    let (mut parser, mut seen) = (ProgressParser::default(), Vec::new());
    for piece in data.chunks(size) {
        parser.push(piece, |progress| seen.push(progress));
    }
    seen
}

/// Whether its numbers can be written down without loss.
fn is_plain(progress: &Progress) -> bool {
    progress.speed.is_none() && progress.out_secs.fract() == 0.0 && progress.out_secs < 1e9
}

fn said(progress: &Progress) -> String {
    let micros = progress.out_secs as u64 * 1_000_000;
    format!(
        "frame={}\ntotal_size={}\nout_time_us={micros}\nprogress={}\n",
        progress.frame,
        progress.total_bytes,
        if progress.ended { "end" } else { "continue" }
    )
}
